"""Servers by the official SDK, through the public client and through an agent's run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from letta_client import NotFoundError
from letta_client.types import SseMcpServer, StdioMcpServer, StreamableHTTPMcpServer, Tool
from letta_client.types.agents import ToolExecutionResult

from loci.types.messages import ToolCall
from tests.mcp.servers import OFFICIAL, client_with, official_over_http, registered, tools_by_name


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with official_over_http() as url:
        yield url


CASES = {
    "stdio": (StdioMcpServer, lambda url: OFFICIAL),
    "sse": (SseMcpServer, lambda url: {"mcp_server_type": "sse", "server_url": f"{url}/events/sse"}),
    "streamable_http": (
        StreamableHTTPMcpServer,
        lambda url: {"mcp_server_type": "streamable_http", "server_url": f"{url}/mcp"},
    ),
}


@pytest.mark.parametrize("way", CASES)
async def test_every_method_of_the_public_client_works_over(way: str, address: str, tmp_path: Path) -> None:
    kind, config = CASES[way]
    async with client_with(tmp_path) as client:
        mcp = client.sdk.mcp_servers
        made = await mcp.create(server_name=way, config=config(address))
        listed = await mcp.list()
        tools = await mcp.tools.list(made.id)
        add = next(tool for tool in tools if tool.name == "add")
        result = await mcp.tools.run(add.id, mcp_server_id=made.id, args={"a": 2, "b": 3})
        again = await mcp.tools.run(add.id, mcp_server_id=made.id, args={"a": 4, "b": 3})
        refreshed = await mcp.refresh(made.id)
        renamed = await mcp.update(made.id, server_name="other", config=config(address))
        retagged = await mcp.tools.retrieve(add.id, mcp_server_id=made.id)
        await mcp.delete(made.id)
        with pytest.raises(NotFoundError):
            await mcp.retrieve(made.id)
        left = await client.sdk.tools.list(name="add")

    assert isinstance(made, kind)
    assert [server.id for server in listed] == [made.id]
    assert {tool.name for tool in tools} == {"add", "describe", "fail", "nap", "environment"}
    assert isinstance(add, Tool)
    assert (add.tool_type, add.tags) == ("external_mcp", [f"mcp:{way}"])
    assert isinstance(result, ToolExecutionResult)
    assert (result.status, result.func_return, again.func_return) == ("success", "5", "7")
    assert refreshed == {"added": [], "updated": [], "deleted": [], "description_changed": [], "refused": []}
    assert (renamed.server_name, retagged.tags) == ("other", ["mcp:other"])
    assert [tool async for tool in left] == []


async def test_an_agent_uses_a_tool_of_a_server_in_its_run(tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        server_id = await registered(client, OFFICIAL)
        tools = await tools_by_name(client, server_id)
        agent = await client.sdk.agents.create(
            model="scripted/default", tool_ids=[tools["describe"].id, tools["fail"].id], include_base_tools=False
        )
        client.live.model.add(
            [ToolCall("call-1", "describe", '{"place": {"city": "Rome"}, "kind": "long"}')],
            [ToolCall("call-2", "fail", "{}")],
            "Rome.",
        )
        answer = await client.sdk.agents.messages.create(agent.id, input="Where?")
        servers = await client.get(f"/v1/agents/{agent.id}/mcp-servers")
        of_agent = await client.get(f"/v1/agents/{agent.id}/mcp-servers/{server_id}/tools")

    returns = [item for item in answer.messages if item.message_type == "tool_return_message"]
    assert [(item.status, item.tool_return) for item in returns] == [
        ("success", "long: Rome"),
        ("error", "Error executing tool fail"),
    ]
    assert [server["id"] for server in servers] == [server_id]
    assert len(of_agent) == 5


async def test_a_command_sees_nothing_of_the_server_s_environment(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    async with client_with(tmp_path) as client:
        server_id = await registered(client, {**OFFICIAL, "env": {"MY_TOKEN": "t-0"}})
        tool = (await tools_by_name(client, server_id))["environment"]
        seen = await client.sdk.mcp_servers.tools.run(tool.id, mcp_server_id=server_id)

    names = set(seen.func_return.split())
    assert "MY_TOKEN" in names
    assert not names - {"MY_TOKEN", "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LC_CTYPE"}


async def test_headers_are_filled_in_from_the_agent_s_variables(address: str, tmp_path: Path) -> None:
    config = {
        "mcp_server_type": "streamable_http",
        "server_url": f"{address}/mcp",
        "auth_token": "{{ MY_TOKEN }}",
        "custom_headers": {"x-region": "{{ REGION | north }}", "x-plain": "p"},
    }
    async with client_with(tmp_path) as client:
        server_id = await registered(client, config)
        without = await client.http.patch(f"/v1/mcp-servers/{server_id}/refresh")
        agent = await client.sdk.agents.create(
            model="scripted/default", tool_exec_environment_variables={"MY_TOKEN": "tok-1"}
        )
        refreshed = await client.sdk.mcp_servers.refresh(server_id, agent_id=agent.id)
        shown = await client.get(f"/v1/mcp-servers/{server_id}")
    async with httpx2.AsyncClient() as http:
        seen = (await http.get(f"{address}/seen")).json()

    assert without.status_code == 400
    assert "needs the variable 'MY_TOKEN'" in without.json()["detail"]
    assert len(refreshed["added"]) == 5
    assert (seen["authorization"], seen["x-region"], seen["x-plain"]) == ("Bearer tok-1", "north", "p")
    assert shown["auth_token"] == "{{ MY_TOKEN }}"
    assert shown["custom_headers"] == {"x-region": "{{ REGION | north }}", "x-plain": "********"}


async def test_older_routes_do_the_same_by_name(address: str, tmp_path: Path) -> None:
    config = {"server_name": "old", "type": "streamable_http", "server_url": f"{address}/mcp", "auth_token": "s3cret"}
    async with client_with(tmp_path) as client:
        http, base = client.http, "/v1/tools/mcp/servers"
        tried = (await http.post(f"{base}/test", json=config)).json()
        none = await client.get(base)
        added = (await http.put(base, json=config)).json()
        all_servers = await client.get(base)
        offered = await client.get(f"{base}/old/tools")
        tool = (await http.post(f"{base}/old/add")).json()
        ran = (await http.post(f"{base}/old/tools/add/execute", json={"args": {"a": 1, "b": 1}})).json()
        resynced = (await http.post(f"{base}/old/resync")).json()
        stream = await http.post(f"{base}/connect", json=config)
        changed = (await http.patch(f"{base}/old", json={"server_url": f"{address}/mcp/", "token": "n3w"})).json()
        gone = (await http.delete(f"{base}/old")).json()

    assert (tried["status"], len(tried["tools"]), none) == ("success", 5, {})
    assert [server["server_name"] for server in added] == ["old"]
    assert all_servers["old"]["auth_token"] == "********"
    assert {item["name"]: item["health"]["status"] for item in offered}["add"] == "NON_STRICT_ONLY"
    assert (tool["name"], tool["tool_type"]) == ("add", "external_mcp")
    assert (ran["status"], ran["func_return"]) == ("success", "2")
    assert resynced["added"] == []
    assert '"event":"success"' in stream.text
    assert changed["server_url"] == f"{address}/mcp/"
    assert gone == []
