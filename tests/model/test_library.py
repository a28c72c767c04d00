"""What holds for every provider behind the library: pieces add up, failures are events, hanging up hangs up."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

import loci
from loci.errors import ModelFault
from loci.model.base import (
    Failed,
    Finished,
    Model,
    ModelRequest,
    ProviderConfig,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from loci.model.library import LibraryModel
from loci.testing.fake_provider import Answer, CallTool, Refusal, Say, Scripted, Think
from loci.types.agents import ModelSettings
from loci.types.messages import Reasoning, Role, Text, ToolCall, ToolResult
from loci.types.usage import Usage
from tests.model.contract import ModelContract
from tests.model.providers import KEY, SIGNATURE, WIRES, Wire, asking, message, request, user, words

SOURCES = {"PYTHONPATH": str(Path(loci.__file__).parents[1])}
ANSWER = Answer(
    parts=[
        Think("Where would it rain?", SIGNATURE),
        Say("I will look it up."),
        CallTool("call_1", "look", '{"q": "rain, or süß?"}'),
        CallTool("call_2", "note", "{}"),
    ],
    stop="tool_calls",
    prompt_tokens=120,
    completion_tokens=30,
    cached_tokens=64,
)


class TestAnthropic(ModelContract):
    """What every model must hold."""

    def playing(self, *script: Scripted) -> AbstractAsyncContextManager[Model]:
        return _playing("anthropic", *script)


class TestResponses(ModelContract):
    """What every model must hold."""

    def playing(self, *script: Scripted) -> AbstractAsyncContextManager[Model]:
        return _playing("responses", *script)


class TestGemini(ModelContract):
    """What every model must hold."""

    def playing(self, *script: Scripted) -> AbstractAsyncContextManager[Model]:
        return _playing("google", *script)


@asynccontextmanager
async def _playing(wire: Wire, *script: Scripted) -> AsyncGenerator[Model]:
    async with asking(wire, *script) as asked:
        yield asked.model


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return request.param


async def test_pieces_add_up_to_the_whole_answer(wire: Wire):
    async with asking(wire, ANSWER) as asked:
        *pieces, whole = await asked.ask(request())

    assert isinstance(whole, Finished)
    heard = dict.fromkeys(range(len(whole.parts)), "")
    for piece in pieces:
        assert isinstance(piece, TextDelta | ReasoningDelta | ToolCallDelta)
        heard[piece.index] += piece.arguments if isinstance(piece, ToolCallDelta) else piece.text
    said = [words(part) for part in whole.parts]
    assert list(heard.values()) == said
    assert said == ["Where would it rain?", "I will look it up.", '{"q": "rain, or süß?"}', "{}"]
    assert [type(part) for part in whole.parts] == [Reasoning, Text, ToolCall, ToolCall]


async def test_usage_and_the_reason_to_stop_are_told(wire: Wire):
    async with asking(wire, ANSWER) as asked:
        whole = await asked.answer(request())

    assert whole.finish == "tool_calls"
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens, whole.usage.cached_input_tokens) == (120, 30, 64)
    assert whole.usage.total_tokens == Usage(prompt_tokens=120, completion_tokens=30).total_tokens


async def test_a_withheld_answer_is_a_refusal(wire: Wire):
    async with asking(wire, Answer(stop="content_filter")) as asked:
        events = await asked.ask(request())

    assert [event.fault for event in events if isinstance(event, Failed)] == [ModelFault.REFUSED]


async def test_signatures_go_back_to_their_own_provider(wire: Wire):
    async with asking(wire, ANSWER, Answer(parts=[Say("No rain.")])) as asked:
        whole = await asked.answer(request(user("Rain?")))
        await asked.answer(
            request(
                user("Rain?"),
                message(Role.ASSISTANT, *whole.parts),
                message(Role.TOOL, ToolResult("call_1", "look", "none")),
                message(Role.TOOL, ToolResult("call_2", "note", "ok")),
            ),
        )

    assert SIGNATURE in json.dumps(asked.sent)
    assert "Where would it rain?" in json.dumps(asked.sent)


async def test_signatures_go_to_no_other_provider(wire: Wire):
    for other in WIRES:
        if other == wire:
            continue
        async with asking(other, ANSWER) as asked:
            whole = await asked.answer(request(user("Rain?")))
        async with asking(wire, Answer(parts=[Say("No rain.")])) as asked:
            await asked.answer(request(user("Rain?"), message(Role.ASSISTANT, *whole.parts), user("Well?")))
            body = json.dumps(asked.sent)

        assert SIGNATURE not in body
        assert "Where would it rain?" not in body
        assert "I will look it up." in body


async def test_the_same_wire_under_another_name_gets_no_signature(wire: Wire):
    async with asking(wire, ANSWER, provider="mine") as asked:
        whole = await asked.answer(request(user("Rain?")))
    async with asking(wire, Answer(parts=[Say("No rain.")]), provider="yours") as asked:
        await asked.answer(request(user("Rain?"), message(Role.ASSISTANT, *whole.parts), user("Well?")))

    assert SIGNATURE not in json.dumps(asked.sent)


@pytest.mark.parametrize(
    ("status", "fault", "retryable"),
    [
        (400, ModelFault.BAD_REQUEST, False),
        (401, ModelFault.AUTHENTICATION, False),
        (402, ModelFault.CREDITS, False),
        (403, ModelFault.AUTHENTICATION, False),
        (404, ModelFault.BAD_REQUEST, False),
        (408, ModelFault.TIMEOUT, True),
        (413, ModelFault.CONTEXT_TOO_LONG, False),
        (429, ModelFault.RATE_LIMIT, True),
        (500, ModelFault.OTHER, True),
        (503, ModelFault.OVERLOADED, True),
        (529, ModelFault.OVERLOADED, True),
    ],
)
async def test_an_http_error_is_one_typed_failure(wire: Wire, status: int, fault: ModelFault, retryable: bool):
    refusal = Refusal(status=status, message=f"No, says the key {KEY}.", headers={"retry-after": "7"})
    async with asking(wire, refusal) as asked:
        (failed,) = await asked.ask(request())
        asked_times = len(asked.fake.received)

    assert isinstance(failed, Failed)
    assert (failed.fault, failed.http_status, failed.retryable) == (fault, status, retryable)
    assert failed.retry_after_s == 7.0
    assert "No, says the key ***." in failed.detail
    assert KEY not in failed.message + failed.detail
    assert asked_times == 1, "retrying is not the adapter's work"


async def test_a_prompt_that_is_too_long_is_told_apart(wire: Wire):
    refusals = {
        "anthropic": Refusal(status=400, message="prompt is too long: 210000 tokens > 200000 maximum"),
        "responses": Refusal(status=400, message="Your input exceeds the window.", kind="context_length_exceeded"),
        "google": Refusal(
            status=400, message="The input token count (9) exceeds the maximum number of tokens allowed (8)."
        ),
    }
    async with asking(wire, refusals[wire]) as asked:
        (failed,) = await asked.ask(request())

    assert isinstance(failed, Failed)
    assert failed.fault is ModelFault.CONTEXT_TOO_LONG


async def test_an_answer_has_its_price(wire: Wire):
    async with asking(wire, ANSWER, price_input_usd=10.0, price_output_usd=100.0) as asked:
        whole = await asked.answer(request())

    assert whole.usage.cost_usd == pytest.approx(120 * 10e-6 + 30 * 100e-6)


@pytest.mark.parametrize(
    ("breaks", "faults"),
    [
        ("cut", {ModelFault.CONNECTION}),
        ("error", {ModelFault.OVERLOADED}),
        # Anthropic's own package passes over what it cannot read, so there the answer only ends too soon.
        ("garbage", {ModelFault.BAD_REPLY, ModelFault.CONNECTION}),
    ],
)
async def test_a_stream_that_breaks_off_is_one_failure_at_its_end(wire: Wire, breaks, faults):
    places = {"anthropic": 5, "responses": 6, "google": 2}
    broken = Answer(parts=[Say("It rains today, and tomorrow too.")], breaks=breaks, breaks_after=places[wire])
    async with asking(wire, broken) as asked:
        *pieces, failed = await asked.ask(request())

    assert pieces
    assert all(isinstance(piece, TextDelta) for piece in pieces)
    assert isinstance(failed, Failed)
    assert failed.fault in faults
    assert failed.retryable


async def test_silence_is_a_timeout(wire: Wire):
    async with asking(wire, Answer(parts=[Say("It rains.")], breaks="silence", breaks_after=1), timeout_s=0.2) as asked:
        events = await asked.ask(request())

    assert isinstance(events[-1], Failed)
    assert events[-1].fault is ModelFault.TIMEOUT


async def test_a_server_that_is_not_there_is_a_connection_failure(wire: Wire):
    async with asking(wire) as asked:
        url = asked.url
    info, config = asked.model.info, ProviderConfig(name=wire, provider_type=wire, base_url=url, wire=wire)
    model = LibraryModel(info, config, timeout_s=5)
    (failed,) = [event async for event in model.stream(request())]
    await model.aclose()

    assert isinstance(failed, Failed)
    assert failed.fault is ModelFault.CONNECTION


async def test_closing_the_iterator_hangs_up(wire: Wire):
    places = {"anthropic": 4, "responses": 5, "google": 1}
    endless = Answer(parts=[Say("It rains today, and tomorrow.")], breaks="silence", breaks_after=places[wire])
    async with asking(wire, endless) as asked:
        stream = asked.model.stream(request())
        first = await anext(stream)
        assert isinstance(stream, AsyncGenerator)
        await stream.aclose()
        await asyncio.wait_for(asked.fake.abandoned.wait(), 5)

    assert isinstance(first, TextDelta)


async def test_cancelling_the_listener_hangs_up(wire: Wire):
    async with asking(wire, Answer(parts=[Say("It rains.")], breaks="silence", breaks_after=1)) as asked:
        listener = asyncio.create_task(asked.ask(request()))
        await asyncio.wait_for(asked.fake.asked.wait(), 5)
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener
        await asyncio.wait_for(asked.fake.abandoned.wait(), 5)


async def test_many_can_ask_at_once(wire: Wire):
    answers = [Answer(parts=[Say(f"Answer {number}.")], piece_chars=2) for number in range(8)]
    async with asking(wire, *answers) as asked:
        wholes = await asyncio.gather(*(asked.answer(request()) for _ in range(8)))

    said = sorted(words(whole.parts[0]) for whole in wholes)
    assert said == [f"Answer {number}." for number in range(8)]


@pytest.mark.parametrize("choice", ["auto", "none", "required", "note"])
async def test_the_tool_choice_is_passed_on(wire: Wire, choice: str):
    names = {"anthropic": "claude-sonnet-5"}
    async with asking(wire, Answer(parts=[Say("Yes.")]), name=names.get(wire)) as asked:
        await asked.answer(request(tool_choice=choice))
        sent = asked.sent

    match wire:
        case "anthropic":
            expected = {"required": {"type": "any"}, "note": {"type": "tool", "name": "note"}}.get(
                choice, {"type": choice}
            )
            assert {**expected, **{k: v for k, v in sent["tool_choice"].items() if k.startswith("disable")}} == sent[
                "tool_choice"
            ]
        case "responses":
            assert sent["tool_choice"] == ({"type": "function", "name": "note"} if choice == "note" else choice)
        case "google":
            modes = {"auto": "VALIDATED", "none": "NONE", "required": "ANY", "note": "ANY"}
            config = sent["toolConfig"]["functionCallingConfig"]
            assert config["mode"] == modes[choice]
            assert config.get("allowed_function_names", config.get("allowedFunctionNames")) == (
                ["note"] if choice == "note" else None
            )


@pytest.mark.parametrize("parallel", [True, False])
async def test_parallel_calls_are_allowed_or_not(wire: Wire, parallel: bool):
    async with asking(wire, Answer(parts=[Say("Yes.")])) as asked:
        await asked.answer(request(settings=ModelSettings(parallel_tool_calls=parallel)))
        sent = asked.sent

    match wire:
        case "anthropic":
            assert sent["tool_choice"]["disable_parallel_tool_use"] is not parallel
        case "responses":
            assert sent["parallel_tool_calls"] is parallel
        case "google":
            assert "parallel" not in json.dumps(sent)


async def test_a_tool_that_is_not_offered_cannot_be_forced(wire: Wire):
    async with asking(wire, Answer(parts=[Say("Yes.")])) as asked:
        whole = await asked.answer(request(tool_choice="gone"))

    assert whole.finish == "stop"


async def test_no_tools_means_no_tool_choice(wire: Wire):
    async with asking(wire, Answer(parts=[Say("Yes.")])) as asked:
        await asked.answer(request(tools=(), tool_choice="required"))

    assert "tool_choice" not in asked.sent
    assert "toolConfig" not in asked.sent


async def test_an_answer_can_be_bound_to_a_schema(wire: Wire):
    schema = {"type": "object", "properties": {"rain": {"type": "boolean"}}, "required": ["rain"]}
    response_format = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema, "strict": True}}
    async with asking(wire, Answer(parts=[Say('{"rain": true}')])) as asked:
        await asked.answer(request(response_format=response_format))
        sent = asked.sent

    match wire:
        case "anthropic":
            assert sent["output_config"]["format"]["schema"]["required"] == ["rain"]
        case "responses":
            given = sent["text"]["format"]
            assert (given["type"], given["name"], given["strict"]) == ("json_schema", "weather", True)
        case "google":
            assert "rain" in json.dumps(sent["generationConfig"])


async def test_any_json_is_asked_for_in_words_or_by_mode(wire: Wire):
    async with asking(wire, Answer(parts=[Say("{}")])) as asked:
        await asked.answer(request(tools=(), response_format={"type": "json_object"}))

    assert "json" in json.dumps(asked.sent).lower()


async def test_the_history_may_be_empty(wire: Wire):
    async with asking(wire, Answer(parts=[Say("Hello.")])) as asked:
        whole = await asked.answer(ModelRequest(system="You are kind.", messages=()))

    assert words(whole.parts[0]) == "Hello."


async def test_spoilt_arguments_of_an_old_call_do_not_spoil_the_request(wire: Wire):
    call = ToolCall("call_1", "look", '{"q": "rain')
    async with asking(wire, Answer(parts=[Say("Well.")])) as asked:
        await asked.answer(
            request(
                user("Rain?"), message(Role.ASSISTANT, call), message(Role.TOOL, ToolResult("call_1", "look", "?"))
            ),
        )

    assert "rain" in json.dumps(asked.sent)


async def test_it_says_what_it_is(wire: Wire):
    async with asking(wire) as asked:
        assert asked.model.info.provider == wire


@pytest.mark.parametrize("breaks", ["cut", "error", "garbage"])
async def test_a_stream_that_breaks_before_it_began_is_one_failure(wire: Wire, breaks):
    async with asking(wire, Answer(breaks=breaks, breaks_after=0)) as asked:
        (failed,) = await asked.ask(request())

    assert isinstance(failed, Failed)
    assert failed.retryable


async def test_a_page_instead_of_an_answer_is_one_failure(wire: Wire):
    async with asking(wire, Refusal(status=200, body="<html>Log in first</html>")) as asked:
        (failed,) = await asked.ask(request())

    assert isinstance(failed, Failed)
    assert failed.fault in {ModelFault.BAD_REPLY, ModelFault.CONNECTION}


def test_a_provider_costs_the_import_of_its_own_package_only():
    code = (
        "import sys, loci.model.library, loci.model.library_anthropic;"
        "print([name for name in ('openai', 'google.genai', 'mcp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=SOURCES)

    assert done.stdout.strip() == "[]"
