"""Cancelling works in every phase, and leaves a conversation that can go on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from loci.agent.request import NewMessage, RunRequest
from loci.errors import Busy, Conflict
from loci.model.script import Wait
from loci.store import runs
from loci.testing.agents import ACTOR, Bench, Setup, bench, ending_of, events_of, standard_agent
from loci.types.events import Delta
from loci.types.messages import Role, Text, ToolCall
from loci.types.runs import Limits, StopReason
from tests.flow.tools import Outside, builtins


@pytest.fixture
async def outside() -> Outside:
    return Outside()


@pytest.fixture
async def room(tmp_path: Path, outside: Outside) -> AsyncIterator[Bench]:
    async with bench(tmp_path, builtins(outside)) as made:
        await made.create(replace(standard_agent(), tool_names=("look", "post")))
        yield made


async def test_a_run_that_waits_for_its_tool_is_cancelled_and_the_call_is_closed(room: Bench, outside: Outside) -> None:
    outside.gate = asyncio.Event()
    live = await room.start("go", [ToolCall("c1", "post", '{"text": "a"}')])
    while not outside.ran:
        await asyncio.sleep(0)
    await room.runs.cancel(ACTOR, room.agent_id)

    assert ending_of(await events_of(live)).ending.reason is StopReason.CANCELLED
    stored = await room.kit.store.read(runs.get, ACTOR, live.run.id)
    assert stored.status == "cancelled"
    last = (await room.stored())[-1]
    assert last.role is Role.TOOL
    assert last.tool_results[0].status == "error"
    assert "outcome unknown" in last.tool_results[0].text, "it had begun"

    outside.gate = None
    events = await room.send("go on", ["fine"])
    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_what_the_model_had_said_is_kept_when_it_is_stopped(room: Bench) -> None:
    endless = ["some first words ", *(Wait(0.1) for _ in range(100_000))]
    live = await room.start("go", endless, request=RunRequest(stream_tokens=True))
    async for batch in live.follow():
        if any(isinstance(event, Delta) for event in batch):
            break
    await room.runs.cancel(ACTOR, room.agent_id)

    assert ending_of(await events_of(live)).ending.reason is StopReason.CANCELLED
    last = (await room.stored())[-1]
    assert last.role is Role.ASSISTANT
    assert last.text.startswith("some")
    assert last.extra == {"interrupted": True}


async def test_a_second_message_is_refused_while_the_first_is_at_work(room: Bench, outside: Outside) -> None:
    outside.gate = asyncio.Event()
    live = await room.start("go", [ToolCall("c1", "post", '{"text": "a"}')], ["done"])
    while not outside.ran:
        await asyncio.sleep(0)

    with pytest.raises(Busy) as refused:
        await room.start("me too")
    assert refused.value.run_id == live.run.id
    outside.gate.set()
    assert ending_of(await events_of(live)).ending.reason is StopReason.END_TURN


async def test_there_must_be_something_to_cancel(room: Bench) -> None:
    with pytest.raises(Conflict):
        await room.runs.cancel(ACTOR, room.agent_id)


async def test_a_run_ends_when_its_time_is_up(tmp_path: Path, outside: Outside) -> None:
    outside.gate = asyncio.Event()
    async with bench(tmp_path, builtins(outside), Setup(limits=Limits(duration_s_max=0.05))) as room:
        await room.create(replace(standard_agent(), tool_names=("post",)))
        events = await room.send("go", [ToolCall("c1", "post", '{"text": "a"}')])

    ended = ending_of(events).ending
    assert (ended.reason, ended.error_type) == (StopReason.ERROR, "run_timeout")


async def test_the_same_request_twice_is_carried_out_once(room: Bench) -> None:
    said = RunRequest(messages=(NewMessage(parts=(Text("hello"),), otid="mine-1"),))
    first = await room.send("", ["Hi."], request=said)
    second = await room.send("", request=said)

    assert [item.text for item in await room.stored()][1:] == ["hello", "Hi."]
    assert ending_of(second).run_id == ending_of(first).run_id
    assert ending_of(second).ending.reason is StopReason.END_TURN
