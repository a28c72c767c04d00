"""A part of a transaction that is taken back alone."""

from collections.abc import Generator
from contextlib import contextmanager

from loci.store.base import Transaction


@contextmanager
def part(tx: Transaction) -> Generator[None]:
    """If the block raises, what it wrote is undone, and the caller may catch the error and go on with the rest."""
    tx.run("savepoint part")
    try:
        yield
    except BaseException:
        tx.run("rollback to savepoint part")
        tx.run("release savepoint part")
        raise
    tx.run("release savepoint part")
