"""How memories look in the terminal: blocks with their fullness, and what a search found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from letta_client import APIStatusError, Letta
from letta_client.types import AgentState
from letta_client.types.agents import Block
from letta_client.types.message_search_response import (
    MessageSearchResponseItem,
    MessageSearchResponseItemReasoningMessageListResult,
)
from rich.console import Console
from rich.text import Text

from loci.cli import screen

_FULL = 0.9
_HIT_CHARS = 400
_CANNOT = frozenset({400, 404, 405, 501})
"""How servers say that they do not search messages, which the API leaves open to them."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a search found."""

    kind: Literal["archive", "message"]
    id: str
    at: str
    text: str
    speaker: str | None = None


def search(client: Letta, agent_id: str, query: str, limit: int) -> list[Hit]:
    """What fits the words or the meaning: from the archive first, then from all that was ever said."""
    passages = client.agents.passages.search(agent_id, query=query, top_k=limit).results
    found = [Hit("archive", each.id, each.timestamp, each.content) for each in passages]
    try:
        messages = client.messages.search(query=query, agent_id=agent_id, limit=limit)
    except APIStatusError as error:
        if error.status_code not in _CANNOT:
            raise
        return found
    return [*found, *(_said(each) for each in messages)]


def _said(item: MessageSearchResponseItem) -> Hit:
    if isinstance(item, MessageSearchResponseItemReasoningMessageListResult):
        text = item.reasoning
    elif isinstance(item.content, str):
        text = item.content
    else:
        text = " ".join(part.text for part in item.content if part.type == "text")
    speaker = (item.message_type or "").removesuffix("_message")
    return Hit("message", item.message_id, item.created_at.isoformat(timespec="seconds"), text, speaker)


def show_hits(hits: Sequence[Hit], console: Console) -> None:
    """One paragraph each: where from, then what."""
    for hit in hits:
        source = "archive" if hit.kind == "archive" else f"{hit.speaker or 'somebody'} said"
        console.print(Text.assemble((f"{hit.at[:16].replace('T', ' ')}  {source}", "dim")))
        screen.indented(console, screen.preview(hit.text, _HIT_CHARS), indent=2)


def show_blocks(agent: AgentState, console: Console) -> None:
    """Every block in full, under a line that says how full it is."""
    for block in agent.blocks:
        console.print(Text.assemble((block.label or "", "bold"), "  ", (fullness(block), "dim")))
        shown = screen.safe(block.value) or "(empty)"
        screen.indented(console, shown, indent=2, style="" if block.value else "dim")


def fullness(block: Block) -> str:
    """How much of its room a block uses, and whether the agent may write to it."""
    used, limit = len(block.value), block.limit or 0
    marks = [f"{used:,} of {limit:,} characters"]
    if block.read_only:
        marks.append("read-only")
    if limit and used > limit:
        marks.append("over its limit")
    elif limit and used > _FULL * limit:
        marks.append("nearly full")
    return ", ".join(marks)
