"""The text of a file. What takes a parser is read in a process of its own, which has little memory and little time."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from loci.errors import NotAvailable, Unprocessable
from loci.files.kinds import FileKind

CHILD = Path(__file__).with_name("child.py")
READERS_MAX = 2
READ_BYTES = 1_000_000

_CONTROL = dict.fromkeys([*range(9), *range(11, 32), 127, *range(0xD800, 0xE000)])
"""What no text needs: it could move the cursor of whoever prints it, or not be stored at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What reading one file may take."""

    memory_bytes: int = 1_000_000_000
    cpu_s: int = 60
    wall_s: float = 120.0
    text_max_bytes: int = 20_000_000


class Reader:
    """Reads files, a few at a time."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self._room = asyncio.Semaphore(READERS_MAX)

    async def text_of(self, kind: FileKind, pieces: AsyncIterator[bytes]) -> str:
        """The text of a file. Raises Unprocessable, with the reason, if there is none to be had."""
        async with self._room:
            if kind == "text":
                return await self._plain(pieces)
            return await self._parsed(kind, pieces)

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
                *(sys.executable, "-I", str(CHILD), kind, *map(str, limits)),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise NotAvailable(f"No process to read it in could be started: {error.strerror}.") from error

    async def _parsed(self, kind: FileKind, pieces: AsyncIterator[bytes]) -> str:
        bounds = self.bounds
        process = await self._started(kind)
        try:
            async with asyncio.timeout(bounds.wall_s):
                _, answer = await asyncio.gather(_feed(process, pieces), self._answer(process))
                await process.wait()
        except TimeoutError:
            raise Unprocessable(f"Reading it took longer than {bounds.wall_s:.0f} seconds.") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        if process.returncode == -signal.SIGXCPU:
            raise Unprocessable(f"Reading it took more than {bounds.cpu_s} seconds of computing time.")
        if answer[:1] == b"+":
            return await asyncio.to_thread(decoded, answer[1:])
        words = answer[1:].decode("utf-8", "replace") if answer[:1] == b"-" else ""
        raise Unprocessable(words or "It is damaged, or takes more to read than a file may.")

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
