"""MCP servers as rows, which stored tools are theirs, and what OAuth granted for an address."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from loci.errors import NotFound
from loci.store import tools
from loci.store.base import Params, Transaction
from loci.store.rows import Record, text, time_text, within
from loci.types.actor import Actor
from loci.types.mcp import McpServer
from loci.types.memory import Author
from loci.types.tools import Tool

SERVERS_MAX = 1_000
_ROWS = Record(McpServer, "mcp_servers", "s", missing="MCP server {} not found.", found={"sealed": "s.config"})
INSERT = """
insert into mcp_servers (id, organization_id, project_id, name, transport, config, created_at, updated_at, created_by)
values (:id, :organization_id, :project_id, :name, :transport, :config, :now, :now, :created_by)"""
UPDATE = """
update mcp_servers set name = :name, transport = :transport, config = :config, updated_at = :now
where id = :id and organization_id = :organization_id"""
OF_AGENT = f"""{_ROWS.select} and s.id in (
    select m.server_id from mcp_tools m join agent_tools a on a.tool_id = m.tool_id where a.agent_id = :agent_id
) order by s.created_at, s.id"""
TOOLS = f"""
select m.remote_name, {tools.COLUMNS} from mcp_tools m join tools t on t.id = m.tool_id
where m.server_id = :server_id and m.organization_id = :organization_id order by t.name"""
LINK = """
insert into mcp_tools (tool_id, server_id, organization_id, project_id, remote_name)
values (:tool_id, :server_id, :organization_id, :project_id, :remote_name)"""
HOME_OF = """
select m.server_id, m.remote_name from mcp_tools m
where m.tool_id = :tool_id and m.organization_id = :organization_id"""
GRANT = "select sealed from mcp_grants where place = :place and organization_id = :organization_id"
PUT_GRANT = """
insert into mcp_grants (organization_id, place, project_id, sealed, updated_at)
values (:organization_id, :place, :project_id, :sealed, :now)
on conflict (organization_id, place) do update set sealed = excluded.sealed, updated_at = excluded.updated_at"""
DELETE_GRANT = "delete from mcp_grants where place = :place and organization_id = :organization_id"


get = _ROWS.get


def _params(actor: Actor, server: McpServer, now: datetime) -> Params:
    wanted = within(actor, id=server.id, name=server.name, transport=server.transport, config=server.sealed)
    return {**wanted, "now": time_text(now), "created_by": server.created_by or actor.user_id}


def by_name(tx: Transaction, actor: Actor, name: str) -> McpServer:
    """The server with this name. Raises NotFound."""
    found = _ROWS.one(tx, f"{_ROWS.select} and s.name = :name", within(actor, name=name))
    if found is None:
        raise NotFound(f"There is no MCP server '{name}'.")
    return found


def listing(tx: Transaction, actor: Actor) -> list[McpServer]:
    """All servers, the oldest first."""
    every = f"{_ROWS.select} order by s.created_at, s.id limit :limit"
    return _ROWS.all(tx, every, within(actor, limit=SERVERS_MAX))


def of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[McpServer]:
    """The servers whose tools an agent has."""
    return _ROWS.all(tx, OF_AGENT, within(actor, agent_id=agent_id))


def insert(tx: Transaction, actor: Actor, server: McpServer, now: datetime) -> McpServer:
    """Store a new server. Raises Conflict when the name is taken."""
    tx.run(INSERT, _params(actor, server, now))
    return replace(server, created_at=now, updated_at=now, created_by=server.created_by or actor.user_id)


def update(tx: Transaction, actor: Actor, server: McpServer, now: datetime) -> McpServer:
    """Store what a server has become. Raises NotFound, and Conflict when the name is taken."""
    if not tx.run(UPDATE, _params(actor, server, now)):
        raise NotFound(f"MCP server {server.id} not found.")
    return replace(server, updated_at=now)


def delete(tx: Transaction, actor: Actor, author: Author, server_id: str, now: datetime) -> None:
    """Forget a server with its tools, which are taken off every agent. Raises NotFound."""
    get(tx, actor, server_id)
    for _, tool in tools_of(tx, actor, server_id):
        tools.delete(tx, actor, author, tool.id, now)
    _ROWS.delete(tx, actor, server_id)


def tools_of(tx: Transaction, actor: Actor, server_id: str) -> Sequence[tuple[str, Tool]]:
    """The stored tools of a server, each with the name that the server knows it by."""
    rows = tx.all(TOOLS, {"server_id": server_id, "organization_id": actor.organization_id})
    return [(text(row, "remote_name"), tools.from_row(row)) for row in rows]


def link(tx: Transaction, actor: Actor, server_id: str, tool: Tool, remote_name: str) -> None:
    """Note that a stored tool runs on a server."""
    tx.run(LINK, within(actor, tool_id=tool.id, server_id=server_id, remote_name=remote_name))


def home_of(tx: Transaction, actor: Actor, tool: Tool) -> tuple[McpServer, str]:
    """The server that a tool runs on, and the name that it has there. Raises NotFound."""
    row = tx.one(HOME_OF, {"tool_id": tool.id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"The MCP server of the tool '{tool.name}' is not registered here.", hint="Register it again.")
    return get(tx, actor, text(row, "server_id")), text(row, "remote_name")


def grant(tx: Transaction, actor: Actor, place: str) -> str | None:
    """What OAuth granted for a place, sealed."""
    row = tx.one(GRANT, {"place": place, "organization_id": actor.organization_id})
    return None if row is None else text(row, "sealed")


def put_grant(tx: Transaction, actor: Actor, place: str, sealed: str, now: datetime) -> None:
    """Keep what OAuth granted for a place, instead of what was granted before."""
    tx.run(PUT_GRANT, within(actor, place=place, sealed=sealed, now=time_text(now)))


def delete_grant(tx: Transaction, actor: Actor, place: str) -> None:
    """Forget what OAuth granted for a place."""
    tx.run(DELETE_GRANT, {"place": place, "organization_id": actor.organization_id})
