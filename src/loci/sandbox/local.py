"""The sandbox on this machine: a warm process for each organisation and environment, which forks a fresh one per call.

The server only speaks to it through sockets. When the server is gone, however it went, the sockets close and the
kernel ends every process of the sandbox with its parent.
"""

import asyncio
import logging
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from loci.errors import NotAvailable
from loci.net import Door
from loci.sandbox import walls as kinds
from loci.sandbox.base import Bounds, Environment, Program, Ran, Standing
from loci.sandbox.child.frames import HEADER, Report, Request
from loci.sandbox.packages import Installed, Packages, base_python, prefix_of
from loci.sandbox.proxy import proxying
from loci.sandbox.requests import request_of
from loci.sandbox.results import clean, over, told
from loci.sandbox.walls import Walls
from loci.sandbox.zygote import Zygote, end_unwanted, feeding

log = logging.getLogger(__name__)

ZYGOTES_MAX = 8
CALLS_MAX = 16
IDLE_S = 300.0
_START_TIMEOUT_S = 20.0
_GRACE_S = 5.0
_REPORT_MAX_BYTES = 100_000
_NODE_HEAP_MB = 512
_PATH = "/usr/local/bin:/usr/bin:/bin"
_BLOCKING_MAX_BYTES = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the sandbox keeps its things, and what it stands on."""

    home: Path
    choice: str = "auto"
    door: Door
    bounds: Bounds = field(default_factory=Bounds)
    folder: str = "sandbox"
    """Of the home, for this sandbox alone."""
    read: tuple[str, ...] = ()
    """What its programs may read in addition."""
    niceness: int = 0


class LocalSandbox:
    """Runs programs on this machine, behind the strongest walls that it has."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._folder = place.home / place.folder
        self._packages = Packages(self._folder / "environments")
        self._choices = kinds.of_choice(place.choice)
        self._walls: Walls | None = None
        self._tried: list[tuple[str, str]] = []
        self._looking = asyncio.Lock()
        self._zygotes: dict[tuple[str, Environment], Zygote] = {}
        self._starting: dict[tuple[str, Environment], asyncio.Lock] = {}
        self._room = asyncio.Semaphore(CALLS_MAX)
        self._begun: set[asyncio.Task[Zygote]] = set()

    async def run(self, organization_id: str, program: Program) -> Ran:
        """Run it. Raises NotAvailable, BadRequest for requirements that cannot be installed."""
        walls = await self._found_walls()
        if walls is None:
            standing = kinds.standing_of(None, self._tried)
            raise NotAvailable(standing.message, hint=standing.hint)
        if program.network and walls.means == "landlock":
            raise NotAvailable(
                "This machine cannot give a tool the network and keep it from everything else.",
                hint="It takes namespaces: allow user namespaces on the host.",
            )
        request = self._request(walls, program, await self._packages.ready(program.environment))
        async with self._room, self._zygote(walls, organization_id, program.environment, request) as zygote:
            return await self._call(zygote, program, request)

    async def standing(self) -> Standing:
        """Look whether programs can be run here."""
        return kinds.standing_of(await self._found_walls(), self._tried)

    async def rebuild(self, environment: Environment) -> None:
        """Install an environment anew."""
        for key, zygote in list(self._zygotes.items()):
            if key[1] == environment and not zygote.calls:
                self._zygotes.pop(key).end()
        await self._packages.forget(environment)
        await self._packages.ready(environment)

    async def close(self) -> None:
        """End what runs."""
        started = await asyncio.gather(*self._begun, return_exceptions=True)
        ending = [*self._zygotes.values(), *(item for item in started if isinstance(item, Zygote))]
        self._zygotes.clear()
        for zygote in ending:
            zygote.end()
        await asyncio.gather(*(zygote.process.wait() for zygote in ending))

    def _request(self, walls: Walls, program: Program, installed: Installed) -> Request:
        request = request_of(program, self._place.bounds)
        node = _node() if program.language != "python" else []
        folders = [*self._place.read, *installed.folders, *([str(_RUNNER), prefix_of(node[0])] if node else [])]
        request["means"], request["node"], request["read"] = walls.means, node, [sys.base_prefix, *folders]
        request["tmp"] = None if walls.means == "namespaces" else self._folder_for_calls(walls)
        # HOME is inside of the walls, where it is its own.
        request["env"] = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/tmp", **request["env"]}  # noqa: S108
        if installed.python:
            request["env"]["LOCI_PACKAGES"] = str(installed.python)
        if installed.node:
            request["env"]["NODE_PATH"] = str(installed.node)
        return request

    def _folder_for_calls(self, walls: Walls) -> str:
        """Where calls without a file system of their own have their folders."""
        if walls.name == "bubblewrap":
            return "/tmp"  # noqa: S108  its own
        if self._walls is None:
            return tempfile.gettempdir()  # only a trial, which leaves nothing in the data folder
        folder = self._folder / "calls"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(folder)

    async def _found_walls(self) -> Walls | None:
        async with self._looking:
            if self._walls is None and not self._tried:
                await asyncio.to_thread(shutil.rmtree, self._folder / "calls", ignore_errors=True)
                for walls in self._choices:
                    reason = await self._try(walls)
                    if reason is None:
                        self._walls = walls
                        break
                    self._tried.append((walls.name, reason))
        return self._walls

    async def _try(self, walls: Walls) -> str | None:
        """Why these walls do not hold here; None if they do."""
        program = Program(source=_TRIAL, name="trial", args={"home": str(self._place.home)})
        request = self._request(walls, program, Installed())
        try:
            zygote = await self._start(walls, request)
        except (NotAvailable, OSError) as error:
            return str(error)
        try:
            ran = await self._call(zygote, program, request)
        except NotAvailable as error:
            return error.message
        finally:
            zygote.end()
            await zygote.process.wait()
        return None if ran.value == "ok" or (ran.value and walls is kinds.OPEN) else ran.value or ran.error

    @asynccontextmanager
    async def _zygote(
        self, walls: Walls, organization_id: str, environment: Environment, request: Request
    ) -> AsyncGenerator[Zygote]:
        key = (organization_id, environment)
        async with self._starting.setdefault(key, asyncio.Lock()):
            zygote = self._zygotes.get(key)
            if zygote is None or zygote.process.returncode is not None:
                if zygote is not None:
                    zygote.end()
                self._make_room()
                zygote = await self._start(walls, request)
                self._zygotes[key] = zygote
            zygote.calls += 1
        try:
            yield zygote
        finally:
            zygote.calls -= 1
            zygote.used_at_s = asyncio.get_running_loop().time()
            asyncio.get_running_loop().call_later(IDLE_S, self._retire, key, zygote)

    def _make_room(self) -> None:
        idle = sorted((item for item in self._zygotes.items() if not item[1].calls), key=lambda item: item[1].used_at_s)
        for key, zygote in idle[: max(0, len(self._zygotes) + 1 - ZYGOTES_MAX)]:
            del self._zygotes[key]
            zygote.end()

    def _retire(self, key: tuple[str, Environment], zygote: Zygote) -> None:
        idle_s = asyncio.get_running_loop().time() - zygote.used_at_s
        if self._zygotes.get(key) is zygote and not zygote.calls and idle_s >= IDLE_S:
            del self._zygotes[key]
            self._starting.pop(key, None)
            zygote.end()

    async def _start(self, walls: Walls, request: Request) -> Zygote:
        # A task of its own: whoever waits may be cancelled at any moment, and a process that was begun is never lost.
        task = asyncio.create_task(self._begin(walls, request))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(end_unwanted)
            raise

    async def _begin(self, walls: Walls, request: Request) -> Zygote:
        command = walls.command([base_python(), "-I", "-S", "-B"], request["read"])
        command.append(str(self._place.niceness))
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
            )
        zygote = Zygote(process, ours)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                if await asyncio.get_running_loop().sock_recv(ours, 1) == b"R":
                    return zygote
        except (OSError, TimeoutError):
            log.warning("a sandbox process did not start")
        zygote.end()
        said = await process.stderr.read() if process.stderr else b""
        await process.wait()
        raise NotAvailable(f"The sandbox does not start: {clean(said)[-500:].strip() or 'it gave no reason'}.")

    async def _call(self, zygote: Zygote, program: Program, request: Request) -> Ran:
        loop = asyncio.get_running_loop()
        bounds = request["bounds"]
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with ours:
                async with feeding(program.document) as document, asyncio.timeout(bounds["wall_s"] + _GRACE_S):
                    with theirs:
                        zygote.hand_over(theirs, document)
                    body = orjson.dumps(request)
                    await loop.sock_sendall(ours, HEADER.pack(len(body)) + body)
                    async with self._way_out(ours, network=request["network"]):
                        report, blobs = await _read_report(ours, self._place.bounds)
        except TimeoutError:
            return over("time", bounds)
        except (OSError, EOFError, ValueError) as error:
            zygote.end()
            log.warning("a sandbox process broke: %s", error)
            return Ran(error="Error: the sandbox ended while the tool ran.")
        if len(blobs[0]) > _BLOCKING_MAX_BYTES:
            return await asyncio.to_thread(told, report, blobs, program.name, bounds)
        return told(report, blobs, program.name, bounds)

    @asynccontextmanager
    async def _way_out(self, ours: socket.socket, *, network: bool) -> AsyncGenerator[None]:
        if not network:
            yield
            return
        await _readable(ours)
        mark, handles, _, _ = socket.recv_fds(ours, 1, 1, socket.MSG_PEEK if sys.platform == "darwin" else 0)
        if not handles:
            raise EOFError(f"no network came ({mark!r})")
        with socket.socket(fileno=handles[0]) as listening:
            listening.setblocking(False)
            async with proxying(listening, self._place.door):
                yield


_RUNNER = Path(__file__).parent / "child" / "tool.mjs"
_TRIAL = """
import os, socket
def trial(home):
    for what in (lambda: os.listdir(home), lambda: socket.create_connection(("127.0.0.1", 9), 1)):
        try:
            what()
        except ConnectionRefusedError:
            return "it reaches the network of this machine"
        except OSError:
            continue
        return "it reads the server's data"
    return "ok"
"""


async def _readable(ours: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(ours, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(ours)


async def _read_report(ours: socket.socket, bounds: Bounds) -> tuple[Report, list[bytes]]:
    (size,) = HEADER.unpack(await _exactly(ours, HEADER.size))
    if size > _REPORT_MAX_BYTES:
        raise ValueError("a report that long is none")
    report: Report = orjson.loads(await _exactly(ours, size))
    if max(report["sizes"]) > max(bounds.result_bytes, bounds.output_bytes):
        raise ValueError("a report of more than there may be")
    return report, [await _exactly(ours, amount) for amount in report["sizes"]]


async def _exactly(ours: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    parts: list[bytes] = []
    while size:
        part = await loop.sock_recv(ours, min(size, 1 << 20))
        if not part:
            raise EOFError("the other side ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _node() -> list[str]:
    found = shutil.which("node")
    if found is None:
        raise NotAvailable("Node.js is not installed, so this tool cannot be run.", hint="Install Node 20 or newer.")
    return [str(Path(found).resolve()), f"--max-old-space-size={_NODE_HEAP_MB}", str(_RUNNER)]
