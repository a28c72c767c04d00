"""One message from top to bottom, without HTTP: what is stored, what is told, and how a run ends."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from loci.agent.request import RunRequest
from loci.errors import ModelFault
from loci.model.base import ModelRequest
from loci.model.script import Bill, End
from loci.model.scripted import failure
from loci.store import blocks
from loci.testing.agents import ACTOR, Bench, Setup, bench, ending_of, messages_of, standard_agent
from loci.types.agents import AgentType
from loci.types.events import Delta, MessageStored, RunStarted, StepEnded
from loci.types.messages import Reasoning, Role, Text, ToolCall
from loci.types.runs import Limits, StopReason
from tests.flow.tools import Outside, builtins


@pytest.fixture
async def outside() -> Outside:
    return Outside()


@pytest.fixture
async def room(tmp_path: Path, outside: Outside) -> AsyncIterator[Bench]:
    async with bench(tmp_path, builtins(outside)) as made:
        await made.create(replace(standard_agent(), tool_names=("look", "post", "fail", "crash")))
        yield made


def call(name: str, arguments: str, call_id: str = "c1") -> ToolCall:
    return ToolCall(call_id, name, arguments)


async def human(room: Bench) -> str:
    held = await room.kit.store.read(blocks.blocks_of_agent, ACTOR, room.agent_id)
    return next(block.value for block in held if block.label == "human")


async def test_a_plain_message_is_one_step_and_ends_the_turn(room: Bench) -> None:
    events = await room.send("Hello", ["Good day."])

    assert [type(event).__name__ for event in events] == ["RunStarted", "MessageStored", "StepEnded", "RunEnded"]
    assert ending_of(events).ending.reason is StopReason.END_TURN
    assert messages_of(events)[0].text == "Good day."
    assert [(item.role, item.text) for item in (await room.stored())[1:]] == [
        (Role.USER, "Hello"),
        (Role.ASSISTANT, "Good day."),
    ]


async def test_the_model_is_shown_the_compiled_prompt_and_the_words(room: Bench) -> None:
    await room.send("Hello", ["Good day."])
    request = room.model.requests[0]

    assert request.system == (await room.stored())[0].text
    assert "<human>" in request.system
    assert [item.text for item in request.messages][:1] == ["Hello"]
    assert {tool.name for tool in request.tools} >= {"memory_insert", "look"}


async def test_a_memory_edit_goes_on_to_the_next_step_and_is_there_for_the_next_turn(room: Bench) -> None:
    note = call("memory_insert", '{"label": "human", "new_string": "Called Ada."}')
    events = await room.send("I am Ada", [note], ["Hello Ada."])

    assert ending_of(events).step_count == 2
    assert await human(room) == "Unknown.\nCalled Ada."
    await room.send("And now?", ["Still Ada."])
    assert "Called Ada." in room.model.requests[2].system
    assert "Called Ada." not in room.model.requests[1].system


async def test_the_prompt_stays_byte_for_byte_while_memory_does_not_change(room: Bench) -> None:
    for number in range(5):
        await room.send(f"word {number}", ["yes"])

    systems = {request.system for request in room.model.requests}
    assert len(systems) == 1
    for earlier, later in zip(room.model.requests, room.model.requests[1:], strict=False):
        assert later.stable_count <= len(later.messages)
        assert list(later.messages)[: earlier.stable_count] == list(earlier.messages)[: earlier.stable_count]


async def test_an_agent_is_told_which_day_it_is_from_the_first_turn_of_that_day_on(room: Bench) -> None:
    await room.create(replace(standard_agent(), timezone="Asia/Tokyo"))
    for hours in (0, 9, 9, 24):
        await room.kit.clock.sleep(hours * 3600)
        await room.send("hello", ["yes"])

    prompts = [request.system for request in room.model.requests]
    assert [line for prompt in prompts for line in prompt.splitlines() if "Today" in line] == [
        "- Today is Thursday, 2026-01-01",
        "- Today is Thursday, 2026-01-01",
        "- Today is Friday, 2026-01-02",
        "- Today is Saturday, 2026-01-03",
    ]
    assert prompts[0] == prompts[1]


async def test_parallel_calls_are_answered_in_their_order_whatever_runs_first(room: Bench, outside: Outside) -> None:
    calls = [
        call("memory_insert", '{"label": "human", "new_string": "x"}', "c1"),
        call("look", '{"text": "a"}', "c2"),
        call("look", '{"text": "b"}', "c3"),
    ]
    events = await room.send("go", calls, ["done"])

    results = [result for item in messages_of(events) for result in item.tool_results]
    assert [(result.call_id, result.status) for result in results] == [
        ("c1", "success"),
        ("c2", "success"),
        ("c3", "success"),
    ]
    assert [result.text for result in results][1:] == ["look saw a", "look saw b"]
    assert outside.ran == ["look", "look"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (call("look", '{"wrong": "a"}'), "needs 'text'"),
        (call("look", "{broken"), "not valid JSON"),
        (call("fly", "{}"), "there is no tool 'fly'"),
        (call("fail", '{"text": "a"}'), "It cannot be done. Try another way."),
        (call("crash", '{"text": "a"}'), "the tool failed (ValueError)"),
        (call("memory_insert", '{"label": "nobody", "new_string": "x"}'), "Block field nobody does not exist"),
    ],
)
async def test_whatever_goes_wrong_with_a_call_is_told_to_the_model_as_a_result(
    room: Bench, asked: ToolCall, says: str
) -> None:
    events = await room.send("go", [asked], ["I see."])

    result = next(result for item in messages_of(events) for result in item.tool_results)
    assert result.status == "error"
    assert says in result.text
    assert "secret" not in result.text
    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_the_same_failure_three_times_ends_the_run(room: Bench) -> None:
    again = [call("fail", '{"text": "a"}')]
    events = await room.send("go", again, again, again)

    ended = ending_of(events)
    assert ended.ending.reason is StopReason.INVALID_TOOL_CALL
    assert "failed 3 times" in (ended.ending.message or "")


async def test_a_run_ends_at_its_step_limit_with_the_work_stored(room: Bench) -> None:
    look = lambda number: [call("look", '{"text": "a"}', f"c{number}")]  # noqa: E731
    limited = RunRequest(steps_max=2)
    events = await room.send("go", look(1), look(2), request=limited)

    assert ending_of(events).ending.reason is StopReason.MAX_STEPS
    assert len([item for item in messages_of(events) if item.tool_results]) == 2


async def test_a_request_cannot_ask_for_more_steps_than_the_server_allows(tmp_path: Path) -> None:
    async with bench(tmp_path, builtins(Outside()), Setup(limits=Limits(steps_max=1))) as room:
        await room.create(replace(standard_agent(), tool_names=("look",)))
        events = await room.send("go", [call("look", '{"text": "a"}')], request=RunRequest(steps_max=500))

    assert ending_of(events).ending.reason is StopReason.MAX_STEPS
    assert ending_of(events).step_count == 1


async def test_a_run_ends_when_its_tokens_are_used_up(tmp_path: Path) -> None:
    async with bench(tmp_path, builtins(Outside()), Setup(limits=Limits(total_tokens_max=500))) as room:
        await room.create(replace(standard_agent(), tool_names=("look",)))
        look = call("look", '{"text": "a"}')
        events = await room.send("go", [Bill(400, 50), look], [Bill(400, 50), replace(look, id="c2")])

    ended = ending_of(events).ending
    assert (ended.reason, ended.error_type) == (StopReason.ERROR, "token_budget")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ModelFault.AUTHENTICATION, StopReason.LLM_API_ERROR),
        (ModelFault.RATE_LIMIT, StopReason.LLM_API_ERROR),
        (ModelFault.BAD_REPLY, StopReason.INVALID_LLM_RESPONSE),
        (ModelFault.CREDITS, StopReason.INSUFFICIENT_CREDITS),
    ],
)
async def test_a_failing_model_is_an_ending_and_the_conversation_goes_on(
    room: Bench, fault: ModelFault, reason: StopReason
) -> None:
    events = await room.send("one", [failure(fault)])

    assert ending_of(events).ending.reason is reason
    events = await room.send("two", ["fine"])
    assert ending_of(events).ending.reason is StopReason.END_TURN
    assert [item.text for item in room.model.requests[-1].messages] == ["one", "two"] or [
        item.text for item in room.model.requests[-1].messages
    ][:2] == ["one", "two"]


async def test_an_answer_that_was_cut_off_is_kept_and_said_to_be(room: Bench) -> None:
    events = await room.send("go", ["half a sen", End("length")])

    assert ending_of(events).ending.reason is StopReason.MAX_TOKENS_EXCEEDED
    assert messages_of(events)[0].text == "half a sen"


async def test_tokens_are_previewed_only_when_somebody_wants_them(room: Bench) -> None:
    quiet = await room.send("one", ["a b c"])
    loud = await room.send("two", ["a b c"], request=RunRequest(stream_tokens=True))

    assert not [event for event in quiet if isinstance(event, Delta)]
    pieces = [event for event in loud if isinstance(event, Delta)]
    assert "".join(piece.text for piece in pieces) == "a b c"
    stored = next(event for event in loud if isinstance(event, MessageStored))
    assert stored.streamed
    assert {piece.message_id for piece in pieces} == {stored.message.id}


async def test_every_event_comes_after_its_commit(room: Bench) -> None:
    live = await room.start("go", [call("look", '{"text": "a"}')], ["done"])
    async for batch in live.follow():
        stored = {item.id for item in await room.stored()}
        for event in batch:
            if isinstance(event, MessageStored):
                assert event.message.id in stored
            assert isinstance(event, RunStarted | StepEnded | MessageStored) or event is batch[-1]


async def test_agents_of_the_memgpt_family_speak_with_a_tool_and_think_in_arguments(room: Bench) -> None:
    await room.create(
        replace(standard_agent(), agent_type=AgentType.MEMGPT_V2, tool_names=("look",), include_base_tools=True)
    )
    look = call("look", '{"thinking": "first look", "text": "a", "request_heartbeat": true}')
    say = call("send_message", '{"thinking": "now speak", "message": "Hello."}', "c2")
    events = await room.send("hi", [look], [say])

    assert ending_of(events).ending.reason is StopReason.TOOL_RULE
    thoughts = [part.text for item in messages_of(events) for part in item.parts if isinstance(part, Reasoning)]
    assert thoughts == ["first look", "now speak"]
    assert room.model.requests[0].tool_choice == "required"
    look = next(tool for tool in room.model.requests[0].tools if tool.name == "look")
    properties = look.parameters["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == ["thinking", "text", "request_heartbeat"]


async def test_without_a_heartbeat_the_turn_of_a_memgpt_agent_ends(room: Bench) -> None:
    await room.create(replace(standard_agent(), agent_type=AgentType.MEMGPT_V2, tool_names=("look",)))
    events = await room.send("hi", [call("look", '{"thinking": "t", "text": "a"}')])

    assert ending_of(events).step_count == 1
    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_a_request_sees_no_more_than_what_it_should(room: Bench) -> None:
    seen: list[int] = []

    def step(request: ModelRequest) -> list[str]:
        seen.append(len(request.messages))
        return ["ok"]

    await room.send("one", step)
    await room.send("two", step)

    assert seen == [1, 3]
    assert isinstance((await room.stored())[-1].parts[0], Text)
