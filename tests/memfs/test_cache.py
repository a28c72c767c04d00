"""The repositories on disk are a cache: whatever happens to it, nobody is given less than what was pushed."""

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from letta_client import AsyncLetta

from loci.testing.live import live_settings, serving
from tests.memfs.room import Clone, Room, Stop, needs_git, room
from tests.sdk.processes import running

pytestmark = needs_git

NOTE = "notes/tea.txt"


async def pushed(here: Room) -> dict[str, str]:
    """Push a file that is no block; what every clone has from now on."""
    ana = await here.clone()
    ana.write(NOTE, "Green.\n")
    await ana.commit("Note")
    await ana.push()
    return ana.files()


async def test_a_repository_is_not_cleared_while_somebody_reads_it(tmp_path: Path):
    async with room(tmp_path) as here:
        await pushed(here)
        stop = Stop.at(tmp_path / "git", "--advertise-refs .")
        os.environ["PATH"] = f"{stop.folder}:{os.environ['PATH']}"
        reading = asyncio.create_task(here.client.http.get(f"{here.url}/info/refs?service=git-upload-pack"))
        await stop.reached()
        deleting = asyncio.create_task(here.client.http.delete(f"/v1/agents/{here.agent_id}"))
        while (await here.client.http.get(f"/v1/agents/{here.agent_id}")).status_code != 404:
            pass
        await stop.go()
        assert b"refs/heads/main" in (await reading).content
        assert (await deleting).status_code == 200
        assert cached(tmp_path / "data") == []


async def test_a_server_that_starts_leaves_those_of_others_alone(tmp_path: Path):
    async with room(tmp_path) as here:
        expected = await pushed(here)
        before = cached(tmp_path / "data")
        beside = replace(live_settings(tmp_path / "data"), database_url="sqlite://:memory:")
        async with serving(tmp_path / "data", settings=beside):
            assert cached(tmp_path / "data") == before != []
        assert cached(tmp_path / "data") == before
        assert (await here.clone("Bob")).files() == expected


async def test_a_place_is_taken_when_there_is_something_to_put_there(tmp_path: Path):
    async with room(tmp_path) as here:
        folder = tmp_path / "data" / "git"
        assert not folder.exists()
        folder.write_text("no folder")
        refused = await here.client.http.get(f"{here.url}/info/refs?service=git-upload-pack")
        assert (refused.status_code, "There is no place" in refused.json()["detail"]) == (503, True)
        folder.unlink()
        assert (await here.clone()).files()
        assert len(list(folder.iterdir())) == 1
    assert list(folder.iterdir()) == []


async def test_what_is_damaged_or_cleared_is_made_again(tmp_path: Path):
    async with room(tmp_path) as here:
        expected = await pushed(here)
        for damage in (lambda path: os.truncate(path, 100), Path.unlink, lambda path: shutil.rmtree(path.parents[2])):
            for pack in list((tmp_path / "data").rglob("pack-*.pack")):
                if pack.exists():
                    damage(pack)
            assert (await here.clone("Bob")).files() == expected


async def test_a_disk_that_is_full_in_the_middle_leaves_nothing_half_made(tmp_path: Path):
    async with room(tmp_path) as here:
        expected = await pushed(here)
        shutil.rmtree(tmp_path / "data" / "git")
        stop = Stop.at(tmp_path / "git", "index-pack --stdin")
        (stop.folder / "full").touch()
        path, os.environ["PATH"] = os.environ["PATH"], f"{stop.folder}:{os.environ['PATH']}"
        asking = asyncio.create_task(here.client.http.get(f"{here.url}/info/refs?service=git-upload-pack"))
        await stop.reached()
        await stop.go()
        assert (await asking).status_code == 503
        os.environ["PATH"] = path
        assert (await here.clone("Bob")).files() == expected
        assert len(cached(tmp_path / "data")) == 1


async def test_what_a_killed_server_left_half_made_is_never_read(tmp_path: Path):
    home, path = tmp_path / "home", os.environ["PATH"]
    with running(home) as server:
        async with AsyncLetta(base_url=server.url, api_key="x") as sdk:
            agent: Any = await sdk.agents.create(name="ada", memory_blocks=[{"label": "human", "value": "Ana."}])
        ana = await clone_of(tmp_path / "ana", server.url, agent.id)
        ana.write(NOTE, "Green.\n")
        await ana.commit("Note")
        await ana.push()
        server.kill()

        stop = Stop.at(tmp_path / "git", "index-pack --stdin")
        os.environ["PATH"] = f"{stop.folder}:{path}"
        server.start()
        asking = asyncio.create_task(clone_of(tmp_path / "bob", server.url, agent.id, ok=False))
        await stop.reached()
        half_made = cached(home)
        server.kill()
        await asking

        os.environ["PATH"] = path
        server.start()
        assert len(half_made) == 1
        assert cached(home) == []
        await stop.go()  # the old child writes to what is gone
        cem = await clone_of(tmp_path / "cem", server.url, agent.id)
        assert cem.files() == ana.files()
        assert await cem.log() == await ana.log()


def cached(home: Path) -> list[str]:
    """The repositories on disk."""
    return sorted(str(path.relative_to(home)) for path in home.glob("git/*/*"))


async def clone_of(folder: Path, url: str, agent_id: str, *, ok: bool = True) -> Clone:
    beside = Clone(folder.parent, "Ana")
    await beside.git("clone", "--quiet", f"{url}/v1/git/{agent_id}/state.git", folder.name, ok=ok)
    return Clone(folder, "Ana")
