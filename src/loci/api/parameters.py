"""Parameters that many routes share: ids in paths, pages of lists, what to include."""

from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request

from loci.api.wire_agents import RELATIONS
from loci.types.paging import PAGE_MAX_ROWS, Page

_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"

AgentId = Annotated[str, Path(pattern=f"^agent-{_UUID}$", description="Id of the agent.")]
BlockId = Annotated[str, Path(pattern=f"^block-{_UUID}$", description="Id of the block.")]
ToolId = Annotated[str, Path(pattern=f"^tool-{_UUID}$", description="Id of the tool.")]
PassageId = Annotated[str, Path(pattern=f"^passage-{_UUID}$", description="Id of the passage.")]

Order = Literal["asc", "desc"]
Cursor = Annotated[str | None, Query(max_length=200, description="Id of an item of the list.")]
Limit = Annotated[int | None, Query(ge=0, le=10_000, description=f"Items at most; more than {PAGE_MAX_ROWS} are cut.")]


DEFAULT_ROWS = 50


def page(before: str | None, after: str | None, limit: int | None, order: Order) -> Page:
    """A page as the query asks for it."""
    rows = DEFAULT_ROWS if limit is None else limit
    bounded = max(1, min(rows, PAGE_MAX_ROWS))
    return Page(limit_rows=bounded, before=before, after=after, ascending=order == "asc")


async def _newest_first(
    before: Cursor = None, after: Cursor = None, limit: Limit = None, order: Order = "desc"
) -> Page:
    return page(before, after, limit, order)


async def _oldest_first(before: Cursor = None, after: Cursor = None, limit: Limit = None, order: Order = "asc") -> Page:
    return page(before, after, limit, order)


NewestFirst = Annotated[Page, Depends(_newest_first)]
OldestFirst = Annotated[Page, Depends(_oldest_first)]


async def _included(
    request: Request,
    include: Annotated[list[str] | None, Query()] = None,
    include_relationships: Annotated[list[str] | None, Query()] = None,
) -> frozenset[str]:
    """Which relations of an agent to show. Clients since 1.0 name what they want; older ones get all of them."""
    if include is not None or include_relationships is not None:
        old = (f"agent.{name}" if "." not in name else name for name in include_relationships or ())
        return frozenset([*(include or ()), *old]) & RELATIONS
    major = request.headers.get("x-stainless-package-version", "0").partition(".")[0]
    return frozenset() if major.isdigit() and int(major) >= 1 else RELATIONS


Included = Annotated[frozenset[str], Depends(_included)]
