"""E2B and Daytona as they answer: their paths, headers and shapes, with machines that really run what they are sent.

A machine is a folder, and a process of the interpreter that the sandbox on this machine uses, too.
"""

import contextlib
import email.parser
import email.policy
import http.server
import json
import os
import subprocess
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loci.sandbox.packages import base_python

KEY, TOKEN = "key-of-the-operator", "token-of-the-machine"
Answer = tuple[int, dict[str, str], bytes]


class Service:
    """What both have: machines, what was asked, and what goes wrong next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.machines: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.next: dict[str, list[Answer | str]] = defaultdict(list)
        """By method and path without the id: answers that come instead, or `die` for a connection that breaks.
        With `hang` it breaks a second later."""
        self.count = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | str:
        raise NotImplementedError

    def bodies(self, where: str) -> list[Any]:
        return [body for method, path, _, body in self.asked if f"{method} {path}" == where]

    def made(self, wanted: dict[str, Any]) -> str:
        self.count += 1
        name = f"m{self.count}{uuid.uuid4().hex[:6]}"
        (self.folder / name).mkdir(parents=True)
        self.machines[name] = {**wanted, "calls": 0}
        return name

    def run(self, name: str, command: list[str], timeout_s: float = 60) -> bytes:
        kept = {key: os.environ[key] for key in os.environ if key.startswith(("PIP_", "UV_"))}
        env = {"PATH": f"{Path(base_python()).parent}:{os.environ['PATH']}", "TMPDIR": str(self.folder / name), **kept}
        self.machines[name]["calls"] += 1
        done = subprocess.run(command, capture_output=True, env=env, cwd="/", timeout=timeout_s)
        return done.stdout + done.stderr


def ok(document: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


class FakeE2B(Service):
    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | str:
        if path == "/execute":
            return self.execute(headers, json.loads(body))
        if headers.get("x-api-key") != KEY:
            return ok({"code": 401, "message": "Invalid API key"}, 401)
        where = path.split("?", maxsplit=1)[0].strip("/").split("/")
        if (method, path) == ("POST", "/sandboxes"):
            wanted = json.loads(body)
            name = self.made(wanted)
            return ok(
                {
                    "templateID": wanted["templateID"],
                    "sandboxID": name,
                    "clientID": "c1",
                    "envdVersion": "0.2.0",
                    "envdAccessToken": TOKEN,
                    "domain": None,
                },
                201,
            )
        if (method, where) == ("GET", ["v2", "sandboxes"]):
            return ok([])
        if where[1] not in self.machines:
            return ok({"code": 404, "message": "Sandbox not found"}, 404)
        if method == "PUT":
            self.machines[where[1]].update(json.loads(body))
        if method == "DELETE":
            del self.machines[where[1]]
        return 204, {}, b""

    def execute(self, headers: dict[str, str], asked: dict[str, Any]) -> Answer | str:
        name = headers["e2b-sandbox-id"]
        assert headers["e2b-sandbox-port"] == "49999"
        if name not in self.machines:
            return ok({"sandboxId": name, "message": "The sandbox was not found", "code": 502}, 502)
        if headers.get("x-access-token") != TOKEN:
            return ok({"code": 401, "message": "unauthorized"}, 401)
        path = self.folder / name / "cell.py"
        path.write_text(asked["code"])
        said = self.run(name, [base_python(), str(path)]).decode()
        parts = [said[start : start + 1_000] for start in range(0, len(said), 1_000)]
        events: list[dict[str, Any]] = [{"type": "number_of_executions", "execution_count": 1}]
        events += [{"type": "stdout", "text": part, "timestamp": time.time_ns()} for part in parts]
        return 200, {"Content-Type": "application/x-ndjson"}, b"".join(json.dumps(e).encode() + b"\n" for e in events)


class FakeDaytona(Service):
    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer | str:
        if headers.get("authorization") != f"Bearer {KEY}":
            return ok({"statusCode": 401, "message": "Invalid credentials", "source": "DAYTONA_API"}, 401)
        where = path.split("?", maxsplit=1)[0].strip("/").split("/")
        if (method, path) == ("POST", "/api/sandbox"):
            return ok(self.shown(self.made(json.loads(body)), "creating"))
        if (method, where) == ("GET", ["api", "sandbox"]):
            return ok({"items": [], "nextCursor": None})
        name = where[2] if where[0] == "api" else where[1]
        if name not in self.machines:
            return ok({"statusCode": 404, "message": f"Sandbox {name} not found", "source": "DAYTONA_API"}, 404)
        if where[0] == "toolbox":
            return self.tool(name, "/".join(where[2:]), headers, body)
        if where[3:] == ["network-settings"]:
            self.machines[name].update(json.loads(body))
        if method == "DELETE":
            del self.machines[name]
            return ok(self.shown(name, "destroying"))
        return ok(self.shown(name, "started"))

    def shown(self, name: str, state: str) -> dict[str, Any]:
        plain = {"organizationId": "o", "name": name, "user": "daytona", "env": {}, "labels": {}, "public": False}
        size = {"kvm": False, "target": "us", "cpu": 1, "gpu": 0, "memory": 1, "disk": 3, "networkBlockAll": False}
        return {"id": name, "state": state, "toolboxProxyUrl": f"{self.url}/toolbox", **plain, **size}

    def tool(self, name: str, what: str, headers: dict[str, str], body: bytes) -> Answer | str:
        if what == "files/bulk-upload":
            head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
            form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
            path, file = form.iter_parts()
            assert path.get_param("name", header="content-disposition") == "files[0].path"
            assert file.get_param("name", header="content-disposition") == "files[0].file"
            content = file.get_payload(decode=True)
            assert isinstance(content, bytes)
            Path(path.get_content().strip()).write_bytes(content)
            return ok({"files": []})
        assert what == "process/execute"
        asked = json.loads(body)
        try:
            said = self.run(name, ["sh", "-c", asked["command"]], asked.get("timeout", 10))
        except subprocess.TimeoutExpired:
            return ok({"statusCode": 408, "message": "timed out", "code": "PROCESS_EXECUTION_TIMEOUT"}, 408)
        return ok({"exitCode": 0, "result": said.decode()})


@contextmanager
def serving(service: Service) -> Iterator[Service]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            is_json = "json" in headers.get("content-type", "") and body
            service.asked.append((self.command, self.path, headers, json.loads(body) if is_json else body))
            key = f"{self.command} {self.path.split('?')[0]}"
            waiting = next((given for start, given in service.next.items() if key.startswith(start) and given), None)
            answer = waiting.pop(0) if waiting else service.answer(self.command, self.path, headers, body)
            if answer == "hang":
                threading.Event().wait(1)
            if isinstance(answer, str):
                self.close_connection = True
                return
            status, sent, content = answer
            self.send_response(status)
            for name, value in {**sent, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked may have left
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  the names that the library calls

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield service
        server.shutdown()
