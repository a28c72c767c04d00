"""Further threads of an agent over the public client: apart in prompt and lists, one in memory."""

import asyncio
from typing import Any

import letta_client
import pytest

from loci.model.script import Wait
from tests.api.talk import Talk, call, kinds, talking

INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')


async def say_in(talk: Talk, conversation_id: str, words: str, *steps: Any, **wanted: Any) -> list[Any]:
    talk.plays(*steps)
    stream = await talk.sdk.conversations.messages.create(conversation_id, input=words, include_pings=False, **wanted)
    return [event async for event in stream]


def contents(items: list[Any]) -> list[str]:
    return [item.content for item in items if item.message_type in {"user_message", "assistant_message"}]


async def test_threads_do_not_see_each_other_but_share_memory(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("Main", "Main answer.")
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id, summary="Aside")
        assert thread.in_context_message_ids == []
        events = await say_in(talk, thread.id, "I like tea", [INSERT], "Noted.")
        assert kinds(events)[-2:] == ["stop_reason", "usage_statistics"]

        here = await talk.sdk.conversations.messages.list(thread.id)
        assert contents(here.items) == ["I like tea", "Noted."]
        main = await talk.sdk.agents.messages.list(talk.agent_id)
        assert contents(main.items) == ["Main", "Main answer."]
        named = await talk.sdk.agents.messages.list(talk.agent_id, conversation_id="default")
        assert named.items == main.items
        assert contents((await talk.sdk.agents.messages.list(talk.agent_id, conversation_id=thread.id)).items) == [
            "I like tea",
            "Noted.",
        ]
        await talk.say("What do I like?", "Tea.")
        asked = talk.live.model.requests[-1]
        assert "Likes tea." in asked.system
        assert "I like tea" not in [message.text for message in asked.messages]


async def test_a_thread_shows_what_is_in_its_window(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        await say_in(talk, thread.id, "Hi", "Hello.")
        found = await talk.sdk.conversations.retrieve(thread.id)
        listed = (await talk.sdk.conversations.messages.list(thread.id)).items
        assert found.in_context_message_ids == [item.id for item in listed]
        assert kinds(listed) == ["system_message", "user_message", "assistant_message"]
        assert found.last_message_at is not None


async def test_threads_answer_side_by_side(tmp_path):
    async with talking(tmp_path) as talk:
        threads = [await talk.sdk.conversations.create(agent_id=talk.agent_id) for _ in range(3)]
        talk.plays(*[[Wait(0.01), "Hello."]] * 3)
        heard = await asyncio.gather(*[say_in(talk, thread.id, "Hi") for thread in threads])
        assert [contents(events) for events in heard] == [["Hello."]] * 3


async def test_the_word_default_and_the_agents_id_mean_the_main_thread(tmp_path):
    async with talking(tmp_path) as talk:
        await say_in(talk, "default", "One", "First.", agent_id=talk.agent_id)
        await say_in(talk, talk.agent_id, "Two", "Second.")
        listed = await talk.sdk.conversations.messages.list("default", agent_id=talk.agent_id)
        assert contents(listed.items) == ["One", "First.", "Two", "Second."]
        with pytest.raises(letta_client.UnprocessableEntityError):
            await talk.sdk.conversations.messages.list("default")


async def test_a_whole_answer_when_streaming_is_off(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays("Hello.")
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        answer = await talk.http.post(
            f"/v1/conversations/{thread.id}/messages", json={"input": "Hi", "streaming": False}
        )
        assert answer.json()["messages"][0]["content"] == "Hello."


async def test_listing_searching_changing_and_forgetting(tmp_path):
    async with talking(tmp_path) as talk:
        ids = [
            (await talk.sdk.conversations.create(agent_id=talk.agent_id, summary=f"Talk {number} 100%")).id
            for number in range(3)
        ]
        hidden = await talk.sdk.conversations.create(agent_id=talk.agent_id, hidden=True)
        listed = await talk.sdk.conversations.list(agent_id=talk.agent_id)
        assert [item.id for item in listed] == ids[::-1]
        assert [item.id for item in await talk.sdk.conversations.list(order="asc", limit=2)] == ids[:2]
        assert [item.id for item in await talk.sdk.conversations.list(after=ids[1])] == ids[:1]
        assert [item.id for item in await talk.sdk.conversations.list(summary_search="talk 1 100%")] == [ids[1]]
        assert await talk.sdk.conversations.list(summary_search="talk _ 100") == []

        changed = await talk.sdk.conversations.update(ids[0], summary="Renamed", model="scripted/other")
        assert (changed.summary, changed.model) == ("Renamed", "scripted/other")
        await talk.sdk.conversations.delete(ids[0])
        with pytest.raises(letta_client.NotFoundError):
            await talk.sdk.conversations.retrieve(ids[0])
        assert (await talk.sdk.conversations.retrieve(hidden.id)).id == hidden.id
        main = talk.agent_id.replace("agent-", "conv-")
        assert (await talk.http.delete(f"/v1/conversations/{main}")).status_code == 400


async def test_cancelling_a_thread_leaves_the_others_alone(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        talk.plays([Wait(30), "Late."])
        stream = await talk.sdk.conversations.messages.create(thread.id, input="Hi", include_pings=True)
        first: Any = await anext(aiter(stream))
        with pytest.raises(letta_client.ConflictError):
            await talk.sdk.conversations.cancel("default", agent_id=talk.agent_id)
        assert await talk.sdk.conversations.cancel(thread.id) == {first.run_id: "cancelled"}
        rest = [event async for event in stream]
        assert [event.stop_reason for event in rest if event.message_type == "stop_reason"] == ["cancelled"]


async def test_compacting_one_thread(tmp_path):
    async with talking(tmp_path) as talk:
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        for number in range(6):
            await say_in(talk, thread.id, f"{number}", f"Answer {number}.")
        talk.plays("They counted.")
        report = await talk.sdk.conversations.messages.compact(thread.id)
        assert report.summary == "They counted."


async def test_an_unknown_thread_or_agent_is_not_found(tmp_path):
    async with talking(tmp_path) as talk:
        nothing = "00000000-0000-4000-8000-00000000dead"
        for work in (
            talk.sdk.conversations.create(agent_id=f"agent-{nothing}"),
            talk.sdk.conversations.retrieve(f"conv-{nothing}"),
            talk.sdk.conversations.messages.list(f"conv-{nothing}"),
            talk.sdk.conversations.messages.create(f"conv-{nothing}", input="Hi"),
            talk.sdk.conversations.messages.create("default", agent_id=f"agent-{nothing}", input="Hi"),
            talk.sdk.conversations.cancel(f"conv-{nothing}"),
        ):
            with pytest.raises(letta_client.NotFoundError):
                await work
