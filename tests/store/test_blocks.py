"""Blocks, their attachment to agents, and what a change of them does to the agents that hold them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loci.clock import FakeClock
from loci.errors import Conflict, NotFound, VersionConflict
from loci.ids import new_id
from loci.store import agents, attachments, blocks, journal
from loci.store.attachments import Attachment
from loci.store.base import Store
from loci.store.blocks import BlockFilter
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.memory import Block, JournalEntry, Subject
from loci.types.paging import Page
from tests.memory.talks import AUTHOR, ME, add_agent

ALL = Page(limit_rows=100, ascending=True)


@dataclass(slots=True)
class Shelf:
    """Short ways to the verbs on blocks."""

    store: Store
    clock: FakeClock

    async def agent(self) -> str:
        return (await add_agent(self.store, self.clock, None)).id

    async def make(self, label: str = "human", value: str = "", **fields: Any) -> Block:
        block = Block(id=new_id("block"), label=label, value=value, **fields)
        return await self.store.write(blocks.insert, ME, AUTHOR, block, self.clock.now())

    async def attach(self, agent_id: str, block: Block) -> None:
        place = Attachment(agent_id=agent_id, block_id=block.id)
        await self.store.write(attachments.attach, ME, AUTHOR, place, self.clock.now())

    async def detach(self, agent_id: str, block: Block) -> None:
        place = Attachment(agent_id=agent_id, block_id=block.id)
        await self.store.write(attachments.detach, ME, AUTHOR, place, self.clock.now())

    async def change(self, block: Block, **fields: Any) -> Block:
        return await self.store.write(blocks.update, ME, AUTHOR, replace(block, **fields), self.clock.now())

    async def held(self, agent_id: str) -> list[str]:
        return [block.label for block in await self.store.read(blocks.blocks_of_agent, ME, agent_id)]

    async def versions(self, *agent_ids: str) -> list[int]:
        return [(await self.store.read(agents.get, ME, agent_id)).memory_version for agent_id in agent_ids]

    async def entries(self, subject: Subject, subject_id: str) -> list[JournalEntry]:
        return await self.store.read(journal.of_subject, ME, subject, subject_id)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with open_store(tmp_path) as store:
        yield Shelf(store, FakeClock())


async def test_what_is_stored_is_read_back(shelf: Shelf):
    block = await shelf.make(
        "project/notes",
        "Größe: 5\n\t✓",
        description="What we build.",
        limit_chars=50,
        read_only=True,
        hidden=False,
        tags=("a", 'b"c'),
        metadata={"k": [1, None, {"x": "y"}]},
        template_name="t",
        is_template=True,
    )

    assert await shelf.store.read(blocks.get, ME, block.id) == block
    assert (block.version, block.created_by, block.created_at) == (1, ME.user_id, shelf.clock.now())


async def test_a_change_makes_the_version_one_larger_and_is_in_the_journal(shelf: Shelf):
    block = await shelf.make(value="old")
    shelf.clock.advance(5)
    changed = await shelf.change(block, value="new", limit_chars=9)

    assert changed.version == 2
    assert changed.updated_at == shelf.clock.now()
    made, edited = await shelf.entries(Subject.BLOCK, block.id)
    assert (made.action, made.before) == ("create", None)
    assert (edited.action, edited.author.id) == ("update", AUTHOR.id)
    assert isinstance(edited.before, dict)
    assert isinstance(edited.after, dict)
    assert (edited.before["value"], edited.after["value"], edited.after["limit_chars"]) == ("old", "new", 9)


async def test_a_change_of_an_older_state_is_refused(shelf: Shelf):
    block = await shelf.make(value="first")
    await shelf.change(block, value="second")

    with pytest.raises(VersionConflict, match="is at version 2 by now; the edit was made for 1"):
        await shelf.change(block, value="third")
    assert (await shelf.store.read(blocks.get, ME, block.id)).value == "second"


async def test_a_change_leaves_a_block_in_the_project_that_it_was_made_in(shelf: Shelf):
    def projects() -> list[str | None]:
        return [block.project_id for block in (plain, garden)]

    plain, now = await shelf.make("plain"), shelf.clock.now()
    gardener = replace(ME, project_id="garden")
    garden = await shelf.store.write(
        blocks.insert, gardener, AUTHOR, Block(id=new_id("block"), label="b", value=""), now
    )
    assert projects() == [None, "garden"]
    plain = await shelf.store.write(blocks.update, gardener, AUTHOR, plain, now)
    garden = await shelf.change(garden, value="new")
    plain, garden = [await shelf.store.read(blocks.get, ME, block.id) for block in (plain, garden)]
    assert projects() == [None, "garden"]


async def test_a_change_reaches_every_agent_that_holds_the_block_and_no_other(shelf: Shelf):
    one, two, other = await shelf.agent(), await shelf.agent(), await shelf.agent()
    block = await shelf.make()
    await shelf.attach(one, block)
    await shelf.attach(two, block)
    before = await shelf.versions(one, two, other)
    block = await shelf.change(block, value="shared")

    assert await shelf.versions(one, two, other) == [before[0] + 1, before[1] + 1, before[2]]
    assert await shelf.store.read(blocks.agents_of_block, ME, block.id) == [one, two]


async def test_blocks_stand_in_the_order_in_which_they_were_attached(shelf: Shelf):
    agent_id = await shelf.agent()
    made = [await shelf.make(label) for label in ("c", "a", "b")]
    for block in made:
        await shelf.attach(agent_id, block)
    assert await shelf.held(agent_id) == ["c", "a", "b"]

    await shelf.detach(agent_id, made[0])
    await shelf.attach(agent_id, made[0])
    assert await shelf.held(agent_id) == ["a", "b", "c"]


async def test_attaching_and_detaching_change_the_prompt_and_are_in_the_journal(shelf: Shelf):
    agent_id, block = await shelf.agent(), await shelf.make()
    first = (await shelf.versions(agent_id))[0]
    await shelf.attach(agent_id, block)
    await shelf.attach(agent_id, block)
    assert await shelf.versions(agent_id) == [first + 1]
    await shelf.detach(agent_id, block)
    assert await shelf.versions(agent_id) == [first + 2]

    entries = await shelf.entries(Subject.ATTACHMENT, block.id)
    assert [(entry.action, entry.agent_id) for entry in entries] == [("attach", agent_id), ("detach", agent_id)]
    assert (await shelf.store.read(blocks.get, ME, block.id)).id == block.id


async def test_an_agent_holds_a_label_once(shelf: Shelf):
    agent_id = await shelf.agent()
    await shelf.attach(agent_id, await shelf.make("human"))

    with pytest.raises(Conflict, match="already holds a block with the label 'human'"):
        await shelf.attach(agent_id, await shelf.make("human"))
    other = await shelf.make("persona")
    await shelf.attach(agent_id, other)
    with pytest.raises(Conflict, match="holds another block with the label 'human'"):
        await shelf.change(other, label="human")
    await shelf.change(other, label="self")
    assert await shelf.held(agent_id) == ["human", "self"]


async def test_a_deleted_block_is_gone_everywhere_and_can_be_brought_back(shelf: Shelf):
    one, two = await shelf.agent(), await shelf.agent()
    block = await shelf.make(value="keep me")
    await shelf.attach(one, block)
    await shelf.attach(two, block)
    before = await shelf.versions(one, two)
    holders = await shelf.store.write(blocks.delete, ME, AUTHOR, block.id, shelf.clock.now())

    assert holders == [one, two]
    assert await shelf.versions(one, two) == [version + 1 for version in before]
    assert await shelf.held(one) == []
    with pytest.raises(NotFound):
        await shelf.store.read(blocks.get, ME, block.id)
    again = await shelf.store.write(blocks.restore, ME, AUTHOR, block, shelf.clock.now())
    assert again.version > block.version
    assert (await shelf.store.read(blocks.get, ME, block.id)).value == "keep me"


async def test_there_is_nothing_to_attach_detach_or_change_that_does_not_exist(shelf: Shelf):
    agent_id, block = await shelf.agent(), await shelf.make()
    gone = replace(block, id=new_id("block"))
    attempts: list[Callable[[], Any]] = [
        lambda: shelf.attach(agent_id, gone),
        lambda: shelf.attach(new_id("agent"), block),
        lambda: shelf.detach(agent_id, block),
        lambda: shelf.change(gone, value="x"),
        lambda: shelf.store.write(blocks.delete, ME, AUTHOR, gone.id, shelf.clock.now()),
        lambda: shelf.store.write(blocks.restore, ME, AUTHOR, block, shelf.clock.now()),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()


async def test_another_organisation_sees_and_changes_nothing(shelf: Shelf):
    agent_id, block = await shelf.agent(), await shelf.make(value="secret")
    await shelf.attach(agent_id, block)
    place, now = Attachment(agent_id=agent_id, block_id=block.id), shelf.clock.now()

    assert await shelf.store.read(blocks.listing, OTHER_ACTOR, BlockFilter(), ALL) == []
    assert await shelf.store.read(blocks.count, OTHER_ACTOR, BlockFilter()) == 0
    assert await shelf.store.read(blocks.blocks_of_agent, OTHER_ACTOR, agent_id) == []
    assert await shelf.store.read(blocks.agents_of_block, OTHER_ACTOR, block.id) == []
    assert await shelf.store.read(journal.of_subject, OTHER_ACTOR, Subject.BLOCK, block.id) == []
    with pytest.raises(NotFound):
        await shelf.store.read(blocks.get, OTHER_ACTOR, block.id)
    with pytest.raises(NotFound):
        await shelf.store.write(blocks.update, OTHER_ACTOR, AUTHOR, replace(block, value="mine"), now)
    with pytest.raises(NotFound):
        await shelf.store.write(blocks.delete, OTHER_ACTOR, AUTHOR, block.id, now)
    with pytest.raises(NotFound):
        await shelf.store.write(attachments.detach, OTHER_ACTOR, AUTHOR, place, now)
    assert await shelf.held(agent_id) == ["human"]


@pytest.mark.parametrize(
    ("chosen", "labels"),
    [
        ({}, "abcd"),
        ({"label": "a"}, "a"),
        ({"templates_only": True}, "b"),
        ({"template_name": "Start"}, "b"),
        ({"tags": ("x", "y")}, "abc"),
        ({"tags": ("x", "y"), "match_all_tags": True}, "b"),
        ({"tags": ("xx",)}, "c"),
        ({"read_only": True}, "c"),
        ({"read_only": False}, "abd"),
        ({"include_hidden": True}, "abcde"),
        ({"label_search": "A"}, "a"),
        ({"description_search": "people"}, "a"),
        ({"value_search": "100%"}, "d"),
        ({"value_search": "_"}, ""),
        ({"value_search": "ärger"}, ""),
        ({"value_search": "Ärger"}, "c"),
        ({"connected_to_agents_count_gt": 0}, "ab"),
        ({"connected_to_agents_count_lt": 1}, "cd"),
        ({"connected_to_agents_count_eq": (0, 2)}, "acd"),
        ({"connected_to_agents_count_gt": 0, "connected_to_agents_count_lt": 2}, "b"),
    ],
)
async def test_filters_choose_and_count_the_same_blocks(shelf: Shelf, chosen: dict[str, Any], labels: str):
    first = await shelf.make("a", "plain", description="About PEOPLE.", tags=("x",))
    second = await shelf.make("b", tags=("x", "y"), is_template=True, template_name="Start")
    await shelf.make("c", "Ärger", tags=("xx", "y"), read_only=True)
    await shelf.make("d", "It is 100% sure.", tags=("z",))
    await shelf.make("e", hidden=True)
    one, two = await shelf.agent(), await shelf.agent()
    await shelf.attach(one, first)
    await shelf.attach(two, first)
    await shelf.attach(two, second)
    wanted = BlockFilter(**chosen)
    found = await shelf.store.read(blocks.listing, ME, wanted, ALL)

    assert "".join(block.label for block in found) == labels
    assert await shelf.store.read(blocks.count, ME, wanted) == len(labels)


OPERATIONS = st.lists(st.tuples(st.sampled_from(["write", "attach", "detach"]), st.integers(0, 1)), max_size=12)


@settings(max_examples=25)
@given(OPERATIONS)
async def test_versions_only_grow_and_the_journal_tells_every_state(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]]
):
    async with open_store(tmp_path_factory.mktemp("blocks")) as store:
        shelf = Shelf(store, FakeClock())
        holders = [await shelf.agent(), await shelf.agent()]
        block = await shelf.make()
        seen = [[1, 1]]
        for number, (operation, which) in enumerate(operations):
            if operation == "write":
                block = await shelf.change(block, value=str(number))
            elif operation == "attach":
                await shelf.attach(holders[which], block)
            elif "human" in await shelf.held(holders[which]):
                await shelf.detach(holders[which], block)
            seen.append(await shelf.versions(*holders))
        entries = await shelf.entries(Subject.BLOCK, block.id)

    assert all(later >= earlier for earlier, later in pairwise(seen))
    states = [blocks.from_snapshot(block.id, entry.after) for entry in entries if isinstance(entry.after, dict)]
    assert [state.version for state in states] == list(range(1, block.version + 1))
    assert [entry.before for entry in entries[1:]] == [entry.after for entry in entries[:-1]]
    assert states[-1].value == block.value
