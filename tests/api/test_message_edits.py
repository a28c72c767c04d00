"""Editing a message: it says something else from then on, and what it said is never lost."""

import pytest

from loci.model.script import Wait
from loci.types.messages import Reasoning, Text
from tests.api.clients import MISSING
from tests.api.talk import MEMGPT, Talk, call, talking


async def _edit(talk: Talk, message_id: str, **body):
    return await talk.http.patch(f"/v1/agents/{talk.agent_id}/messages/{message_id}", json=body)


async def _ids(talk: Talk) -> dict[str, str]:
    """By type, the newest message."""
    listed = await talk.sdk.agents.messages.list(talk.agent_id)
    return {item.message_type: item.id for item in listed.items}


async def test_an_edited_message_is_listed_found_and_sent_with_its_new_words(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("My cello is red.", [Reasoning("Red?", "mark", "p"), Text("A red one.", "mark", "p")])
        ids = await _ids(talk)
        answer = await _edit(talk, ids["user_message"], message_type="user_message", content="My viola is red.")
        assert (answer.status_code, answer.json()["content"]) == (200, "My viola is red.")
        thought = await _edit(talk, ids["reasoning_message"], reasoning="Blue!")
        assert thought.json()["reasoning"] == "Blue!"
        said = await _edit(talk, ids["assistant_message"], content=[{"type": "text", "text": "A fine one."}])
        assert said.json()["content"] == "A fine one."

        await talk.say("Go on.", "Yes.")
        sent = talk.live.model.requests[-1].messages
        assert [message.parts for message in sent[:2]] == [
            (Text("My viola is red."),),
            (Reasoning("Blue!"), Text("A fine one.")),
        ]
        found = await talk.sdk.messages.search(query="viola", search_mode="fts")
        assert "My viola is red." in [item.content for item in found]
        gone = await talk.sdk.messages.search(query="cello", search_mode="fts")
        assert "My cello is red." not in [item.content for item in gone]


async def test_an_edit_is_in_the_journal_and_can_be_taken_back(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("one", "Yes.")
        message_id = (await _ids(talk))["user_message"]
        for words in ("two", "two", "three"):
            assert (await _edit(talk, message_id, content=words)).status_code == 200
        entries = (await talk.http.get(f"/v1/agents/{talk.agent_id}/memory/history")).json()
        second, first = [entry for entry in entries if entry["subject"] == "message"]
        assert (first["before"]["text"], first["after"]["text"], second["after"]["text"]) == ("one", "two", "three")
        assert (first["author"]["kind"], first["subject_id"]) == ("user", message_id)

        early = await talk.http.post(f"/v1/memory/changes/{first['id']}/undo")
        assert (early.status_code, "three" in early.json()["detail"]) == (409, True)
        for change in (second, first):
            assert (await talk.http.post(f"/v1/memory/changes/{change['id']}/undo")).status_code == 200
        assert (await talk.sdk.messages.retrieve(message_id))[0].content == "one"


async def test_a_fork_that_shows_the_message_shows_its_new_words(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        talk.plays("Yes.", "Yes.", "Yes.")
        stream = await talk.sdk.conversations.messages.create(thread.id, input="one")
        _ = [event async for event in stream]
        fork = await talk.sdk.conversations.fork(thread.id)
        _ = [event async for event in await talk.sdk.conversations.messages.create(fork.id, input="more")]
        message_id = next(
            item.id
            for item in (await talk.sdk.conversations.messages.list(thread.id)).items
            if item.message_type == "user_message"
        )
        assert (await _edit(talk, message_id, content="two")).status_code == 200
        _ = [event async for event in await talk.sdk.conversations.messages.create(fork.id, input="again")]
        assert talk.live.model.requests[-1].messages[0].text == "two"


async def test_what_an_agent_said_by_calling_a_tool_is_edited_in_the_call(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.agent(agent_type=MEMGPT)
        await talk.say("Hi", [call("send_message", '{"thinking": "Hm.", "message": "Hello."}')])
        ids = await _ids(talk)
        edited = await _edit(talk, ids["assistant_message"], message_type="assistant_message", content="Good day.")
        assert edited.json()["content"] == "Good day."
        told = await talk.sdk.messages.retrieve(ids["assistant_message"])
        assert [told[0].reasoning, told[1].content] == ["Hm.", "Good day."]


async def test_what_cannot_be_edited_is_refused_and_stays(tmp_path):
    async with talking(tmp_path) as talk:
        insert = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')
        await talk.say("I like tea", [insert], "Noted.")
        ids = await _ids(talk)
        refusals = [
            (ids["system_message"], {"content": "Be rude."}, 400),
            (ids["tool_return_message"], {"content": "x"}, 400),
            (ids["tool_call_message"], {"content": "x"}, 400),
            (ids["assistant_message"], {"reasoning": "x"}, 400),
            (ids["assistant_message"], {"message_type": "user_message", "content": "x"}, 400),
            (ids["user_message"], {"content": ""}, 422),
            (ids["user_message"], {"message_type": "reasoning_message"}, 422),
            (ids["user_message"], {"message_type": "tool_message", "content": "x"}, 422),
            (ids["assistant_message"], {"content": [{"type": "reasoning", "reasoning": "x"}]}, 422),
            (f"message-{MISSING}", {"content": "x"}, 404),
            ("message-1", {"content": "x"}, 422),
        ]
        for message_id, body, status in refusals:
            answer = await _edit(talk, message_id, **body)
            assert (body, answer.status_code) == (body, status)
        mine = ids["user_message"]
        await talk.agent()
        assert (await _edit(talk, mine, content="x")).status_code == 404
        assert (await talk.sdk.messages.retrieve(mine))[0].content == "I like tea"


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_thread_that_is_busy_or_deleted_keeps_its_words(tmp_path, deleted):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        talk.plays("Yes.", [Wait(30.0), Text("Late.")])
        _ = [event async for event in await talk.sdk.conversations.messages.create(thread.id, input="one")]
        listed = (await talk.sdk.conversations.messages.list(thread.id)).items
        message_id = next(item.id for item in listed if item.message_type == "user_message")
        if deleted:
            await talk.sdk.conversations.delete(thread.id)
        else:
            stream = await talk.sdk.conversations.messages.create(thread.id, input="two", background=True)
            await anext(aiter(stream))
        answer = await _edit(talk, message_id, content="x")
        assert answer.status_code == (404 if deleted else 409)
        if not deleted:
            await talk.sdk.conversations.cancel(thread.id)
