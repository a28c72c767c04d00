"""What every Model must hold, whatever is behind it. A test module subclasses `ModelContract` and says how to ask.

`playing` gives a model that answers with the given script, one entry a call. The answers are those of the fake
providers, so that one contract fits wires, wrappers and the scripted model alike.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

import pytest

from loci.errors import ModelFault
from loci.model.base import (
    Failed,
    Finished,
    Model,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from loci.testing.fake_provider import Answer, CallTool, Refusal, Say, Scripted, Think
from loci.types.messages import Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from loci.types.tools import ToolSchema

LOOK = ToolSchema(
    name="look",
    description="Looks something up.",
    parameters={"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
)
INFO = ModelInfo(handle="fake/one", name="one", provider="fake", provider_type="openai", window_tokens=8_000)
RICH = Answer(
    parts=[
        Think("I should look twice."),
        Say("Let me look, one moment."),
        CallTool("call_aaaaaaaa", "look", '{"q": "rain"}'),
        CallTool("call_bbbbbbbb", "look", '{"q": "sun and wind"}'),
    ],
    stop="tool_calls",
    prompt_tokens=120,
    completion_tokens=34,
)

_numbers = count(1)


def message(role: Role, *parts: Part, **options: Any) -> Message:
    options.setdefault("id", f"message-{next(_numbers)}")
    return Message(
        role=role,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        agent_id="agent-1",
        conversation_id="conv-1",
        **options,
    )


def user(text: str) -> Message:
    return message(Role.USER, Text(text))


def assistant(*parts: Part) -> Message:
    return message(Role.ASSISTANT, *parts)


def results(*results: ToolResult) -> Message:
    return message(Role.TOOL, *results)


def request(*messages: Message, **options: Any) -> ModelRequest:
    options.setdefault("tools", (LOOK,))
    options.setdefault("system", "You are kind.")
    return ModelRequest(messages=messages or (user("Rain?"),), **options)


async def ask(model: Model, asked: ModelRequest | None = None) -> list[ModelEvent]:
    return [event async for event in model.stream(asked or request())]


async def answer(model: Model, asked: ModelRequest | None = None) -> Finished:
    last = (await ask(model, asked))[-1]
    assert isinstance(last, Finished), last
    return last


async def failure(model: Model, asked: ModelRequest | None = None) -> Failed:
    last = (await ask(model, asked))[-1]
    assert isinstance(last, Failed), last
    return last


def words(events: Sequence[ModelEvent]) -> dict[int, str]:
    """What the pieces add up to, by part."""
    found: dict[int, str] = {}
    for event in events:
        match event:
            case TextDelta(index, text) | ReasoningDelta(index, text):
                found[index] = found.get(index, "") + text
            case ToolCallDelta(index, arguments):
                found[index] = found.get(index, "") + arguments
            case _:
                pass
    return found


def said(part: Part) -> str:
    match part:
        case ToolCall(arguments=arguments):
            return arguments
        case Text(text) | Reasoning(text):
            return text
        case _:
            raise AssertionError(part)


class ModelContract:
    """The tests. `cuts` is False for a model without a connection that could break."""

    cuts = True

    def playing(self, *script: Scripted) -> AbstractAsyncContextManager[Model]:
        raise NotImplementedError

    async def test_the_pieces_add_up_to_the_whole_answer(self):
        async with self.playing(RICH) as model:
            events = await ask(model)

        last = events[-1]
        assert isinstance(last, Finished), last
        assert words(events) == {index: said(part) for index, part in enumerate(last.parts)}
        assert [type(part) for part in last.parts] == [Reasoning, Text, ToolCall, ToolCall]

    async def test_there_is_one_ending_and_it_is_last(self):
        async with self.playing(RICH) as model:
            events = await ask(model)

        assert [event for event in events if isinstance(event, Finished | Failed)] == events[-1:]

    async def test_each_call_is_announced_once_with_id_and_name(self):
        async with self.playing(RICH) as model:
            events = await ask(model)

        announced = [event for event in events if isinstance(event, ToolCallDelta) and event.name]
        calls = [part for part in cast("Finished", events[-1]).parts if isinstance(part, ToolCall)]
        assert [(event.call_id, event.name) for event in announced] == [(call.id, call.name) for call in calls]
        assert len({call.id for call in calls}) == 2

    async def test_usage_and_the_reason_to_stop_are_told(self):
        async with self.playing(RICH, Answer(parts=[Say("Yes.")])) as model:
            first, second = await answer(model), await answer(model)

        assert (first.usage.prompt_tokens, first.usage.completion_tokens) == (120, 34)
        assert (first.finish, second.finish) == ("tool_calls", "stop")

    async def test_an_answer_that_reached_its_limit_is_no_failure(self):
        async with self.playing(Answer(parts=[Say("Once upon")], stop="length")) as model:
            assert (await answer(model)).finish == "length"

    async def test_an_answer_with_nothing_in_it_is_a_failure(self):
        async with self.playing(*[Answer()] * 4) as model:
            failed = await failure(model)

        assert failed.fault is ModelFault.BAD_REPLY

    @pytest.mark.parametrize(
        ("status", "fault"),
        [
            (401, ModelFault.AUTHENTICATION),
            (429, ModelFault.RATE_LIMIT),
            (400, ModelFault.BAD_REQUEST),
            (503, ModelFault.OVERLOADED),
        ],
    )
    async def test_a_refusal_is_one_failure_of_its_kind(self, status: int, fault: ModelFault):
        async with self.playing(*[Refusal(status=status)] * 4) as model:
            events = await ask(model)

        assert [type(event) for event in events] == [Failed]
        assert cast("Failed", events[0]).fault is fault

    async def test_an_answer_that_breaks_off_is_a_failure_after_what_was_said(self):
        if not self.cuts:
            pytest.skip("there is no connection that could break")
        half = Answer(parts=[Say("It was a dark and stormy night. " * 20)], breaks="cut", breaks_after=20)
        async with self.playing(half) as model:
            events = await ask(model)

        assert isinstance(events[0], TextDelta)
        assert isinstance(events[-1], Failed)
        assert events[-1].fault is ModelFault.CONNECTION

    async def test_a_listener_may_stop_listening(self):
        async with self.playing(RICH, Answer(parts=[Say("Yes.")])) as model:
            events = cast("AsyncGenerator[ModelEvent]", model.stream(request()))
            await anext(events)
            await events.aclose()

            assert [said(part) for part in (await answer(model)).parts] == ["Yes."]

    async def test_a_listener_may_be_cancelled(self):
        async with self.playing(RICH, Answer(parts=[Say("Yes.")])) as model:
            begun = asyncio.Event()

            async def listen():
                async for _ in model.stream(request()):
                    begun.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(listen())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert [said(part) for part in (await answer(model)).parts] == ["Yes."]

    async def test_it_can_be_asked_by_many_at_once(self):
        async with self.playing(*[Answer(parts=[Say("Yes.")])] * 8) as model:
            answers = await asyncio.gather(*(answer(model) for _ in range(8)))

        assert [[said(part) for part in each.parts] for each in answers] == [["Yes."]] * 8
