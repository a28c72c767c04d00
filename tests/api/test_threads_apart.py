"""What a conversation has for itself: copies of blocks, a model and its settings, a window; and how it is put away."""

from typing import Any

import letta_client
import pytest

from tests.api.clients import MISSING
from tests.api.talk import Talk, call, talking
from tests.api.test_conversations import contents, say_in

INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')


async def apart(talk: Talk, **wanted: Any) -> Any:
    answer = await talk.http.post(f"/v1/conversations/?agent_id={talk.agent_id}", json=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_isolated_block_is_remembered_in_its_conversation_alone(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await apart(talk, isolated_block_labels=["human"])
        (own,) = thread["isolated_block_ids"]
        await say_in(talk, thread["id"], "I like tea", [INSERT], "Noted.")
        assert (await talk.sdk.blocks.retrieve(own)).value == "Unknown.\nLikes tea."
        assert (await talk.sdk.agents.blocks.retrieve("human", agent_id=talk.agent_id)).value == "Unknown."

        await say_in(talk, thread["id"], "What do I like?", "Tea.")
        assert "Likes tea." in talk.live.model.requests[-1].system
        await talk.say("What do I like?", "I do not know.")
        assert "Likes tea." not in talk.live.model.requests[-1].system

        await talk.sdk.blocks.update(own, value="Likes coffee.")
        await say_in(talk, thread["id"], "And now?", "Coffee.")
        assert "Likes coffee." in talk.live.model.requests[-1].system
        assert "Likes coffee." in await talk.sdk.conversations.recompile(thread["id"], dry_run=True)

        fork = await talk.sdk.conversations.fork(thread["id"])
        assert set(fork.isolated_block_ids).isdisjoint({own})
        await say_in(talk, fork.id, "And here?", [INSERT], "Both.")
        assert (await talk.sdk.blocks.retrieve(fork.isolated_block_ids[0])).value == "Likes coffee.\nLikes tea."
        assert (await talk.sdk.blocks.retrieve(own)).value == "Likes coffee."


async def test_a_copy_needs_something_to_copy(tmp_path):
    async with talking(tmp_path) as talk:
        refused = await talk.http.post(
            f"/v1/conversations/?agent_id={talk.agent_id}", json={"isolated_block_labels": ["nothing"]}
        )
        assert refused.status_code == 400
        assert "human" in refused.json()["detail"]
        assert await talk.sdk.conversations.list(agent_id=talk.agent_id) == []


async def test_a_conversation_has_its_own_model_settings_and_window(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await apart(
            talk, model="scripted/other", model_settings={"temperature": 0.5}, context_window_limit=50_000
        )
        assert (thread["model"], thread["context_window_limit"]) == ("scripted/other", 50_000)
        await say_in(talk, thread["id"], "Hi", "Hello.")
        assert talk.live.model.requests[-1].settings.temperature == 0.5
        (step,) = (await talk.sdk.steps.list(agent_id=talk.agent_id)).items
        assert step.context_window_limit == 50_000
        await talk.say("Hi", "Hello.")
        assert talk.live.model.requests[-1].settings.temperature is None

        plain = await talk.http.patch(
            f"/v1/conversations/{thread['id']}",
            json={"model": None, "model_settings": None, "context_window_limit": None, "description": "About tea"},
        )
        shown = plain.json()
        assert (shown["model"], shown["model_settings"], shown["context_window_limit"]) == (None, None, None)
        assert (shown["description"], shown["summary"]) == ("About tea", None)
        await say_in(talk, thread["id"], "Hi", "Hello.")
        assert talk.live.model.requests[-1].settings.temperature is None
        for wrong in ({"model_settings": {"temperature": "hot"}}, {"context_window_limit": 0}):
            assert (await talk.http.patch(f"/v1/conversations/{thread['id']}", json=wrong)).status_code == 422


async def test_the_main_thread_has_settings_too(tmp_path):
    async with talking(tmp_path) as talk:
        changed = await talk.http.patch(
            f"/v1/conversations/default?agent_id={talk.agent_id}", json={"model_settings": {"temperature": 0.25}}
        )
        assert changed.status_code == 200
        await talk.say("Hi", "Hello.")
        assert talk.live.model.requests[-1].settings.temperature == 0.25


async def test_archived_conversations_are_listed_when_asked_for(tmp_path):
    async with talking(tmp_path) as talk:
        first, second = [(await talk.sdk.conversations.create(agent_id=talk.agent_id)).id for _ in range(2)]
        archived = await talk.sdk.conversations.update(first, archived=True)
        assert archived.archived is True
        assert archived.archived_at is not None
        for status, expected in (("unarchived", [second]), ("archived", [first]), ("all", [second, first])):
            listed = await talk.sdk.conversations.list(agent_id=talk.agent_id, archive_status=status)
            assert [item.id for item in listed] == expected
        assert (await talk.sdk.conversations.update(first, archived=False)).archived is False
        used = await talk.sdk.conversations.list(agent_id=talk.agent_id, order_by="last_message_at")
        assert [item.id for item in used] == [first, second]


async def test_a_deleted_conversation_can_be_brought_back_whole(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        await say_in(talk, thread.id, "The cello is from Cremona.", "A fine place.")
        assert await talk.sdk.messages.search(query="cello", search_mode="fts")
        await say_in(talk, thread.id, "And the violin from Mirecourt.", "Also fine.")
        await talk.sdk.conversations.delete(thread.id)

        assert await talk.sdk.conversations.list(agent_id=talk.agent_id) == []
        assert await talk.sdk.messages.search(query="cello violin", search_mode="fts") == []
        assert contents(await talk.sdk.messages.list()) == []
        for gone in (
            talk.sdk.conversations.messages.list(thread.id),
            talk.sdk.conversations.messages.create(thread.id, input="Hi"),
            talk.sdk.conversations.delete(thread.id),
            talk.sdk.conversations.fork(thread.id),
        ):
            with pytest.raises(letta_client.NotFoundError):
                await gone

        restored = await talk.http.post(f"/v1/conversations/{thread.id}/restore")
        assert restored.json()["id"] == thread.id
        listed = await talk.sdk.conversations.messages.list(thread.id)
        assert contents(listed.items)[:2] == ["The cello is from Cremona.", "A fine place."]
        for word in ("cello", "violin"):
            assert await talk.sdk.messages.search(query=word, search_mode="fts")
        assert contents(await say_in(talk, thread.id, "And?", "All here.")) == ["All here."]
        for path in (thread.id, f"conv-{MISSING}"):
            assert (await talk.http.post(f"/v1/conversations/{path}/restore")).status_code == 404


async def test_a_fork_outlives_its_source(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        await say_in(talk, thread.id, "One", "First.")
        fork = await talk.sdk.conversations.fork(thread.id)
        await talk.sdk.conversations.delete(thread.id)
        await say_in(talk, fork.id, "Two", "Second.")
        assert [message.text for message in talk.live.model.requests[-1].messages] == ["One", "First.", "Two"]
