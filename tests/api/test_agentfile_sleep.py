"""Agents with a sleep-time agent, brought in from a file."""

import json
from pathlib import Path
from typing import Any

from tests.api.talk import Talk, talking
from tests.api.test_agentfile_wild import published
from tests.api.test_sleeptime import FINISH, group_of, slept, transcripts


async def brought(talk: Talk, document: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Import a file: the ids of the agents, and the warnings."""
    raw = json.dumps(document).encode()
    made = await talk.sdk.agents.import_file(file=("agent.af", raw), append_copy_suffix=False)
    talk.agent_id = made.agent_ids[0]
    return made.agent_ids, made.warnings


async def agents_there(talk: Talk) -> set[str]:
    return {agent.id async for agent in talk.sdk.agents.list()}


async def test_an_imported_agent_gets_one_companion_which_reads_what_is_said_from_now_on(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        before = await agents_there(talk)
        (agent_id,), _ = await brought(talk, published(enable_sleeptime=True))
        group = await group_of(talk, agent_id)
        assert await agents_there(talk) - before == {agent_id, *group.agent_ids}
        assert len(group.agent_ids) == 1
        newest = await talk.sdk.agents.messages.list(agent_id, order="desc", limit=1)
        assert group.last_processed_message_id == newest.items[0].id
        for number in range(5):
            await talk.say(f"Turn {number}.", "Yes.", *([FINISH] if number == 4 else []))
        await slept(talk)
        (read,) = await transcripts(talk, group.agent_ids[0])
        assert ("Long ago" in read, "Turn 0." in read) == (False, True)


async def test_the_companion_of_an_imported_voice_agent_writes_where_it_searches(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        made = await talk.sdk.agents.create(agent_type="voice_convo_agent", enable_sleeptime=True)
        await talk.sdk.agents.passages.create(made.id, text="Sam keeps bees.")
        document = json.loads(await talk.sdk.agents.export_file(made.id))
        (agent_id,), _ = await brought(talk, document)
        group = await group_of(talk, agent_id)
        notes = [await talk.sdk.agents.passages.list(each) for each in (agent_id, *group.agent_ids)]
        assert [[note.text for note in each] for each in notes] == [["Sam keeps bees."]] * 2
        archives = [await talk.sdk.archives.list(agent_id=each) for each in (agent_id, *group.agent_ids)]
        assert [len(each.items) for each in archives] == [1, 1]


def with_its_companion(**config: Any) -> dict[str, Any]:
    """A file of another server that holds an agent, its sleep-time agent and their group."""
    document = published(enable_sleeptime=True, group_ids=["group-0"])
    companion = {**document["agents"][0], "id": "agent-1", "name": "Night", "agent_type": "sleeptime_agent"}
    document["agents"].append({**companion, "enable_sleeptime": False, "messages": [], "in_context_message_ids": []})
    manager = {"manager_type": "sleeptime", "manager_agent_id": "agent-0", "sleeptime_agent_frequency": 1, **config}
    group = {"id": "group-0", "description": "", "agent_ids": ["agent-1"], "manager_config": manager}
    return {**document, "groups": [group]}


async def test_a_companion_in_the_file_stays_the_companion(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        before = await agents_there(talk)
        (agent_id, companion_id), warnings = await brought(talk, with_its_companion())
        group = await group_of(talk, agent_id)
        assert (group.agent_ids, group.sleeptime_agent_frequency) == ([companion_id], 1)
        assert await agents_there(talk) - before == {agent_id, companion_id}
        assert "Groups" not in str(warnings)
        await talk.say("Hello.", "Hi.", "Read.")
        await slept(talk)
        (read,) = await transcripts(talk, companion_id)
        assert ("Long ago" in read, "Hello." in read) == (False, True)


async def test_what_makes_no_sense_of_it_is_named_and_left_out(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        for config in ({"manager_agent_id": "agent-9"}, {"manager_type": ["x"]}, {"manager_agent_id": "agent-1"}):
            (agent_id, companion_id), warnings = await brought(talk, with_its_companion(**config))
            assert "Groups are not taken over: the file holds 1." in warnings
            assert (await group_of(talk, agent_id)).agent_ids != [companion_id]
        (agent_id, _), _ = await brought(talk, with_its_companion(sleeptime_agent_frequency="often"))
        assert (await group_of(talk, agent_id)).sleeptime_agent_frequency is None  # after each turn
        (agent_id,), warnings = await brought(talk, published(enable_sleeptime=True, agent_type="sleeptime_agent"))
        assert any("so it has none of its own" in warning for warning in warnings)
        assert (await talk.sdk.agents.retrieve(agent_id)).enable_sleeptime is not True
