"""Conversations are found by what they are about, put into words by a model, and begun without an agent."""

from typing import Any

from tests.api.clients import MISSING
from tests.api.talk import Talk, talking
from tests.api.test_conversations import contents, say_in


async def ask(talk: Talk, path: str, body: Any) -> Any:
    answer = await talk.http.post(f"/v1/conversations/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_conversations_are_found_by_their_summaries_and_descriptions(tmp_path):
    async with talking(tmp_path) as talk:
        cello = await talk.sdk.conversations.create(agent_id=talk.agent_id, summary="The cello from Cremona")
        roof = await talk.sdk.conversations.create(agent_id=talk.agent_id, summary="A roof")
        await talk.sdk.conversations.update(roof.id, archived=True)
        await talk.http.patch(f"/v1/conversations/{roof.id}", json={"description": "Mended in Cremona, in May."})
        wanted = {"query": "cremona CELLO", "agent_id": talk.agent_id, "search_target": "description"}
        hits = await ask(talk, "search", wanted)
        assert [(hit["conversation"]["id"], hit["rrf_score"]) for hit in hits] == [(cello.id, 1.0), (roof.id, 0.5)]
        assert hits[0]["embedded_text"] == "The cello from Cremona"
        assert len(await ask(talk, "search", {**wanted, "limit": 1})) == 1
        assert await ask(talk, "search", {"query": "?!"}) == []
        assert await ask(talk, "search", {"query": "cello", "agent_id": f"agent-{MISSING}"}) == []


async def test_a_title_is_made_of_the_messages_that_the_client_sends(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        talk.plays(" About tea ")
        said = [{"role": "user", "content": "I like tea"}, {"role": "assistant", "content": [{"text": "Noted."}]}]
        body = {"prompt": "Give a title.", "messages": said, "model": "scripted/none-such"}
        assert await ask(talk, f"{thread.id}/summarize", body) == {"summary": "About tea"}
        request = talk.live.model.requests[-1]
        assert (request.system, request.messages[0].text) == (
            "Give a title.",
            "user: I like tea\nassistant: Noted.",
        )


async def test_a_model_that_is_not_there_leaves_the_agents_own(tmp_path):
    async with talking(tmp_path, any_handle=False) as talk:
        await talk.say("I like tea", "Noted.")
        talk.plays("Tea")
        body = {"model": "elsewhere/fast", "agent_id": talk.agent_id}
        assert await ask(talk, "default/summarize", body) == {"summary": "Tea"}
        assert talk.live.model.requests[-1].messages[0].text == "user: I like tea\nassistant: Noted."


async def test_there_is_no_summary_of_nothing(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        for path, expected in ((thread.id, 400), (f"conv-{MISSING}", 404)):
            assert (await talk.http.post(f"/v1/conversations/{path}/summarize", json={})).status_code == expected


async def test_a_conversation_without_an_agent_that_lasts(tmp_path):
    async with talking(tmp_path) as talk:
        body = {"model": "scripted/default", "system": "You are brief.", "context_window_limit": 60_000}
        thread = await ask(talk, "ephemeral", body)
        assert thread["agent_id"] is None
        assert contents(await say_in(talk, thread["id"], "Hi", "Hello.")) == ["Hello."]
        request = talk.live.model.requests[-1]
        assert request.system.startswith("You are brief.")
        assert list(request.tools) == []
        assert [agent.id for agent in (await talk.sdk.agents.list()).items] == [talk.agent_id]


async def test_the_agent_behind_an_ephemeral_conversation_goes_with_the_last_one(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await ask(talk, "ephemeral", {"model": "scripted/default"})
        await say_in(talk, thread["id"], "Hi", "Hello.")
        fork = await talk.sdk.conversations.fork(thread["id"], hidden=True)
        hidden = await talk.http.get("/v1/agents/", params={"show_hidden_agents": True})
        assert len(hidden.json()) == 2
        await talk.sdk.conversations.delete(thread["id"])
        assert contents(await say_in(talk, fork.id, "And here?", "Here too.")) == ["Here too."]
        await talk.sdk.conversations.delete(fork.id)
        left = await talk.http.get("/v1/agents/", params={"show_hidden_agents": True})
        assert [agent["id"] for agent in left.json()] == [talk.agent_id]
        mine = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        await talk.sdk.conversations.delete(mine.id)
        assert (await talk.sdk.agents.retrieve(talk.agent_id)).id == talk.agent_id


async def test_a_search_can_be_prepared(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("Hi", "Hello.")
        answer = await talk.http.post("/v1/_internal_search/cache-warm", json={"collection": "messages", "scope": {}})
        assert answer.json() == {"collection": "messages", "status": "ready", "warmed": True}
