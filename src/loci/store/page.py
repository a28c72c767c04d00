"""One page of a list, for every verb that lists: filters become conditions, cursors a condition, an order and a limit.

    clause = page_clause(tx, actor, page, "blocks")
    rows = clause.read(tx, "select … from blocks where label = :label", params)

A list is ordered by time and id, or by `seq`. `after` gives what comes right after a cursor in that order, `before`
what comes right before it; both are in the list's own order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from loci.errors import NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.types.actor import DEFAULT_PROJECT, Actor
from loci.types.paging import PAGE_MAX_ROWS, Page

BY_SEQ = "seq"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageClause:
    """SQL that chooses a page. `where` begins with " and " or is empty, `order` ends with the limit."""

    where: str
    order: str
    params: dict[str, SqlValue]
    backwards: bool = False
    """`order` runs away from a `before` cursor, so that the page is what is next to it; `read` turns it around."""

    def read(self, tx: Transaction, select: str, params: Params) -> list[Row]:
        """The rows of the page. `select` ends within its `where`."""
        rows = tx.all(f"{select}{self.where}{self.order}", {**params, **self.params})
        return rows[::-1] if self.backwards else rows


def page_clause(
    tx: Transaction,
    actor: Actor,
    page: Page,
    table: str,
    *,
    table_time_column: str = "created_at",
    alias: str | None = None,
) -> PageClause:
    """Where, order and limit for one page of `table`.

    Args:
        tx: The transaction that will also read the page.
        actor: Cursors of other organisations do not exist.
        page: What the client asked for.
        table: Name of the table whose rows are listed; it has the columns id and organization_id.
        table_time_column: The column that orders the list, ties broken by id; BY_SEQ for the unique `seq`.
        alias: The name of the table in the query, if it has another there.

    Raises:
        NotFound: A cursor is not the id of a row.
    """
    prefix = f"{alias or table}."
    columns = [BY_SEQ] if table_time_column == BY_SEQ else [table_time_column, "id"]
    params: dict[str, SqlValue] = {"page_limit": max(1, min(page.limit_rows, PAGE_MAX_ROWS))}
    where = ""
    for name, cursor, upwards in (
        ("after", page.after, page.ascending),
        ("before", page.before, not page.ascending),
    ):
        if cursor is not None:
            row = tx.one(
                f"select {', '.join(columns)} from {table} where id = :id and organization_id = :organization_id",
                {"id": cursor, "organization_id": actor.organization_id},
            )
            if row is None:
                raise NotFound(f"There is no {cursor} in this list, so nothing comes {name} it.")
            params |= {f"page_{name}_{column}": row[column] for column in columns}
            left = ", ".join(prefix + column for column in columns)
            right = ", ".join(f":page_{name}_{column}" for column in columns)
            where += f" and ({left}) {'>' if upwards else '<'} ({right})"
    backwards = page.before is not None and page.after is None
    direction = "asc" if page.ascending is not backwards else "desc"
    order = ", ".join(f"{prefix}{column} {direction}" for column in columns)
    return PageClause(where=where, order=f" order by {order} limit :page_limit", params=params, backwards=backwards)


class Where:
    """The conditions of a list with the values that they name. What is None was not asked for, and is no condition."""

    def __init__(self, sql: str, params: dict[str, SqlValue]) -> None:
        self.sql = sql
        self.params = params

    def also(self, condition: str, **values: SqlValue) -> Self:
        """One more condition, if the values are given that it names."""
        if all(value is not None for value in values.values()):
            self.sql += f" and {condition}"
            self.params |= values
        return self

    def equal(self, prefix: str, **values: SqlValue) -> Self:
        """Columns that have these values, in the table that the prefix names."""
        for name, value in values.items():
            self.also(f"{prefix}{name} = :{name}", **{name: value})
        return self

    def in_project(self, expression: str, project_id: str | None) -> Self:
        """A project of rows, in which the default one is not named."""
        return self.also(f"coalesce({expression}, '{DEFAULT_PROJECT}') = :project_id", project_id=project_id)

    def having(self, expression: str, name: str, part: str | None) -> Self:
        """A text with this part, in any case of letters."""
        return self.also(
            f"lower({expression}) like lower(:{name}) escape '!'",
            **{name: None if part is None else like_pattern(part)},
        )

    def among(self, expression: str, name: str, values: Sequence[str | int] | None) -> Self:
        """A value that is one of these: none of them is, if there are none."""
        if values is None:
            return self
        named = {f"{name}_{number}": value for number, value in enumerate(values)}
        return self.also(f"{expression} in ({', '.join(f':{each}' for each in named)})", **named)


def like_pattern(part: str) -> str:
    """The pattern for `lower(column) like lower(:pattern) escape '!'`: a part of a text in any case of letters.

    Both sides are lowered by the database, for databases differ in which letters they know.
    """
    escaped = part.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"
