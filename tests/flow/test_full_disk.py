"""A database that cannot be written for a while: the client is told, nothing is made up, and all goes on afterwards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from loci.errors import StoreFailure
from loci.store import conversations, runs
from loci.store.base import Store
from loci.store.conversations import default_id
from loci.testing.agents import ACTOR, Bench, Setup, bench, ending_of, standard_agent
from loci.testing.failing import FailingStore
from loci.types.runs import StopReason
from tests.flow.tools import Outside, builtins


@pytest.fixture
async def disk() -> list[FailingStore]:
    return []


@pytest.fixture
async def room(tmp_path: Path, disk: list[FailingStore]) -> AsyncIterator[Bench]:
    def wrap(store: Store) -> Store:
        disk.append(FailingStore(store))
        return disk[0]

    async with bench(tmp_path, builtins(Outside()), Setup(wrap=wrap)) as made:
        await made.create(standard_agent())
        yield made


async def test_a_message_that_cannot_be_stored_is_refused_and_not_half_there(
    room: Bench, disk: list[FailingStore]
) -> None:
    await room.send("one", ["yes"])
    disk[0].failures = 1
    with pytest.raises(StoreFailure):
        await room.start("two")

    await room.send("three", ["yes"])
    assert [item.text for item in room.model.requests[-1].messages] == ["one", "yes", "three"]


@pytest.mark.parametrize("failures", [1, 2, 3, 7])
async def test_a_step_that_cannot_be_stored_ends_the_run_and_frees_the_conversation_later(
    room: Bench, disk: list[FailingStore], failures: int
) -> None:
    live = await room.start("one", ["An answer that is lost."])
    disk[0].failures = failures
    ended = await live.ended()
    while room.runs._tasks:
        await asyncio.sleep(0)

    assert ended.ending.reason is StopReason.ERROR
    assert (await room.kit.store.read(runs.get, ACTOR, live.run.id)).status == "failed"
    place = await room.kit.store.read(conversations.get, ACTOR, default_id(room.agent_id))
    assert place.busy_run_id is None
    events = await room.send("two", ["Here again."])
    assert ending_of(events).ending.reason is StopReason.END_TURN
    assert [item.text for item in room.model.requests[-1].messages] == ["one", "two"]
