"""The far side of a hired machine: a zip of this package is run there, and the same warden keeps a program's limits.

The machine is the wall, so none is put up. Asked is what lies in the zip as `document.json`: packages to install, or a
program to run. The answer is one line on standard output.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
import zlib

from loci.sandbox.child import frames, warden
from loci.sandbox.child.frames import Report, Request

MARK = "loci-report:"
_OUTPUT_MAX_BYTES = 20_000
_NODE_HEAP_MB = 512


def main() -> None:
    """Do what the zip asks for, and print what came of it."""
    with zipfile.ZipFile(sys.argv[0]) as archive:
        document = json.loads(archive.read("document.json"))
        runner = archive.read("loci/sandbox/child/tool.mjs")
    places = os.path.join(tempfile.gettempdir(), "loci-packages")
    answer = _install(document, places) if "pip" in document else _carry_out(document, places, runner)
    print(MARK + base64.b64encode(zlib.compress(answer)).decode(), flush=True)  # noqa: T201  the answer


def _install(wanted: dict[str, list[str]], places: str) -> bytes:
    commands: list[list[str]] = []
    if wanted["pip"]:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        commands.append([*pip, "--only-binary", ":all:", "--target", os.path.join(places, "pip"), "--", *wanted["pip"]])
    if wanted["npm"]:
        npm = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        commands.append([*npm, "--prefix", os.path.join(places, "npm"), "--", *wanted["npm"]])
    code, said = 0, b""
    for command in commands:
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
            code, said = code or done.returncode, said + done.stdout + done.stderr
        except OSError as error:
            code, said = 1, str(error).encode()
    return _packed(_report("done", code), said[-_OUTPUT_MAX_BYTES:])


def _carry_out(request: Request, places: str, runner: bytes) -> bytes:
    folder = tempfile.mkdtemp(prefix="loci-run-")
    try:
        request["tmp"] = folder
        request["env"] = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", **request["env"]}
        packages, modules = os.path.join(places, "pip"), os.path.join(places, "npm", "node_modules")
        if os.path.isdir(packages):
            request["env"]["LOCI_PACKAGES"] = packages
        if request["program"]["language"] != "python":
            node = shutil.which("node")
            if node is None:
                return _packed(_report("walls", -1, "there is no Node.js on the machine"))
            path = os.path.join(folder, "tool.mjs")
            with open(path, "wb") as file:
                file.write(runner)
            request["node"] = [node, f"--max-old-space-size={_NODE_HEAP_MB}", path]
            if os.path.isdir(modules):
                request["env"]["NODE_PATH"] = modules
        return _guarded(request)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _guarded(request: Request) -> bytes:
    """The answer of a warden: its report, and behind it the bytes that this announces."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        try:
            ours.close()
            warden.guard(theirs, -1)
        finally:
            os._exit(0)
    theirs.close()
    frames.write(ours, request)
    head = frames.exactly(ours, frames.HEADER.size)
    body = frames.exactly(ours, frames.HEADER.unpack(head)[0])
    return head + body + b"".join(frames.exactly(ours, size) for size in json.loads(body)["sizes"])


def _report(ended: frames.Ended, exit_code: int, detail: str = "") -> Report:
    return {"ended": ended, "exit_code": exit_code, "detail": detail, "sizes": [0, 0, 0], "dropped": [0, 0, 0]}


def _packed(report: Report, said: bytes = b"") -> bytes:
    report["sizes"][1] = len(said)
    body = json.dumps(report).encode()
    return frames.HEADER.pack(len(body)) + body + said
