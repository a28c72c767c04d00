"""Who has a data file open: one process at a time, because each takes up the runs that it finds unfinished.

The lock is the operating system's and ends with the process, however that ends. Beside the file stands who holds it, so
that other programs find the server instead of a closed door.
"""

import contextlib
import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from loci.errors import Conflict, StoreFailure
from loci.store.base import MEMORY

_SQLITE = "sqlite://"
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that has the file open; `address` is where it serves, if it does."""

    pid: int
    address: str | None


class DataInUse(Conflict):
    """The data is open in another process."""

    def __init__(self, file: Path, owner: Owner) -> None:
        where = f", which serves {owner.address}" if owner.address else ""
        hint = "Use that server." if owner.address else "Close it. To share the data, start `loci server` first."
        super().__init__(f"{file} is open in another process ({owner.pid}{where}).", hint=hint)
        self.owner = owner


def database_file(database_url: str) -> Path | None:
    """The file that an address names; None for one in memory and for other databases."""
    place = database_url.removeprefix(_SQLITE)
    if place in (database_url, MEMORY):
        return None
    return Path(place.removeprefix("/"))


@contextmanager
def owned(database_url: str, address: str | None = None) -> Generator[None]:
    """Hold the data for the time of the block. Raises DataInUse if another process has it, StoreFailure."""
    file = database_file(database_url)
    if file is None:
        yield
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(_lock_file(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreFailure(f"{file.parent} cannot be written: {error.strerror}.") from error
    try:
        _lock(handle, file)
        os.ftruncate(handle, 0)
        os.pwrite(handle, orjson.dumps({"pid": os.getpid(), "address": address}), 0)
        yield
    finally:
        os.close(handle)


def owner_of(file: Path) -> Owner | None:
    """The process that has the file open now."""
    try:
        handle = os.open(_lock_file(file), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle)
    finally:
        os.close(handle)
    return None


def _lock(handle: int, file: Path) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # somebody only looked (`owner_of`), which is soon over
            os.sched_yield()
            continue
        break
    raise DataInUse(file, _read(handle))


def _read(handle: int) -> Owner:
    try:
        document = orjson.loads(os.pread(handle, 10_000, 0))
        return Owner(int(document["pid"]), document["address"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return Owner(0, None)  # it has only just begun


def _lock_file(file: Path) -> Path:
    return file.with_name(file.name + ".owner")
