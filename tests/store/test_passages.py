"""Archives and their passages: kept, listed, counted, forgotten, and never shown to somebody else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from loci.clock import FakeClock
from loci.errors import NotFound
from loci.ids import new_id
from loci.store import archives, journal, passages
from loci.store.base import Store
from loci.store.passages import PassageFilter
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.memory import Archive, Passage, Subject
from loci.types.messages import Trust
from loci.types.paging import Page
from tests.memory.talks import AUTHOR, ME, add_agent

ALL = Page(limit_rows=100, ascending=True)


@dataclass(slots=True)
class Library:
    """Short ways to the verbs on archives and passages."""

    store: Store
    clock: FakeClock

    async def agent(self, embedding: str | None = None) -> str:
        return (await add_agent(self.store, self.clock, embedding)).id

    async def archive(self, name: str = "Notes", **fields: Any) -> Archive:
        archive = Archive(id=new_id("archive"), name=name, **fields)
        return await self.store.write(archives.insert, ME, AUTHOR, archive, self.clock.now())

    async def attach(self, agent_id: str, archive: Archive) -> None:
        await self.store.write(archives.attach, ME, AUTHOR, agent_id, archive.id, self.clock.now())

    async def keep(self, archive: Archive, *texts: str, **fields: Any) -> list[Passage]:
        new = [Passage(id=new_id("passage"), archive_id="", text=text, **fields) for text in texts]
        return await self.store.write(passages.insert, ME, AUTHOR, archive.id, new, self.clock.now())

    async def texts(self, page: Page = ALL, **chosen: Any) -> list[str]:
        listed = await self.store.read(passages.listing, ME, PassageFilter(**chosen), page)
        return [passage.text for passage in listed]


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_store(tmp_path) as store:
        yield Library(store, FakeClock())


async def test_what_is_kept_is_read_back(library: Library):
    archive = await library.archive(description="d", embedding="x/y", metadata={"a": 1})
    early = library.clock.now() - timedelta(days=400)
    (kept,) = await library.keep(archive, "Ünïcode", tags=("b", "a", "b"), metadata={"k": [1]}, created_at=early)

    assert await library.store.read(archives.get, ME, archive.id) == archive
    assert await library.store.read(passages.get, ME, kept.id) == kept
    assert (kept.tags, kept.created_at, kept.archive_id) == (("b", "a"), early, archive.id)
    assert await library.store.read(passages.by_seqs, ME, [kept.seq, 99]) == {kept.seq: kept}


async def test_keeping_and_forgetting_are_in_the_journal(library: Library):
    archive = await library.archive()
    (kept,) = await library.keep(archive, "The roof was mended.", trust=Trust.WEB)
    await library.store.write(passages.delete, ME, AUTHOR, kept.id, library.clock.now())

    with pytest.raises(NotFound):
        await library.store.read(passages.get, ME, kept.id)
    made, gone = await library.store.read(journal.of_subject, ME, Subject.PASSAGE, kept.id)
    assert (made.action, made.before, gone.action, gone.after) == ("create", None, "delete", None)
    assert made.after == gone.before
    assert isinstance(made.after, dict)
    assert passages.from_snapshot(kept.id, made.after).trust is Trust.WEB


async def test_an_agent_gets_an_archive_with_its_first_note(library: Library):
    agent_id = await library.agent("loci/wordllama")
    assert await library.store.read(archives.archives_of_agent, ME, agent_id) == []
    now = library.clock.now()
    first = await library.store.write(archives.archive_to_write, ME, AUTHOR, agent_id, now)
    again = await library.store.write(archives.archive_to_write, ME, AUTHOR, agent_id, now)

    assert (first.id, first.embedding, first.name) == (again.id, "loci/wordllama", "Ada's Archive")
    with pytest.raises(NotFound):
        await library.store.write(archives.archive_to_write, ME, AUTHOR, new_id("agent"), now)


async def test_an_agent_writes_into_its_own_archive_and_sees_shared_ones(library: Library):
    agent_id, friend = await library.agent(), await library.agent()
    own, shared = await library.archive("own"), await library.archive("shared")
    await library.attach(agent_id, own)
    await library.attach(agent_id, shared)
    await library.attach(agent_id, shared)
    await library.attach(friend, shared)
    await library.keep(own, "mine")
    await library.keep(shared, "ours")
    written = await library.store.write(archives.archive_to_write, ME, AUTHOR, agent_id, library.clock.now())

    assert written.id == own.id
    assert await library.texts(agent_id=agent_id) == ["mine", "ours"]
    assert await library.texts(agent_id=friend) == ["ours"]
    assert await library.texts(agent_id=friend, archive_id=own.id) == []
    assert await library.store.read(archives.agents_of_archive, ME, shared.id) == [agent_id, friend]
    await library.store.write(archives.detach, ME, AUTHOR, agent_id, shared.id, library.clock.now())
    assert await library.texts(agent_id=agent_id) == ["mine"]
    with pytest.raises(NotFound):
        await library.store.write(archives.detach, ME, AUTHOR, agent_id, shared.id, library.clock.now())


async def test_passages_are_listed_by_their_time_and_searched_by_parts(library: Library):
    agent_id, archive = await library.agent(), await library.archive()
    await library.attach(agent_id, archive)
    now = library.clock.now()
    for days, text in ((2, "second"), (3, "THIRD 50%"), (1, "first")):
        await library.keep(archive, text, created_at=now + timedelta(days=days))

    assert await library.texts(agent_id=agent_id) == ["first", "second", "THIRD 50%"]
    assert await library.texts(Page(limit_rows=2), agent_id=agent_id) == ["THIRD 50%", "second"]
    assert await library.texts(agent_id=agent_id, search="third") == ["THIRD 50%"]
    assert await library.texts(agent_id=agent_id, search="%") == ["THIRD 50%"]
    assert await library.store.read(passages.count, ME, PassageFilter(agent_id=agent_id, search="ir")) == 2
    assert await library.store.read(passages.count, ME, PassageFilter(agent_id=new_id("agent"))) == 0


async def test_tags_in_use_are_told_once_and_go_with_their_last_passage(library: Library):
    agent_id, archive = await library.agent(), await library.archive()
    await library.attach(agent_id, archive)
    (first,) = await library.keep(archive, "a", tags=("music", "cello"))
    await library.keep(archive, "b", tags=("music",))
    assert await library.store.read(passages.tags_of_agent, ME, agent_id) == ["cello", "music"]

    await library.store.write(passages.delete, ME, AUTHOR, first.id, library.clock.now())
    assert await library.store.read(passages.tags_of_agent, ME, agent_id) == ["music"]


async def test_an_archive_goes_with_everything_that_was_derived_from_it(library: Library):
    agent_id, archive = await library.agent(), await library.archive()
    other = await library.archive("other")
    await library.attach(agent_id, archive)
    await library.keep(archive, "one", "two", tags=("t",))
    await library.keep(other, "three")
    await library.store.write(archives.delete, ME, AUTHOR, archive.id, library.clock.now())

    assert await library.texts() == ["three"]
    left = await library.store.read(
        lambda tx: [
            tx.one(f"select count(*) as n from {table}")
            for table in ("search_rows", "passage_words", "passage_tags", "agent_archives", "search_scopes")
        ]
    )
    assert [row["n"] for row in left if row] == [1, 1, 0, 0, 1]


async def test_archives_are_listed_changed_and_paged(library: Library):
    agent_id = await library.agent()
    made = [await library.archive(name) for name in ("a", "b", "a")]
    await library.attach(agent_id, made[1])
    changed = replace(made[0], description="new", embedding="p/q")
    await library.store.write(archives.update, ME, AUTHOR, changed, library.clock.now())

    async def ids(page: Page = ALL, **chosen: Any) -> list[str]:
        return [archive.id for archive in await library.store.read(archives.listing, ME, page, **chosen)]

    assert await ids() == [archive.id for archive in made]
    assert await ids(name="a") == [made[0].id, made[2].id]
    assert await ids(agent_id=agent_id) == [made[1].id]
    assert await ids(Page(limit_rows=1, after=made[1].id)) == [made[0].id]
    assert (await library.store.read(archives.get, ME, made[0].id)).embedding == "p/q"


async def test_another_organisation_sees_and_changes_nothing(library: Library):
    agent_id, archive = await library.agent(), await library.archive()
    await library.attach(agent_id, archive)
    (kept,) = await library.keep(archive, "secret", tags=("t",))
    now = library.clock.now()

    assert await library.store.read(archives.listing, OTHER_ACTOR, ALL) == []
    assert await library.store.read(archives.archives_of_agent, OTHER_ACTOR, agent_id) == []
    assert await library.store.read(passages.listing, OTHER_ACTOR, PassageFilter(agent_id=agent_id), ALL) == []
    assert await library.store.read(passages.by_seqs, OTHER_ACTOR, [kept.seq]) == {}
    assert await library.store.read(passages.tags_of_agent, OTHER_ACTOR, agent_id) == []
    note = Passage(id=new_id("passage"), archive_id="", text="intruder")
    for verb, arguments in (
        (archives.get, (archive.id,)),
        (passages.get, (kept.id,)),
        (archives.delete, (AUTHOR, archive.id, now)),
        (archives.update, (AUTHOR, archive, now)),
        (archives.attach, (AUTHOR, agent_id, archive.id, now)),
        (archives.detach, (AUTHOR, agent_id, archive.id, now)),
        (archives.archive_to_write, (AUTHOR, agent_id, now)),
        (passages.delete, (AUTHOR, kept.id, now)),
        (passages.insert, (AUTHOR, archive.id, [note], now)),
    ):
        with pytest.raises(NotFound):
            await library.store.write(verb, OTHER_ACTOR, *arguments)  # pyright: ignore[reportArgumentType]  many verbs
    assert await library.texts(agent_id=agent_id) == ["secret"]
