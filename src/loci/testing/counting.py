"""A store that counts: which statements a piece of work executed, and in how many write transactions."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from loci.store.base import NO_PARAMS, Dialect, Params, Row, Store, Transaction

P = ParamSpec("P")
T = TypeVar("T")


class CountingStore:
    """Passes everything on to a real store and remembers the statements."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.statements: list[str] = []
        self.writes = 0

    def reset(self) -> None:
        """Begin to count anew."""
        self.statements.clear()
        self.writes = 0

    async def open(self) -> None:
        """Open the real store."""
        await self._store.open()

    async def close(self) -> None:
        """Close the real store."""
        await self._store.close()

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read and count."""

        def counted(tx: Transaction) -> T:
            return verb(_Counted(tx, self.statements), *args, **kwargs)

        return await self._store.read(counted)

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write and count."""
        self.writes += 1

        def counted(tx: Transaction) -> T:
            return verb(_Counted(tx, self.statements), *args, **kwargs)

        return await self._store.write(counted)


class _Counted:
    def __init__(self, tx: Transaction, statements: list[str]) -> None:
        self._tx = tx
        self._statements = statements

    @property
    def dialect(self) -> Dialect:
        return self._tx.dialect

    def all(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        self._statements.append(sql)
        return self._tx.all(sql, params)

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        self._statements.append(sql)
        return self._tx.one(sql, params)

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        self._statements.append(sql)
        return self._tx.run(sql, params)

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        self._statements.append(sql)
        self._tx.many(sql, rows)

    def after_commit(self, action: Callable[[], None]) -> None:
        self._tx.after_commit(action)
