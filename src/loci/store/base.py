"""The port to the database.

A store verb is a plain synchronous function whose first argument is a transaction; the driver decides on which thread
it runs and when it is committed. So a verb reads the same on SQLite and on PostgreSQL, several verbs compose into one
transaction by calling each other, and an asynchronous caller pays one hop for a transaction, not one for a statement.

    agent = await store.read(agents.get, actor, agent_id)
    await store.write(messages.insert, actor, new_messages)

SQL is written with `:name` parameters. Values are text, whole numbers, floats, bytes or None; times are UTC texts of
fixed width (see `rows`), which sort as they should; yes and no are 1 and 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeAlias, TypeVar

SqlValue: TypeAlias = str | int | float | bytes | None
Params: TypeAlias = Mapping[str, SqlValue]
Row: TypeAlias = dict[str, SqlValue]
Dialect: TypeAlias = Literal["sqlite", "postgres"]

MEMORY = ":memory:"
"""Stands for a database that is gone with the process."""

P = ParamSpec("P")
T = TypeVar("T")

NO_PARAMS: Params = {}


class Transaction(Protocol):
    """What a verb may do. All of it takes effect together or not at all."""

    @property
    def dialect(self) -> Dialect:
        """Which SQL this is, for the few verbs that must differ."""
        ...

    def all(self, sql: str, params: Params = NO_PARAMS) -> list[Row]:
        """All rows of a query."""
        ...

    def one(self, sql: str, params: Params = NO_PARAMS) -> Row | None:
        """The first row, or None."""
        ...

    def run(self, sql: str, params: Params = NO_PARAMS) -> int:
        """Execute; the number of rows changed."""
        ...

    def many(self, sql: str, rows: Sequence[Params]) -> None:
        """Execute once for each of the rows, as one statement."""
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call this once the transaction is durable; never if it is rolled back. Runs on the event loop's thread."""
        ...


class Store(Protocol):
    """A database. `write` returns only when the transaction is durable."""

    async def open(self) -> None:
        """Connect, create or migrate the schema."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then disconnect."""
        ...

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb that only reads, on one consistent snapshot; never blocked by writers."""
        ...

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a verb in a transaction and wait until it is durable. An exception rolls it back and is raised here."""
        ...
