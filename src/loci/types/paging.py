"""One page of a list: cursors are ids, as in the Letta V1 API."""

from dataclasses import dataclass

PAGE_MAX_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`after` and `before` are ids of rows in the list's order; `limit_rows` is at most PAGE_MAX_ROWS."""

    limit_rows: int = 50
    after: str | None = None
    before: str | None = None
    ascending: bool = False
