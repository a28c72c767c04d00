"""Starts commands quickly: a process that has imported what is slow to import, and forks one for each command.

What runs is the entry point itself, in a process of its own, with its own environment, streams and terminal; only the
second that the imports take is saved. Nothing of the command is imported beforehand, and no thread is started.
"""

import atexit
import contextlib
import fcntl
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

SLOW = (
    "anyio._backends._asyncio",
    "apsw",
    "fastapi",
    "httpcore",
    "httpcore2",
    "letta_client.types",
    "letta_client.resources",
    "loci.app",
    "loci.embedded",
    "prompt_toolkit",
    "rich.live",
    "rich.markdown",
    "rich.table",
    "typer.main",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)
_REQUEST_BYTES_MAX = 1 << 20


class Child:
    """A command that runs."""

    def __init__(self, reports: int) -> None:
        self._reports = os.fdopen(reports)
        self.pid = int(self._reports.readline())

    def wait(self) -> int:
        """Wait for the end; its exit status, negative for a signal."""
        return int(self._reports.readline())

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def close(self) -> None:
        self._reports.close()


def start(
    words: Sequence[str], environment: Mapping[str, str], streams: tuple[int, int, int], *, program: Path | None = None
) -> Child:
    """Run `loci`, or a Python program, with these words on these streams; a terminal among them becomes its own."""
    ours, theirs = os.pipe()
    request = {
        "words": list(words),
        "environment": dict(environment),
        "folder": str(Path.cwd()),
        "program": program and str(program),
    }
    socket.send_fds(_nursery(), [json.dumps(request).encode()], [*streams, theirs])
    os.close(theirs)
    return Child(ours)


@cache
def _nursery() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.nursery", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(_close, ours, process)
    return ours


def _close(requests: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    requests.close()
    process.wait()


def _serve(requests: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; returns in the process that is to become the command, or when nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES_MAX, 4)
        if not message:
            return None
        if os.fork() == 0:
            requests.close()
            if _become_child(descriptors):
                return json.loads(message)
        for descriptor in descriptors:
            os.close(descriptor)


def _become_child(descriptors: Sequence[int]) -> bool:
    """Fork once more: one of the two reports how the other, which becomes the command, ends."""
    *streams, reports = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(reports)
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        return True
    for stream in streams:
        os.close(stream)
    os.write(reports, f"{pid}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(reports, f"{status}\n".encode())
    os._exit(0)


def _run(request: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["loci", *request["words"]]
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)
    if request["program"]:
        runpy.run_path(request["program"], run_name="__main__")
    else:
        importlib.import_module("loci.cli.main").main()


if __name__ == "__main__":
    for name in SLOW:
        importlib.import_module(name)
    if asked := _serve(socket.socket(fileno=int(sys.argv[1]))):
        _run(asked)
