"""The scripted model: its language, its manners, its demonstration of memory, and the double for tests."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.clock import FakeClock
from loci.errors import MODEL_FAULT_STATUS, ModelFault, NotFound
from loci.memory.compaction import transcript
from loci.model.base import Failed, Finished, Model, Models, ReasoningDelta, TextDelta, ToolCallDelta
from loci.model.demo import fact_in
from loci.model.script import FAULTS, Bill, Call, End, Fail, Say, Think, Wait, parse
from loci.model.scripted import DoubleStep, ScriptedModel, failure, scripted_info
from loci.testing import fake_provider as fake
from loci.testing.models import FixedModels
from loci.types.actor import Actor
from loci.types.messages import Kind, Message, Reasoning, Role, Text, ToolCall, ToolResult
from loci.types.tools import ToolSchema
from loci.types.usage import Usage
from tests.model.contract import LOOK, ModelContract, answer, ask, assistant, message, request, results, user
from tests.model.contract import failure as failure_of

PROMPT = """You are kind.
<memory_blocks>
<persona>
<description>
Who you are.
</description>
<value>
I am Sam.
</value>
</persona>

<human>
<description>
Who they are.
</description>
<metadata>
- chars_current=9
</metadata>
<value>
{human}
</value>
</human>
</memory_blocks>"""


def tool(name: str, *arguments: str, required: tuple[str, ...] = ()) -> ToolSchema:
    properties = {argument: {"type": "string"} for argument in arguments}
    schema: Any = {"type": "object", "properties": properties, "required": list(required)}
    return ToolSchema(name=name, description="", parameters=schema)


SPEAK = tool("send_message", "message", "thinking", "request_heartbeat", required=("message",))
INSERT = tool("memory_insert", "label", "new_string")
APPEND = tool("core_memory_append", "label", "content", "thinking", "request_heartbeat")
ARCHIVE = tool("archival_memory_insert", "content")


def playing(*script: fake.Scripted) -> ScriptedModel:
    """The double that gives the answers of a fake provider."""
    return ScriptedModel.of([_step(each) for each in script])


def _step(scripted: fake.Scripted) -> DoubleStep:
    if isinstance(scripted, fake.Refusal):
        fault = next(fault for fault, status in MODEL_FAULT_STATUS.items() if status == scripted.status)
        return [failure(ModelFault.BAD_REQUEST if scripted.status == 400 else fault)]
    parts: list[Any] = []
    for part in scripted.parts:
        match part:
            case fake.Say(text):
                parts.append(Text(text))
            case fake.Think(text):
                parts.append(Reasoning(text))
            case fake.CallTool(call_id, name, arguments):
                parts.append(ToolCall(call_id, name, arguments))
            case fake.Redacted():
                raise AssertionError(part)
    stop = [] if scripted.stop in ("stop", "tool_calls") else [End(scripted.stop)]
    broken = [failure(ModelFault.CONNECTION)] if scripted.breaks else []
    return [Bill(scripted.prompt_tokens, scripted.completion_tokens), *parts, *stop, *broken]


class TestContract(ModelContract):
    @asynccontextmanager
    async def playing(self, *script: fake.Scripted) -> AsyncGenerator[Model]:
        yield playing(*script)


# ------------------------------------------------------------------------------------------------------------ language


def test_the_language():
    script = parse(
        """never shown
@think hm
@say hello
  world
@call look {"q":
 1}
@call note
@wait 1.5
@then
@repeat 3 ha
@usage 7 9
@finish length
@then
@fail rate_limit
""",
    )

    assert script == (
        (Think("hm"), Say("hello\n  world"), Call("look", '{"q":\n 1}'), Call("note"), Wait(1.5)),
        (Say("ha ha ha"), Bill(7, 9), End("length")),
        (Fail(ModelFault.RATE_LIMIT),),
    )


@pytest.mark.parametrize("text", ["hello", "mail me @work", "@unknown thing", "x @say inside", ""])
def test_a_text_without_directives_is_no_script(text: str):
    assert parse(text) == ()


@pytest.mark.parametrize("line", ["@call", "@wait soon", "@fail badly", "@repeat x y", "@finish never", "@usage many"])
def test_a_line_that_makes_no_sense_is_said(line: str):
    ((action,),) = parse(line)

    assert isinstance(action, Say)
    assert line in action.text


@given(st.text())
def test_any_text_can_be_parsed(text: str):
    parse(text)


async def test_a_script_with_parallel_calls_and_a_second_step():
    said = user('@think hm\n@call look {"q": 1}\n@call look {"q": 2}\n@then\n@say It rains.')
    first = await answer(ScriptedModel(), request(said))
    calls = [part for part in first.parts if isinstance(part, ToolCall)]
    done = results(*(ToolResult(call.id, "look", "ok") for call in calls))
    second = await answer(ScriptedModel(), request(said, assistant(*first.parts), done))
    third = await answer(ScriptedModel(), request(said, assistant(*first.parts), done, assistant(*second.parts)))

    assert first.parts[0] == Reasoning("hm", provider="scripted")
    assert [call.arguments for call in calls] == ['{"q": 1}', '{"q": 2}']
    assert len({call.id for call in calls}) == 2
    assert second.parts == (Text("It rains."),)
    assert third.parts == (Text("The script is done."),)


async def test_the_same_request_gets_the_same_answer():
    asked = request(user("@call look {}"))

    assert await ask(ScriptedModel(), asked) == await ask(ScriptedModel(), asked)


async def test_only_the_newest_message_of_the_user_counts():
    history = (
        user("@fail auth"),
        assistant(Text("x")),
        user("@say two"),
        message(Role.USER, Text("{}"), kind=Kind.HEARTBEAT),
    )

    assert (await answer(ScriptedModel(), request(*history))).parts == (Text("two"),)


async def test_a_message_wrapped_in_json_is_read():
    wrapped = json.dumps({"type": "user_message", "message": "@say hello", "time": "now"})

    assert (await answer(ScriptedModel(), request(user(wrapped)))).parts == (Text("hello"),)


@pytest.mark.parametrize(("word", "fault"), FAULTS.items())
async def test_each_way_to_fail(word: str, fault: ModelFault):
    events = await ask(ScriptedModel(), request(user(f"@say half\n@fail {word}")))

    assert events[0] == TextDelta(0, "half")
    assert isinstance(events[-1], Failed)
    assert events[-1].fault is fault


async def test_waiting_is_on_the_clock_and_words_come_one_by_one():
    clock = FakeClock()
    events = await ask(ScriptedModel(clock=clock), request(user("@wait 2\n@repeat 500 word")))

    assert clock.slept_s == [2.0]
    assert sum(isinstance(event, TextDelta) for event in events) == 500


async def test_what_is_reported():
    told = await answer(ScriptedModel(), request(user("@usage 900 9\n@say x\n@finish length")))
    guessed = await answer(ScriptedModel(), request(user("@say " + "word " * 400)))

    assert (told.usage, told.finish) == (Usage(prompt_tokens=900, completion_tokens=9), "length")
    assert guessed.usage.completion_tokens == pytest.approx(500, rel=0.05)
    assert guessed.usage.prompt_tokens > 500


# ------------------------------------------------------------------------------------------------------------- manners


def call_of(finished: Finished) -> tuple[str, Any]:
    (call,) = [part for part in finished.parts if isinstance(part, ToolCall)]
    return call.name, json.loads(call.arguments)


async def test_an_agent_that_speaks_through_a_tool_is_given_its_heartbeat():
    tools = (SPEAK, APPEND)
    said = user('@think hm\n@call core_memory_append {"label": "human", "content": "x"}\n@then\n@say Done.')
    first = await answer(ScriptedModel(), request(said, tools=tools, tool_choice="required"))
    call = next(part for part in first.parts if isinstance(part, ToolCall))
    history = (said, assistant(*first.parts), results(ToolResult(call.id, call.name, "x")))
    second = await answer(ScriptedModel(), request(*history, tools=tools, tool_choice="required"))

    assert call_of(first) == (
        "core_memory_append",
        {"thinking": "hm", "request_heartbeat": True, "label": "human", "content": "x"},
    )
    assert call_of(second) == (
        "send_message",
        {"thinking": "As the script says.", "request_heartbeat": False, "message": "Done."},
    )


async def test_a_call_that_must_be_made_is_made():
    free = tool("memory_finish_edits")
    needy = tool("needy", "text", "other", required=("text",))

    assert call_of(await answer(ScriptedModel(), request(tools=(LOOK, free), tool_choice="required")))[0] == free.name
    assert call_of(await answer(ScriptedModel(), request(tools=(LOOK, free), tool_choice="look")))[0] == "look"
    name, arguments = call_of(
        await answer(ScriptedModel(), request(user("@say hey"), tools=(needy,), tool_choice="required"))
    )
    assert (name, arguments) == ("needy", {"text": "hey"})


async def test_a_call_that_must_not_be_made_is_not_made():
    said = user("@say hey\n@call look {}")

    assert (await answer(ScriptedModel(), request(said, tool_choice="none"))).parts == (Text("hey"),)


async def test_a_call_of_a_tool_that_is_not_offered_is_said():
    finished = await answer(ScriptedModel(), request(user("@call look {}"), tools=(), tool_choice="none"))

    assert finished.parts == (Text("The script calls look, but no tool was offered."),)


async def test_who_speaks_through_a_tool_only_if_it_must_says_a_thing_once():
    finished = await answer(ScriptedModel(), request(user("@say hey"), tools=(SPEAK,)))

    assert finished.parts == (Text("hey"),)


async def test_broken_arguments_are_passed_on_as_written():
    finished = await answer(ScriptedModel(), request(user("@call send_message {broken"), tools=(SPEAK,)))

    assert [part.arguments for part in finished.parts if isinstance(part, ToolCall)] == ["{broken"]


# ------------------------------------------------------------------------------------------------------- demonstration


async def demo(text: str, *tools: ToolSchema, human: str = "", since: tuple[Message, ...] = ()) -> Finished:
    return await answer(ScriptedModel(), request(user(text), *since, tools=tools, system=PROMPT.format(human=human)))


async def test_it_says_plainly_what_it_is_and_what_to_set_up():
    text = (await demo("Hello!")).parts[0].text  # pyright: ignore[reportAttributeAccessIssue]

    assert "not a language model" in text
    assert all(word in text for word in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "Ollama"))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("Hi, my name is Ada Lovelace.", "Name: Ada Lovelace"),
        ("My name's Ada and I like tea", "Name: Ada"),
        ("please call me Al!", "Name: Al"),
        ("Remember that the code is 1234.", "the code is 1234"),
        ("remember: water the plants", "water the plants"),
        ("I like jasmine tea.", "Likes jasmine tea"),
        ("I really love dogs", "Loves dogs"),
        ("I live in Oslo.", "Lives in Oslo"),
        ("Do you remember my dog?", None),
        ("What do I like?", None),
        ("Hello", None),
    ],
)
def test_facts_are_recognised(text: str, fact: str | None):
    assert fact_in(text) == fact


async def test_a_fact_goes_where_the_agent_can_write():
    fact = "My name is Ada."

    assert call_of(await demo(fact, INSERT, ARCHIVE)) == (
        "memory_insert",
        {"label": "human", "new_string": "Name: Ada", "insert_line": -1},
    )
    assert call_of(await demo(fact, APPEND, ARCHIVE))[1]["content"] == "Name: Ada"
    assert call_of(await demo(fact, ARCHIVE)) == ("archival_memory_insert", {"content": "Name: Ada"})
    assert "no tool" in (await demo(fact)).parts[0].text  # pyright: ignore[reportAttributeAccessIssue]


async def test_after_saving_it_says_so_or_tells_the_error():
    call = ToolCall("call_1", "memory_insert", "{}")
    saved = (assistant(call), results(ToolResult("call_1", "memory_insert", "Name: Ada")))
    refused = (
        assistant(call),
        results(ToolResult("call_1", "memory_insert", "The block is read-only.", status="error")),
    )

    assert "Name: Ada" in (await demo("My name is Ada.", INSERT, since=saved)).parts[0].text  # pyright: ignore[reportAttributeAccessIssue]
    assert "read-only" in (await demo("My name is Ada.", INSERT, since=refused)).parts[0].text  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("question", ["What do you know about me?", "who am I?", "What is my name?", "What do I like?"])
async def test_it_answers_from_its_memory(question: str):
    known = await demo(question, INSERT, human="Name: Ada\nLikes tea")
    empty = await demo(question, INSERT)

    assert "Name: Ada\nLikes tea" in known.parts[0].text  # pyright: ignore[reportAttributeAccessIssue]
    assert "empty" in empty.parts[0].text  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_fact_is_saved_once():
    parts = (await demo("I like tea.", INSERT, human="Likes tea")).parts

    assert not any(isinstance(part, ToolCall) for part in parts)


async def test_a_summary_of_a_transcript_holds_who_said_what():
    talk = [message(Role.USER if n % 2 else Role.ASSISTANT, Text(f"Word {n}.\nMore.")) for n in range(30)]
    told = transcript(talk, 10_000)
    finished = await answer(ScriptedModel(), request(user(told), tools=(), system="Summarise the conversation."))

    lines = finished.parts[0].text.splitlines()[1:]  # pyright: ignore[reportAttributeAccessIssue]
    assert lines == [f"{'User' if n % 2 else 'Agent'}: Word {n}." for n in range(18, 30)]


async def test_a_summary_holds_what_was_said():
    history = (user("My dog is called Rex. He is old."), assistant(Text("Noted.")), user("We live in Oslo."))
    from_outside = request(*history, tools=(), system="Summarise the conversation.")
    own = request(*history, user("Write a summary."), tools=(INSERT,), tool_choice="none")

    for asked, asking in ((from_outside, []), (own, ["User: Write a summary."])):
        finished = await answer(ScriptedModel(), asked)
        assert finished.parts[0].text.splitlines()[1:] == [  # pyright: ignore[reportAttributeAccessIssue]
            "User: My dog is called Rex.",
            "Agent: Noted.",
            "User: We live in Oslo.",
            *asking,
        ]


@given(st.text(max_size=40), st.sampled_from(["auto", "required", "none", "look"]))
async def test_it_always_answers(text: str, choice: str):
    events = await ask(ScriptedModel(clock=FakeClock()), request(user(text), tool_choice=choice))

    assert isinstance(events[-1], Finished | Failed)


# -------------------------------------------------------------------------------------------------------------- double


async def test_a_double_records_and_plays_from_python():
    model = ScriptedModel.of(
        [
            "Hello there.",
            [Reasoning("hm"), ToolCall("call_1", "look", '{"q": 1}')],
            lambda asked: f"You sent {len(asked.messages)}.",
            [TextDelta(0, "raw "), TextDelta(0, "words")],
        ],
    )
    model.add([failure(ModelFault.TIMEOUT)])
    answers = [await ask(model) for _ in range(6)]

    assert [each[-1].parts for each in answers[:4] if isinstance(each[-1], Finished)] == [
        (Text("Hello there."),),
        (Reasoning("hm"), ToolCall("call_1", "look", '{"q": 1}')),
        (Text("You sent 1."),),
        (Text("raw words"),),
    ]
    assert answers[1][:3] == [
        ReasoningDelta(0, "hm"),
        ToolCallDelta(1, '{"q"', "call_1", "look"),
        ToolCallDelta(1, ": 1}"),
    ]
    assert [each[-1].fault for each in answers[4:] if isinstance(each[-1], Failed)] == [
        ModelFault.TIMEOUT,
        ModelFault.OTHER,
    ]
    assert len(model.requests) == 6


async def test_the_shipped_model_keeps_nothing():
    model = ScriptedModel()
    await ask(model)

    assert model.requests == []
    assert (await failure_of(model, request(user("@fail empty")))).fault is ModelFault.BAD_REPLY


async def test_doubles_behind_handles():
    one, two = ScriptedModel.of(["1"], info=scripted_info("one")), ScriptedModel.of(["2"], info=scripted_info("two"))
    loose: Models = FixedModels(one, two)
    strict: Models = FixedModels(one, any_handle=False)

    assert await loose.model(Actor(), "scripted/two") is two
    assert await loose.model(Actor(), "what/ever") is one
    assert (loose.default_model, loose.default_embedder) == ("scripted/one", None)
    with pytest.raises(NotFound):
        await strict.model(Actor(), "what/ever")
    with pytest.raises(NotFound):
        await strict.embedder(Actor(), "loci/wordllama")
