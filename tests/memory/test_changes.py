"""Changing memory: all or nothing, no change of anybody lost, and everything can be taken back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loci.clock import FakeClock
from loci.errors import BadRequest, BlockTooLong, Conflict, LociError, NotFound, VersionConflict
from loci.ids import new_id
from loci.memory import changes, journal, undo
from loci.memory.journal import blame_lines, diff
from loci.store import attachments, blocks, passages
from loci.store import journal as entries
from loci.store.attachments import Attachment
from loci.store.base import Store, Transaction
from loci.store.passages import PassageFilter
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.memory import (
    ActorKind,
    Author,
    Block,
    BlockCreate,
    BlockDetach,
    BlockEdit,
    Change,
    ChangeSet,
    JournalEntry,
    PassageInsert,
    Subject,
)
from loci.types.messages import Trust
from loci.types.paging import Page
from tests.memory.talks import AUTHOR, ME, add_agent

AGENT = Author(kind=ActorKind.AGENT, id="agent", trust=Trust.AGENT, reason="It was said.")
ALL = Page(limit_rows=100, ascending=True)


@dataclass(slots=True)
class Memory:
    """One agent's memory, and short ways to change it."""

    store: Store
    clock: FakeClock
    agent_id: str = ""
    authors: list[str] = field(default_factory=list)

    async def apply(self, *made: Change, author: Author = AGENT) -> str:
        self.clock.advance(1)
        wanted, now = ChangeSet(changes=made), self.clock.now()
        return await self.store.write(changes.apply, ME, author, self.agent_id, wanted, now=now)

    async def revert(self, change_set_id: str) -> str:
        self.clock.advance(1)
        return await self.store.write(undo.revert, ME, AUTHOR, change_set_id, now=self.clock.now())

    async def create(self, label: str, value: str) -> Block:
        await self.apply(BlockCreate(label=label, value=value))
        return await self.block(label)

    async def write(self, label: str, value: str, *, base: Block | None = None, author: Author = AGENT) -> str:
        block = base or await self.block(label)
        return await self.apply(BlockEdit(block_id=block.id, version=block.version, value=value), author=author)

    async def held(self) -> dict[str, str]:
        return {block.label: block.value for block in await self.store.read(blocks.blocks_of_agent, ME, self.agent_id)}

    async def block(self, label: str) -> Block:
        held = await self.store.read(blocks.blocks_of_agent, ME, self.agent_id)
        return next(block for block in held if block.label == label)

    async def notes(self) -> list[str]:
        chosen = PassageFilter(agent_id=self.agent_id)
        return [note.text for note in await self.store.read(passages.listing, ME, chosen, ALL)]

    async def journal(self) -> list[JournalEntry]:
        return await self.store.read(entries.of_agent, ME, self.agent_id, ALL)


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Memory]:
    async with open_store(tmp_path) as store:
        yield await new_memory(store)


async def new_memory(store: Store) -> Memory:
    clock = FakeClock()
    return Memory(store, clock, (await add_agent(store, clock, None)).id)


async def test_a_set_is_applied_as_one_and_kept_together(memory: Memory):
    human = await memory.create("human", "Ada.")
    change_set_id = await memory.apply(
        BlockEdit(block_id=human.id, version=human.version, value="Ada, Porto.", description="Who she is."),
        BlockCreate(label="plans", value="None yet."),
        PassageInsert(text="She was born in 1985.", tags=("facts",)),
    )

    assert await memory.held() == {"human": "Ada, Porto.", "plans": "None yet."}
    assert await memory.notes() == ["She was born in 1985."]
    written = await memory.store.read(entries.of_change_set, ME, change_set_id)
    assert [(entry.subject, entry.action) for entry in written] == [
        (Subject.BLOCK, "update"),
        (Subject.BLOCK, "create"),
        (Subject.ATTACHMENT, "attach"),
        (Subject.PASSAGE, "create"),
    ]
    assert {(entry.author.kind, entry.author.reason) for entry in written} == {(ActorKind.AGENT, "It was said.")}


async def test_if_one_change_is_refused_none_is_made_even_when_the_caller_goes_on(memory: Memory):
    human = await memory.create("human", "Ada.")
    before = await memory.journal()
    wanted = ChangeSet(
        changes=(
            BlockEdit(block_id=human.id, version=human.version, value="changed"),
            PassageInsert(text="note"),
            BlockCreate(label="human", value="taken"),
        )
    )

    def caller(tx: Transaction) -> str:
        try:
            changes.apply(tx, ME, AGENT, memory.agent_id, wanted, now=memory.clock.now())
        except Conflict as error:
            return str(error)
        return "applied"

    assert "already holds a block with the label 'human'" in await memory.store.write(caller)
    assert await memory.held() == {"human": "Ada."}
    assert await memory.notes() == []
    assert await memory.journal() == before


async def test_edits_of_different_lines_by_two_are_merged(memory: Memory):
    old = await memory.create("human", "one\ntwo\nthree")
    await memory.write("human", "ONE\ntwo\nthree")
    await memory.write("human", "one\ntwo\nTHREE\nfour", base=old)

    assert await memory.held() == {"human": "ONE\ntwo\nTHREE\nfour"}


async def test_both_may_begin_an_empty_block(memory: Memory):
    old = await memory.create("human", "")
    await memory.write("human", "theirs")
    await memory.write("human", "ours", base=old)

    assert await memory.held() == {"human": "theirs\nours"}


async def test_edits_of_the_same_line_lose_nothing_and_say_both_texts(memory: Memory):
    old = await memory.create("human", "likes tea")
    await memory.write("human", "likes mate")

    with pytest.raises(VersionConflict) as refused:
        await memory.write("human", "likes coffee", base=old)
    assert "likes mate" in str(refused.value)
    assert "likes coffee" in str(refused.value)
    assert await memory.held() == {"human": "likes mate"}


async def test_a_merge_does_not_pass_the_limit(memory: Memory):
    await memory.apply(BlockCreate(label="small", value="a\nb", limit_chars=10))
    old = await memory.block("small")
    await memory.write("small", "aaaaaa\nb")

    with pytest.raises(BlockTooLong, match="may have 10 characters; this edit would make it 13"):
        await memory.write("small", "a\nbbbbbb", base=old)
    assert await memory.held() == {"small": "aaaaaa\nb"}


async def test_taking_a_set_back_restores_everything_and_can_be_taken_back_itself(memory: Memory):
    human = await memory.create("human", "Ada.")
    other = await memory.create("other", "x")
    start, notes = await memory.held(), await memory.notes()
    done = await memory.apply(
        BlockEdit(block_id=human.id, version=human.version, value="Eva.", label="person"),
        BlockDetach(block_id=other.id, version=other.version),
        BlockCreate(label="plans", value="None."),
        PassageInsert(text="note"),
    )
    after = await memory.held()
    undone = await memory.revert(done)

    assert await memory.held() == start
    assert await memory.notes() == notes == []
    redone = await memory.revert(undone)
    assert await memory.held() == after == {"person": "Eva.", "plans": "None."}
    assert await memory.notes() == ["note"]
    await memory.revert(redone)
    assert await memory.held() == start


async def test_taking_back_keeps_what_others_wrote_since(memory: Memory):
    await memory.create("human", "one\ntwo\nthree")
    done = await memory.write("human", "ONE\ntwo\nthree")
    await memory.write("human", "ONE\ntwo\nthree\nfour", author=AUTHOR)
    await memory.revert(done)

    assert await memory.held() == {"human": "one\ntwo\nthree\nfour"}


async def test_taking_back_is_refused_where_a_later_change_would_be_lost(memory: Memory):
    await memory.create("human", "likes tea")
    done = await memory.write("human", "likes mate")
    await memory.write("human", "likes coffee")
    made = await memory.apply(BlockCreate(label="plans", value="None."))
    await memory.write("plans", "Go to Sevilla.")

    with pytest.raises(VersionConflict, match="likes coffee"):
        await memory.revert(done)
    with pytest.raises(VersionConflict, match="would lose:\nGo to Sevilla"):
        await memory.revert(made)
    assert await memory.held() == {"human": "likes coffee", "plans": "Go to Sevilla."}


async def test_a_block_that_others_hold_by_now_is_not_taken_from_them(memory: Memory):
    made = await memory.apply(BlockCreate(label="plans", value="None."))
    friend = (await add_agent(memory.store, memory.clock, None)).id
    place = Attachment(agent_id=friend, block_id=(await memory.block("plans")).id)
    await memory.store.write(attachments.attach, ME, AUTHOR, place, memory.clock.now())

    with pytest.raises(Conflict, match=friend):
        await memory.revert(made)


async def test_one_entry_can_be_taken_back_alone(memory: Memory):
    block = await memory.create("human", "Ada.")
    await memory.apply(BlockEdit(block_id=block.id, version=block.version, value="Eva."), PassageInsert(text="note"))
    edit = next(entry for entry in await memory.journal() if entry.action == "update")
    await memory.store.write(undo.undo, ME, AUTHOR, edit.seq, now=memory.clock.now())

    assert (await memory.held(), await memory.notes()) == ({"human": "Ada."}, ["note"])
    archive = next(entry for entry in await memory.journal() if entry.subject is Subject.ARCHIVE)
    with pytest.raises(BadRequest, match=r"\(archive\) is no change of a block"):
        await memory.store.write(undo.undo, ME, AUTHOR, archive.seq, now=memory.clock.now())


async def test_a_deleted_block_comes_back_to_those_who_held_it(memory: Memory):
    block = await memory.create("human", "Ada.")
    await memory.store.write(blocks.delete, ME, AUTHOR, block.id, memory.clock.now())
    gone = (await memory.store.read(entries.of_subject, ME, Subject.BLOCK, block.id))[-1]
    assert await memory.held() == {}
    await memory.store.write(undo.undo, ME, AUTHOR, gone.seq, now=memory.clock.now())

    assert await memory.held() == {"human": "Ada."}


async def test_another_organisation_can_neither_see_nor_take_back(memory: Memory):
    done = await memory.apply(BlockCreate(label="human", value="Ada."))
    entry = (await memory.journal())[-1]

    with pytest.raises(NotFound):
        await memory.store.write(undo.revert, OTHER_ACTOR, AUTHOR, done, now=memory.clock.now())
    with pytest.raises(NotFound):
        await memory.store.write(undo.undo, OTHER_ACTOR, AUTHOR, entry.seq, now=memory.clock.now())
    with pytest.raises(NotFound):
        await memory.store.read(journal.history, OTHER_ACTOR, entry.subject, entry.subject_id)
    assert await memory.store.read(entries.of_agent, OTHER_ACTOR, memory.agent_id, ALL) == []


async def test_memory_can_be_read_as_it_stood_at_any_time(memory: Memory):
    moments: list[tuple[datetime, dict[str, str]]] = [(memory.clock.now(), {})]
    human = await memory.create("human", "1")
    moments.append((memory.clock.now(), await memory.held()))
    await memory.write("human", "2")
    moments.append((memory.clock.now(), await memory.held()))
    await memory.create("plans", "3")
    moments.append((memory.clock.now(), await memory.held()))
    await memory.apply(BlockDetach(block_id=human.id, version=2))
    moments.append((memory.clock.now(), await memory.held()))

    for at, then in moments:
        told = await memory.store.read(journal.blocks_at, ME, memory.agent_id, at)
        assert {block.label: block.value for block in told} == then
    early = moments[1][0] - timedelta(microseconds=1)
    assert await memory.store.read(journal.block_at, ME, human.id, early) is None


async def test_every_line_has_somebody_to_answer_for_it(memory: Memory):
    await memory.create("human", "one\ntwo")
    await memory.write("human", "one\ntwo\nthree", author=AUTHOR)
    block = await memory.block("human")
    await memory.store.write(
        blocks.update, ME, AUTHOR, replace(block, value="zero\none\nthree", read_only=True), memory.clock.now()
    )
    told = await memory.store.read(journal.blame, ME, block.id)

    assert [(line.text, line.entry.action, line.entry.author.kind) for line in told] == [
        ("zero", "update", ActorKind.USER),
        ("one", "create", ActorKind.AGENT),
        ("three", "update", ActorKind.USER),
    ]
    history = await memory.store.read(journal.history, ME, Subject.BLOCK, block.id)
    assert [entry.action for entry in history] == ["create", "update", "update"]


async def test_old_lines_are_laid_to_the_oldest_change_that_is_looked_at(memory: Memory):
    await memory.create("human", "old")
    for number in range(journal.BLAME_CHANGES_MAX):
        await memory.write("human", f"old\n{number}", author=AUTHOR)
    block = await memory.block("human")
    old, new = await memory.store.read(journal.blame, ME, block.id)

    assert (old.text, new.text) == ("old", str(journal.BLAME_CHANGES_MAX - 1))
    assert new.entry.seq - old.entry.seq == journal.BLAME_CHANGES_MAX - 1


async def test_a_block_of_very_many_lines_is_told_apart_by_its_history_alone(memory: Memory):
    block = await memory.create("human", "\n" * journal.BLAME_LINES_MAX)
    with pytest.raises(BadRequest, match="at most 2000"):
        await memory.store.read(journal.blame, ME, block.id)
    await memory.write("human", "short\nagain", author=AUTHOR)
    told = await memory.store.read(journal.blame, ME, block.id)

    assert [line.entry.action for line in told] == ["update", "update"]


async def test_the_journal_of_an_agent_turns_its_pages(memory: Memory):
    block = await memory.create("human", "0")
    for number in range(5):
        await memory.write("human", str(number + 1))
    stranger = replace(block, value="from outside", version=6)
    await memory.store.write(blocks.update, ME, AUTHOR, stranger, memory.clock.now())
    whole = await memory.journal()
    seen: list[int] = []
    while True:
        page = Page(limit_rows=3, ascending=False, after=str(seen[-1]) if seen else None)
        rows = await memory.store.read(entries.of_agent, ME, memory.agent_id, page)
        if not rows:
            break
        seen += [entry.seq for entry in rows]

    assert seen == [entry.seq for entry in reversed(whole)]
    assert whole[-1].author.kind is ActorKind.USER
    with pytest.raises(NotFound):
        await memory.store.read(entries.of_agent, ME, memory.agent_id, Page(after="x"))


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=6).map("\n".join)


@settings(max_examples=40)
@given(TEXTS, TEXTS)
async def test_an_edit_and_its_undo_leave_what_was_there(
    tmp_path_factory: pytest.TempPathFactory, before: str, after: str
):
    async with open_store(tmp_path_factory.mktemp("undo")) as store:
        memory = await new_memory(store)
        await memory.create("human", before)
        done = await memory.write("human", after)
        await memory.revert(done)
        assert await memory.held() == {"human": before}
        assert (await memory.block("human")).version >= 2


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
async def test_no_write_of_three_writers_is_lost_however_they_interleave(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, int, bool]]
):
    """Each writer adds lines of its own to what it last read. What was accepted stands in the block at the end."""
    async with open_store(tmp_path_factory.mktemp("writers")) as store:
        memory = await new_memory(store)
        views = [await memory.create("human", "top\nmiddle\nend")] * 3
        accepted: list[str] = []
        for number, (writer, line, reads_first) in enumerate(moves):
            if reads_first:
                views[writer] = await memory.block("human")
            lines = views[writer].value.split("\n")
            mine = f"writer {writer} line {number}"
            lines.insert(min(line, len(lines)), mine)
            refused = ""
            try:
                await memory.write("human", "\n".join(lines), base=views[writer])
                accepted.append(mine)
            except VersionConflict as error:
                refused = str(error)
            assert mine in accepted or mine in refused
        final = (await memory.held())["human"].split("\n")

    assert set(accepted) <= set(final)
    assert {"top", "middle", "end"} <= set(final)
    assert len(final) == len(accepted) + 3


VERSIONS = st.lists(TEXTS, min_size=1, max_size=6)


@given(VERSIONS)
def test_blame_covers_every_line_with_a_text_that_holds_it(values: list[str]):
    origins = blame_lines(values)
    lines = values[-1].split("\n") if values[-1] else []

    assert len(origins) == len(lines)
    for line, origin in zip(lines, origins, strict=True):
        assert line in values[origin].split("\n")
        assert all(line in value.split("\n") for value in values[origin:])


@given(TEXTS, TEXTS)
def test_a_diff_is_empty_only_if_nothing_changed(before: str, after: str):
    told = diff(before, after)

    assert (told == "") == (before == after)
    added = [line[1:] for line in told.split("\n") if line.startswith("+")]
    assert all(line in after.split("\n") for line in added)


async def test_a_change_for_no_agent_or_no_block_is_refused(memory: Memory):
    gone = new_id("block")
    for change in (BlockEdit(block_id=gone, version=1, value=""), BlockDetach(block_id=gone, version=1)):
        with pytest.raises(NotFound):
            await memory.apply(change)
    memory.agent_id = new_id("agent")
    for change in (BlockCreate(label="a", value=""), PassageInsert(text="x")):
        with pytest.raises(LociError):
            await memory.apply(change)
