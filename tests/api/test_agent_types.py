"""What a new agent of each type has, and what happens to agents that several clients change at once."""

import asyncio
import json

import pytest

from loci.model.scripted import ScriptedModel
from loci.types.messages import ToolCall
from tests.api.clients import client_of

MEMGPT = {
    "send_message",
    "conversation_search",
    "core_memory_append",
    "core_memory_replace",
    "memory",
    "memory_apply_patch",
}
V2 = {"send_message", "conversation_search", "memory_insert", "memory_replace"}
SLEEP = {"memory_insert", "memory_replace", "memory_rethink", "memory_finish_edits"}


@pytest.mark.parametrize(
    ("agent_type", "tools", "exit_tool", "first_messages", "thinks_in_calls"),
    [
        (None, {"conversation_search", "memory_insert", "memory_replace"}, None, 1, False),
        ("memgpt_agent", MEMGPT, "send_message", 4, True),
        ("memgpt_v2_agent", V2, "send_message", 4, True),
        ("sleeptime_agent", SLEEP, "memory_finish_edits", 1, True),
        ("react_agent", set(), None, 4, True),
        ("workflow_agent", set(), None, 4, True),
    ],
)
async def test_an_agent_begins_as_its_type_does(
    tmp_path, agent_type, tools, exit_tool, first_messages, thinks_in_calls
):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(**({"agent_type": agent_type} if agent_type else {}))
        assert made.agent_type == (agent_type or "letta_v1_agent")
        assert {tool.name for tool in made.tools} == tools
        rules = {(rule.type, rule.tool_name) for rule in made.tool_rules or ()}
        left = {("continue_loop", name) for name in tools - {exit_tool}} if exit_tool else set()
        assert rules == left | ({("exit_loop", exit_tool)} if exit_tool else set())
        assert len(made.message_ids or ()) == first_messages
        assert made.llm_config.put_inner_thoughts_in_kwargs is thinks_in_calls
        assert len(made.system) > 100
        kinds = [message.message_type for message in (await client.sdk.agents.messages.list(made.id)).items]
        greeting = ["reasoning_message", "assistant_message", "tool_return_message", "user_message"]
        assert kinds[0] == "system_message"
        assert set(kinds[1:]) <= set(greeting)
        assert ("assistant_message" in kinds) == (first_messages > 1)


async def test_base_tools_rules_and_first_messages_can_be_left_out(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(
            agent_type="memgpt_v2_agent",
            include_base_tools=False,
            include_base_tool_rules=False,
            initial_message_sequence=[],
            tools=["archival_memory_search", "send_message"],
        )
        assert [tool.name for tool in made.tools] == ["archival_memory_search", "send_message"]
        assert made.tool_rules == []
        assert len(made.message_ids or ()) == 1


async def test_no_name_makes_one_and_names_may_be_shared(tmp_path):
    async with client_of(tmp_path) as client:
        made = [await client.sdk.agents.create() for _ in range(3)]
        assert all(agent.name.isalpha() and agent.name[0].isupper() for agent in made)
        twins = [await client.sdk.agents.create(name="Ada") for _ in range(2)]
        assert len({agent.id for agent in (*made, *twins)}) == 5


async def test_changes_of_one_agent_made_at_once_all_stay(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(tags=["t"])
        changes = ({"name": "Bea"}, {"description": "New."}, {"timezone": "Asia/Tokyo"}, {"metadata": {"k": 1}})
        for _ in range(5):
            await asyncio.gather(*(client.sdk.agents.update(made.id, **change) for change in changes))
            agent = await client.sdk.agents.retrieve(made.id)
            assert (agent.name, agent.description, agent.timezone) == ("Bea", "New.", "Asia/Tokyo")
            assert agent.metadata == {"k": 1}
            await client.sdk.agents.update(made.id, name="Ada", description=None, timezone="UTC", metadata={})


async def test_tools_attached_and_detached_at_once_all_count(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(agent_type="react_agent")
        stored = [tool async for tool in client.sdk.tools.list()]
        await asyncio.gather(*(client.sdk.agents.tools.attach(tool.id, agent_id=made.id) for tool in stored))
        held = [tool.id async for tool in client.sdk.agents.tools.list(made.id)]
        assert sorted(held) == sorted(tool.id for tool in stored)
        await asyncio.gather(*(client.sdk.agents.tools.detach(tool.id, agent_id=made.id) for tool in stored[1:]))
        assert [tool.id async for tool in client.sdk.agents.tools.list(made.id)] == [stored[0].id]


async def test_a_question_that_waits_is_part_of_the_agent_that_asked_it(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        client.live.model.add([ToolCall("call-1", "look", "{}")])
        tool = {"name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
        await client.sdk.agents.messages.create(made.id, input="Look!", client_tools=[tool])
        agent = await client.sdk.agents.retrieve(made.id, include=["agent.pending_approval"])
        assert agent.pending_approval is not None
        assert agent.pending_approval.message_type == "approval_request_message"
        assert agent.pending_approval.tool_call.tool_call_id == "call-1"
        assert (await client.sdk.agents.retrieve(made.id)).pending_approval is None
        await client.sdk.agents.messages.cancel(made.id)
        agent = await client.sdk.agents.retrieve(made.id, include=["agent.pending_approval"])
        assert agent.pending_approval is None


TABLES = ("search_scopes", "search_rows", "message_words", "messages", "runs")


async def test_nothing_that_was_said_to_a_deleted_agent_is_left(tmp_path):
    def counts(tx):
        return [tx.one(f"select count(*) as n from {table}")["n"] for table in TABLES]

    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        client.live.model.add("Hello.")
        await client.sdk.agents.messages.create(made.id, input="a word like heliotrope")
        words = {"query": "heliotrope"}
        found = await client.sdk.agents.tools.run("conversation_search", agent_id=made.id, args=words)
        assert "heliotrope" in str(found.func_return)
        assert all(await client.live.core.store.read(counts))
        await client.sdk.agents.delete(made.id)
        assert await client.live.core.store.read(counts) == [0] * len(TABLES)


async def test_the_arguments_of_another_type_are_dropped_unless_the_tool_has_them(tmp_path):
    async with client_of(tmp_path, model=ScriptedModel()) as client:
        made = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": ""}])
        written = {"label": "human", "new_string": "Name: Ada", "thinking": "hm", "request_heartbeat": True}
        said = f"@call memory_insert {json.dumps(written)}\n@then\n@say done"
        answer = await client.sdk.agents.messages.create(made.id, input=said)
        (returned,) = [item for item in answer.messages if item.message_type == "tool_return_message"]
        assert returned.status == "success", returned.tool_return


async def test_send_message_on_an_agent_that_speaks_plainly_does_not_go_on_for_ever(tmp_path):
    async with client_of(tmp_path, model=ScriptedModel()) as client:
        made = await client.sdk.agents.create(include_base_tools=False, tools=["send_message"])
        answer = await client.sdk.agents.messages.create(made.id, input="hello")
        assert (answer.stop_reason.stop_reason, answer.usage.step_count) == ("end_turn", 1)
