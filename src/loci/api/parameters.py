"""Parameters that many routes share: ids in paths, pages of lists, what to include."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol, TypeVar

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator

from loci.api.wire_agents import RELATIONS
from loci.errors import NotFound
from loci.store.identities import AttachedTo
from loci.types.paging import PAGE_MAX_ROWS, Page

UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"

AgentId = Annotated[str, Path(pattern=f"^agent-{UUID}$", description="Id of the agent.")]
BlockId = Annotated[str, Path(pattern=f"^block-{UUID}$", description="Id of the block.")]
ToolId = Annotated[str, Path(pattern=f"^tool-{UUID}$", description="Id of the tool.")]
PassageId = Annotated[str, Path(pattern=f"^passage-{UUID}$", description="Id of the passage.")]
ArchiveId = Annotated[str, Path(pattern=f"^archive-{UUID}$", description="Id of the archive.")]
JobId = Annotated[str, Path(pattern=f"^job-{UUID}$", description="Id of the job.")]
FolderId = Annotated[str, Path(pattern=f"^source-{UUID}$", description="Id of the folder.")]
FileId = Annotated[str, Path(pattern=f"^file-{UUID}$", description="Id of the file.")]
MessageId = Annotated[str, Path(pattern=f"^message-{UUID}$", description="Id of the message.")]
RunId = Annotated[str, Path(pattern=f"^run-{UUID}$", description="Id of the run.")]
StepId = Annotated[str, Path(pattern=f"^step-{UUID}$", description="Id of the step.")]
GroupId = Annotated[str, Path(pattern=f"^group-{UUID}$", description="Id of the group.")]
IdentityId = Annotated[str, Path(pattern=f"^identity-{UUID}$", description="Id of the identity.")]
McpServerId = Annotated[str, Path(pattern=f"^mcp_server-{UUID}$", description="Id of the MCP server.")]
ChangeId = Annotated[
    str,
    Path(pattern=f"^(change-{UUID}|[1-9][0-9]{{0,17}})$", description="Id of a ChangeSet, or number of one entry."),
]
ConversationId = Annotated[
    str, Path(pattern=f"^(conv-{UUID}|agent-{UUID}|default)$", description="Id of the conversation, or 'default'.")
]

Order = Literal["asc", "desc"]
Cursor = Annotated[str | None, Query(max_length=200, description="Id of an item of the list.")]
Limit = Annotated[int | None, Query(ge=0, le=10_000, description=f"Items at most; more than {PAGE_MAX_ROWS} are cut.")]


OrderBy = Literal["created_at", "updated_at", "last_run_completion"]

INTEGER_MAX = 2**31 - 1
Number = Annotated[int, Query(ge=-INTEGER_MAX, le=INTEGER_MAX)]

DEFAULT_ROWS = 50


def _in_utc(moment: datetime) -> datetime:
    """A time without a zone is meant in UTC; one at the edge of the calendar has no place in it."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is outside of the calendar") from error


Moment = Annotated[datetime, AfterValidator(_in_utc)]


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Named)


def page_of(items: Sequence[T], page: Page) -> list[T]:
    """One page of a list that is at hand, in its own order, or turned around for a page that descends.

    Raises NotFound for a cursor that is not in the list.
    """
    turned = list(items) if page.ascending else list(reversed(items))
    places = {item.id: place for place, item in enumerate(turned)}
    for cursor in (page.after, page.before):
        if cursor is not None and cursor not in places:
            raise NotFound(f"There is no {cursor} in this list, so nothing comes before or after it.")
    start = 0 if page.after is None else places[page.after] + 1
    end = len(turned) if page.before is None else places[page.before]
    # Before a cursor means: right before it.
    return (
        turned[start:end][-page.limit_rows :]
        if page.before and not page.after
        else turned[start:end][: page.limit_rows]
    )


def page(before: str | None, after: str | None, limit: int | None, order: Order) -> Page:
    """A page as the query asks for it."""
    rows = DEFAULT_ROWS if limit is None else limit
    bounded = max(1, min(rows, PAGE_MAX_ROWS))
    return Page(limit_rows=bounded, before=before, after=after, ascending=order == "asc")


def paged(usual: Order, rows: int = DEFAULT_ROWS) -> Callable[..., Awaitable[Page]]:
    """What reads a page from the query: in the usual order, with so many rows, unless asked otherwise."""

    async def read(before: Cursor = None, after: Cursor = None, limit: Limit = None, order: Order = usual) -> Page:
        return page(before, after, rows if limit is None else limit, order)

    return read


Attached = Annotated[Page, Depends(paged("asc", PAGE_MAX_ROWS))]
"""A page of what is attached to an agent, in the order of attachment; all of it unless asked otherwise."""

NewestFirst = Annotated[Page, Depends(paged("desc"))]
OldestFirst = Annotated[Page, Depends(paged("asc"))]


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


async def _people(
    identity_id: str | None = None,
    identifier_keys: Annotated[list[str] | None, Query(max_length=100)] = None,
) -> AttachedTo:
    return AttachedTo(identity_id=identity_id, identifier_keys=tuple(identifier_keys or ()))


People = Annotated[AttachedTo, Depends(_people)]
"""Whom the items of a list must be attached to."""

Included = Annotated[frozenset[str], Depends(_included)]
