"""Which files are open follows from what was opened and closed, in that order, whatever the order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loci.errors import NotFound
from loci.files import holding
from loci.ids import new_id
from loci.store import file_views, files, folders
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.files import File, Folder
from tests.store.rooms import AUTHOR, ME, START, Room, an_agent

MOVES = st.lists(
    st.tuples(st.just("open"), st.integers(0, 5))
    | st.tuples(st.just("close"), st.integers(0, 5))
    | st.tuples(st.just("all"), st.just(0)),
    min_size=10,
    max_size=25,
)


async def a_file(room: Room, folder: Folder, name: str) -> File:
    file_id = new_id("file")
    new = File(
        id=file_id,
        folder_id=folder.id,
        folder_name="",
        name=name,
        original_name=name,
        media_type="text/plain",
        size_bytes=1,
    )
    file = await room.store.write(files.insert, ME, new, START)
    await room.store.write(files.set_text, ME, file, name, 0, START)
    await room.store.write(files.set_status, ME, file_id, "completed", START)
    return await room.store.read(files.get, ME, file_id)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES, st.integers(1, 4))
async def test_the_files_used_last_are_open(tmp_path_factory: pytest.TempPathFactory, moves, most: int):
    async with open_store(tmp_path_factory.mktemp("views")) as store:
        room = Room(store)
        agent = await room.agent(an_agent(max_files_open=most))
        folder = await store.write(folders.insert, ME, Folder(id=new_id("source"), name="docs"), START)
        every = [await a_file(room, folder, f"{number}.txt") for number in range(6)]
        await store.write(folders.attach, ME, AUTHOR, agent.id, folder, now=START)
        expected: list[str] = []
        for move, number in moves:
            version = (await room.read_agent(agent.id)).memory_version
            file = every[number]
            if move == "open":
                rest = [name for name in expected if name != file.name]
                seen = await store.read(holding.seen, ME, agent, file)
                gone = await store.write(holding.open_file, ME, agent, seen, START)
                expected = [*rest[max(0, len(rest) - most + 1) :], file.name]
                assert [left.name for left in gone] == [name for name in rest if name not in expected]
                changed = True
            elif move == "close":
                changed = file.name in expected
                await store.write(file_views.close, ME, agent.id, [file.id])
                expected = [name for name in expected if name != file.name]
            else:
                changed = bool(expected)
                gone = await store.write(holding.close_all, ME, agent.id)
                assert [left.name for left in gone] == expected
                expected = []
            seen = await store.read(file_views.opened, ME, agent.id)
            assert [view.file.name for view in seen] == expected
            assert ((await room.read_agent(agent.id)).memory_version > version) == changed


async def test_what_belongs_to_others_is_not_there(tmp_path: Path):
    async with open_store(tmp_path) as store:
        room = Room(store)
        agent = await room.agent(an_agent())
        folder = await store.write(folders.insert, ME, Folder(id=new_id("source"), name="docs"), START)
        file = await a_file(room, folder, "a.txt")
        await store.write(holding.attach, ME, AUTHOR, agent, folder.id, START)
        attempts: Any = (
            (folders.get, (folder.id,)),
            (folders.named, ("docs",)),
            (files.get, (file.id,)),
            (holding.attach, (AUTHOR, agent, folder.id, START)),
            (holding.detach, (AUTHOR, agent.id, folder.id, START)),
            (holding.delete_folder, (AUTHOR, folder.id, START)),
            (holding.found, (agent.id, file.id)),
        )
        for verb, arguments in attempts:
            with pytest.raises(NotFound):
                await store.write(verb, OTHER_ACTOR, *arguments)
        assert await store.read(files.text_of, OTHER_ACTOR, file.id) is None
        assert await store.read(files.readable, OTHER_ACTOR, folder.id, "") == []
        assert await store.read(file_views.named, OTHER_ACTOR, agent.id, "a.txt") == []
        assert await store.read(folders.of_agent, OTHER_ACTOR, agent.id) == []
        assert await store.read(folders.count, OTHER_ACTOR) == 0
        other = Folder(id=new_id("source"), name="docs")
        await store.write(folders.insert, OTHER_ACTOR, other, START)  # their names do not clash
