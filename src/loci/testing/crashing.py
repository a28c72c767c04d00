"""A store that dies on purpose: in the middle of a transaction, or right after one was committed.

What dies is the process as the rest of the program sees it: the exception is none that anybody catches.
"""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from loci.store.base import NO_PARAMS, Dialect, Params, Row, Store, Transaction

P = ParamSpec("P")
T = TypeVar("T")


class Crash(BaseException):
    """The process is gone."""


class CrashingStore:
    """Passes everything on to a real store and dies at statement `statement`, or after commit `commit`, from one on."""

    def __init__(self, store: Store, *, statement: int | None = None, commit: int | None = None) -> None:
        self._store = store
        self._statement = statement
        self._commit = commit
        self.armed = False
        self.statements = 0
        self.commits = 0

    async def open(self) -> None:
        """Open the real store."""
        await self._store.open()

    async def close(self) -> None:
        """Close the real store."""
        await self._store.close()

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Reading changes nothing, so nobody dies of it."""
        return await self._store.read(verb, *args, **kwargs)

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, if we live."""

        def counted(tx: Transaction) -> T:
            return verb(_Counted(tx, self), *args, **kwargs)

        result = await self._store.write(counted)
        if self.armed:
            self.commits += 1
            if self.commits == self._commit:
                raise Crash
        return result

    def count(self) -> None:
        """One more statement."""
        if self.armed:
            self.statements += 1
            if self.statements == self._statement:
                raise Crash


class _Counted:
    def __init__(self, tx: Transaction, store: CrashingStore) -> None:
        self._tx = tx
        self._store = store

    @property
    def dialect(self) -> Dialect:
        return self._tx.dialect

    def all(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        self._store.count()
        return self._tx.all(sql, params)

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        self._store.count()
        return self._tx.one(sql, params)

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        self._store.count()
        return self._tx.run(sql, params)

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        self._store.count()
        self._tx.many(sql, rows)

    def after_commit(self, action: Callable[[], None]) -> None:
        self._tx.after_commit(action)
