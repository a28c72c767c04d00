"""`loci move`: the agents of another server are here afterwards, once, with what they knew."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import loci
from tests.cli.served import Served, served


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "old") as server:
        yield server


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "new") as server:
        yield server


def settled(server: Served, folder_id: str) -> list[str | None]:
    """The texts of a folder, once its files are read."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pages = server.client.folders.files.list(folder_id, include_content=True)
        if all(file.processing_status in ("completed", "error") for file in pages.items):
            return [file.content for file in pages.items]
    raise AssertionError("the files are not read")


def furnish(old: Served) -> list[str]:
    """Two agents that share a block; one has talked and keeps a passage."""
    team = old.client.blocks.create(label="team", value="We ship on Fridays.")
    ids = [old.agent("ada", block_ids=[team.id], tags=["one"]), old.agent("grace", block_ids=[team.id])]
    folder = old.client.folders.create(name="docs")
    old.client.folders.files.upload(folder.id, file=("tea.md", b"Green tea takes 80 degrees."))
    for agent_id in ids:
        old.client.agents.folders.attach(folder.id, agent_id=agent_id)
    settled(old, folder.id)
    old.client.agents.messages.create(ids[0], input="Keep it.\n@say I will.")
    for number in range(120):
        old.client.agents.passages.create(ids[0], text=f"Note {number}.", tags=["note"])
    return ids


def test_agents_come_with_what_they_know_and_only_once(old: Served, new: Served) -> None:
    furnish(old)

    done = loci("move", "--from", old.url, "--server", new.url, "--json")
    assert done.status == 0, done.talk
    assert {item["name"]: (item["passages"], item["shared_blocks"]) for item in done.data} in (
        {"ada": (120, 0), "grace": (0, 1)},
        {"ada": (120, 1), "grace": (0, 0)},
    )

    client = new.client
    agents = {agent.name: agent for agent in client.agents.list(include=["agent.blocks", "agent.tags"])}
    assert set(agents) == {"ada", "grace"}
    ada, grace = agents["ada"], agents["grace"]
    assert ada.tags == ["one"]
    passages = client.agents.passages.list(ada.id, limit=200)
    assert [item.text for item in passages] == [f"Note {number}." for number in range(120)]
    said = [message for message in client.agents.messages.list(ada.id) if message.message_type == "assistant_message"]
    assert [message.content for message in said] == ["I will."]
    team = {block.label: block.id for block in ada.blocks}["team"]
    assert {block.label: block.id for block in grace.blocks}["team"] == team
    assert team is not None
    assert client.blocks.retrieve(team).value == "We ship on Fridays."

    (docs,) = client.folders.list()
    assert (docs.name, settled(new, docs.id)) == ("docs", ["Green tea takes 80 degrees."])
    held = [[folder.id for folder in client.agents.folders.list(agent.id)] for agent in (ada, grace)]
    assert held == [[docs.id], [docs.id]]

    own = client.blocks.create(label="team", value="Mine.").id
    client.agents.blocks.detach(team, agent_id=grace.id)
    client.agents.blocks.attach(own, agent_id=grace.id)
    again = loci("move", "--from", old.url, "--server", new.url, "--json")
    assert (again.status, again.data) == (0, [])
    assert len(list(client.agents.list())) == 2
    for agent_id, held in ((ada.id, team), (grace.id, own)):
        assert client.agents.blocks.retrieve("team", agent_id=agent_id).id == held


def test_a_copy_that_was_begun_is_made_anew(old: Served, new: Served) -> None:
    ids = furnish(old)
    begun = new.agent("ada", metadata={"loci_moving_from": ids[0]})

    done = loci("move", "--from", old.url, "--server", new.url, "--agent", "ada", "--json")
    assert done.status == 0, done.talk
    assert [item["passages"] for item in done.data] == [120]
    left = [agent.id for agent in new.client.agents.list()]
    assert left == [done.data[0]["new_id"]]
    assert begun not in left


def test_what_cannot_be_moved_is_said(old: Served) -> None:
    same = loci("move", "--from", old.url, "--server", old.url)
    assert (same.status, "same" in same.talk) == (1, True)
    nobody = loci("move", "--from", "http://127.0.0.1:9", "--server", old.url)
    assert nobody.status == 1
    assert "http://127.0.0.1:9" in nobody.talk
