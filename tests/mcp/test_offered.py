"""What Loci offers to MCP clients, as the official SDK's own client sees it."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation, TextResourceContents

from loci.api.mcp_offers import OFFERS
from loci.testing.live import live_settings
from tests.api.talk import Talk, talking
from tests.sdk.processes import running

ME = Implementation(name="desk", version="1")


@asynccontextmanager
async def asking(folder: Path, mode: Any = "auto") -> AsyncIterator[tuple[Talk, Client]]:
    async with talking(folder) as talk, Client(f"{talk.live.url}/mcp", client_info=ME, mode=mode) as client:
        yield talk, client


async def said(client: Client, name: str, **args: Any) -> str:
    result = await client.call_tool(name, args)
    text = "".join(part.text for part in result.content if part.type == "text")
    return f"ERROR {text}" if result.is_error else text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_finds_the_tools_asks_an_agent_and_uses_its_memory(mode: str, tmp_path: Path) -> None:
    async with asking(tmp_path, mode) as (talk, client):
        tools = (await client.list_tools()).tools
        listed = await said(client, "list_agents")
        talk.plays("I am well.")
        answer = await said(client, "send_message", message="How are you?")
        kept = await said(client, "remember", text="The dentist is on 2026-03-04.", tags=["health"])
        found = await said(client, "search_memory", query="dentist")
        found_talk = await said(client, "search_memory", query="How are you", where="conversations")
        added = await said(client, "edit_core_memory", label="human", new_text="Likes tea.")
        replaced = await said(client, "edit_core_memory", label="human", old_text="tea", new_text="coffee")
        block = await said(client, "read_core_memory", label="human")

    assert {tool.name for tool in tools} == set(OFFERS)
    assert all(tool.description and tool.input_schema["type"] == "object" for tool in tools)
    assert talk.agent_id in listed
    assert answer == "I am well."
    assert "ERROR" not in kept + added + replaced
    assert "2026-03-04" in found
    assert "How are you?" in found_talk
    assert "Likes coffee." in block


async def test_changes_are_in_the_journal_under_the_client_s_name(tmp_path: Path) -> None:
    async with asking(tmp_path, "legacy") as (talk, client):
        await said(client, "edit_core_memory", label="human", new_text="Likes tea.")
        await said(client, "remember", text="A fact.")
        rows = await talk.live.core.store.read(
            lambda tx: tx.all("select subject, action, actor_id, trust from journal where actor_id like 'mcp:%'")
        )

    assert {(row["subject"], row["actor_id"], row["trust"]) for row in rows} >= {
        ("block", "mcp:desk", "other_agent"),
        ("passage", "mcp:desk", "other_agent"),
    }


async def test_blocks_are_resources(tmp_path: Path) -> None:
    async with asking(tmp_path) as (talk, client):
        await said(client, "edit_core_memory", label="human", new_text="Likes tea.")
        listed = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        address = next(str(item.uri) for item in listed if str(item.uri).endswith("/human"))
        read = (await client.read_resource(address)).contents[0]
        for wrong in ("loci://agents/x/blocks/human", "https://example.com/x", f"{address}x"):
            with pytest.raises(MCPError, match="There is no"):
                await client.read_resource(wrong)

    assert address == f"loci://agents/{talk.agent_id}/blocks/human"
    assert len(templates) == 1
    assert isinstance(read, TextResourceContents)
    assert "Likes tea." in read.text


async def test_what_cannot_be_done_is_told_with_what_to_do(tmp_path: Path) -> None:
    async with asking(tmp_path) as (talk, client):
        answers = [
            await said(client, "fly"),
            await said(client, "send_message"),
            await said(client, "read_core_memory", label="nothing"),
            await said(client, "edit_core_memory", label="human", old_text="not there", new_text="x"),
            await said(client, "read_core_memory", agent="nobody"),
            await said(client, "search_memory", query="x", where="attic"),
        ]
        await talk.agent()
        unclear = await said(client, "read_core_memory")
        named = await said(client, "read_core_memory", agent=talk.agent_id)

    assert all(answer.startswith("ERROR") for answer in [*answers, unclear])
    assert "There are: list_agents" in answers[0]
    assert "needs 'message'" in answers[1]
    assert "did not appear verbatim" in answers[3]
    assert "2 agents come into question" in unclear
    assert "ERROR" not in named


async def test_the_key_opens_it_and_pages_of_other_sites_stay_out(tmp_path: Path) -> None:
    settings = replace(live_settings(tmp_path), api_key="k")
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    async with talking(tmp_path, settings=settings) as talk:
        http = talk.http
        without = await http.post("/mcp", json=body, headers=accept)
        wrong = await http.post("/mcp/", json=body, headers={**accept, "authorization": "Bearer no"})
        key = {**accept, "authorization": "Bearer k"}
        elsewhere = await http.post("/mcp", json=body, headers={**key, "origin": "https://evil.example"})
        async with httpx2.AsyncClient(headers=key) as authorized:
            transport = streamable_http_client(f"{talk.live.url}/mcp", http_client=authorized)
            async with Client(transport) as client:
                tools = (await client.list_tools()).tools
    async with talking(tmp_path / "open") as talk:
        rebound = await talk.http.post("/mcp", json=body, headers={**accept, "host": "evil.example"})
        site = await talk.http.post("/mcp", json=body, headers={**accept, "origin": "https://evil.example"})

    assert [without.status_code, wrong.status_code, elsewhere.status_code] == [401, 401, 403]
    assert len(tools) == len(OFFERS)
    assert [rebound.status_code, site.status_code] == [403, 403]


def command(home: Path) -> StdioServerParameters:
    environment = {"LOCI_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path), "LOCI_MODEL": "scripted/default"}
    return StdioServerParameters(command=sys.executable, args=["-m", "loci.cli.main", "mcp"], env=environment)


async def test_over_stdio_the_data_are_opened_in_the_process(tmp_path: Path) -> None:
    async with Client(command(tmp_path), client_info=ME) as client:
        nobody = await said(client, "list_agents")
        unknown = await said(client, "read_core_memory")

    assert nobody == "[]"
    assert "There is no agent yet." in unknown


async def test_over_stdio_a_running_server_does_the_work(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        async with httpx2.AsyncClient(base_url=process.url) as http:
            made = (await http.post("/v1/agents", json={"name": "Ada", "model": "scripted/default"})).json()
        environment = {**(command(tmp_path).env or {}), "LOCI_BASE_URL": process.url}
        parameters = command(tmp_path).model_copy(update={"env": environment})
        async with Client(parameters, client_info=ME) as client:
            listed = await said(client, "list_agents")
            noted = await said(client, "remember", text="Kept by the server.")
            resources = (await client.list_resources()).resources
        async with httpx2.AsyncClient(base_url=process.url) as http:
            notes = (await http.get(f"/v1/agents/{made['id']}/archival-memory")).json()

    assert made["id"] in listed
    assert "ERROR" not in noted
    assert [note["text"] for note in notes] == ["Kept by the server."]
    assert len(resources) == len(made["blocks"])
