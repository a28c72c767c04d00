"""The services that lend machines: E2B and Daytona, by the plain requests of their APIs.

Only what a program is given goes there: its source, arguments, variables and packages. Requests leave through the
guarded door, and answers are read as what a stranger says.
"""

import base64
import contextlib
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from loci.clock import Clock
from loci.config import Account
from loci.errors import LociError, NotAvailable, SandboxBusy, SandboxFailed
from loci.net import Door, Fetched
from loci.sandbox.remote import Machine, MachineGone
from loci.types.json import JsonObject, JsonValue

ASK_TIMEOUT_S = 60.0
LOOK_TIMEOUT_S = 10.0
ANSWER_MAX_BYTES = 1_000_000
ATTEMPTS_MAX = 3
WAIT_MAX_S = 10.0
START_TRIES_MAX = 120
_SHOWN_CHARS = 300
_STARTING = frozenset({"creating", "restoring", "starting", "pending_build", "building_snapshot", "pulling_snapshot"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How a service is spoken to."""

    service: str
    variable: str
    """The environment variable with the key."""
    door: Door
    clock: Clock

    async def ask(
        self,
        request: tuple[str, str],
        headers: Mapping[str, str],
        body: JsonValue | bytes = None,
        *,
        timeout_s: float = ASK_TIMEOUT_S,
        limit_bytes: int = ANSWER_MAX_BYTES,
    ) -> Fetched:
        """A good answer; when it is busy, a little later. Raises as Machines do, and TimeoutError if told of one."""
        method, url = request
        given = body if isinstance(body, bytes) else None if body is None else orjson.dumps(body)
        sent = {"content-type": "application/json", **headers}
        attempts = 0
        while True:
            fetched = await self.door.fetch(
                url, method=method, headers=sent, body=given, limit_bytes=limit_bytes, timeout_s=timeout_s
            )
            attempts += 1
            if fetched.status != 429:
                break
            wait_s = _wait_s(fetched)
            if attempts == ATTEMPTS_MAX or wait_s > WAIT_MAX_S:
                raise SandboxBusy(f"{self.service} has no machine to spare; it says to wait {wait_s:g} seconds.")
            await self.clock.sleep(wait_s)
        if fetched.status < 300:
            return fetched
        words = _words(fetched)
        if fetched.status == 408:
            raise TimeoutError(words)
        if fetched.status in (401, 403):
            raise NotAvailable(f"{self.service} refuses the key: {words}", hint=f"Check {self.variable}.")
        if fetched.status in (404, 410) or (fetched.status == 502 and b"sandboxId" in fetched.body):
            raise MachineGone(f"{self.service} does not know it: {words}")
        raise SandboxFailed(f"{self.service} answered {fetched.status}: {words}")

    async def ask_json(
        self, request: tuple[str, str], headers: Mapping[str, str], body: JsonValue = None
    ) -> JsonObject:
        """The object of a good answer."""
        return self.object_of(await self.ask(request, headers, body))

    def object_of(self, fetched: Fetched) -> JsonObject:
        """An answer that should be an object."""
        found = _loaded(fetched.body)
        if found is None:
            raise SandboxFailed(f"{self.service} gave an answer that cannot be read: {_shown(fetched.body)}")
        return found

    def text(self, document: JsonObject, name: str) -> str:
        """A text that must be in an answer."""
        value = document.get(name)
        if not isinstance(value, str) or not value:
            raise SandboxFailed(f"{self.service} gave an answer without '{name}'.")
        return value

    def keyed(self, account: Account) -> str:
        """The key. Raises NotAvailable if there is none."""
        if not account.key:
            raise NotAvailable(f"There is no key for {self.service}.", hint=f"Set {self.variable}.")
        return account.key


_PORT = 49_999
_E2B_TEMPLATE = "code-interpreter-v1"
_E2B_SCRIPT = """import base64, os, subprocess, sys, tempfile
with tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as _file:
    _file.write(base64.b64decode("{bundle}"))
_done = subprocess.run([sys.executable, "-I", "-B", _file.name], stdin=subprocess.DEVNULL, capture_output=True)
os.unlink(_file.name)
print((_done.stdout or _done.stderr[-2000:]).decode(errors="replace"))
"""


class E2B:
    """Machines of E2B: created over its API; our line runs in the code interpreter that is on each."""

    name = "E2B"

    def __init__(self, account: Account, door: Door, clock: Clock) -> None:
        self._account = account
        self._line = Line(service=self.name, variable="E2B_API_KEY", door=door, clock=clock)

    async def look(self) -> None:
        await self._line.ask(*self._api("GET", "/v2/sandboxes?limit=1"), timeout_s=LOOK_TIMEOUT_S)

    async def rent(self, template: str | None, *, network: bool, lasts_s: float) -> Machine:
        wanted: JsonObject = {
            "templateID": template or self._account.template or _E2B_TEMPLATE,
            "timeout": math.ceil(lasts_s),
            "secure": True,
            "allow_internet_access": network,
        }
        made = await self._line.ask_json(*self._api("POST", "/sandboxes"), wanted)
        name, domain, token = self._line.text(made, "sandboxID"), made.get("domain"), made.get("envdAccessToken")
        url = self._account.machine_url or f"https://{_PORT}-{name}.{domain or self._account.domain}"
        return Machine(id=name, url=url, secret=token if isinstance(token, str) else None)

    async def renew(self, machine: Machine, *, lasts_s: float) -> None:
        asked = self._api("POST", f"/sandboxes/{machine.id}/timeout")
        await self._line.ask(*asked, {"timeout": math.ceil(lasts_s)})

    async def close_network(self, machine: Machine) -> None:
        await self._line.ask(*self._api("PUT", f"/sandboxes/{machine.id}/network"), {"allow_internet_access": False})

    async def execute(self, machine: Machine, bundle: bytes, *, timeout_s: float, limit_bytes: int) -> str:
        headers = {"E2b-Sandbox-Id": machine.id, "E2b-Sandbox-Port": str(_PORT)}
        if machine.secret:
            headers["X-Access-Token"] = machine.secret
        code = _E2B_SCRIPT.format(bundle=base64.b64encode(bundle).decode())
        body: JsonObject = {"code": code, "context_id": None, "language": None, "env_vars": None}
        asked = ("POST", f"{machine.url}/execute")
        try:
            fetched = await self._line.ask(asked, headers, body, timeout_s=timeout_s, limit_bytes=limit_bytes)
        except NotAvailable as error:  # its token, not the key
            raise MachineGone(error.message) from error
        return self._printed(fetched)

    def _printed(self, fetched: Fetched) -> str:
        said: list[str] = []
        for line in fetched.body.splitlines():
            if not line.strip():
                continue
            try:
                event = orjson.loads(line)
                match event["type"]:
                    case "stdout":
                        said.append(str(event["text"]))
                    case "error":
                        raise SandboxFailed(f"E2B could not run it: {event['name']}: {event['value']}")
                    case "unexpected_end_of_execution":
                        raise MachineGone
                    case _:
                        continue
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise SandboxFailed(f"E2B gave an answer that cannot be read: {_shown(line)}") from error
        return "".join(said)

    async def end(self, machine: Machine) -> None:
        await self._line.ask(*self._api("DELETE", f"/sandboxes/{machine.id}"))

    def _api(self, method: str, path: str) -> tuple[tuple[str, str], Mapping[str, str]]:
        return (method, self._account.url + path), {"X-API-KEY": self._line.keyed(self._account)}


class Daytona:
    """Machines of Daytona: created over its API; files and commands go to the toolbox of each."""

    name = "Daytona"

    def __init__(self, account: Account, door: Door, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._line = Line(service=self.name, variable="DAYTONA_API_KEY", door=door, clock=clock)

    async def look(self) -> None:
        await self._line.ask(*self._api("GET", "/sandbox?limit=1"), timeout_s=LOOK_TIMEOUT_S)

    async def rent(self, template: str | None, *, network: bool, lasts_s: float) -> Machine:
        wanted: dict[str, JsonValue] = {
            "networkBlockAll": not network,
            "autoStopInterval": math.ceil(lasts_s / 60),
            "autoDeleteInterval": 0,
        }
        snapshot = template or self._account.template
        wanted.update({"snapshot": snapshot} if snapshot else {})
        wanted.update({"target": self._account.region} if self._account.region else {})
        made = await self._line.ask_json(*self._api("POST", "/sandbox"), wanted)
        name = self._line.text(made, "id")
        try:
            machine = Machine(id=name, url=f"{self._line.text(made, 'toolboxProxyUrl').rstrip('/')}/{name}")
            await self._started(name, made)
        except BaseException:
            with contextlib.suppress(LociError, TimeoutError):
                await self.end(Machine(id=name, url=""))
            raise
        return machine

    async def _started(self, name: str, made: JsonObject) -> None:
        for _ in range(START_TRIES_MAX):
            state = made.get("state")
            if state == "started":
                return
            if state not in _STARTING:
                break
            await self._clock.sleep(0.5)
            made = await self._line.ask_json(*self._api("GET", f"/sandbox/{name}"))
        raise SandboxFailed(f"A machine of Daytona did not start: it is {made.get('state')}. {made.get('errorReason')}")

    async def renew(self, machine: Machine, *, lasts_s: float) -> None:  # noqa: ARG002  its time begins with each use
        await self._line.ask(*self._api("POST", f"/sandbox/{machine.id}/last-activity"))

    async def close_network(self, machine: Machine) -> None:
        asked = self._api("POST", f"/sandbox/{machine.id}/network-settings")
        await self._line.ask(*asked, {"networkBlockAll": True})

    async def execute(self, machine: Machine, bundle: bytes, *, timeout_s: float, limit_bytes: int) -> str:
        _, headers = self._api("", "")
        boundary, path = secrets.token_hex(16), f"/tmp/loci-{secrets.token_hex(8)}.zip"  # noqa: S108  of that machine
        form = {**headers, "content-type": f"multipart/form-data; boundary={boundary}"}
        parts = _form(boundary, path, bundle)
        await self._line.ask(("POST", f"{machine.url}/files/bulk-upload"), form, parts)
        command = f"python3 -I -B {path}; rm -f {path}"
        body: JsonObject = {"command": command, "timeout": math.ceil(timeout_s)}
        asked = ("POST", f"{machine.url}/process/execute")
        fetched = await self._line.ask(asked, headers, body, timeout_s=timeout_s, limit_bytes=limit_bytes)
        return self._line.text(self._line.object_of(fetched), "result")

    async def end(self, machine: Machine) -> None:
        await self._line.ask(*self._api("DELETE", f"/sandbox/{machine.id}"))

    def _api(self, method: str, path: str) -> tuple[tuple[str, str], Mapping[str, str]]:
        return (method, self._account.url + path), {"Authorization": f"Bearer {self._line.keyed(self._account)}"}


def _form(boundary: str, path: str, content: bytes) -> bytes:
    """One file as the toolbox takes it: where it shall lie is told in a part of its own, and as its name."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files[0].path"\r\n\r\n{path}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="files[0].file"; filename="{path}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def _wait_s(fetched: Fetched) -> float:
    try:
        return max(0.0, float(fetched.headers.get("retry-after", "1")))
    except ValueError:
        return WAIT_MAX_S + 1  # a date is further away than anybody waits here


def _words(fetched: Fetched) -> str:
    """What a service says went wrong."""
    found = _loaded(fetched.body)
    return str(found["message"])[:_SHOWN_CHARS] if found and "message" in found else _shown(fetched.body)


def _loaded(raw: bytes) -> JsonObject | None:
    """The object that it is, if it is one."""
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return cast("JsonObject", found) if isinstance(found, dict) else None


def _shown(raw: bytes) -> str:
    return raw[:_SHOWN_CHARS].decode(errors="replace")
