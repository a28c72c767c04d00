"""The only loop: context, model, tools, again, until an ending. Every agent type, and every dream, runs through it.

What an agent type does differently is data (`kinds`); what happens outside goes through narrow ports (`Kit`); every
event is emitted only after the transaction behind it, except previews of a message that is still being written.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from loci.agent import context, deciding, relief, saving, toolcalls
from loci.agent.kinds import split_arguments
from loci.agent.turn import Kit, Stopped, Turn, Work
from loci.errors import LociError, ModelFault
from loci.ids import new_id
from loci.model.base import Failed, Finished, ModelRequest, ReasoningDelta, TextDelta, ToolCallDelta
from loci.model.tokens import estimate, learn, with_cost
from loci.tools import rules
from loci.tools.arguments import parse_arguments
from loci.types.events import Delta, MessageStored, RunEnded, StepEnded
from loci.types.messages import Message, Part, Reasoning, Role, ToolCall, Trust
from loci.types.runs import Ending

_FLUSHES_MAX = 2


async def run(turn: Turn, kit: Kit) -> RunEnded:
    """Carry out one run to its end. Raises only for faults of our own; whatever a model or a tool does is an ending."""
    try:
        turn.model = await kit.models.model(turn.actor, turn.handle)
        # Any other run began with its open calls closed.
        ending = await _first(turn, kit) if turn.replies or turn.resumed else None
        while ending is None:
            ending = await _step(turn, kit)
    except Stopped as stopped:
        ending = await end(turn, kit, stopped.ending)
    except LociError as error:
        ending = await end(turn, kit, deciding.broken(error))
    return RunEnded(
        run_id=turn.run.id,
        ending=ending,
        usage=turn.usage,
        step_count=turn.step_count,
        context_tokens=turn.context_tokens or None,
    )


async def end(turn: Turn, kit: Kit, ending: Ending) -> Ending:
    """End the run outside of a step."""
    now, at_s = kit.clock.now(), kit.clock.monotonic_s()
    turn.run, new = await kit.store.write(saving.save_ending, kit, turn, ending, now, at_s)
    turn.window.add(new)
    turn.window.version += 1
    for message in new:
        turn.emit(MessageStored(message=message, streamed=bool(turn.partial) and message.role is Role.ASSISTANT))
    return ending


async def _first(turn: Turn, kit: Kit) -> Ending | None:
    """Calls that were stored but have no result yet are carried out before the model is asked again."""
    left = turn.window.open_calls()
    if left is None:
        return None
    message, calls = left
    prepared = toolcalls.prepare(turn, kit, calls)
    if turn.resumed:
        prepared = toolcalls.interrupted(prepared)
    turn.work = work = Work(
        step_id=message.step_id or new_id("step"),
        message_id=message.id,
        started_s=kit.clock.monotonic_s(),
        assistant=message,
        stored=True,
    )
    turn.step_count = max(1, turn.step_count)
    return await _act(turn, kit, work, prepared)


async def _step(turn: Turn, kit: Kit) -> Ending | None:
    """One step: make room, ask the model, act on the answer. None means: go on."""
    if turn.stop.ending is not None:
        raise Stopped(turn.stop.ending)
    if turn.stale:
        await kit.store.write(saving.refresh, kit, turn, kit.clock.now())
    if turn.tokens_now(kit) >= turn.bundle.agent.compaction_settings.warn_fraction * turn.window_tokens:
        await relief.relieve(turn, kit)
    turn.work = work = Work(step_id=new_id("step"), message_id=new_id("message"), started_s=kit.clock.monotonic_s())
    request = context.build(turn.bundle, turn.window, turn.request, stable_count=turn.stable_count)
    answer = await turn.stop.guard(_ask(turn, kit, request, work), seconds_left=_seconds_left(turn, kit))
    if isinstance(answer, Failed):
        if answer.fault is ModelFault.CONTEXT_TOO_LONG and turn.flushes < _FLUSHES_MAX:
            turn.flushes += 1
            if await relief.flush(turn, kit, "context_window_exceeded"):
                turn.work = None
                return None
        return await end(turn, kit, deciding.failed(answer))
    _account(turn, kit, work, answer, request)
    work.assistant = _assistant(turn, kit, work, answer)
    prepared = toolcalls.prepare(turn, kit, work.assistant.tool_calls) if work.assistant.tool_calls else []
    return await _act(turn, kit, work, prepared)


def _seconds_left(turn: Turn, kit: Kit) -> float:
    return turn.limits.duration_s_max - (kit.clock.monotonic_s() - turn.started_s)


async def _ask(turn: Turn, kit: Kit, request: ModelRequest, work: Work) -> Finished | Failed:
    """Ask the model and pass on what it writes, if anybody wants to see it."""
    if turn.model is None:
        raise LociError("The run has no model.")
    previews = turn.request.stream_tokens
    asking = _asking(turn) if previews else frozenset[str]()
    turn.partial, turn.partial_id = "", work.message_id
    async for event in turn.model.stream(request):
        if isinstance(event, Finished | Failed):
            turn.partial = ""
            work.model_s = kit.clock.monotonic_s() - work.started_s
            turn.note_call(
                kit,
                turn.model,
                request,
                event,
                call_type="agent_step",
                duration_s=work.model_s,
                step_id=work.step_id,
            )
            return event
        if turn.first_token_s is None:
            turn.first_token_s = kit.clock.monotonic_s()
        if previews:
            work.streamed = True
            turn.emit(_delta(event, work, asking))
        if isinstance(event, TextDelta):
            turn.partial += event.text
    return Failed(fault=ModelFault.BAD_REPLY, message="The model gave no answer.", detail="The stream had no end.")


def _asking(turn: Turn) -> frozenset[str]:
    """The names of tools whose calls will have to be asked for."""
    if not turn.request.client_tools and not turn.bundle.agent.tool_rules:
        return frozenset()
    own = [name for name in turn.bundle.tools if rules.needs_approval(turn.bundle.agent.tool_rules, name)]
    return frozenset([*turn.client_tools(), *own])


def _delta(event: TextDelta | ReasoningDelta | ToolCallDelta, work: Work, asking: frozenset[str]) -> Delta:
    message_id, step_id = work.message_id, work.step_id
    match event:
        case TextDelta():
            return Delta(message_id=message_id, step_id=step_id, index=event.index, kind="text", text=event.text)
        case ReasoningDelta():
            return Delta(message_id=message_id, step_id=step_id, index=event.index, kind="reasoning", text=event.text)
        case ToolCallDelta():
            return Delta(
                message_id=message_id,
                step_id=step_id,
                index=event.index,
                kind="tool_call",
                text=event.arguments,
                call_id=event.call_id,
                name=event.name,
                asks_approval=event.name in asking if event.name else False,
            )
        case _:
            assert_never(event)


def _account(turn: Turn, kit: Kit, work: Work, answer: Finished, request: ModelRequest) -> None:
    """Add up what the step used, and learn from it how long the model's tokens are."""
    handle = turn.handle
    sent_bytes = context.size_bytes(turn.window, turn.bundle)
    usage = answer.usage
    if usage.prompt_tokens:
        kit.ratios[handle] = learn(turn.ratio(kit), size_bytes=sent_bytes, prompt_tokens=usage.prompt_tokens)
    else:
        usage = replace(usage, prompt_tokens=estimate(sent_bytes, turn.ratio(kit)))
    work.usage = with_cost(turn.model.info, usage) if turn.model else usage
    work.finish = answer.finish
    turn.usage += work.usage
    turn.step_count += 1
    turn.context_tokens = work.usage.total_tokens
    turn.stable_count = len(request.messages)


def _assistant(turn: Turn, kit: Kit, work: Work, answer: Finished) -> Message:
    """The answer as a message. Thoughts that were passed as an argument are shown as reasoning too."""
    parts: list[Part] = []
    for part in answer.parts:
        if isinstance(part, ToolCall) and turn.kind.inner_thoughts:
            thinking = _thinking(part)
            if thinking:
                parts.append(Reasoning(text=thinking, native=False))
        parts.append(part)
    return Message(
        id=work.message_id,
        role=Role.ASSISTANT,
        trust=Trust.AGENT,
        parts=tuple(parts),
        created_at=kit.clock.now(),
        agent_id=turn.run.agent_id,
        conversation_id=turn.conversation.id,
        run_id=turn.run.id,
        step_id=work.step_id,
        model=turn.model.info.handle if turn.model else None,
    )


def _thinking(call: ToolCall) -> str | None:
    try:
        return split_arguments(parse_arguments(call.arguments))[0]
    except LociError:
        return None


async def _act(turn: Turn, kit: Kit, work: Work, prepared: list[toolcalls.Prepared]) -> Ending | None:
    """Run what the model asked for, store the step, and tell of it."""
    if not any(item.asks for item in prepared):
        if any(item.outside and item.effect != "pure" for item in prepared) and work.assistant and not work.stored:
            await kit.store.write(saving.save_call, turn, work, work.assistant, kit.clock.now())
            _tell_answer(turn, work, asked=())
            turn.window.version += 1
            work.stored = True
        if any(item.outside for item in prepared):
            began_s = kit.clock.monotonic_s()
            running = toolcalls.execute(turn, kit, prepared, work.step_id)
            prepared = await turn.stop.guard(running, seconds_left=_seconds_left(turn, kit))
            work.tools_s = kit.clock.monotonic_s() - began_s
    work.ended_s = kit.clock.monotonic_s()
    saved = await kit.store.write(saving.save_step, kit, turn, work, prepared, kit.clock.now())
    turn.run, turn.known_version, turn.stale = saved.run, saved.version, saved.stale
    turn.context_tokens = saved.context_tokens
    turn.replies, turn.work = {}, None
    _tell_answer(turn, work, asked=[item.call.id for item in prepared if item.asks])
    rest = [message for message in saved.new if message is not work.assistant]
    turn.window.add(rest)
    turn.window.version += 1
    turn.counted_bytes = turn.window.messages_bytes
    for message in rest:
        turn.emit(MessageStored(message=message))
    turn.emit(StepEnded(step_id=work.step_id, usage=work.usage, context_tokens=turn.context_tokens))
    return saved.ending


def _tell_answer(turn: Turn, work: Work, *, asked: Sequence[str]) -> None:
    if work.assistant is not None and not work.stored:
        turn.window.add([work.assistant])
        turn.emit(
            MessageStored(message=work.assistant, streamed=work.streamed, asks_approval=bool(asked), asked=tuple(asked))
        )
