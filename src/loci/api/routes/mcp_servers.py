"""MCP servers: registered, looked at, refreshed, and their tools run."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.mcp_connecting import connecting
from loci.api.parameters import AgentId, McpServerId, ToolId
from loci.api.shapes import ToolRunShape, ToolShape
from loci.api.shapes_mcp import McpServerShape, RefreshedShape
from loci.api.wire_mcp import CallIn, ServerChangeIn, ServerIn, wire_outcome, wire_server, wire_synced
from loci.api.wire_values import wire_tool
from loci.errors import NotFound
from loci.store import agents, mcp_servers
from loci.tools.arguments import fit
from loci.types import actor as actors
from loci.types.mcp import McpServer
from loci.types.tools import Tool

router = new_router("mcp-servers")


async def _identified(services: Services, actor: Actor, mcp_server_id: McpServerId) -> McpServer:
    return await services.store.read(mcp_servers.get, actor, mcp_server_id)


Server = Annotated[McpServer, Depends(_identified)]


def _shown(core: Core, actor: actors.Actor, servers: list[McpServer]) -> Response:
    return json_answer([wire_server(server, core.mcp.shown(actor, server)) for server in servers])


@router.post("/mcp-servers", response_model=McpServerShape)
async def create_mcp_server(body: ServerIn, services: Services, actor: Actor) -> Response:
    """Register a server and store its tools. One that cannot be reached now is registered without tools."""
    config = body.config.on(None)
    server = await services.mcp.register(actor, author_of(actor), body.server_name, config)
    return json_answer(wire_server(server, config))


@router.get("/mcp-servers", response_model=list[McpServerShape])
async def list_mcp_servers(services: Services, actor: Actor) -> Response:
    """All servers."""
    return _shown(services, actor, await services.store.read(mcp_servers.listing, actor))


@router.get("/mcp-servers/connect/{mcp_server_id}")
async def connect_mcp_server(server: Server, request: Request, services: Services, actor: Actor) -> Response:
    """Connect to a server, as a stream of events; a person is asked for consent where the server wants it."""
    return await connecting(services, actor, request, server.name, services.mcp.config(actor, server))


@router.get("/mcp-servers/{mcp_server_id}", response_model=McpServerShape)
async def retrieve_mcp_server(server: Server, services: Services, actor: Actor) -> Response:
    """One server."""
    return json_answer(wire_server(server, services.mcp.shown(actor, server)))


@router.patch("/mcp-servers/{mcp_server_id}", response_model=McpServerShape)
async def modify_mcp_server(server: Server, body: ServerChangeIn, services: Services, actor: Actor) -> Response:
    """Change how a server is reached. Its tools stay as they are until it is refreshed."""
    config = body.config.on(services.mcp.shown(actor, server))
    changed = await services.mcp.change(actor, author_of(actor), server, body.server_name, config)
    return json_answer(wire_server(changed, services.mcp.config(actor, changed)))


@router.delete("/mcp-servers/{mcp_server_id}", status_code=204)
async def delete_mcp_server(server: Server, services: Services, actor: Actor) -> Response:
    """Forget a server and its tools; agents that have them lose them."""
    await services.mcp.forget(actor, author_of(actor), server)
    return Response(status_code=204)


@router.patch("/mcp-servers/{mcp_server_id}/refresh", response_model=RefreshedShape)
async def refresh_mcp_server(server: Server, services: Services, actor: Actor, agent_id: str | None = None) -> Response:
    """Take over what a server offers now. With an agent, its variables fill in the configuration."""
    agent = await services.mcp.agent(actor, agent_id)
    return json_answer(wire_synced(await services.mcp.refresh(actor, author_of(actor), server, agent)))


@router.get("/mcp-servers/{mcp_server_id}/tools", response_model=list[ToolShape])
async def list_mcp_tools(server: Server, services: Services, actor: Actor) -> Response:
    """The stored tools of a server. `metadata_` says how sound each schema is."""
    held = await services.store.read(mcp_servers.tools_of, actor, server.id)
    return json_answer([wire_tool(tool) for _, tool in held])


@router.get("/mcp-servers/{mcp_server_id}/tools/{tool_id}", response_model=ToolShape)
async def retrieve_mcp_tool(server: Server, tool_id: ToolId, services: Services, actor: Actor) -> Response:
    """One tool of a server."""
    return json_answer(wire_tool((await _tool(services, actor, server, tool_id))[1]))


@router.post("/mcp-servers/{mcp_server_id}/tools/{tool_id}/run", response_model=ToolRunShape)
async def run_mcp_tool(
    server: Server, tool_id: ToolId, services: Services, actor: Actor, body: CallIn | None = None
) -> Response:
    """Run a tool of a server by hand."""
    return await _ran(services, actor, server, tool_id, body, agent_id=None)


@router.get("/agents/{agent_id}/mcp-servers", response_model=list[McpServerShape])
async def list_agent_mcp_servers(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """The servers whose tools an agent has."""
    await services.store.read(agents.get, actor, agent_id)
    return _shown(services, actor, await services.store.read(mcp_servers.of_agent, actor, agent_id))


@router.get("/agents/{agent_id}/mcp-servers/{mcp_server_id}/tools", response_model=list[ToolShape])
async def list_agent_mcp_tools(agent_id: AgentId, server: Server, services: Services, actor: Actor) -> Response:
    """The tools of a server."""
    await services.store.read(agents.get, actor, agent_id)
    return await list_mcp_tools(server, services, actor)


@router.post("/agents/{agent_id}/mcp-servers/{mcp_server_id}/tools/{tool_id}/run", response_model=ToolRunShape)
async def run_agent_mcp_tool(
    agent_id: AgentId,
    server: Server,
    tool_id: ToolId,
    services: Services,
    actor: Actor,
    body: CallIn | None = None,
) -> Response:
    """Run a tool of a server by hand, with the variables of an agent."""
    return await _ran(services, actor, server, tool_id, body, agent_id=agent_id)


async def _ran(
    core: Core, actor: actors.Actor, server: McpServer, tool_id: str, body: CallIn | None, *, agent_id: str | None
) -> Response:
    name, tool = await _tool(core, actor, server, tool_id)
    args = fit(tool.schema(), body.args if body else {})
    agent = await core.mcp.agent(actor, agent_id)
    return json_answer(wire_outcome(await core.mcp.run_there(actor, server, name, args, agent)))


async def _tool(core: Core, actor: actors.Actor, server: McpServer, tool_id: str) -> tuple[str, Tool]:
    """A tool of a server, with the name that it has there. Raises NotFound."""
    for name, tool in await core.store.read(mcp_servers.tools_of, actor, server.id):
        if tool.id == tool_id:
            return name, tool
    raise NotFound(f"MCP server {server.id} has no tool {tool_id}.")
