"""MCP servers as older clients know them: by name, under the tools."""

from typing import Annotated

from fastapi import Depends, Path, Request
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.mcp_connecting import CALLBACK_PATH, came_back, connecting
from loci.api.shapes import ToolRunShape, ToolShape
from loci.api.shapes_mcp import OfferedToolShape, OldMcpServerShape, RefreshedShape, TestedShape
from loci.api.wire_mcp import (
    CallIn,
    OldChangeIn,
    OldServerIn,
    wire_offered,
    wire_old_server,
    wire_outcome,
    wire_synced,
)
from loci.api.wire_messages import WireObject
from loci.api.wire_values import wire_tool
from loci.errors import BadRequest, LociError, NotFound
from loci.mcp import syncing
from loci.store import mcp_servers
from loci.types import actor as actors
from loci.types.mcp import McpServer

router = new_router("tools")

ServerName = Annotated[str, Path(max_length=1_000, description="Name of the MCP server.")]
ToolName = Annotated[str, Path(max_length=1_000, description="Name of the tool, as its server knows it.")]


async def _named(services: Services, actor: Actor, mcp_server_name: ServerName) -> McpServer:
    return await services.store.read(mcp_servers.by_name, actor, mcp_server_name)


Server = Annotated[McpServer, Depends(_named)]


async def _all(core: Core, actor: actors.Actor) -> list[WireObject]:
    servers = await core.store.read(mcp_servers.listing, actor)
    return [wire_old_server(server, core.mcp.shown(actor, server)) for server in servers]


@router.get("/tools/mcp/servers", response_model=dict[str, OldMcpServerShape])
async def list_old_mcp_servers(services: Services, actor: Actor) -> Response:
    """All servers, by name."""
    return json_answer({str(server["server_name"]): server for server in await _all(services, actor)})


@router.put("/tools/mcp/servers", response_model=list[OldMcpServerShape])
async def add_old_mcp_server(body: OldServerIn, services: Services, actor: Actor) -> Response:
    """Register a server; all servers."""
    await services.mcp.register(actor, author_of(actor), body.server_name, body.config())
    return json_answer(await _all(services, actor))


@router.post("/tools/mcp/servers/test", response_model=TestedShape)
async def test_old_mcp_server(body: OldServerIn, services: Services, actor: Actor) -> Response:
    """Try a server without registering it."""
    found = await services.mcp.try_out(actor, body.config())
    return json_answer({"status": "success", "tools": [wire_offered(tool) for tool in found]})


@router.post("/tools/mcp/servers/connect")
async def connect_old_mcp_server(body: OldServerIn, request: Request, services: Services, actor: Actor) -> Response:
    """Connect to a server, as a stream of events; a person is asked for consent where the server wants it."""
    return await connecting(services, actor, request, body.server_name, body.config())


@router.get(CALLBACK_PATH.removeprefix("/v1"))
async def finish_consent(  # noqa: PLR0917  one argument for each query parameter
    request: Request,
    services: Services,
    code: str | None = None,
    state: str | None = None,
    iss: str | None = None,
    error: str | None = None,
    error_description: str | None = None,
) -> Response:
    """Where browsers come back to from an authorization server. The state says whose consent it is."""
    problem = error_description or error
    try:
        if state is None:
            raise BadRequest("The address has no state.")
        services.mcp.grants.answer(state, code, iss, problem)
    except LociError as refused:
        problem = str(refused)
    return came_back(request, problem)


@router.patch("/tools/mcp/servers/{mcp_server_name}", response_model=OldMcpServerShape)
async def modify_old_mcp_server(server: Server, body: OldChangeIn, services: Services, actor: Actor) -> Response:
    """Change how a server is reached."""
    config = body.config(server.transport, services.mcp.shown(actor, server))
    changed = await services.mcp.change(actor, author_of(actor), server, body.server_name, config)
    return json_answer(wire_old_server(changed, services.mcp.config(actor, changed)))


@router.delete("/tools/mcp/servers/{mcp_server_name}", response_model=list[OldMcpServerShape])
async def delete_old_mcp_server(server: Server, services: Services, actor: Actor) -> Response:
    """Forget a server and its tools; the servers that are left."""
    await services.mcp.forget(actor, author_of(actor), server)
    return json_answer(await _all(services, actor))


@router.get("/tools/mcp/servers/{mcp_server_name}/tools", response_model=list[OfferedToolShape])
async def list_offered_tools(server: Server, services: Services, actor: Actor) -> Response:
    """What a server offers now, with the health of each schema, and a note where it is not what is stored."""
    found = await services.mcp.offered(actor, server)
    noted = await services.store.read(syncing.compared, actor, server, found)
    return json_answer([wire_offered(tool) for tool in noted])


@router.post("/tools/mcp/servers/{mcp_server_name}/resync", response_model=RefreshedShape)
async def resync_old_mcp_server(
    server: Server, services: Services, actor: Actor, agent_id: str | None = None
) -> Response:
    """Take over what a server offers now."""
    agent = await services.mcp.agent(actor, agent_id)
    return json_answer(wire_synced(await services.mcp.refresh(actor, author_of(actor), server, agent)))


@router.post("/tools/mcp/servers/{mcp_server_name}/{mcp_tool_name}", response_model=ToolShape)
async def add_offered_tool(server: Server, mcp_tool_name: ToolName, services: Services, actor: Actor) -> Response:
    """One tool of a server, stored as it is offered now; the others are taken over with it."""
    synced = await services.mcp.refresh(actor, author_of(actor), server)
    held = dict(await services.store.read(mcp_servers.tools_of, actor, server.id))
    if mcp_tool_name in held:
        return json_answer(wire_tool(held[mcp_tool_name]))
    if reasons := dict(synced.refused).get(mcp_tool_name):
        raise BadRequest(f"The tool '{mcp_tool_name}' cannot be used: {'; '.join(reasons)}.")
    raise NotFound(f"The MCP server '{server.name}' has no tool '{mcp_tool_name}'.")


@router.post("/tools/mcp/servers/{mcp_server_name}/tools/{tool_name}/execute", response_model=ToolRunShape)
async def execute_offered_tool(
    server: Server, tool_name: ToolName, services: Services, actor: Actor, body: CallIn | None = None
) -> Response:
    """Run a tool by the name that its server knows it by."""
    outcome = await services.mcp.run_there(actor, server, tool_name, body.args if body else {})
    return json_answer(wire_outcome(outcome))
