"""A fork begins with what its source had in its window, and the two go on apart."""

from loci.types.messages import ToolCall
from tests.api.clients import MISSING, client_of


async def _said(client, conversation_id, **options):
    listed = client.sdk.conversations.messages.list(conversation_id, **options)
    return [item.content async for item in listed if item.message_type in ("user_message", "assistant_message")]


async def _say(client, conversation_id, words, *answers):
    client.live.model.add(*answers)
    return [event async for event in await client.sdk.conversations.messages.create(conversation_id, input=words)]


async def _conversation(client):
    agent = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam."}])
    return await client.sdk.conversations.create(agent_id=agent.id)


async def test_a_fork_knows_what_was_said_and_goes_its_own_way(tmp_path):
    async with client_of(tmp_path) as client:
        source = await _conversation(client)
        await _say(client, source.id, "One", "First.")
        fork = await client.sdk.conversations.fork(source.id)
        await _say(client, fork.id, "Two", "Second.")
        await _say(client, source.id, "Three", "Third.")

        assert await _said(client, fork.id) == ["One", "First.", "Two", "Second."]
        assert await _said(client, source.id) == ["One", "First.", "Three", "Third."]
        shown = [message.text for message in client.live.model.requests[1].messages]
        assert shown == ["One", "First.", "Two"]


async def test_a_fork_ends_at_the_message_that_is_named(tmp_path):
    async with client_of(tmp_path) as client:
        source = await _conversation(client)
        await _say(client, source.id, "One", "First.")
        await _say(client, source.id, "Two", "Second.")
        window = (await client.sdk.conversations.retrieve(source.id)).in_context_message_ids
        fork = await client.sdk.conversations.fork(source.id, message_id=window[2], hidden=True)

        assert await _said(client, fork.id) == ["One", "First."]
        listed = await client.sdk.conversations.list(agent_id=source.agent_id)
        assert [item.id for item in listed] == [source.id]
        foreign = await client.http.post(f"/v1/conversations/{source.id}/fork?message_id=message-{MISSING}")
        assert foreign.status_code == 400


async def test_a_call_without_a_result_stays_where_it_was_made(tmp_path):
    async with client_of(tmp_path) as client:
        source = await _conversation(client)
        tools = [{"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}]
        client.live.model.add([ToolCall("c1", "look", "{}")])
        body = {"input": "Look around.", "client_tools": tools, "streaming": False}
        asked = (await client.http.post(f"/v1/conversations/{source.id}/messages", json=body)).json()
        assert asked["stop_reason"]["stop_reason"] == "requires_approval"

        fork = await client.sdk.conversations.fork(source.id)
        await _say(client, fork.id, "Never mind.", "As you like.")
        assert await _said(client, fork.id) == ["Look around.", "Never mind.", "As you like."]


async def test_the_main_thread_is_forked_and_recompiled(tmp_path):
    async with client_of(tmp_path) as client:
        source = await _conversation(client)
        client.live.model.add("First.")
        await client.sdk.agents.messages.create(source.agent_id, input="One")
        fork = await client.sdk.conversations.fork("default", agent_id=source.agent_id)
        assert await _said(client, fork.id) == ["One", "First."]

        before = await client.sdk.conversations.recompile(fork.id, dry_run=True)
        assert fork.id in before
        assert "Sam." in before
        await _say(client, fork.id, "Two", "Second.")
        assert await client.sdk.conversations.recompile(fork.id)
        assert await _said(client, fork.id) == ["One", "First.", "Two", "Second."]
        assert await _said(client, "default", agent_id=source.agent_id) == ["One", "First."]
