"""SQLite through apsw: one writer thread with group commit, a few reader threads, WAL, durable before it is said.

The writer takes every transaction that is waiting, runs each in its own savepoint, and commits them together: one
fsync serves all agents that wrote in that moment, and a lone writer waits for nobody. Readers work on their own
connections and snapshots, so a writer never blocks them. See https://sqlite.org/wal.html and
https://sqlite.org/pragma.html#pragma_synchronous.
"""

import asyncio
import contextlib
import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar, cast

import apsw

from loci.errors import Conflict, LociError, StoreFailure
from loci.store.base import MEMORY, NO_PARAMS, Dialect, Params, Row, SqlValue, Transaction
from loci.store.schema import migrate

P = ParamSpec("P")
T = TypeVar("T")
Outcome = tuple["asyncio.Future[object]", object, BaseException | None, list[Callable[[], None]]]

_BATCH_MAX = 256
_READERS = 3
_STATEMENTS_CACHED = 400
_CACHE_KIB = 32_000
_MMAP_BYTES = (1 << 31) - (1 << 16)  # the most that SQLite maps: searches read from all over a large file
_BUSY_TIMEOUT_MS = 10_000


class _Cursor(Protocol):
    def fetchall(self) -> list[tuple[SqlValue, ...]]: ...
    def get_description(self) -> tuple[tuple[str, str | None], ...]: ...


class _Connection(Protocol):
    """The part of apsw.Connection that we use, with types that a checker can follow."""

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statements: str, bindings: Params | None = None) -> _Cursor: ...
    def executemany(self, statements: str, sequenceofbindings: Sequence[Params]) -> object: ...
    def changes(self) -> int: ...
    def pragma(self, name: str, value: str | int) -> object: ...
    def set_busy_timeout(self, milliseconds: int) -> None: ...
    def close(self) -> None: ...


class _Transaction:
    """A transaction on one apsw connection."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.actions: list[Callable[[], None]] = []

    def all(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """All rows of a query."""
        cursor = self._connection.execute(sql, params)
        names = _names.get(sql)
        if names is None:
            try:
                names = tuple(column[0] for column in cursor.get_description())
            except apsw.ExecutionCompleteError:
                return []
            if len(_names) < _NAMES_MAX:
                _names[sql] = names
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        """The first row, or None."""
        rows = self.all(sql, params)
        return rows[0] if rows else None

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        """Execute; the number of rows changed."""
        self._connection.execute(sql, params)
        return self._connection.changes()

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        """Execute once for each of the rows."""
        self._connection.executemany(sql, rows)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call this once the transaction is durable."""
        self.actions.append(action)


_NAMES_MAX = 2_000
_names: dict[str, tuple[str, ...]] = {}
"""Column names by statement: reading them anew for each query would cost more than a small query."""


class SQLiteStore:
    """One database file (or `:memory:`, for tests). `durability` "full" survives power loss, "normal" a crash only."""

    def __init__(self, path: str | Path, *, durability: Literal["full", "normal"] = "full") -> None:
        # WAL needs a file, so "in memory" is a file that is gone with the store.
        self._folder = tempfile.TemporaryDirectory(prefix="loci-") if str(path) == MEMORY else None
        self._path = f"{self._folder.name}/loci.db" if self._folder else str(path)
        self._durability = durability
        self._queue: queue.SimpleQueue[tuple[Callable[[Transaction], object], asyncio.Future[object]] | None] = (
            queue.SimpleQueue()
        )
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._connections: list[_Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.commits = 0
        """How many commits there were; with many writers fewer than transactions."""

    async def open(self) -> None:
        """Create or migrate the file and start the threads."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._prepare)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="loci-read")
        self._writer = threading.Thread(target=self._write_loop, name="loci-write", daemon=True)
        self._writer.start()

    async def close(self) -> None:
        """Commit what was accepted, stop the threads, close the file."""
        if self._writer is None:
            return
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        self._writer = None
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if self._folder is not None:
            self._folder.cleanup()

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb that only reads."""
        if self._readers is None or self._loop is None:
            raise StoreFailure("The database is not open.")

        def call(tx: Transaction) -> T:
            return verb(tx, *args, **kwargs)

        return await self._loop.run_in_executor(self._readers, self._read, call)

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb in a transaction; returns when it is durable."""
        if self._writer is None or self._loop is None:
            raise StoreFailure("The database is not open.")
        future: asyncio.Future[object] = self._loop.create_future()

        def call(tx: Transaction) -> object:
            return verb(tx, *args, **kwargs)

        self._queue.put((call, future))
        # A transaction that was handed over is carried out even if the caller goes away: half a step is never left.
        return cast("T", await asyncio.shield(future))

    def _prepare(self) -> None:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        with _typed_errors():
            self._main = self._connect(writer=True)
            migrate(_Transaction(self._main))

    def _connect(self, *, writer: bool) -> _Connection:
        connection = cast("_Connection", apsw.Connection(self._path, statementcachesize=_STATEMENTS_CACHED))
        self._connections.append(connection)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", self._durability)
        connection.pragma("foreign_keys", "on" if writer else "off")
        connection.pragma("cache_size", -_CACHE_KIB)
        connection.pragma("mmap_size", _MMAP_BYTES)
        connection.pragma("temp_store", "memory")
        if not writer:
            connection.pragma("query_only", "on")
        return connection

    def _read(self, verb: Callable[[Transaction], T]) -> T:
        connection = cast("_Connection | None", getattr(self._local, "connection", None))
        if connection is None:
            connection = self._connect(writer=False)
            self._local.connection = connection
        with _typed_errors():
            connection.execute("begin")
            try:
                return verb(_Transaction(connection))
            finally:
                connection.execute("commit")

    def _write_loop(self) -> None:
        stop = False
        while not stop:
            batch: list[tuple[Callable[[Transaction], object], asyncio.Future[object]]] = []
            item = self._queue.get()
            while True:
                if item is None:
                    stop = True
                    break
                batch.append(item)
                if len(batch) >= _BATCH_MAX:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._deliver(self._commit(batch))

    def _commit(self, batch: list[tuple[Callable[[Transaction], object], "asyncio.Future[object]"]]) -> list[Outcome]:
        """All transactions of the batch in one commit; one that fails is rolled back alone."""
        outcomes: list[Outcome] = []
        try:
            with _typed_errors():
                self._main.execute("begin immediate")
                for verb, future in batch:
                    outcomes.append(self._run_one(verb, future))
                self._main.execute("commit")
                self.commits += 1
        except BaseException as error:  # noqa: BLE001  a failed commit is every caller's failure; the thread lives on
            if self._main.in_transaction:
                self._main.execute("rollback")
            return [(future, None, error, []) for _, future in batch]
        return outcomes

    def _run_one(self, verb: Callable[[Transaction], object], future: "asyncio.Future[object]") -> Outcome:
        transaction = _Transaction(self._main)
        self._main.execute("savepoint one")
        try:
            with _typed_errors():
                result = verb(transaction)
        except BaseException as error:
            if not self._main.in_transaction:
                raise
            self._main.execute("rollback to one")
            self._main.execute("release one")
            return (future, None, error, [])
        self._main.execute("release one")
        return (future, result, None, transaction.actions)

    def _deliver(self, outcomes: list[Outcome]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop was closed while a last batch was committed
                loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[Outcome]) -> None:
    for future, result, error, actions in outcomes:
        for action in actions:
            action()
        if future.cancelled():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


@contextlib.contextmanager
def _typed_errors() -> Generator[None]:
    """apsw's errors as ours, the cause kept."""
    try:
        yield
    except LociError:
        raise
    except apsw.FullError as error:
        raise StoreFailure("The disk is full; the change was not stored.") from error
    except apsw.ConstraintError as error:
        raise Conflict(f"The change clashes with what is stored: {error}") from error
    except apsw.Error as error:
        raise StoreFailure(f"The database failed: {error}") from error
