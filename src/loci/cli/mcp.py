"""`loci mcp`: the agents and their memory for an MCP client that starts commands, such as a desktop assistant.

The server of this machine does the work if it runs, so that both see the same; else the data are opened here.
"""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import Implementation

from loci.api.core import Core
from loci.api.mcp_endpoint import PATH
from loci.api.mcp_server import offering, passing_on
from loci.app import build
from loci.cli.connect import Connection, found_server
from loci.cli.logs import configure_log
from loci.cli.options import KeyOption, ServerOption, commands
from loci.config import Settings, load
from loci.store.owner import owned

app = commands()

_CONNECT_TIMEOUT_S = 10.0


@app.command()
def mcp(server: ServerOption = None, api_key: KeyOption = None) -> None:
    """
    Offer the agents and their memory to an MCP client over stdio.

    Not for people: an MCP client starts it. Give the client this command:
      loci mcp

    With a server elsewhere:
      loci mcp --server https://agents.example --api-key KEY
    """
    settings = load()
    configure_log(settings, settings.home / "loci.log")  # the standard output belongs to the protocol
    found = found_server(settings, server, api_key)
    asyncio.run(_here(settings) if found is None else _there(found, api_key or settings.api_key))


async def _here(settings: Settings) -> None:
    application = build(replace(settings, host="127.0.0.1"))
    with owned(settings.database_url):
        async with application.router.lifespan_context(application):
            core: Core = application.state.core
            await _speak(offering(core))


async def _there(found: Connection, key: str | None) -> None:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    timeout = httpx2.Timeout(_CONNECT_TIMEOUT_S, read=None)
    async with httpx2.AsyncClient(headers=headers, timeout=timeout) as http:

        def open_client(who: Implementation) -> Client:
            transport = streamable_http_client(f"{found.base_url}{PATH}", http_client=http)
            return Client(transport, client_info=who, cache=None)

        await _speak(passing_on(open_client))


async def _speak(offered: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await offered.run(incoming, outgoing, offered.create_initialization_options())
