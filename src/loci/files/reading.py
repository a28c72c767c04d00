"""The text of a file. What takes a parser is read behind the walls of the sandbox, with little memory and little time.

A machine without walls reads it in a plain process with the same bounds, and says so once: a file comes from whoever
may upload one, not from whoever may write tools, so refusing it would cost more than it saves.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from loci.errors import NotAvailable, Unprocessable
from loci.files.kinds import FileKind
from loci.sandbox import base
from loci.sandbox.base import Limit, Program, Sandbox, Standing
from loci.types.json import JsonObject

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("child.py")
READERS_MAX = 2
READ_BYTES = 1_000_000
NICENESS = 10

_CONTROL = dict.fromkeys([*range(9), *range(11, 32), 127, *range(0xD800, 0xE000)])
"""What no text needs: it could move the cursor of whoever prints it, or not be stored at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What reading one file may take."""

    memory_bytes: int = 1_000_000_000
    cpu_s: int = 60
    wall_s: float = 120.0
    text_max_bytes: int = 20_000_000

    def of_sandbox(self) -> base.Bounds:
        """The same for the sandbox. As JSON the text may be twice as long."""
        return base.Bounds(
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            memory_bytes=self.memory_bytes,
            processes=8,
            file_bytes=1_000_000,
            disk_bytes=4_000_000,
            output_bytes=1_000,
            result_bytes=2 * self.text_max_bytes + 10_000,
        )


DAMAGED = "It is damaged, or takes more to read than a file may."


def packages() -> list[str]:
    """The folders of the libraries that read files, which are those of the server."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


class Reader:
    """Reads files, a few at a time. The sandbox has walls and bounds for this alone."""

    def __init__(self, sandbox: Sandbox, bounds: Bounds | None = None, *, script: Path = CHILD) -> None:
        self.bounds = bounds or Bounds()
        self._sandbox = sandbox
        self._script = script
        self._room = asyncio.Semaphore(READERS_MAX)
        self._warned = False

    async def standing(self) -> Standing:
        """What keeps the reading of files apart from this machine."""
        found = await self._sandbox.standing()
        if found.ok:
            return replace(found, message=f"Uploaded files are read behind walls too ({found.means}).")
        return replace(
            found, message="Uploaded files are read in a process with bounds, but without walls: there are none."
        )

    async def close(self) -> None:
        """End what runs."""
        await self._sandbox.close()

    async def text_of(self, kind: FileKind, pieces: AsyncIterator[bytes]) -> str:
        """The text of a file. Raises Unprocessable, with the reason, if there is none to be had."""
        async with self._room:
            if kind == "text":
                return await self._plain(pieces)
            standing = await self.standing()
            if standing.ok:
                return await self._behind_walls(kind, pieces)
            if not self._warned:
                self._warned = True
                log.warning("%s", standing.message)
            return await self._in_a_process(kind, pieces)

    async def _behind_walls(self, kind: FileKind, pieces: AsyncIterator[bytes]) -> str:
        args: JsonObject = {"kind": kind, "text_bytes": self.bounds.text_max_bytes, "packages": list(packages())}
        source = self._script.read_text(encoding="utf-8")
        ran = await self._sandbox.run("", Program(source=source, name="read", args=args, document=pieces))
        if ran.value is None:
            raise self._refusal(ran.beyond)
        return self._text(ran.value[:1], ran.value[1:])

    async def _plain(self, pieces: AsyncIterator[bytes]) -> str:
        held = bytearray()
        async for piece in pieces:
            held += piece
            if len(held) > self.bounds.text_max_bytes:
                raise self._too_long()
        return await asyncio.to_thread(decoded, bytes(held))

    async def _started(self, kind: FileKind) -> Process:
        bounds = self.bounds
        limits = (bounds.memory_bytes, bounds.cpu_s, bounds.text_max_bytes)
        try:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", str(self._script), kind, *map(str, limits)),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise NotAvailable(f"No process to read it in could be started: {error.strerror}.") from error

    async def _in_a_process(self, kind: FileKind, pieces: AsyncIterator[bytes]) -> str:
        process = await self._started(kind)
        try:
            async with asyncio.timeout(self.bounds.wall_s):
                _, answer = await asyncio.gather(_feed(process, pieces), self._answer(process))
                await process.wait()
        except TimeoutError:
            raise self._refusal("time") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        if process.returncode == -signal.SIGXCPU:
            raise self._refusal("computing")
        return self._text(answer[:1].decode("latin-1"), await asyncio.to_thread(decoded, answer[1:]))

    def _text(self, mark: str, words: str) -> str:
        if mark == "+":
            return words
        raise Unprocessable(words if mark == "-" and words else DAMAGED)

    def _refusal(self, beyond: Limit | None) -> Unprocessable:
        match beyond:
            case "time":
                return Unprocessable(f"Reading it took longer than {self.bounds.wall_s:.0f} seconds.")
            case "computing":
                return Unprocessable(f"Reading it took more than {self.bounds.cpu_s} seconds of computing time.")
            case "memory":
                return Unprocessable("It takes more memory than reading a file may.")
            case "result":
                return self._too_long()
            case _:
                return Unprocessable(DAMAGED)

    async def _answer(self, process: Process) -> bytes:
        held = bytearray()
        while process.stdout is not None and (piece := await process.stdout.read(READ_BYTES)):
            held += piece
            if len(held) > self.bounds.text_max_bytes + 1:
                raise self._too_long()
        return bytes(held)

    def _too_long(self) -> Unprocessable:
        most = self.bounds.text_max_bytes // 1_000_000
        return Unprocessable(f"Its text is longer than {most} MB, the most that is kept. Send it in parts.")


async def _feed(process: Process, pieces: AsyncIterator[bytes]) -> None:
    if process.stdin is None:
        return
    # A process that ended in the middle says why, or it does not: its answer decides.
    with contextlib.suppress(ConnectionError):
        async for piece in pieces:
            process.stdin.write(piece)
            await process.stdin.drain()
    process.stdin.close()


def decoded(data: bytes) -> str:
    """Bytes as text with plain line ends and no control characters; what is no UTF-8 is read as Windows wrote it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROL)
