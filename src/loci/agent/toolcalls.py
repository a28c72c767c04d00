"""Tool calls: prepare, approve, execute, finalise. Results keep the order of the calls, whatever the order of running.

Within one batch of parallel calls, tools that work outside run first and see memory as it was before the batch; memory
tools run last, inside the transaction that stores the step.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from loci.agent.kinds import split_arguments
from loci.agent.request import depth_of
from loci.agent.turn import Kit, Turn
from loci.errors import LociError
from loci.memory import changes
from loci.memory.repair import INTERRUPTED
from loci.store import blocks, isolated
from loci.store.base import Transaction
from loci.tools import rules
from loci.tools.arguments import fit, parse_arguments
from loci.tools.base import BuiltinTool, ToolContext, ToolOutcome, shortened
from loci.types.json import EMPTY, JsonObject
from loci.types.memory import ChangeSet
from loci.types.messages import ToolCall, ToolResult
from loci.types.runs import Approval
from loci.types.tools import Effect, Tool, ToolSchema

log = logging.getLogger(__name__)

WITHDRAWN = "Error: the question was withdrawn, and the tool did not run."
TOOL_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A call that was looked at. Exactly one of `result`, `asks`, `builtin` and `tool` says what happens with it."""

    call: ToolCall
    args: JsonObject = field(default_factory=lambda: EMPTY)
    heartbeat: bool = False
    result: ToolResult | None = None
    asks: Literal["approval", "client"] | None = None
    builtin: BuiltinTool | None = None
    tool: Tool | None = None
    changes: ChangeSet | None = None
    """What a tool that ran outside wants changed in memory."""

    @property
    def effect(self) -> Effect:
        """What a second run would do. A stored tool may have an effect that must not happen twice, unless it says."""
        if self.builtin:
            return self.builtin.effect
        said = self.tool.metadata.get("effect") if self.tool else None
        return said if said in ("pure", "idempotent") else "once"

    @property
    def parallel(self) -> bool:
        """Whether it may run beside others."""
        return self.effect == "pure" or (self.tool is not None and self.tool.enable_parallel_execution)

    @property
    def in_transaction(self) -> bool:
        """Whether it is a memory tool, to be run with the step's commit."""
        return self.result is None and self.builtin is not None and self.builtin.memory is not None

    @property
    def outside(self) -> bool:
        """Whether it still has to be run outside."""
        return self.result is None and self.asks is None and not self.in_transaction


def prepare(turn: Turn, kit: Kit, calls: Sequence[ToolCall]) -> list[Prepared]:
    """Check each call against what is offered, the rules and its schema, and see whether it must be asked for."""
    past = turn.window.past_calls()
    prepared: list[Prepared] = []
    for call in calls:
        prepared.append(_prepare_one(turn, kit, call, past))
        # A parallel call counts for those after it, but what it returns is not known yet.
        past = [*past, rules.PastCall(name=call.name, output=None, ok=False)]
    return prepared


def _prepare_one(turn: Turn, kit: Kit, call: ToolCall, past: list[rules.PastCall]) -> Prepared:
    client = turn.client_tools().get(call.name)
    names = [*turn.bundle.tools, *turn.client_tools()]
    refused = rules.refusal(turn.bundle.agent.tool_rules, call.name, names, past)
    reply = turn.replies.get(call.id)
    if refused is not None and reply is None:
        return Prepared(call=call, result=error_result(call, refused))
    tool = turn.bundle.tools.get(call.name)
    schema = client or (tool.schema() if tool else None)
    if reply is not None and reply.result is not None:
        result = ToolResult(call.id, call.name, reply.result, reply.status, reply.stdout, reply.stderr)
        return Prepared(call=call, result=result)
    if reply is not None and not reply.approve:
        reason = f" User reason: {reply.reason}" if reply.reason else ""
        return Prepared(call=call, result=error_result(call, f"Error: request to call tool denied.{reason}"))
    if schema is None:
        return Prepared(call=call, result=error_result(call, f"Error: there is no tool '{call.name}'."))
    return _checked(turn, kit, call, schema, tool if client is None else None, past=past)


def _fixed(turn: Turn, name: str, past: list[rules.PastCall]) -> JsonObject:
    """Arguments that a rule sets, whatever the model wrote."""
    tool_rules = turn.bundle.agent.tool_rules
    return rules.allowed(tool_rules, turn.bundle.tools, past).args.get(name, EMPTY) if tool_rules else EMPTY


def _checked(
    turn: Turn, kit: Kit, call: ToolCall, schema: ToolSchema, tool: Tool | None, *, past: list[rules.PastCall]
) -> Prepared:
    heartbeat = False
    try:
        written: JsonObject = parse_arguments(call.arguments)
        _, wish, rest = split_arguments(written)
        if turn.kind.heartbeats:
            heartbeat, written = wish, rest
        elif len(rest) < len(written):  # a model imitates calls that it made while the agent was of another type
            known = schema.parameters.get("properties")
            own = known if isinstance(known, Mapping) else EMPTY
            written = {name: value for name, value in written.items() if name in rest or name in own}
        args = fit(schema, {**written, **_fixed(turn, call.name, past)})
    except LociError as error:
        return Prepared(call=call, result=error_result(call, f"Error: {error}"))
    if tool is None:
        return Prepared(call=call, args=args, heartbeat=heartbeat, asks="client")
    if call.id not in turn.replies and rules.needs_approval(turn.bundle.agent.tool_rules, call.name):
        return Prepared(call=call, args=args, heartbeat=heartbeat, asks="approval")
    builtin = kit.builtins.get(tool.name) if tool.is_builtin else None
    return Prepared(call=call, args=args, heartbeat=heartbeat, builtin=builtin, tool=None if builtin else tool)


def interrupted(prepared: Sequence[Prepared]) -> list[Prepared]:
    """After a crash: a call that may have had its effect gets the result that says so; the rest may run again."""
    return [
        replace(item, result=error_result(item.call, INTERRUPTED)) if item.outside and item.effect == "once" else item
        for item in prepared
    ]


def questions(turn: Turn, message_id: str, prepared: Sequence[Prepared]) -> list[Approval]:
    """The rows for calls that wait for a person or the client."""
    return [
        Approval(
            call_id=item.call.id,
            conversation_id=turn.conversation.id,
            agent_id=turn.run.agent_id,
            run_id=turn.run.id,
            message_id=message_id,
            tool_name=item.call.name,
            arguments=item.call.arguments,
            kind=item.asks,
        )
        for item in prepared
        if item.asks is not None
    ]


async def execute(turn: Turn, kit: Kit, prepared: Sequence[Prepared], step_id: str) -> list[Prepared]:
    """Run what works outside: side by side if all of it has no effect, else one after the other."""
    waiting = [item for item in prepared if item.outside]
    if not waiting:
        return list(prepared)
    if all(item.parallel for item in waiting):
        done = await asyncio.gather(*(_run_outside(turn, kit, item, step_id) for item in waiting))
    else:
        done = [await _run_outside(turn, kit, item, step_id) for item in waiting]
    after = {item.call.id: item for item in done}
    return [after[item.call.id] if item.outside else item for item in prepared]


async def _run_outside(turn: Turn, kit: Kit, item: Prepared, step_id: str) -> Prepared:
    context = ToolContext(
        actor=turn.actor,
        agent=turn.bundle.agent,
        conversation_id=turn.conversation.id,
        run_id=turn.run.id,
        step_id=step_id,
        author=turn.author(step_id, item.call.id),
        depth=depth_of(turn.run),
    )
    try:
        async with asyncio.timeout(TOOL_TIMEOUT_S):
            outcome = await _call(kit, item, context)
    except TimeoutError:
        outcome = _failed(f"Error: the tool took longer than {TOOL_TIMEOUT_S:.0f} seconds.")
    except LociError as error:
        outcome = _failed(f"Error: {error}")
    except Exception as error:
        log.exception("tool %s failed", item.call.name)
        outcome = _failed(f"Error: the tool failed ({type(error).__name__}).")
    return replace(item, result=finish(item.call, outcome, _limit_chars(item)), changes=outcome.changes)


def _failed(words: str) -> ToolOutcome:
    return ToolOutcome(text=words, status="error")


async def _call(kit: Kit, item: Prepared, context: ToolContext) -> ToolOutcome:
    if item.builtin is not None and item.builtin.outside is not None:
        return await item.builtin.outside(context, item.args)
    if item.tool is None:
        return ToolOutcome(text="Error: this tool has nothing to run.", status="error")
    return await kit.runner.run(item.tool, context, item.args)


def run_memory(
    tx: Transaction, turn: Turn, item: Prepared, builtin: BuiltinTool, step_id: str, now: datetime
) -> tuple[ToolResult, bool]:
    """Run a memory tool inside the step's transaction; whether the prompt must be compiled anew afterwards."""
    agent_id = turn.run.agent_id
    if builtin.memory is None:
        return error_result(item.call, "Error: this tool has nothing to run."), False
    try:
        held = blocks.blocks_of_agent(tx, turn.actor, agent_id)
        if turn.conversation.isolated_block_ids:
            held = isolated.put_over(tx, turn.actor, turn.conversation.id, held)
        outcome = builtin.memory(held, item.args)
        if outcome.changes.changes:
            changes.apply(tx, turn.actor, turn.author(step_id, item.call.id), agent_id, outcome.changes, now=now)
    except LociError as error:
        return error_result(item.call, f"Error: {error}"), False
    return finish(item.call, ToolOutcome(text=outcome.text), _limit_chars(item)), outcome.changes.recompile


def apply_changes(
    tx: Transaction, turn: Turn, item: Prepared, wanted: ChangeSet, step_id: str, now: datetime
) -> ToolResult | None:
    """Make the changes of memory that a tool came back with; if they are refused, the result that says so."""
    try:
        changes.apply(tx, turn.actor, turn.author(step_id, item.call.id), turn.run.agent_id, wanted, now=now)
    except LociError as error:
        return error_result(item.call, f"Error: {error}")
    return None


def _limit_chars(item: Prepared) -> int:
    if item.builtin is not None:
        return item.builtin.return_limit_chars
    return item.tool.return_limit_chars if item.tool else 0


def finish(call: ToolCall, outcome: ToolOutcome, limit_chars: int) -> ToolResult:
    """The result of a call, its text cut at the tool's limit with a note that says so."""
    text = shortened(outcome.text, limit_chars)
    return ToolResult(call.id, call.name, text, outcome.status, outcome.stdout, outcome.stderr)


def error_result(call: ToolCall, text: str) -> ToolResult:
    """A result that tells the model what went wrong."""
    return ToolResult(call.id, call.name, text, "error")
