"""A store that dies on purpose: in the middle of a transaction, or right after one was committed.

What dies is the process as the rest of the program sees it: the exception is none that anybody catches.
"""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from loci.store.base import Store, Transaction
from loci.testing.counting import Counted, PassingStore

P = ParamSpec("P")
T = TypeVar("T")


class Crash(BaseException):
    """The process is gone."""


class CrashingStore(PassingStore):
    """Dies at statement `statement` of its writes, or after commit `commit`, from one on."""

    def __init__(self, store: Store, *, statement: int | None = None, commit: int | None = None) -> None:
        super().__init__(store)
        self._statement = statement
        self._commit = commit
        self.armed = False
        self.statements = 0
        self.commits = 0

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, if we live."""
        result = await self._store.write(lambda tx: verb(Counted(tx, self._count), *args, **kwargs))
        if self.armed:
            self.commits += 1
            if self.commits == self._commit:
                raise Crash
        return result

    def _count(self, _sql: str) -> None:
        if self.armed:
            self.statements += 1
            if self.statements == self._statement:
                raise Crash
