"""Opening a run: the first transaction of a turn. It claims the conversation, saves the input, and finds what the
agent has before it, from memory when the database says that nothing has changed since.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.agent.apart import for_thread
from loci.agent.compile import TODAY
from loci.agent.context import Bundle, Window
from loci.agent.kinds import kind_of, with_heartbeat_arguments
from loci.agent.recompile import recompile
from loci.agent.request import ApprovalReply, NewMessage, RunRequest, request_of
from loci.agent.toolcalls import WITHDRAWN, error_result
from loci.agent.turn import Caches, Kit, Turn
from loci.clock import zone_named
from loci.errors import AwaitingApproval, BadRequest, Busy, Conflict
from loci.ids import new_id
from loci.memory.repair import INTERRUPTED, repair
from loci.model.tokens import tools_bytes
from loci.store import agents, approvals, blocks, conversations, messages, runs, tools
from loci.store.base import Row, Transaction
from loci.store.rows import flag, integer, maybe_text, text
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.json import list_of, text_of
from loci.types.messages import ApprovalAnswer, Kind, Message, Role, ToolCall, ToolResult, Trust
from loci.types.runs import Approval, ApprovalStatus, Run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The request was carried out before, by this run: the client sent it twice."""

    run: Run
    messages: tuple[Message, ...]


def open_run(tx: Transaction, kit: Kit, actor: Actor, run: Run, request: RunRequest, now: datetime) -> Turn | Repeated:
    """Claim the conversation for a new run and save its input.

    Raises NotFound, Busy, AwaitingApproval (answer first), BadRequest (an answer to a call that was not asked for).
    """
    head = conversations.head(tx, actor, run.conversation_id, run.agent_id)
    earlier = _earlier(tx, actor, run.conversation_id, request)
    if earlier is not None:
        return earlier
    busy_run_id = maybe_text(head, "busy_run_id")
    if busy_run_id is not None:
        raise Busy(run_id=busy_run_id)
    if flag(head, "awaiting") and not request.approvals:
        raise _awaiting(tx, actor, run.conversation_id)
    new = [_take_answers(tx, actor, request, run, now)] if request.approvals else []
    turn = _turn(tx, kit, actor, head, run, request, now=now)
    if request.approvals:
        turn.replies = _replies(tx, turn)
    elif left := turn.window.open_calls():
        new.append(_closed(tx, turn, left, now))
    new += [message_of(turn, item, now) for item in request.messages]
    runs.insert(tx, actor, run)
    messages.insert(tx, actor, new)
    conversations.claim(tx, actor, run.conversation_id, run.id, now)
    turn.window.add(new)
    turn.window.version += 1
    return turn


def reopen_run(tx: Transaction, kit: Kit, actor: Actor, run_id: str, now: datetime) -> Turn:
    """Take up a run that a crash interrupted, from its last stored step."""
    run = runs.get(tx, actor, run_id)
    head = conversations.head(tx, actor, run.conversation_id, run.agent_id)
    turn = _turn(tx, kit, actor, head, run, request_of(run), now=now)
    turn.usage, turn.step_count, turn.resumed = run.usage, run.step_count, True
    turn.replies = _replies(tx, turn)
    return turn


def _earlier(tx: Transaction, actor: Actor, conversation_id: str, request: RunRequest) -> Repeated | None:
    """The run that took in this request already, known by the client's own message ids."""
    otids = [item.otid for item in request.messages if item.otid]
    if request.approval_otid:
        otids.append(request.approval_otid)
    for otid in otids:
        stored = messages.by_otid(tx, conversation_id, otid)
        if stored is not None and stored.run_id is not None:
            run = runs.get(tx, actor, stored.run_id)
            return Repeated(run=run, messages=tuple(messages.of_run(tx, actor, run.id)))
    return None


def _turn(  # noqa: PLR0913  what the head of a turn consists of
    tx: Transaction, kit: Kit, actor: Actor, head: Row, run: Run, request: RunRequest, *, now: datetime
) -> Turn:
    conversation = conversations.from_row(head)
    bundle = load_bundle(
        tx, kit.caches, actor, run.agent_id, (integer(head, "memory_version"), text(head, "agent_updated_at"))
    )
    if conversation.is_apart:
        bundle = for_thread(tx, actor, bundle, conversation)
    window = load_window(tx, kit.caches, actor, conversation)
    turn = Turn(
        actor=actor,
        run=replace(run, base_template_id=bundle.agent.base_template_id),
        request=request,
        limits=replace(kit.limits, steps_max=min(kit.limits.steps_max, request.steps_max or kit.limits.steps_max)),
        bundle=bundle,
        conversation=conversation,
        window=window,
        kind=bundle.kind,
        known_version=bundle.stamp[0],
        context_tokens=conversation.prompt_tokens_last,
        counted_bytes=window.messages_bytes,
    )
    if not is_fresh(conversation, bundle, window.system, now):
        window.system = recompile(tx, actor, bundle.agent, bundle.blocks, bundle.tools, conversation, now=now)
    return turn


def is_fresh(conversation: Conversation, bundle: Bundle, system: Message, now: datetime) -> bool:
    """Whether the compiled prompt tells of the memory as it is, and of today."""
    today = now.astimezone(zone_named(bundle.agent.timezone)).strftime(TODAY)
    return conversation.compiled_version == bundle.stamp[0] and today in system.text


def load_bundle(tx: Transaction, caches: Caches, actor: Actor, agent_id: str, stamp: tuple[int, str]) -> Bundle:
    """The agent with its blocks and tools; read anew only if the stamp says that something changed."""
    kept = caches.bundles.get(agent_id)
    if kept is not None and kept.stamp == stamp:
        return kept
    agent = agents.get(tx, actor, agent_id)
    kind = kind_of(agent.agent_type)
    attached = {tool.name: tool for tool in tools.tools_of_agent(tx, actor, agent_id)}
    schemas = {
        name: with_heartbeat_arguments(tool.schema()) if kind.heartbeats else tool.schema()
        for name, tool in attached.items()
    }
    bundle = Bundle(
        agent=agent,
        blocks=tuple(blocks.blocks_of_agent(tx, actor, agent_id)),
        tools=attached,
        schemas=schemas,
        schemas_bytes=tools_bytes(schemas.values()),
        stamp=stamp,
        kind=kind,
    )
    caches.bundles.put(agent_id, bundle)
    return bundle


def load_window(tx: Transaction, caches: Caches, actor: Actor, conversation: Conversation) -> Window:
    """The messages in the window; read and repaired only if they are not in memory as the database has them."""
    kept = caches.windows.get(conversation.id)
    if kept is not None and kept.version == conversation.context_version:
        return kept
    stored = messages.window(tx, actor, conversation)
    system = next((message for message in stored if message.role is Role.SYSTEM), None)
    talk, repairs = repair([message for message in stored if message is not system], open_end=True)
    for note in repairs:
        log.warning("conversation %s was repaired: %s", conversation.id, note)
    window = Window(system=system or _no_prompt(conversation), version=conversation.context_version)
    window.add(talk)
    caches.windows.put(conversation.id, window)
    return window


def _no_prompt(conversation: Conversation) -> Message:
    """Stands in until the prompt is compiled, which follows at once: a window without one has compiled version 0."""
    moment = conversation.created_at or datetime.fromtimestamp(0).astimezone()
    return Message(
        id=new_id("message"),
        role=Role.SYSTEM,
        kind=Kind.SYSTEM_PROMPT,
        parts=(),
        created_at=moment,
        agent_id=conversation.agent_id,
        conversation_id=conversation.id,
        trust=Trust.SYSTEM,
    )


def message_of(turn: Turn, item: NewMessage, now: datetime) -> Message:
    """A message of the run."""
    return Message(
        id=new_id("message"),
        role=item.role,
        kind=item.kind,
        trust=item.trust,
        parts=item.parts,
        created_at=now,
        agent_id=turn.run.agent_id,
        conversation_id=turn.conversation.id,
        name=item.name,
        otid=item.otid,
        sender_id=item.sender_id,
        run_id=turn.run.id,
    )


def _awaiting(tx: Transaction, actor: Actor, conversation_id: str) -> AwaitingApproval:
    pending = approvals.of_conversation(tx, actor, conversation_id, pending_only=True)
    names = ", ".join(f"{item.tool_name} ({item.call_id})" for item in pending)
    return AwaitingApproval(hint=f"Open tool calls: {names}.")


def _take_answers(tx: Transaction, actor: Actor, request: RunRequest, run: Run, now: datetime) -> Message:
    """Store the answers that came; the message that tells of them. All open calls must be answered at once."""
    every = approvals.of_conversation(tx, actor, run.conversation_id, pending_only=False)
    pending = {item.call_id: item for item in every if item.status is ApprovalStatus.PENDING}
    replies = {reply.call_id: reply for reply in request.approvals}
    if not pending:
        raise Conflict("No tool call is currently awaiting approval.", hint="It was answered or cancelled before.")
    if set(replies) != set(pending):
        expected = ", ".join(sorted(pending))
        raise BadRequest(f"Invalid tool call ids: expected {expected}, got {', '.join(sorted(replies))}.")
    for call_id, reply in replies.items():
        approvals.answer(tx, actor, pending[call_id], _status(reply), _reply_json(reply), now)
    return _answer_message(request, run, now)


def _answer_message(request: RunRequest, run: Run, now: datetime) -> Message:
    return Message(
        id=new_id("message"),
        role=Role.APPROVAL,
        parts=tuple(ApprovalAnswer(reply.call_id, reply.approve, reply.reason) for reply in request.approvals),
        created_at=now,
        agent_id=run.agent_id,
        conversation_id=run.conversation_id,
        otid=request.approval_otid,
        run_id=run.id,
        extra={"results": [_reply_json(reply) for reply in request.approvals if reply.result is not None]},
    )


def _status(reply: ApprovalReply) -> ApprovalStatus:
    if reply.result is not None:
        return ApprovalStatus.RETURNED
    return ApprovalStatus.APPROVED if reply.approve else ApprovalStatus.DENIED


def _reply_json(reply: ApprovalReply) -> dict[str, str | bool | list[str] | None]:
    return {
        "call_id": reply.call_id,
        "approve": reply.approve,
        "reason": reply.reason,
        "result": reply.result,
        "status": reply.status,
        "stdout": list(reply.stdout),
        "stderr": list(reply.stderr),
    }


def _replies(tx: Transaction, turn: Turn) -> dict[str, ApprovalReply]:
    """All answers to the open calls, those that came to earlier runs too: a call may be asked for only after others
    were answered, when its tool or its rule came back in the meantime.
    """
    left = turn.window.open_calls()
    return {} if left is None else _stored_replies(approvals.of_message(tx, turn.actor, left[0]))


def _stored_replies(rows: Sequence[Approval]) -> dict[str, ApprovalReply]:
    found: dict[str, ApprovalReply] = {}
    for row in rows:
        if row.answer is not None and row.status is not ApprovalStatus.PENDING:
            found[row.call_id] = ApprovalReply(
                call_id=row.call_id,
                approve=row.answer.get("approve") is True,
                reason=text_of(row.answer, "reason"),
                result=text_of(row.answer, "result"),
                status="error" if row.answer.get("status") == "error" else "success",
                stdout=tuple(map(str, list_of(row.answer.get("stdout")))),
                stderr=tuple(map(str, list_of(row.answer.get("stderr")))),
            )
    return found


def _closed(tx: Transaction, turn: Turn, left: tuple[Message, Sequence[ToolCall]], now: datetime) -> Message:
    """Calls that were left without a result are closed before anybody says something new.

    As long as one call of a message is asked for, none of them runs; so what was withdrawn did not run.
    """
    message, calls = left
    words = WITHDRAWN if approvals.of_message(tx, turn.actor, message) else INTERRUPTED
    return tool_message(turn, [error_result(call, words) for call in calls], message.step_id, now)


def tool_message(turn: Turn, results: Sequence[ToolResult], step_id: str | None, now: datetime) -> Message:
    """The message that carries the results of one step's calls."""
    told = NewMessage(role=Role.TOOL, trust=Trust.TOOL, parts=tuple(results))
    return replace(message_of(turn, told, now), step_id=step_id)
