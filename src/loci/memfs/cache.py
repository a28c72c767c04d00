"""Repositories on disk. All of it is made of what the database has, and counts for this process alone.

A repository is trusted once all of it is there, which is noted in memory and last: so nothing that was half written,
here or by a process that was killed, is ever read. Each is made in a new folder, out of reach of what still writes to,
or clears, an older one. The folder of a process is held by a lock that ends with it, and then swept by the next.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from loci.memfs.git import Git, GitFailed


@dataclass(frozen=True, slots=True)
class Kept:
    """A repository: up to which stretch it is whole, and the files that it then had, with their sizes in bytes."""

    git: Git
    number: int = 0
    head: str = ""
    files: frozenset[tuple[str, int]] = frozenset()

    def is_whole(self) -> bool:
        """Whether it goes up to a stretch, and nobody took anything away since then."""
        return self.number > 0 and self.files <= files_of(self.git.folder)


def files_of(folder: Path) -> frozenset[tuple[str, int]]:
    """The files that a repository cannot do without, with their sizes in bytes."""
    try:
        needed = (folder / "HEAD", folder / "refs/heads/main", *folder.glob("objects/pack/pack-*"))
        return frozenset((path.name, path.stat().st_size) for path in needed)
    except OSError:
        return frozenset()


class Place:
    """The folder of this process among those of others, taken for its first repository."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: tuple[Path, int] | None = None
        self._taking = threading.Lock()

    def sweep(self) -> None:
        """Clear what processes that are gone have left."""
        with contextlib.suppress(OSError), _locked(self._root, fcntl.LOCK_EX):
            for left in self._root.iterdir():
                with contextlib.suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(left)

    def close(self) -> None:
        """Give the folder up, with all that is in it."""
        if self._held is not None:
            shutil.rmtree(self._held[0], ignore_errors=True)
            os.close(self._held[1])
            self._held = None

    def fresh(self, name: str) -> Path:
        """A new folder for a repository. Raises GitFailed."""
        try:
            with self._taking:
                folder, _ = self._held = self._held or self._taken()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have cleared the cache
            return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
        except OSError as error:
            raise GitFailed(f"There is no place for a repository in {self._root}: {error.strerror}.") from error

    def _taken(self) -> tuple[Path, int]:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self._root, fcntl.LOCK_EX):  # nobody sweeps a folder away before it is held
            folder = Path(tempfile.mkdtemp(dir=self._root))
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_EX)
        return folder, handle


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Generator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
