"""Making room in the window: the warning, and compaction. The plan is pure (`memory.compaction`); here it is done.

Evicted messages stay in recall memory for ever; a summary takes their place in the window. The summary is derived
data: it records what it covers and who wrote it, and can be rebuilt. See MemGPT, arXiv 2310.08560.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.agent import context, saving
from loci.agent.compile import time_text
from loci.agent.opening import message_of
from loci.agent.prompts import PRESSURE_WARNING, summary_prompt
from loci.agent.request import NewMessage
from loci.agent.turn import Kit, Stopped, Turn
from loci.clock import zone_named
from loci.errors import MODEL_FAULT_STATUS, ModelFault, NotFound, ProviderUnusable
from loci.ids import new_id
from loci.memory import compaction
from loci.memory.compaction import CompactionPlan
from loci.memory.repair import MADE_UP
from loci.model.base import Failed, Finished, Model, ModelRequest
from loci.model.tokens import estimate, message_bytes, messages_bytes, text_bytes, with_cost
from loci.store import conversations, messages
from loci.store.base import Transaction
from loci.types.agents import ModelSettings
from loci.types.events import Compacted, MessageStored
from loci.types.json import JsonObject
from loci.types.messages import Kind, Message, Role, Text, ToolResult, Trust
from loci.types.runs import Ending, StopReason

_NAMED_MAX = 3

log = logging.getLogger(__name__)

SUMMARY_SHARE = 0.6
"""How much of the summariser's own window a transcript may fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """What a compaction did. No summary: only long tool results were cut in the view, and nothing left the window."""

    summary: Message | None = None


async def relieve(turn: Turn, kit: Kit) -> None:
    """Before a step: warn the agent once when its window fills, and compact when it is nearly full.

    Raises Stopped if the system prompt fills the window alone: no compaction could help.
    """
    settings = turn.bundle.agent.compaction_settings
    tokens = turn.tokens_now(kit)
    prompt_tokens = estimate(text_bytes(turn.window.system.text), turn.ratio(kit))
    if turn.request.override_system is None and prompt_tokens > turn.window_tokens:
        raise Stopped(_overflow(turn, prompt_tokens))
    match compaction.pressure(tokens, turn.window_tokens, settings, warned=turn.conversation.warned):
        case "warn":
            await _warn(turn, kit, tokens)
        case "flush":
            await flush(turn, kit, "context_window_pressure")
        case _:
            pass


def _overflow(turn: Turn, prompt_tokens: int) -> Ending:
    """The ending of an agent whose system prompt, with its memory, is longer than the window."""
    blocks = sorted(turn.bundle.blocks, key=lambda block: -len(block.value))[:_NAMED_MAX]
    largest = ", ".join(f"'{block.label}' ({len(block.value):,} characters)" for block in blocks)
    return Ending(
        reason=StopReason.CONTEXT_WINDOW_OVERFLOW,
        error_type=ModelFault.CONTEXT_TOO_LONG.value,
        message=f"The system prompt has about {prompt_tokens:,} tokens, and the window only {turn.window_tokens:,}.",
        detail=f"Shorten or detach blocks (the largest: {largest or 'there are none'}) or the agent's instructions, "
        "or give the agent a larger context window.",
        status_code=MODEL_FAULT_STATUS[ModelFault.CONTEXT_TOO_LONG],
    )


async def _warn(turn: Turn, kit: Kit, tokens: int) -> None:
    note = saving.alert(turn, PRESSURE_WARNING, kit.clock.now())

    def save(tx: Transaction) -> None:
        messages.insert(tx, turn.actor, [note])
        conversations.set_warned(tx, turn.actor, turn.conversation.id)
        conversations.advance(
            tx,
            turn.actor,
            turn.conversation.id,
            busy_run_id=turn.run.id,
            prompt_tokens=tokens,
            now=note.created_at,
        )

    await kit.store.write(save)
    turn.conversation = replace(turn.conversation, warned=True)
    turn.window.add([note])
    turn.window.version += 1
    turn.emit(MessageStored(message=note))


async def flush(turn: Turn, kit: Kit, trigger: str) -> Relief | None:
    """Compact the window. None when there was nothing that could leave it."""
    ratio = turn.ratio(kit)
    cost = context.bill(turn.window, turn.bundle, ratio)
    sizes = [estimate(message_bytes(message), ratio) for message in turn.window.messages]
    plan = compaction.plan(
        turn.window.messages,
        sizes,
        window_tokens=turn.window_tokens,
        fixed_tokens=cost.system + cost.tools,
        settings=turn.bundle.agent.compaction_settings,
    )
    clipped = _clip(turn, plan)
    if not plan.evicted:
        return Relief() if clipped else None
    before_count, before_tokens = len(turn.window.messages), turn.tokens_now(kit)
    words, written_by = await _summarise(turn, kit, plan)
    kept = _kept(turn, plan)
    after_bytes = len(words.encode()) + messages_bytes(kept)
    stats: JsonObject = {
        "trigger": trigger,
        "context_tokens_before": before_tokens,
        "context_tokens_after": cost.system + cost.tools + estimate(after_bytes, ratio),
        "context_window": turn.window_tokens,
        "messages_count_before": before_count,
        "messages_count_after": len(kept) + 1,
    }
    summary = _summary_message(turn, plan, words, written_by, stats, now=kit.clock.now())
    await kit.store.write(_save, kit, turn, plan, summary)
    _replace_window(turn, [summary, *kept])
    turn.conversation = replace(turn.conversation, warned=False)
    turn.emit(Compacted(summary=summary, trigger=trigger, stats=stats))
    return Relief(summary=summary)


def _clip(turn: Turn, plan: CompactionPlan) -> bool:
    """Cut tool results that would not fit even alone, in the view only; recall keeps them whole."""
    limits = {clip.call_id: clip.chars_max for clip in plan.clips}
    if limits:
        _replace_window(turn, [_clipped(message, limits) for message in turn.window.messages], stored=False)
    return bool(limits)


def _clipped(message: Message, limits: dict[str, int]) -> Message:
    if not any(result.call_id in limits for result in message.tool_results):
        return message
    parts = tuple(
        replace(part, text=part.text[: limits[part.call_id]] + "… [cut to fit the context window]")
        if isinstance(part, ToolResult) and part.call_id in limits
        else part
        for part in message.parts
    )
    return replace(message, parts=parts)


def _kept(turn: Turn, plan: CompactionPlan) -> list[Message]:
    evicted = {message.id for message in plan.evicted}
    return [message for message in turn.window.messages if message.id not in evicted]


def _replace_window(turn: Turn, new: Sequence[Message], *, stored: bool = True) -> None:
    turn.window.messages = []
    turn.window.messages_bytes = 0
    turn.window.add(new)
    turn.window.version += 1 if stored else 0
    turn.context_tokens = 0
    turn.counted_bytes = 0
    turn.stable_count = 0


async def _summarise(turn: Turn, kit: Kit, plan: CompactionPlan) -> tuple[str, str]:
    """The words of the summary and the handle of the model that wrote them; our own short note if it cannot."""
    settings = turn.bundle.agent.compaction_settings
    own = settings.mode.startswith("self_compact")
    prompt = settings.prompt or summary_prompt(settings.mode)
    model = await _summariser(turn, kit, None if own else settings.model)
    room = int(model.info.window_tokens * SUMMARY_SHARE * turn.ratio(kit).bytes_per_token)
    clip_chars = min(settings.clip_chars or room, room)
    if own:
        asked = [*plan.evicted, _plain(turn, prompt, kit.clock.now())]
        tools = tuple(turn.bundle.schemas.values())
        # The calls among the messages need their tools beside them for some providers, but none may be called now.
        request = ModelRequest(system=turn.window.system.text, messages=asked, tools=tools, tool_choice="none")
    else:
        zone = zone_named(turn.bundle.agent.timezone)
        told = compaction.transcript(plan.evicted, clip_chars, zone)
        request = ModelRequest(system=prompt, messages=[_plain(turn, told, kit.clock.now())], settings=ModelSettings())

    words = await turn.stop.guard(_ask(turn, kit, model, request), seconds_left=turn.limits.duration_s_max)
    if words:
        limit_chars = int(plan.summary_tokens_max * turn.ratio(kit).bytes_per_token)
        return words[:limit_chars], model.info.handle
    log.warning("the model %s gave no summary for %s", model.info.handle, turn.conversation.id)
    return _plain_note(plan), "loci"


async def _ask(turn: Turn, kit: Kit, model: Model, request: ModelRequest) -> str:
    """What the summariser says; empty when it fails."""
    began_s = kit.clock.monotonic_s()
    async for event in model.stream(request):
        if not isinstance(event, Finished | Failed):
            continue
        took_s = kit.clock.monotonic_s() - began_s
        turn.note_call(kit, model, request, event, call_type="summarization", duration_s=took_s)
        if isinstance(event, Finished):
            turn.usage += with_cost(model.info, event.usage)
            return "".join(part.text for part in event.parts if isinstance(part, Text)).strip()
    return ""


async def _summariser(turn: Turn, kit: Kit, handle: str | None) -> Model:
    """The model that the agent's settings name, else its own, also when that one is gone: a full window cannot wait."""
    if handle is not None:
        try:
            return await kit.models.model(turn.actor, handle)
        except (NotFound, ProviderUnusable):
            log.warning("the summariser %s of agent %s is not there", handle, turn.run.agent_id)
    return await kit.models.model(turn.actor, turn.handle)


def _plain_note(plan: CompactionPlan) -> str:
    first, last = plan.evicted[0].created_at, plan.evicted[-1].created_at
    said = [message.text[:200] for message in plan.evicted if message.role is Role.USER and message.kind is Kind.PLAIN]
    words = "\n".join(f"- {line}" for line in said[-10:])
    return (
        f"No summary could be written. {len(plan.evicted)} messages from {first:%Y-%m-%d %H:%M} to "
        f"{last:%Y-%m-%d %H:%M} are hidden; they can be found by searching the conversation. "
        f"The user's last words among them:\n{words}"
    )


def _plain(turn: Turn, text: str, now: datetime) -> Message:
    return Message(
        id=new_id("message"),
        role=Role.USER,
        parts=(Text(text),),
        created_at=now,
        agent_id=turn.run.agent_id,
        conversation_id=turn.conversation.id,
    )


def _summary_message(
    turn: Turn, plan: CompactionPlan, words: str, written_by: str, stats: JsonObject, *, now: datetime
) -> Message:
    when = time_text(now, turn.bundle.agent.timezone)
    told = NewMessage(kind=Kind.SUMMARY, trust=Trust.AGENT, parts=(Text(compaction.summary_text(words, when)),))
    return replace(
        message_of(turn, told, now),
        model=written_by,
        extra={
            "summary": words,
            "covers": compaction.covered_ids(plan.evicted),
            "mode": turn.bundle.agent.compaction_settings.mode,
            "compaction_stats": stats,
        },
    )


def _save(tx: Transaction, kit: Kit, turn: Turn, plan: CompactionPlan, summary: Message) -> None:
    """The summary, the new window, and a freshly compiled prompt (its counts have changed) in one transaction."""
    kept = [message.id for message in _kept(turn, plan) if not _made_up(message)]
    after, following = _cut(tx, turn, frozenset(kept))
    messages.insert(tx, turn.actor, [summary])
    conversations.set_window(
        tx,
        turn.actor,
        turn.conversation.id,
        prefix=[turn.window.system.id, summary.id, *(name for name in kept if name not in following)],
        after_message_id=after,
        now=summary.created_at,
    )
    saving.refresh(tx, kit, turn, summary.created_at)


def _cut(tx: Transaction, turn: Turn, kept: frozenset[str]) -> tuple[str | None, frozenset[str]]:
    """After which stored message everything stays, and what follows it; (None, nothing): all that stays is named.

    The order of storing is not that of the window, where a result stands behind its call and not behind newer words.
    """
    own = conversations.own_ids(tx, turn.actor, conversations.get(tx, turn.actor, turn.conversation.id))
    stays = kept | {turn.window.system.id}
    start = next((place for place in range(len(own), 0, -1) if own[place - 1] not in stays), 0)
    return (own[start - 1], frozenset(own[start:])) if 0 < start < len(own) else (None, frozenset())


def _made_up(message: Message) -> bool:
    return bool(message.extra and message.extra.get(MADE_UP))
