"""The git command as a child process: no configuration but ours, no hooks, bounded in memory, time and output.

Nothing that it is given stands in an argument except object names and protocol words that were checked.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from asyncio import StreamReader
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from loci.errors import LociError, NotAvailable

WALL_S, CPU_S = 60.0, 60
MEMORY_KB = 2_000_000
OUTPUT_MAX_BYTES = 150_000_000
CHILDREN_MAX = 4
MISSING = "git is not installed on this server, so agents' memory cannot be read or written as a repository."
MISSING_HINT = "Its operator can install it: apt install git, or brew install git."

_BOUNDED = f'ulimit -t {CPU_S}; ulimit -v {MEMORY_KB} 2>/dev/null; exec "$@"'
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.bigFileThreshold": "4m",
    "gc.auto": "0",
    "pack.threads": "1",
    "fastimport.unpackLimit": "0",
    "safe.directory": "*",
    "transfer.hideRefs": "refs/loci",
}
_ENVIRONMENT = {
    "HOME": os.devnull,
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class GitFailed(LociError):
    """git could not do it."""

    status = 503


def git_program() -> str | None:
    """Where git is; None if it is not installed."""
    return shutil.which("git")


class Git:
    """git commands in one repository, a few at a time in the whole server."""

    def __init__(self, folder: Path, room: asyncio.Semaphore, extra: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.room = room
        self.extra = dict(extra or {})

    def among(self, extra: Mapping[str, str]) -> "Git":
        """The same repository with other environment variables."""
        return Git(self.folder, self.room, extra)

    async def run(self, *words: str, data: bytes = b"", most_bytes: int = OUTPUT_MAX_BYTES) -> bytes:
        """What the command prints. Raises GitFailed with what it says, NotAvailable without git."""
        program = git_program()
        if program is None:
            raise NotAvailable(MISSING, hint=MISSING_HINT)
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        command = ("/bin/sh", "-c", _BOUNDED, "sh", program, *settings, *words)
        path = f"{Path(program).parent}{os.pathsep}{os.defpath}"
        environment = {**_ENVIRONMENT, "PATH": path, "GIT_DIR": str(self.folder), **self.extra}
        async with self.room:
            # A file, not a pipe: git may end before it has read everything.
            with tempfile.TemporaryFile() as source:
                await asyncio.to_thread(source.write, data)
                source.seek(0)
                return await self._answer(command, environment, source, most_bytes)

    async def _answer(
        self, command: tuple[str, ...], environment: Mapping[str, str], source: IO[bytes], most_bytes: int
    ) -> bytes:
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=source,
                stdout=PIPE,
                stderr=PIPE,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise NotAvailable(f"git could not be started: {error.strerror}.") from error
        try:
            async with asyncio.timeout(WALL_S):
                reading = _read(child, child.stdout, most_bytes), _read(child, child.stderr, most_bytes)
                out, said = await asyncio.gather(*reading)
                await child.wait()
        except TimeoutError:
            raise GitFailed(f"git took longer than {WALL_S:.0f} seconds.") from None
        finally:
            if child.returncode is None:
                _kill(child)
                await child.communicate()  # what is left in the pipes is taken out, or they never close
        if len(out) > most_bytes:
            raise GitFailed(f"git said more than {most_bytes} bytes.")
        if child.returncode != 0:
            words = said.decode("utf-8", "replace").strip()[-500:]
            raise GitFailed(words or f"git ended with status {child.returncode}.")
        return out


async def _read(child: Process, stream: StreamReader | None, most_bytes: int) -> bytes:
    """What comes, until it is too much: then the child is killed."""
    held = bytearray()
    while stream is not None and (piece := await stream.read(100_000)):
        if len(held) <= most_bytes:
            held += piece
        else:
            _kill(child)
    return bytes(held)


def _kill(child: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
