"""The git command as a child process: no configuration but ours, no hooks, bounded in memory and time.

Nothing that it is given stands in an argument except object names and protocol words that were checked.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loci.errors import LociError, NotAvailable

WALL_S = 60.0
CPU_S = 60
MEMORY_KB = 2_000_000
CHILDREN_MAX = 4

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


class GitFailed(LociError):
    """git could not do it."""

    status = 422


@dataclass(frozen=True, slots=True)
class Missing:
    """What is said where git is not installed."""

    message: str = "git is not installed on this server, so agents' memory cannot be read or written as a repository."
    hint: str = "Its operator can install it: apt install git, or brew install git."


MISSING = Missing()


def git_program() -> str | None:
    """Where git is; None if it is not installed."""
    return shutil.which("git")


@contextlib.asynccontextmanager
async def _file_of(data: bytes) -> AsyncGenerator[int]:
    if not data:
        yield DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        await asyncio.to_thread(file.write, data)
        file.seek(0)
        yield file.fileno()


class Git:
    """git commands in one repository, a few at a time in the whole server."""

    def __init__(self, folder: Path, room: asyncio.Semaphore, extra: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.room = room
        self.extra = dict(extra or {})

    def among(self, extra: Mapping[str, str]) -> "Git":
        """The same repository with other environment variables."""
        return Git(self.folder, self.room, extra)

    async def run(self, *words: str, data: bytes = b"") -> bytes:
        """What the command prints. Raises GitFailed with what it says, NotAvailable without git."""
        status, out, said = await self._run(words, data)
        if status != 0:
            raise GitFailed(said.decode("utf-8", "replace").strip()[-500:] or f"git ended with status {status}.")
        return out

    async def holds(self, *words: str) -> bool:
        """Whether a question is answered with yes, by the status."""
        return (await self._run(words, b""))[0] == 0

    async def _run(self, words: tuple[str, ...], data: bytes) -> tuple[int, bytes, bytes]:
        program = git_program()
        if program is None:
            raise NotAvailable(MISSING.message, hint=MISSING.hint)
        settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
        # A file, not a pipe: git may end before it has read everything.
        async with self.room, _file_of(data) as source:
            child = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", _BOUNDED, "sh", program, *settings, *words),
                stdin=source,
                stdout=PIPE,
                stderr=PIPE,
                cwd=self.folder,
                env=self._environment(program),
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(WALL_S):
                    out, said = await child.communicate()
            except TimeoutError:
                raise GitFailed(f"git took longer than {WALL_S:.0f} seconds.") from None
            finally:
                if child.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(child.pid, 9)
                    await child.wait()
        return child.returncode or 0, out, said

    def _environment(self, program: str) -> dict[str, str]:
        """Nothing of the server's own environment."""
        return {
            "PATH": f"{Path(program).parent}{os.pathsep}{os.defpath}",
            "HOME": os.devnull,
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_DIR": str(self.folder),
            **self.extra,
        }
