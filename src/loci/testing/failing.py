"""A store that refuses to write while it is told to, as a full disk does."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from loci.errors import StoreFailure
from loci.store.base import Store, Transaction
from loci.testing.counting import PassingStore

P = ParamSpec("P")
T = TypeVar("T")


class FailingStore(PassingStore):
    """The next `failures` writes fail."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.failures = 0

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, or roll back and fail."""
        if self.failures == 0:
            return await self._store.write(verb, *args, **kwargs)
        self.failures -= 1

        def failing(tx: Transaction) -> T:
            verb(tx, *args, **kwargs)
            raise StoreFailure("The disk is full; the change was not stored.")

        return await self._store.write(failing)
