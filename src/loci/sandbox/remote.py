"""The sandbox on hired machines: each has one organisation, one set of packages, and one program at a time.

What runs there is our own child package, sent along with the program, so a tool finds the same world as on this machine
and its report is read by the same code. A machine is kept for the next call for a while, and the service ends it by
itself should this server be gone.
"""

import asyncio
import base64
import functools
import io
import logging
import struct
import zipfile
import zlib
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson

from loci.errors import FetchFailed, LociError, NotAvailable, SandboxFailed, TooLarge
from loci.sandbox.base import Bounds, Environment, Program, Ran, Standing
from loci.sandbox.child.away import MARK
from loci.sandbox.child.frames import HEADER, REQUEST_MAX_BYTES, Report
from loci.sandbox.packages import check, not_installed
from loci.sandbox.requests import request_of
from loci.sandbox.results import over, told

log = logging.getLogger(__name__)

MACHINES_MAX = 8
WARM_MAX = 4
IDLE_S = 60.0
INSTALL_TIMEOUT_S = 300.0
RENT_TIMEOUT_S = 90.0
GRACE_S = 20.0
_CHILD = Path(__file__).parent / "child"
_LOST = "Error: the sandbox ended while the tool ran."

T = TypeVar("T")


class MachineGone(SandboxFailed):
    """The machine is no longer there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a machine is for. It serves nothing else."""

    organization_id: str
    environment: Environment
    network: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that was hired, and how it is spoken to."""

    id: str
    url: str
    secret: str | None = None


class Machines(Protocol):
    """A service that lends machines. Everything raises SandboxFailed, NotAvailable for a bad key, and FetchFailed."""

    name: str

    async def look(self) -> None:
        """See whether the service can be used."""
        ...

    async def rent(self, template: str | None, *, network: bool, lasts_s: float) -> Machine:
        """Hire a machine, which ends by itself after that time without use."""
        ...

    async def renew(self, machine: Machine, *, lasts_s: float) -> None:
        """Keep a machine for longer. Raises MachineGone."""
        ...

    async def close_network(self, machine: Machine) -> None:
        """Take its way to the internet away."""
        ...

    async def execute(self, machine: Machine, bundle: bytes, *, timeout_s: float, limit_bytes: int) -> str:
        """Run a zip with Python and give back what it printed. Raises MachineGone, TooLarge."""
        ...

    async def end(self, machine: Machine) -> None:
        """Give it back. Raises MachineGone."""
        ...


class RemoteSandbox:
    """Runs programs on machines of a service."""

    def __init__(self, machines: Machines, bounds: Bounds, *, idle_s: float = IDLE_S) -> None:
        self._machines = machines
        self._bounds = bounds
        self._idle_s = idle_s
        self._lasts_s = bounds.wall_s + INSTALL_TIMEOUT_S + idle_s
        self._idle: list[tuple[Wanted, Machine, asyncio.TimerHandle]] = []
        self._room = asyncio.Semaphore(MACHINES_MAX)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, organization_id: str, program: Program) -> Ran:
        """Run it. Raises NotAvailable, SandboxFailed, FetchFailed; BadRequest for requirements that cannot be had."""
        if program.document is not None:
            raise NotAvailable("Documents are read on this machine only.")
        environment = program.environment
        check("pip", environment.pip)
        check("npm", environment.npm)
        wanted = Wanted(organization_id=organization_id, environment=environment, network=program.network)
        request = request_of(program, self._bounds)
        bundle = bundled(request)
        async with self._room:
            machine, answered = await self._machine(wanted), False
            try:
                said = await self._execute(machine, bundle, request["bounds"]["wall_s"] + GRACE_S)
                report, blobs = _unpacked(said, self._bounds)
                answered = True
            except TimeoutError:
                return over("time", request["bounds"])
            except TooLarge:
                return over("result", request["bounds"])
            except (MachineGone, FetchFailed) as error:
                log.warning("a machine of %s was lost: %s", self._machines.name, error)
                return Ran(error=_LOST)
            finally:
                # Of a machine that did not answer as it should, nothing more is expected.
                if answered:
                    self._keep(wanted, machine)
                else:
                    self._begin(self._end(machine))
        return told(report, blobs, program.name, request["bounds"])

    async def standing(self) -> Standing:
        """Look whether programs can be run here."""
        name = self._machines.name
        try:
            await self._machines.look()
        except LociError as error:
            message = f"Tools from source are to run on machines of {name}, but cannot: {error.message}"
            return Standing(ok=False, means=name, message=message, hint=error.advice)
        return Standing(ok=True, means=name, message=f"Tools from source run on machines of {name}, one for each task.")

    async def rebuild(self, environment: Environment) -> None:
        """Let go of the machines that have it: the next call installs it anew."""
        for wanted, machine, _ in list(self._idle):
            if wanted.environment == environment:
                self._retire(machine)

    async def close(self) -> None:
        """End what runs."""
        for _, machine, _ in list(self._idle):
            self._retire(machine)
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _execute(self, machine: Machine, bundle: bytes, timeout_s: float) -> str:
        # As text of text of compressed bytes an answer may be twice as long.
        limit_bytes = 2 * (self._bounds.result_bytes + 2 * self._bounds.output_bytes) + 100_000
        async with asyncio.timeout(timeout_s):
            return await self._machines.execute(machine, bundle, timeout_s=timeout_s + 1, limit_bytes=limit_bytes)

    async def _machine(self, wanted: Wanted) -> Machine:
        while found := next((item for item in self._idle if item[0] == wanted), None):
            machine = self._taken(found[1])
            try:
                await self._machines.renew(machine, lasts_s=self._lasts_s)
            except MachineGone:
                continue
            except (LociError, TimeoutError) as error:
                self._begin(self._end(machine))
                log.warning("a machine of %s is not used again: %s", self._machines.name, error)
            except BaseException:
                self._begin(self._end(machine))
                raise
            else:
                return machine
        # A task of its own: whoever waits may be cancelled at any moment, and a machine that was hired is never lost.
        task = self._begin(self._hire(wanted))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._end_unwanted)
            raise

    async def _hire(self, wanted: Wanted) -> Machine:
        needs = wanted.environment
        network = wanted.network or bool(needs.pip or needs.npm)
        try:
            async with asyncio.timeout(RENT_TIMEOUT_S):
                machine = await self._machines.rent(needs.template, network=network, lasts_s=self._lasts_s)
        except TimeoutError as error:
            name = self._machines.name
            raise SandboxFailed(f"A machine of {name} was not there after {RENT_TIMEOUT_S:.0f} s.") from error
        try:
            if needs.pip or needs.npm:
                await self._install(machine, needs)
                if not wanted.network:
                    await self._machines.close_network(machine)
        except BaseException:
            self._begin(self._end(machine))
            raise
        return machine

    async def _install(self, machine: Machine, needs: Environment) -> None:
        try:
            said = await self._execute(machine, bundled({"pip": needs.pip, "npm": needs.npm}), INSTALL_TIMEOUT_S)
        except TimeoutError as error:
            raise SandboxFailed(f"Installing packages took longer than {INSTALL_TIMEOUT_S:.0f} s.") from error
        report, (_, output, _) = _unpacked(said, self._bounds)
        if report["exit_code"]:
            raise not_installed([*needs.pip, *needs.npm], output.decode(errors="replace"))

    def _keep(self, wanted: Wanted, machine: Machine) -> None:
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._retire, machine)
        self._idle.append((wanted, machine, timer))
        if len(self._idle) > WARM_MAX:
            self._retire(self._idle[0][1])

    def _taken(self, machine: Machine) -> Machine:
        """Take it from those that wait; its time does not run on."""
        at = next(at for at, item in enumerate(self._idle) if item[1] == machine)
        self._idle.pop(at)[2].cancel()
        return machine

    def _retire(self, machine: Machine) -> None:
        self._begin(self._end(self._taken(machine)))

    async def _end(self, machine: Machine) -> None:
        try:
            await self._machines.end(machine)
        except MachineGone:
            return
        except LociError as error:
            log.warning("a machine of %s was not given back, and ends by itself: %s", self._machines.name, error)

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _end_unwanted(self, task: asyncio.Task[Machine]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._begin(self._end(task.result()))


def bundled(document: object) -> bytes:
    """A zip that Python runs: our child package, and what it shall do."""
    body = orjson.dumps(document)
    if len(body) > REQUEST_MAX_BYTES:
        raise TooLarge("The tool, its arguments and the agent are together more than can be sent.")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in _package():
            archive.writestr(name, text)
        archive.writestr("document.json", body)
    return packed.getvalue()


@functools.cache
def _package() -> list[tuple[str, bytes]]:
    files = [(f"loci/sandbox/child/{path.name}", path.read_bytes()) for path in sorted(_CHILD.glob("*.[pm]*"))]
    empty = [(f"{name}/__init__.py", b"") for name in ("loci", "loci/sandbox")]
    return [("__main__.py", b"from loci.sandbox.child.away import main\nmain()\n"), *empty, *files]


def _unpacked(said: str, bounds: Bounds) -> tuple[Report, list[bytes]]:
    """The report in what was printed. Raises SandboxFailed."""
    try:
        return _parsed(said, bounds.result_bytes + 2 * bounds.output_bytes + 100_000)
    except (ValueError, KeyError, TypeError, IndexError, struct.error, zlib.error) as error:
        shown = said.strip()[-300:]
        raise SandboxFailed(f"The machine gave no readable report ({error}). {shown}".strip()) from error


def _parsed(said: str, limit_bytes: int) -> tuple[Report, list[bytes]]:
    """A program may have meddled with it, so nothing is believed."""
    _, mark, rest = said.rpartition(MARK)
    if not mark:
        raise ValueError("there is none")
    raw = zlib.decompressobj().decompress(base64.b64decode(rest.split()[0], validate=True), limit_bytes)
    (size,) = HEADER.unpack_from(raw)
    found = orjson.loads(raw[HEADER.size : HEADER.size + size])
    report: Report = {
        "ended": str(found["ended"]),  # pyright: ignore[reportAssignmentType]  an unknown one means nothing
        "exit_code": int(found["exit_code"]),
        "detail": str(found["detail"]),
        "sizes": [int(found["sizes"][place]) for place in range(3)],
        "dropped": [int(found["dropped"][place]) for place in range(3)],
    }
    at, blobs = HEADER.size + size, list[bytes]()
    for amount in report["sizes"]:
        blobs.append(raw[at : at + amount])
        at += amount
    if at != len(raw) or min(report["sizes"]) < 0:
        raise ValueError("it is not whole")
    return report, blobs
