"""Saving a step: the second transaction of a turn. Answer, tool results, memory changes, journal and usage together.

Memory tools run in here, so their effect and their result are stored at the same instant, exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.agent.apart import for_thread
from loci.agent.compile import time_text
from loci.agent.deciding import decide
from loci.agent.opening import load_bundle, message_of, tool_message
from loci.agent.prompts import alert_text
from loci.agent.recompile import recompile
from loci.agent.request import NewMessage
from loci.agent.toolcalls import Prepared, apply_changes, error_result, questions, run_memory
from loci.agent.turn import Kit, Turn, Work
from loci.errors import NotFound
from loci.memory.repair import INTERRUPTED
from loci.model.tokens import estimate, messages_bytes
from loci.store import agents, approvals, conversations, messages, runs, steps
from loci.store.base import Transaction
from loci.store.rows import integer, text
from loci.types.json import JsonObject
from loci.types.messages import Kind, Message, Role, Text, ToolResult, Trust
from loci.types.runs import ApprovalStatus, Ending, Run, Step, StopReason, status_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What a step's transaction made of it."""

    new: tuple[Message, ...]
    """Messages that it stored, in order."""
    ending: Ending | None
    run: Run
    version: int
    stale: bool
    context_tokens: int


def save_call(tx: Transaction, turn: Turn, work: Work, message: Message, now: datetime) -> None:
    """Store the answer before its tools run outside, so that a crash cannot hide that they were called."""
    messages.insert(tx, turn.actor, [message])
    steps.insert(tx, turn.actor, _step(turn, work, "pending", None, now))
    conversations.advance(
        tx,
        turn.actor,
        turn.conversation.id,
        busy_run_id=turn.run.id,
        prompt_tokens=turn.context_tokens,
        now=now,
    )


def save_step(tx: Transaction, kit: Kit, turn: Turn, work: Work, prepared: Sequence[Prepared], now: datetime) -> Saved:
    """Run the memory tools, decide how the run goes on, and store all of it."""
    asks = questions(turn, work.message_id, prepared) if prepared else []
    before = agents.memory_version(tx, turn.actor, turn.run.agent_id) if prepared and not asks else turn.known_version
    results, recompiles = _results(tx, turn, prepared, work, now) if prepared and not asks else ([], False)
    decision = decide(turn, work, prepared, results)
    ending = decision.ending
    new = [work.assistant] if work.assistant is not None and not work.stored else []
    if results:
        new.append(tool_message(turn, results, work.step_id, now))
    if decision.alert is not None:
        new.append(alert(turn, decision.alert, now))
    messages.insert(tx, turn.actor, new)
    if asks:
        approvals.insert(tx, turn.actor, asks, now)
    # The provider has counted the answer; what follows it is estimated until the next answer.
    rest = [message for message in new if message is not work.assistant]
    context_tokens = turn.context_tokens + (estimate(messages_bytes(rest), turn.ratio(kit)) if rest else 0)
    run = run_after(turn, ending, now, work.ended_s)
    steps.insert(tx, turn.actor, _step(turn, work, "success", ending, now))
    runs.update(tx, turn.actor, run)
    conversations.advance(
        tx,
        turn.actor,
        turn.conversation.id,
        busy_run_id=None if ending else run.id,
        prompt_tokens=context_tokens,
        now=now,
    )
    if ending is not None and turn.bundle.agent.enable_sleeptime and kit.after_turn is not None:
        kit.after_turn(tx, turn.actor, run, now)
    if ending is not None and run.callback_url and kit.call_back is not None:
        kit.call_back(tx, turn.actor, run, now)
    changed = any(item.in_transaction or item.changes for item in prepared)
    version = agents.memory_version(tx, turn.actor, turn.run.agent_id) if changed else before
    return Saved(
        new=tuple(new),
        ending=ending,
        run=run,
        version=version,
        stale=turn.stale or recompiles or before != turn.known_version,
        context_tokens=context_tokens,
    )


def _results(
    tx: Transaction, turn: Turn, prepared: Sequence[Prepared], work: Work, now: datetime
) -> tuple[list[ToolResult], bool]:
    results: list[ToolResult] = []
    recompiles = False
    for item in prepared:
        if item.result is not None:
            refused = apply_changes(tx, turn, item, item.changes, work.step_id, now) if item.changes else None
            results.append(refused or item.result)
        elif item.builtin is not None:
            result, again = run_memory(tx, turn, item, item.builtin, work.step_id, now)
            results.append(result)
            recompiles = recompiles or again
        else:
            results.append(error_result(item.call, "Error: the tool gave no result."))
    return results, recompiles


def _step(turn: Turn, work: Work, status: steps.StepStatus, ending: Ending | None, now: datetime) -> Step:
    return Step(
        error=_error(ending) if ending is not None and ending.error_type else None,
        id=work.step_id,
        run_id=turn.run.id,
        agent_id=turn.run.agent_id,
        conversation_id=turn.conversation.id,
        # An answer is counted when it is there.
        number=turn.step_count + (work.assistant is None),
        model=turn.model.info.handle if turn.model else turn.handle,
        provider=turn.model.info.provider if turn.model else "",
        usage=work.usage,
        context_window_tokens=turn.window_tokens,
        status=status,
        stop_reason=None if ending is None else ending.reason,
        created_at=now,
        duration_ns=max(0, int((work.ended_s - work.started_s) * 1e9)),
        model_duration_ns=int(work.model_s * 1e9),
        tools_duration_ns=int(work.tools_s * 1e9),
    )


def run_after(turn: Turn, ending: Ending | None, now: datetime, at_s: float) -> Run:
    """The run as it stands after this step, ended or not."""
    base = replace(
        turn.run,
        status="running" if ending is None else status_of(ending.reason),
        usage=turn.usage,
        step_count=turn.step_count,
        ttft_ns=None if turn.first_token_s is None else int((turn.first_token_s - turn.started_s) * 1e9),
    )
    if ending is None:
        return base
    return replace(
        base,
        stop_reason=ending.reason,
        error=_error(ending) if ending.error_type else None,
        completed_at=now,
        total_duration_ns=max(0, int((at_s - turn.started_s) * 1e9)),
    )


def _error(ending: Ending) -> JsonObject:
    return {"error_type": ending.error_type, "message": ending.message, "detail": ending.detail}


def save_ending(
    tx: Transaction, kit: Kit, turn: Turn, ending: Ending, now: datetime, at_s: float
) -> tuple[Run, list[Message]]:
    """Store the end of a run that no step decided: failed, cancelled, out of bounds; and of the step it cut off.

    Open questions and open calls are closed with it, so that nothing is left that blocks the conversation.
    """
    new: list[Message] = []
    if turn.partial:
        new.append(_partial(turn, now))
    left = turn.window.open_calls()
    if left is not None:
        # A call is stored before its tool runs outside, so what is open here may have had its effect.
        new.append(tool_message(turn, [error_result(call, INTERRUPTED) for call in left[1]], left[0].step_id, now))
    if ending.reason is StopReason.CANCELLED:
        approvals.close(tx, turn.actor, turn.conversation.id, ApprovalStatus.CANCELLED, now)
    messages.insert(tx, turn.actor, new)
    if turn.work is not None:
        status = "cancelled" if ending.reason is StopReason.CANCELLED else "failed"
        steps.insert(tx, turn.actor, _step(turn, replace(turn.work, ended_s=at_s), status, ending, now))
    run = run_after(turn, ending, now, at_s)
    runs.update(tx, turn.actor, run)
    conversations.advance(
        tx, turn.actor, turn.conversation.id, busy_run_id=None, prompt_tokens=turn.context_tokens, now=now
    )
    if run.callback_url and kit.call_back is not None:
        kit.call_back(tx, turn.actor, run, now)
    return run, new


def _partial(turn: Turn, now: datetime) -> Message:
    """What the model had said before it was stopped: the user saw it, so it is kept."""
    said = NewMessage(role=Role.ASSISTANT, trust=Trust.AGENT, parts=(Text(turn.partial),))
    step_id = None if turn.work is None else turn.work.step_id
    return replace(message_of(turn, said, now), id=turn.partial_id, step_id=step_id, extra={"interrupted": True})


def alert(turn: Turn, words: str, now: datetime) -> Message:
    """A note of the system to the agent, in user role."""
    told = alert_text(words, time_text(now, turn.bundle.agent.timezone))
    return message_of(turn, NewMessage(kind=Kind.ALERT, trust=Trust.SYSTEM, parts=(Text(told),)), now)


def refresh(tx: Transaction, kit: Kit, turn: Turn, now: datetime) -> None:
    """Read the agent anew and compile its prompt anew: its memory was changed, or it was reconfigured."""
    try:
        head = conversations.head(tx, turn.actor, turn.conversation.id, turn.run.agent_id)
    except NotFound:  # deleted under the run, which may still say its last word
        return
    stamp = (integer(head, "memory_version"), text(head, "agent_updated_at"))
    conversation = conversations.from_row(head)
    bundle = load_bundle(tx, kit.caches, turn.actor, turn.run.agent_id, stamp)
    if conversation.is_apart:
        bundle = for_thread(tx, turn.actor, bundle, conversation)
    turn.window.system = recompile(tx, turn.actor, bundle.agent, bundle.blocks, bundle.tools, conversation, now=now)
    turn.bundle, turn.known_version, turn.stale = bundle, stamp[0], False
