"""What was said is found, with one agent or with all; and a model can be asked one thing."""

import pytest
from letta_client import NotFoundError

from loci.types.actor import DEFAULT_PROJECT
from tests.api.clients import MISSING, client_of


async def _talked(client, name, words, answer):
    agent = await client.sdk.agents.create(name=name)
    client.live.model.add(answer)
    await client.sdk.agents.messages.create(agent.id, input=words)
    return agent.id


async def test_messages_of_all_agents_are_found_and_of_one(tmp_path):
    async with client_of(tmp_path) as client:
        ada = await _talked(client, "ada", "My cello was made in Cremona.", "A fine instrument.")
        bob = await _talked(client, "bob", "The roof was mended in May.", "Good before the rain.")

        found = await client.sdk.messages.search(query="cello from Cremona")
        assert (found[0].content, found[0].agent_id) == ("My cello was made in Cremona.", ada)
        assert found[0].message_type == "user_message"
        only = await client.sdk.messages.search(query="cello from Cremona", agent_id=bob)
        assert {item.agent_id for item in only} <= {bob}
        words = await client.sdk.messages.search(query="roof", search_mode="fts", limit=1)
        assert [item.content for item in words] == ["The roof was mended in May."]


async def test_hits_tell_how_well_they_fit(tmp_path):
    async with client_of(tmp_path) as client:
        await _talked(client, "ada", "My cello was made in Cremona.", "A fine instrument.")
        body = {"query": "cello", "roles": ["user"]}
        hits = (await client.http.post("/v1/agents/messages/search", json=body)).json()
        assert [hit["message"]["role"] for hit in hits] == ["user"]
        assert hits[0]["embedded_text"] == "My cello was made in Cremona."
        assert hits[0]["fts_rank"] == 1
        assert 0 < hits[0]["rrf_score"] <= 1


async def test_hits_are_of_a_project_and_of_a_template(tmp_path):
    async with client_of(tmp_path) as client:
        ada = await _talked(client, "ada", "My cello was made in Cremona.", "A fine instrument.")
        bob = await _talked(client, "bob", "My cello was made in Mirecourt.", "Also fine.")
        await client.sdk.agents.update(ada, project_id="garden", template_id="template-1")

        async def found(**chosen):
            body = {"query": "cello", "roles": ["user"], **chosen}
            hits = (await client.http.post("/v1/agents/messages/search", json=body)).json()
            return {hit["message"]["agent_id"] for hit in hits}

        assert await found() == {ada, bob}
        assert await found(project_id="garden") == await found(template_id="template-1") == {ada}
        assert await found(project_id=DEFAULT_PROJECT) == {bob}
        assert await found(project_id="garden", agent_id=bob) == set()


async def test_a_model_is_asked_one_thing_and_remembers_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        before = len(await client.get(f"/v1/agents/{agent.id}/messages"))
        client.live.model.add("A title")
        answer = await client.http.post(f"/v1/agents/{agent.id}/generate", json={"prompt": "Name this chat."})
        assert (answer.json()["content"], answer.json()["model"]) == ("A title", agent.model)
        assert answer.json()["usage"]["step_count"] == 1
        assert len(await client.get(f"/v1/agents/{agent.id}/messages")) == before
        refused = await client.http.post(f"/v1/agents/{agent.id}/generate", json={"prompt": ""})
        assert refused.status_code == 422
        nobody = await client.http.post(f"/v1/agents/agent-{MISSING}/generate", json={"prompt": "x"})
        assert nobody.status_code == 404
        with pytest.raises(NotFoundError):
            await client.sdk.messages.search(query="x", agent_id=f"agent-{MISSING}")
