"""Archival memory through the public client: kept, listed, found, forgotten."""

from datetime import UTC, datetime

import letta_client
import pytest

from tests.api.clients import MISSING, client_of


async def test_a_note_is_kept_and_found_at_once(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        made = await client.sdk.agents.passages.create(agent.id, text="Sam is allergic to peanuts.", tags=["health"])
        assert len(made) == 1
        assert (made[0].text, made[0].tags) == ("Sam is allergic to peanuts.", ["health"])
        await client.sdk.agents.passages.create(agent.id, text="The cat is called Miso.", tags=["home"])
        found = await client.sdk.agents.passages.search(agent.id, query="peanuts")
        assert found.results[0].id == made[0].id
        assert found.results[0].content == made[0].text
        assert found.count == len(found.results)
        tagged = await client.sdk.agents.passages.search(agent.id, query="cat", tags=["health"])
        assert [hit.content for hit in tagged.results if "Miso" in hit.content] == []


async def test_notes_are_listed_in_either_order_page_by_page(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        ids = [(await client.sdk.agents.passages.create(agent.id, text=f"Note {n}"))[0].id for n in range(5)]
        assert [note.id for note in await client.sdk.agents.passages.list(agent.id)] == ids
        newest = await client.sdk.agents.passages.list(agent.id, ascending=False, limit=2)
        assert [note.id for note in newest] == [ids[4], ids[3]]
        rest = await client.sdk.agents.passages.list(agent.id, ascending=False, after=ids[3])
        assert [note.id for note in rest] == [ids[2], ids[1], ids[0]]
        assert [note.id for note in await client.sdk.agents.passages.list(agent.id, search="note 3")] == [ids[3]]


async def test_a_note_may_carry_an_earlier_time_and_be_found_by_it(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        then = datetime(2020, 5, 1, 12, tzinfo=UTC)
        made = await client.sdk.agents.passages.create(agent.id, text="Moved to Bonn.", created_at=then)
        await client.sdk.agents.passages.create(agent.id, text="Moved to Rome.")
        assert made[0].created_at == then
        found = await client.sdk.agents.passages.search(
            agent.id, query="moved", end_datetime=datetime(2021, 1, 1, tzinfo=UTC)
        )
        assert [hit.content for hit in found.results] == ["Moved to Bonn."]


async def test_a_forgotten_note_is_not_found_any_more(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        made = await client.sdk.agents.passages.create(agent.id, text="Sam is allergic to peanuts.")
        await client.sdk.agents.passages.delete(made[0].id, agent_id=agent.id)
        assert await client.sdk.agents.passages.list(agent.id) == []
        assert (await client.sdk.agents.passages.search(agent.id, query="peanuts")).results == []
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.passages.delete(made[0].id, agent_id=agent.id)


async def test_the_notes_of_one_agent_are_not_anothers(tmp_path):
    async with client_of(tmp_path) as client:
        mine, other = await client.sdk.agents.create(), await client.sdk.agents.create()
        made = await client.sdk.agents.passages.create(mine.id, text="Sam is allergic to peanuts.")
        assert await client.sdk.agents.passages.list(other.id) == []
        assert (await client.sdk.agents.passages.search(other.id, query="peanuts")).count == 0
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.passages.delete(made[0].id, agent_id=other.id)
        assert len(await client.sdk.agents.passages.list(mine.id)) == 1


async def test_what_means_nothing_is_refused(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        notes = f"/v1/agents/{agent.id}/archival-memory"
        for body in ({}, {"text": ""}, {"text": 1}, {"text": "x", "created_at": "yesterday"}):
            assert (await client.http.post(notes, json=body)).status_code == 422
        assert (await client.http.get(f"{notes}/search")).status_code == 422
        bad = await client.http.delete(f"{notes}/nonsense")
        assert bad.status_code == 422
        assert bad.json()["examples"][0].startswith("passage-")
        missing = await client.http.post(f"/v1/agents/agent-{MISSING}/archival-memory", json={"text": "x"})
        assert missing.status_code == 404
