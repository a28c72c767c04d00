"""Pages of messages, as clients of the Letta V1 API turn them.

Without an order a page reads like a chat: oldest first; no cursor gives the newest messages, `before` the ones just
above that message, `after` the ones just below. `asc` reads the same way from the beginning. `desc` is newest first,
and goes on to older ones from either cursor: SDKs hand back the last id of a page as `after`, Letta Code as `before`.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from loci.agent import grouping
from loci.api.wire_messages import View, WireObject, wire_list
from loci.store import approvals, groups, messages
from loci.store.base import Transaction
from loci.store.messages import MessageFilter
from loci.types.actor import Actor
from loci.types.messages import Message
from loci.types.paging import PAGE_MAX_ROWS, Page

Order: TypeAlias = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """What a client asks for. `order` None is the order of a chat."""

    order: Order | None = None
    before: str | None = None
    after: str | None = None
    limit_rows: int = 100
    group_id: str | None = None
    """Only what was said in this group."""
    failed: bool = True
    """Whether to show what steps said that failed."""

    def in_order(self, order: Order) -> "MessagePage":
        """The same page, in this order unless the client asked for another."""
        return self if self.order else replace(self, order=order)


def wire_page(
    tx: Transaction, actor: Actor, chosen: MessageFilter, wanted: MessagePage, view: View
) -> list[WireObject]:
    """One page as the wire shows it. Messages of which the view shows nothing do not count, so a page is empty only
    at the end of a list. Raises NotFound for a cursor that is not a message, and for a group.
    """
    page, turned = _page(wanted)
    chosen = replace(chosen, failed=wanted.failed)
    if wanted.group_id is not None:
        places = grouping.threads(tx, actor, groups.get(tx, actor, wanted.group_id))
        chosen = replace(chosen, conversation_ids=tuple(places.values()))
    shown: list[list[WireObject]] = []
    while len(shown) < page.limit_rows:
        found = messages.listing(tx, actor, chosen, page)
        shown += [items for items in _each(tx, actor, found, view) if items]
        if len(found) < page.limit_rows:
            break
        page = replace(page, after=found[-1].id)
    shown = shown[: page.limit_rows]
    if turned:
        shown.reverse()
    return [item for items in shown for item in (reversed(items) if wanted.order == "desc" else items)]


def _each(tx: Transaction, actor: Actor, found: list[Message], view: View) -> list[list[WireObject]]:
    runs = {message.run_id for message in found if message.run_id and message.tool_calls}
    asked = approvals.asked(tx, actor, sorted(runs)) if runs else set[tuple[str, str]]()
    return [wire_list([message], view, asked) for message in found]


def _page(wanted: MessagePage) -> tuple[Page, bool]:
    """The page of the store, where `after` means: further on in its order; and whether to turn it around."""
    rows = max(1, min(wanted.limit_rows, PAGE_MAX_ROWS))
    if wanted.order == "desc":
        if wanted.after and wanted.before:
            return Page(limit_rows=rows, after=wanted.after, before=wanted.before), False
        return Page(limit_rows=rows, after=wanted.after or wanted.before), False
    if wanted.after or (wanted.order == "asc" and not wanted.before):
        return Page(limit_rows=rows, after=wanted.after, before=wanted.before, ascending=True), False
    return Page(limit_rows=rows, after=wanted.before), True
