"""MCP servers to test with: processes that speak well or badly, and a Loci with little patience."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from loci.config import McpSettings
from loci.testing.live import live_settings
from tests.api.clients import Client, client_of

HERE = Path(__file__).parent


def hostile(mode: str, *more: str) -> dict[str, Any]:
    """The configuration of a server that misbehaves so."""
    return {"mcp_server_type": "stdio", "command": sys.executable, "args": [str(HERE / "hostile.py"), mode, *more]}


OFFICIAL = {"mcp_server_type": "stdio", "command": sys.executable, "args": [str(HERE / "official.py")]}


@contextmanager
def official_over_http() -> Iterator[str]:
    """Where the official server listens."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "official.py"), "--http"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def client_with(folder: Path, **mcp: Any) -> AsyncIterator[Client]:
    """A server that waits for MCP servers as long as the test says."""
    patience = {"connect_timeout_s": 10.0, "call_timeout_s": 10.0, **mcp}
    async with client_of(folder, settings=replace(live_settings(folder), mcp=McpSettings(**patience))) as client:
        yield client


async def registered(client: Client, config: dict[str, Any], name: str = "there") -> str:
    server = await client.sdk.mcp_servers.create(server_name=name, config=config)
    return server.id


async def tools_by_name(client: Client, server_id: str) -> dict[str, Any]:
    return {tool.name: tool for tool in await client.sdk.mcp_servers.tools.list(server_id)}


async def run(client: Client, server_id: str, name: str, **args: Any) -> Any:
    tool = (await tools_by_name(client, server_id))[name]
    return await client.http.post(f"/v1/mcp-servers/{server_id}/tools/{tool.id}/run", json={"args": args}, timeout=60)


async def mcp_requests(client: Client, agent_id: str) -> list[tuple[str, str, Any]]:
    """A request to each route about MCP servers, in an order in which all of them succeed."""
    server_id = await registered(client, hostile("fine"))
    tool_id = (await tools_by_name(client, server_id))["echo"].id
    server, old = f"/v1/mcp-servers/{server_id}", "/v1/tools/mcp/servers"
    of_agent = f"/v1/agents/{agent_id}/mcp-servers"
    config = {key: value for key, value in hostile("fine").items() if key != "mcp_server_type"}
    return [
        ("GET", "/v1/mcp-servers", None),
        ("GET", server, None),
        ("PATCH", f"{server}/refresh", None),
        ("GET", f"{server}/tools", None),
        ("GET", f"{server}/tools/{tool_id}", None),
        ("POST", f"{server}/tools/{tool_id}/run", {"args": {"text": "x"}}),
        ("GET", of_agent, None),
        ("GET", f"{of_agent}/{server_id}/tools", None),
        ("POST", f"{of_agent}/{server_id}/tools/{tool_id}/run", None),
        ("PATCH", server, {"config": {"mcp_server_type": "stdio"}}),
        ("POST", "/v1/mcp-servers", {"server_name": "second", "config": hostile("fine")}),
        ("GET", old, None),
        ("PUT", old, {"server_name": "old", "type": "stdio", **config}),
        ("POST", f"{old}/test", {"server_name": "any", **config}),
        ("GET", f"{old}/old/tools", None),
        ("POST", f"{old}/old/resync", None),
        ("POST", f"{old}/old/echo", None),
        ("POST", f"{old}/old/tools/echo/execute", {"args": {"text": "x"}}),
        ("PATCH", f"{old}/old", {}),
        ("DELETE", f"{old}/old", None),
    ]
