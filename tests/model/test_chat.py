"""The chat-completions adapter against a server that speaks the real wire."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

from loci.clock import FakeClock, SystemClock
from loci.errors import ModelFault
from loci.model.base import Failed, Finished, Model, ModelEvent, ProviderConfig, ReasoningDelta, TextDelta
from loci.model.chat import ChatModel
from loci.model.chat_dialect import dialect_of
from loci.model.chat_encode import Encoder
from loci.model.http import Connections
from loci.testing.fake_openai import FakeOpenAI, Frames
from loci.testing.fake_provider import Answer, Refusal, Say, Scripted, Think, served, sse
from loci.types.agents import ModelSettings
from loci.types.messages import Image, Reasoning, Role, Text, ToolCall, ToolResult
from tests.model.contract import INFO, ModelContract, answer, ask, assistant, failure, message, request, results, user
from tests.model.sdk import _must_suit

KEY = "sk-do-not-tell-anyone"
YES = Answer(parts=[Say("Yes.")])


@dataclass(frozen=True, slots=True)
class Asked:
    model: ChatModel
    fake: FakeOpenAI

    @property
    def sent(self) -> Any:
        return self.fake.received[-1].body


@asynccontextmanager
async def asking(*script: Scripted, timeout_s: float = 10.0, **options: Any) -> AsyncGenerator[Asked]:
    fake = FakeOpenAI(*script, **options)
    async with served(fake) as url:
        provider = ProviderConfig(name="fake", provider_type="openai", base_url=f"{url}/v1", api_key=KEY)
        connections = Connections(clock=SystemClock(), connect_timeout_s=5.0)
        encoder = Encoder(dialect_of(INFO, provider))
        try:
            yield Asked(ChatModel(INFO, provider, connections, encoder=encoder, timeout_s=timeout_s), fake)
        finally:
            await connections.aclose()


class TestContract(ModelContract):
    @asynccontextmanager
    async def playing(self, *script: Scripted) -> AsyncGenerator[Model]:
        async with asking(*script) as asked:
            yield asked.model


async def test_the_request_is_one_that_the_openai_package_would_send():
    history = (
        user("Rain?"),
        assistant(Reasoning("Hm."), Text("I look."), ToolCall("call_1", "look", '{"q": "rain"}')),
        results(ToolResult("call_1", "look", "It rains.")),
        user("Thanks."),
    )
    settings = ModelSettings(temperature=0.5, max_output_tokens=100, parallel_tool_calls=True, reasoning_effort="low")
    async with asking(YES) as asked:
        await answer(
            asked.model,
            request(
                *history,
                settings=settings,
                tool_choice="look",
                user="user-1",
                response_format={"type": "json_object"},
                extra={"seed": 7},
            ),
        )

    _must_suit(CompletionCreateParamsStreaming, asked.sent)
    assert asked.sent["seed"] == 7


async def test_the_key_goes_in_the_header_and_nowhere_else():
    async with asking(Refusal(status=401, message=f"Incorrect API key provided: {KEY}.")) as asked:
        failed = await failure(asked.model)

    assert asked.fake.received[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(failed)
    assert failed.fault is ModelFault.AUTHENTICATION


async def test_usage_with_its_details_and_the_request_id_come_through():
    said = Answer(parts=[Say("Yes.")], prompt_tokens=50, completion_tokens=7, cached_tokens=40, reasoning_tokens=3)
    async with asking(said) as asked:
        usage = (await answer(asked.model)).usage

    assert (usage.prompt_tokens, usage.cached_input_tokens, usage.reasoning_tokens) == (50, 40, 3)


async def test_reasoning_goes_back_under_the_name_it_came_with_and_only_home():
    thought = Answer(parts=[Think("Hm, rain."), Say("Yes.")])
    async with asking(thought, YES, YES) as asked:
        asked.fake.reasoning_field = "reasoning"
        first = await answer(asked.model)
        await answer(asked.model, request(user("Rain?"), assistant(*first.parts), user("Sure?")))
        at_home = asked.sent["messages"][2]
        foreign = Reasoning("Hm, rain.", provider="elsewhere", id="reasoning")
        await answer(asked.model, request(user("Rain?"), assistant(foreign, Text("Yes.")), user("Sure?")))

    assert at_home == {"role": "assistant", "content": "Yes.", "reasoning": "Hm, rain."}
    assert asked.sent["messages"][2] == {"role": "assistant", "content": "Yes."}


async def test_a_server_that_answers_with_one_document_is_understood():
    body = """{"id": "x", "object": "chat.completion", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
      "message": {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}}],
      "usage": {"prompt_tokens": 5, "completion_tokens": 2}}"""
    async with asking(Frames(raw=[body], content_type="application/json")) as asked:
        events = await ask(asked.model)

    assert events[:2] == [ReasoningDelta(0, "Hm."), TextDelta(1, "Yes.")]
    assert cast("Finished", events[-1]).usage.prompt_tokens == 5


async def test_an_error_inside_the_stream_is_a_failure():
    broken = Answer(parts=[Say("It was a dark and stormy night.")], breaks="error", breaks_after=2)
    async with asking(broken) as asked:
        events = await ask(asked.model)

    assert isinstance(events[0], TextDelta)
    assert isinstance(events[-1], Failed)
    assert events[-1].detail == "The provider broke down."


async def test_garbage_in_the_stream_is_a_bad_reply():
    async with asking(Answer(parts=[Say("It was")], breaks="garbage", breaks_after=1)) as asked:
        assert (await failure(asked.model)).fault is ModelFault.BAD_REPLY


async def test_a_reply_without_end_is_cut_at_its_limit():
    async with asking(Frames(raw=["data: " + "x" * 1_000_000] * 21)) as asked:
        failed = await failure(asked.model)

    assert failed.fault is ModelFault.BAD_REPLY
    assert "20,000,000" in failed.detail


async def test_silence_is_a_timeout():
    async with asking(Answer(parts=[Say("It was")], breaks="silence", breaks_after=1), timeout_s=0.2) as asked:
        assert (await failure(asked.model)).fault is ModelFault.TIMEOUT


async def test_an_answer_that_drips_for_too_long_is_a_timeout():
    clock = FakeClock()
    fake = FakeOpenAI(Answer(parts=[Say("drip " * 50)], piece_chars=5, breaks="silence", breaks_after=50))
    async with served(fake) as url:
        provider = ProviderConfig(name="fake", provider_type="openai", base_url=f"{url}/v1")
        connections = Connections(clock=clock, connect_timeout_s=5.0)
        model = ChatModel(INFO, provider, connections, encoder=Encoder(dialect_of(INFO, provider)), timeout_s=30.0)
        events: list[ModelEvent] = []
        async for event in model.stream(request()):
            events.append(event)
            clock.advance(31.0)
        await connections.aclose()

    assert isinstance(events[-1], Failed)
    assert events[-1].fault is ModelFault.TIMEOUT


async def test_nobody_there_is_a_connection_failure_that_can_be_retried():
    connections = Connections(clock=SystemClock(), connect_timeout_s=5.0)
    provider = ProviderConfig(name="fake", provider_type="openai", base_url="http://127.0.0.1:1/v1")
    model = ChatModel(INFO, provider, connections, encoder=Encoder(dialect_of(INFO, provider)), timeout_s=5.0)
    failed = await failure(model)
    await connections.aclose()

    assert (failed.fault, failed.retryable) == (ModelFault.CONNECTION, True)


async def test_an_address_that_is_no_url_is_a_bad_request():
    connections = Connections(clock=SystemClock(), connect_timeout_s=5.0)
    provider = ProviderConfig(name="fake", provider_type="openai", base_url="not a url")
    model = ChatModel(INFO, provider, connections, encoder=Encoder(dialect_of(INFO, provider)), timeout_s=5.0)
    failed = await failure(model)
    await connections.aclose()

    assert (failed.fault, failed.retryable) == (ModelFault.BAD_REQUEST, False)


async def test_closing_the_iterator_hangs_up():
    async with asking(Answer(parts=[Say("It was")], breaks="silence", breaks_after=2)) as asked:
        events = cast("AsyncGenerator[ModelEvent]", asked.model.stream(request()))
        await anext(events)
        await events.aclose()

        await asyncio.wait_for(asked.fake.abandoned.wait(), 5)


async def test_a_connection_is_used_again_after_an_answer():
    seen: set[Any] = set()

    class Watching(FakeOpenAI):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.add(scope.get("client"))
            await super().__call__(scope, receive, send)

    fake = Watching(*[YES] * 5)
    async with served(fake) as url:
        provider = ProviderConfig(name="fake", provider_type="openai", base_url=f"{url}/v1")
        connections = Connections(clock=SystemClock(), connect_timeout_s=5.0)
        model = ChatModel(INFO, provider, connections, encoder=Encoder(dialect_of(INFO, provider)), timeout_s=5.0)
        for _ in range(5):
            await answer(model)
        await connections.aclose()

    assert len(seen) == 1


async def test_an_optional_field_that_a_server_refuses_is_left_out_from_then_on():
    picky = Refusal(status=400, message="Unsupported parameter: 'parallel_tool_calls' is not supported here.")
    async with asking(picky, YES, YES) as asked:
        await answer(asked.model)
        await answer(asked.model)

    assert ["parallel_tool_calls" in received.body for received in asked.fake.received] == [True, False, False]


async def test_the_token_limit_is_sent_under_its_other_name_when_refused():
    picky = Refusal(status=400, message="Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    async with asking(picky, YES) as asked:
        await answer(asked.model, request(settings=ModelSettings(max_output_tokens=50)))

    assert asked.sent["max_completion_tokens"] == 50
    assert "max_tokens" not in asked.sent


async def test_a_refusal_that_names_no_optional_field_is_passed_on_at_once():
    async with asking(Refusal(status=400, message="Unsupported parameter: 'messages'."), YES) as asked:
        assert (await failure(asked.model)).fault is ModelFault.BAD_REQUEST

    assert len(asked.fake.received) == 1


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("image input is not supported - hint: you may need to provide the mmproj", [True, False, False]),
        ("At most 0 image(s) may be provided in one prompt.", [True, False, False]),
        ("Error while downloading the image https://x.example/a.png", [True, False, True]),
    ],
)
async def test_a_picture_does_not_make_an_agent_unusable(words: str, asked: list[bool]):
    picture = message(Role.USER, Text("Look:"), Image(url="https://x.example/a.png"))
    async with asking(Refusal(status=400, message=words), YES, YES) as asking_it:
        await answer(asking_it.model, request(picture))
        await answer(asking_it.model, request(picture))

    assert ["image_url" in str(received.body) for received in asking_it.fake.received] == asked


@pytest.mark.parametrize("status", [400, 500])
async def test_sides_take_turns_where_a_template_wants_it(status: int):
    picky = Refusal(status=status, message="Conversation roles must alternate user/assistant/user/assistant/...")
    async with asking(picky, YES) as asked:
        await answer(asked.model, request(user("One."), user("Two.")))

    assert [each["content"] for each in asked.sent["messages"]] == ["You are kind.", "One.\nTwo."]


async def test_a_server_that_always_refuses_is_not_asked_for_ever():
    picky = Refusal(status=400, message="Unsupported parameter: 'temperature'.")
    async with asking(*[picky] * 20) as asked:
        await failure(asked.model, request(settings=ModelSettings(temperature=1.0)))

    assert len(asked.fake.received) == 2


async def test_an_id_that_the_conversation_has_already_is_given_anew():
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    chunk = sse({"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    again = Frames(raw=[chunk, "data: [DONE]\n\n"])
    async with asking(again, again) as asked:
        first = (await answer(asked.model)).parts[0]
        assert isinstance(first, ToolCall)
        history = (user("Rain?"), assistant(first), results(ToolResult(first.id, "look", "No.")))
        second = (await answer(asked.model, request(*history))).parts[0]

    assert isinstance(second, ToolCall)
    assert first.id == "call_0"
    assert second.id.startswith("call_")
    assert second.id != first.id
    assert len(second.id) <= 29
