"""A store that counts: which statements a piece of work executed, and in how many write transactions."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from loci.store.base import NO_PARAMS, Dialect, Params, Row, Store, Transaction

P = ParamSpec("P")
T = TypeVar("T")


class PassingStore:
    """Passes everything on to a real store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(self) -> None:
        """Open the real store."""
        await self._store.open()

    async def close(self) -> None:
        """Close the real store."""
        await self._store.close()

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read from the real store."""
        return await self._store.read(verb, *args, **kwargs)


class CountingStore(PassingStore):
    """Remembers the statements."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.statements: list[str] = []
        self.writes = 0

    def reset(self) -> None:
        """Begin to count anew."""
        self.statements.clear()
        self.writes = 0

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read and count."""
        return await self._store.read(lambda tx: verb(Counted(tx, self.statements.append), *args, **kwargs))

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write and count."""
        self.writes += 1
        return await self._store.write(lambda tx: verb(Counted(tx, self.statements.append), *args, **kwargs))


class Counted:
    """A transaction that tells of each statement before it is executed."""

    def __init__(self, tx: Transaction, told: Callable[[str], None]) -> None:
        self._tx = tx
        self._told = told

    @property
    def dialect(self) -> Dialect:
        """That of the real one."""
        return self._tx.dialect

    def all(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """Tell and pass on."""
        self._told(sql)
        return self._tx.all(sql, params)

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        """Tell and pass on."""
        self._told(sql)
        return self._tx.one(sql, params)

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        """Tell and pass on."""
        self._told(sql)
        return self._tx.run(sql, params)

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        """Tell and pass on."""
        self._told(sql)
        self._tx.many(sql, rows)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Pass on."""
        self._tx.after_commit(action)
