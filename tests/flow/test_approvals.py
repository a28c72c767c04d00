"""Calls that wait for a person or for the client: nothing runs before the answer, and nothing blocks for ever."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from loci.agent import updating
from loci.agent.request import ApprovalReply, RunRequest
from loci.errors import AwaitingApproval, BadRequest, Conflict
from loci.store import tools
from loci.testing.agents import ACTOR, Bench, bench, ending_of, messages_of, standard_agent
from loci.types.events import MessageStored
from loci.types.messages import Role, ToolCall
from loci.types.runs import StopReason
from loci.types.tools import RequiresApproval, ToolSchema
from tests.flow.tools import Outside, builtins, schema

POST = ToolCall("c1", "post", '{"text": "a"}')
LOOK = ToolCall("c2", "look", '{"text": "b"}')


@pytest.fixture
async def outside() -> Outside:
    return Outside()


@pytest.fixture
async def room(tmp_path: Path, outside: Outside) -> AsyncIterator[Bench]:
    async with bench(tmp_path, builtins(outside)) as made:
        asked = (RequiresApproval(tool_name="post"),)
        await made.create(replace(standard_agent(), tool_names=("look", "post"), tool_rules=asked))
        yield made


def answers(*replies: ApprovalReply, client_tools: tuple[ToolSchema, ...] = ()) -> RunRequest:
    return RunRequest(approvals=replies, client_tools=client_tools)


async def test_a_call_that_must_be_asked_for_waits_and_runs_once_it_is_approved(room: Bench, outside: Outside) -> None:
    events = await room.send("go", [POST, LOOK])

    assert ending_of(events).ending.reason is StopReason.REQUIRES_APPROVAL
    assert [event.asks_approval for event in events if isinstance(event, MessageStored)] == [True]
    assert outside.ran == []

    events = await room.send("", ["done"], request=answers(ApprovalReply(call_id="c1")))
    assert sorted(outside.ran) == ["look", "post"]
    results = [result for item in messages_of(events) for result in item.tool_results]
    assert [(result.call_id, result.text) for result in results] == [("c1", "post saw a"), ("c2", "look saw b")]
    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_a_denied_call_does_not_run_and_the_model_reads_why(room: Bench, outside: Outside) -> None:
    await room.send("go", [POST])
    events = await room.send(
        "", ["I will not."], request=answers(ApprovalReply(call_id="c1", approve=False, reason="no"))
    )

    assert outside.ran == []
    result = next(result for item in messages_of(events) for result in item.tool_results)
    assert (result.status, result.text) == ("error", "Error: request to call tool denied. User reason: no")


async def test_words_are_refused_while_a_call_waits_and_the_refusal_names_it(room: Bench) -> None:
    await room.send("go", [POST])

    with pytest.raises(AwaitingApproval) as refused:
        await room.send("hello?")
    assert "waiting for approval" in str(refused.value)
    assert "post (c1)" in str(refused.value)


async def test_wrong_ids_are_refused_with_the_right_ones(room: Bench) -> None:
    await room.send("go", [POST])

    with pytest.raises(BadRequest) as refused:
        await room.send("", request=answers(ApprovalReply(call_id="c9")))
    assert "expected c1, got c9" in str(refused.value)
    events = await room.send("", ["ok"], request=answers(ApprovalReply(call_id="c1")))
    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_an_answer_nobody_waits_for_is_a_conflict(room: Bench) -> None:
    with pytest.raises(Conflict):
        await room.send("", request=answers(ApprovalReply(call_id="c1")))


async def test_cancelling_frees_the_conversation_and_the_call_never_runs(room: Bench, outside: Outside) -> None:
    await room.send("go", [POST])
    await room.runs.cancel(ACTOR, room.agent_id)
    events = await room.send("something else", ["fine"])

    assert ending_of(events).ending.reason is StopReason.END_TURN
    assert outside.ran == []
    shown = room.model.requests[-1].messages
    assert [item.role for item in shown] == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.USER]
    assert shown[2].tool_results[0].text == "Error: the question was withdrawn, and the tool did not run."


async def test_a_client_tool_is_offered_and_its_result_comes_from_the_client(room: Bench, outside: Outside) -> None:
    shell: ToolSchema = schema("shell", "text")
    request = RunRequest(client_tools=(shell,))
    events = await room.send("go", [ToolCall("c5", "shell", '{"text": "ls"}')], request=request)

    assert ending_of(events).ending.reason is StopReason.REQUIRES_APPROVAL
    assert "shell" in {tool.name for tool in room.model.requests[0].tools}
    reply = ApprovalReply(call_id="c5", result="file.txt")
    events = await room.send("", ["There is one file."], request=answers(reply, client_tools=(shell,)))
    results = [result for item in messages_of(events) for result in item.tool_results]
    assert [(result.text, result.status) for result in results] == [("file.txt", "success")]
    assert outside.ran == []


async def test_an_answer_and_new_words_in_one_request_are_taken_in_that_order(room: Bench) -> None:
    await room.send("go", [POST])
    events = await room.send("and then this", ["both done"], request=answers(ApprovalReply(call_id="c1")))

    assert ending_of(events).ending.reason is StopReason.END_TURN
    shown = room.model.requests[-1].messages
    assert [item.role for item in shown if item.role is not Role.APPROVAL] == [
        Role.USER,
        Role.ASSISTANT,
        Role.TOOL,
        Role.USER,
    ]


async def test_denying_many_calls_at_once_ends_no_run_before_the_model_has_read_of_it(room: Bench) -> None:
    calls = [ToolCall(f"c{number}", "post", '{"text": "a"}') for number in range(3)]
    await room.send("go", calls)
    denied = [ApprovalReply(call_id=call.id, approve=False) for call in calls]
    events = await room.send("", ["I understand."], request=answers(*denied))

    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_parallel_calls_that_fail_alike_are_one_failure(room: Bench) -> None:
    calls = [ToolCall(f"c{number}", "look", '{"wrong": "a"}') for number in range(4)]
    events = await room.send("go", calls, ["I see."])

    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_an_answer_is_kept_while_another_call_of_the_same_message_is_asked_for_later(room: Bench) -> None:
    """The tool was away when the question was asked, and came back before the answer."""
    post = await room.kit.store.read(tools.by_name, ACTOR, "post")
    assert post is not None
    now = room.kit.clock.now()
    await room.kit.store.write(lambda tx: updating.detach_tool(tx, ACTOR, room.agent_id, post.id, now=now))
    shell = schema("shell")
    calls = [ToolCall("c5", "shell", "{}"), POST]
    await room.send("go", calls, request=RunRequest(client_tools=(shell,)))
    await room.kit.store.write(lambda tx: updating.attach_tool(tx, ACTOR, room.agent_id, post.id, now=now))
    await room.kit.store.write(lambda tx: updating.set_approval(tx, ACTOR, room.agent_id, "post", asks=True, now=now))
    brought = ApprovalReply(call_id="c5", result="file.txt")
    events = await room.send("", request=answers(brought, client_tools=(shell,)))
    assert ending_of(events).ending.reason is StopReason.REQUIRES_APPROVAL

    events = await room.send("", ["done"], request=answers(ApprovalReply(call_id="c1"), client_tools=(shell,)))
    results = [result for item in messages_of(events) for result in item.tool_results]
    assert [(item.call_id, item.text) for item in results] == [("c5", "file.txt"), ("c1", "post saw a")]
