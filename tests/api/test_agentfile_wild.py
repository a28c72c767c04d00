"""Agent files as they are found: of older servers, of other vendors, written by hand."""

import json
from typing import Any

from tests.api.clients import client_of
from tests.api.files import bring_in

SOURCE = 'def roll_dice(sides: int) -> str:\n    """Roll."""\n    return "4"\n'
SCHEMA = {
    "name": "roll_dice",
    "description": "Roll.",
    "parameters": {"type": "object", "properties": {"sides": {"type": "integer"}}, "required": ["sides"]},
}
PACKED = '{"status": "OK", "message": "4", "time": "2025-03-01 09:00:00 AM UTC+0000"}'


def said(number: int, role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"message-{number}", "role": role, "content": content, **more}


def published(**agent: Any) -> dict[str, Any]:
    """A file of the archived server, with what it writes as null."""
    return {
        "agents": [
            {
                "id": "agent-0",
                "name": "Sam",
                "memory_blocks": [],
                "tools": [],
                "tool_ids": ["tool-0", "tool-1"],
                "source_ids": [],
                "folder_ids": None,
                "block_ids": ["block-1", "block-0"],
                "tool_rules": [],
                "tags": ["origin:somewhere"],
                "system": "You are Sam.",
                "agent_type": "letta_v1_agent",
                "llm_config": {
                    "model": "gpt-4o-mini",
                    "model_endpoint_type": "openai",
                    "handle": "openai/gpt-4o-mini",
                    "context_window": 32_000,
                    "temperature": 0.7,
                    "max_tokens": None,
                    "max_reasoning_tokens": 0,
                },
                "embedding_config": {
                    "embedding_endpoint_type": "pinecone",
                    "embedding_model": "llama-text-embed-v2",
                    "embedding_dim": 1536,
                    "handle": "pinecone/llama-text-embed-v2",
                },
                "initial_message_sequence": None,
                "include_base_tools": False,
                "metadata": None,
                "model": None,
                "embedding": None,
                "tool_exec_environment_variables": {"TOKEN": ""},
                "secrets": None,
                "identity_ids": None,
                "response_format": None,
                "timezone": "UTC",
                "hidden": None,
                "in_context_message_ids": ["message-0", "message-2", "message-3"],
                "messages": [
                    said(0, "system", [{"type": "text", "text": "COMPILED", "signature": None}]),
                    said(1, "user", "Long ago", created_at="2025-03-01T08:00:00+00:00"),
                    said(
                        2,
                        "assistant",
                        [{"type": "reasoning", "reasoning": "Roll.", "is_native": True, "signature": "sig"}],
                        tool_calls=[
                            {"id": "c1", "type": "function", "function": {"name": "roll_dice", "arguments": "{}"}}
                        ],
                    ),
                    said(
                        3,
                        "tool",
                        [{"type": "text", "text": PACKED}],
                        tool_call_id="c1",
                        tool_returns=[{"tool_call_id": "c1", "status": "success", "func_response": PACKED}],
                    ),
                ],
                "files_agents": [],
                "group_ids": [],
                **agent,
            }
        ],
        "groups": [],
        "blocks": [
            {"id": "block-0", "label": "human", "value": "Chad", "limit": 20_000, "metadata": None, "tags": None},
            {"id": "block-1", "label": "persona", "value": "Sam", "limit": 20_000, "description": None},
        ],
        "files": [],
        "sources": [],
        "tools": [
            {"id": "tool-0", "name": "conversation_search", "tool_type": "letta_core", "json_schema": {}},
            {
                "id": "tool-1",
                "name": "roll_dice",
                "tool_type": "custom",
                "source_code": SOURCE,
                "source_type": "python",
                "json_schema": SCHEMA,
                "pip_requirements": None,
                "metadata_": None,
            },
        ],
        "mcp_servers": [],
        "metadata": {"revision_id": "c0ffee"},
        "created_at": "2025-11-01T00:00:00+00:00",
        "a_key_of_tomorrow": {"x": 1},
    }


RELATIONS = ["agent.blocks", "agent.tools", "agent.tags"]


async def test_a_file_of_the_archived_server_comes_in(tmp_path):
    async with client_of(tmp_path, any_handle=False) as client:
        back = await bring_in(client, published())
        agent = await client.sdk.agents.retrieve(back.agent_id, include=RELATIONS)
        assert (agent.name, agent.system, agent.tags) == ("Sam_copy", "You are Sam.", ["origin:somewhere"])
        assert [(block.label, block.value) for block in agent.blocks] == [("persona", "Sam"), ("human", "Chad")]
        assert [tool.name for tool in agent.tools] == ["conversation_search", "roll_dice"]
        assert (agent.model, agent.embedding, agent.llm_config.context_window) == ("scripted/default", None, 32_000)
        assert [word for word in ("openai/gpt-4o-mini", "pinecone/") if word not in str(back.warnings)] == []
        assert len(agent.message_ids) == 3
        client.live.model.add("Hello.")
        await client.sdk.agents.messages.create(back.agent_id, input="Hi")
        request = client.live.model.requests[-1]
        assert [message.text for message in request.messages] == ["", "", "Hi"]
        assert request.messages[1].tool_results[0].text == "4"
        assert "COMPILED" not in request.system
        assert "Chad" in request.system
        listed = [message async for message in client.sdk.agents.messages.list(back.agent_id, order="asc")]
        assert [item.content for item in listed if item.message_type == "user_message"] == ["Long ago", "Hi"]


async def test_quirks_of_the_wild_come_in(tmp_path):
    approval = {"type": "approval", "tool_call_id": "c2", "approve": False, "reason": "No"}
    summary = "Note: prior messages have been hidden.\nThe following is a summary of the previous messages:\n We met."
    odd = published(
        agent_type="an_agent_of_tomorrow",
        compaction_settings={"mode": "telepathy"},
        tool_rules=[{"type": "InitToolRule", "tool_name": "roll_dice"}, {"type": "wish", "tool_name": "x"}],
        in_context_message_ids=["message-0", "message-9", "message-4", "message-4"],
        tools=["memory_insert", "no_such_tool"],
        messages=[
            said(0, "system", "COMPILED"),
            said(1, "function", None, text="old result", name="roll_dice", tool_call_id="c0"),
            said(
                2, "approval", None, tool_calls=[{"id": "c2", "function": {"name": "roll_dice", "arguments": {"a": 1}}}]
            ),
            said(3, "approval", [], approvals=[approval], created_at="once upon a time"),
            said(4, "user", json.dumps({"type": "system_alert", "message": summary})),
            said(
                5, "user", [{"type": "hologram", "x": 1}, {"type": "image", "source": {"type": "base64", "data": "?"}}]
            ),
            said(6, "assistant", [{"type": "summarized_reasoning", "summary": [{"index": 0, "text": "Hm"}]}], otid="o"),
            said(7, "user", "twin", otid="o"),
        ],
    )
    odd["tools"].append({"id": "tool-2", "name": "mcp_thing", "tool_type": "external_mcp", "json_schema": SCHEMA})
    odd["tools"].append({"id": "tool-3", "name": "no_schema", "source_code": "x = 1"})
    odd["groups"] = [{"id": "group-0", "agent_ids": ["agent-9"], "description": "x"}]
    raw = json.dumps(json.dumps(odd)).encode()  # some clients saved the JSON text as a JSON text
    async with client_of(tmp_path) as client:
        back = await bring_in(client, raw)
        for word in ("tomorrow", "compaction", "wish", "no_such_tool", "mcp_thing", "no_schema", "Groups", "window"):
            assert [word in warning for warning in back.warnings].count(True) == 1, word
        agent = await client.sdk.agents.retrieve(back.agent_id, include=RELATIONS)
        assert [(rule.type, rule.tool_name) for rule in agent.tool_rules] == [("run_first", "roll_dice")]
        assert "memory_insert" in [tool.name for tool in agent.tools]
        assert len(agent.message_ids) == 2
        listed = await client.get(f"/v1/agents/{back.agent_id}/messages", order="asc")
        kinds = [item["message_type"] for item in listed]
        assert kinds.count("tool_call_message") == 1
        assert kinds.count("approval_response_message") == 1
        assert "hologram" in str(listed)
        assert "could not be read" in str(listed)
        client.live.model.add("Fine.")
        answer = await client.sdk.agents.messages.create(back.agent_id, input="Still there?")
        assert answer.messages[-1].content == "Fine."


async def test_the_first_shape_of_the_format_is_turned_into_todays(tmp_path):
    old = {
        "agent_type": "memgpt_agent",
        "core_memory": [
            {
                "created_at": "2025-03-01T00:00:00",
                "label": "human",
                "value": "Lee",
                "limit": 5000,
                "metadata_": {"a": 1},
            }
        ],
        "created_at": "2025-03-01 00:00:00",
        "description": None,
        "embedding_config": {"embedding_model": "letta-free", "embedding_endpoint_type": "hugging-face"},
        "identities": [],
        "in_context_message_indices": [0, 2],
        "llm_config": {"model": "gpt-4", "model_endpoint_type": "openai", "context_window": 8192, "handle": None},
        "message_buffer_autoclear": False,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "COMPILED"}], "created_at": "2025-03-01T00:00:00"},
            {"role": "user", "content": [{"type": "text", "text": "Out of sight"}], "tool_calls": None},
            {"role": "user", "content": "In sight", "tool_returns": [], "name": None},
        ],
        "metadata_": {"b": 2},
        "multi_agent_group": None,
        "name": "elder",
        "system": "You are old.",
        "tags": [{"tag": "x"}],
        "tool_exec_environment_variables": [{"key": "TOKEN", "value": "", "description": None}],
        "tool_rules": [{"tool_name": "send_message", "type": "exit_loop"}],
        "tools": [
            {"name": "send_message", "tool_type": "letta_core", "json_schema": {}, "source_code": None, "tags": []},
            {"name": "roll_dice", "tool_type": "custom", "json_schema": SCHEMA, "source_code": SOURCE, "tags": []},
        ],
        "version": "0.6.47",
    }
    async with client_of(tmp_path) as client:
        back = await bring_in(client, old, append_copy_suffix=False)
        agent = await client.sdk.agents.retrieve(back.agent_id, include=RELATIONS)
        assert (agent.name, agent.agent_type, agent.metadata, agent.tags) == ("elder", "memgpt_agent", {"b": 2}, ["x"])
        assert [(block.label, block.value, block.metadata) for block in agent.blocks] == [("human", "Lee", {"a": 1})]
        assert [tool.name for tool in agent.tools] == ["send_message", "roll_dice"]
        assert agent.llm_config.context_window == 8192
        assert len(agent.message_ids) == 2
        listed = [item async for item in client.sdk.agents.messages.list(back.agent_id, order="asc")]
        assert [item.content for item in listed][1:] == ["Out of sight", "In sight"]


async def test_agents_of_one_file_share_its_blocks_and_all_come_or_none(tmp_path):
    document = published()
    twin = {**document["agents"][0], "id": "agent-1", "name": "Twin"}
    document["agents"].append(twin)
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.import_file(file=json.dumps(document).encode())
        held = [
            {block.id for block in (await client.sdk.agents.retrieve(agent_id, include=RELATIONS)).blocks}
            for agent_id in made.agent_ids
        ]
        assert held[0] == held[1]
        assert await client.get("/v1/blocks/count") == 2
        twin["messages"] = [{"role": "user", "content": "x", "id": "m"}, {"role": "user", "content": "y", "id": "m"}]
        answer = await client.http.post("/v1/agents/import", files={"file": json.dumps(document).encode()})
        assert (answer.status_code, await client.get("/v1/agents/count")) == (422, 2)
        assert "agents[1].messages[1]" in answer.json()["detail"]
