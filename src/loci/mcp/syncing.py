"""What a server offers against what is stored of it: new tools come in, gone ones go, changed ones are told.

All in one transaction, every change in the journal. A tool that is stored keeps its name, also when the server's own
name for it would be free by now, so that rules and agents that name it go on working.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.errors import VersionConflict
from loci.ids import new_id
from loci.mcp.schema import safe_name
from loci.store import mcp_servers, tools
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.mcp import McpServer, OfferedTool
from loci.types.memory import Author
from loci.types.tools import Tool, ToolType

STATUS = "mcp:SCHEMA_STATUS"
WARNINGS = "mcp:SCHEMA_WARNINGS"
CHANGED = "it is not what was registered; refresh the server to take it over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What came of it, by the names of the stored tools; `refused` by the server's names, with reasons."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    refused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    described_anew: tuple[str, ...] = ()
    """Those among the updated whose description, which models act on, is another now."""


def tag_of(server: McpServer) -> str:
    """How the tools of a server are tagged."""
    return f"mcp:{server.name}"


def take_over(
    tx: Transaction, actor: Actor, author: Author, server: McpServer, found: Sequence[OfferedTool], *, now: datetime
) -> Synced:
    """Store what the server offers, and forget what it does not offer any more."""
    stored = dict(mcp_servers.tools_of(tx, actor, server.id))
    usable = {tool.name: tool for tool in reversed(found) if tool.schema is not None}
    added: list[str] = []
    updated: list[str] = []
    described: list[str] = []
    for name, offer in sorted(usable.items()):
        known = stored.get(name)
        wanted = _row(server, offer, known or _new(tx, actor, server, name))
        if known is None:
            tools.insert(tx, actor, author, wanted, now)
            mcp_servers.link(tx, actor, server.id, wanted, name)
            added.append(wanted.name)
        elif _differs(known, wanted):
            tools.update(tx, actor, author, wanted, now)
            updated.append(wanted.name)
            if known.description != wanted.description:
                described.append(wanted.name)
    gone = [tool for name, tool in stored.items() if name not in usable]
    for tool in gone:
        tools.delete(tx, actor, author, tool.id, now)
    return Synced(
        added=tuple(added),
        updated=tuple(updated),
        deleted=tuple(tool.name for tool in gone),
        refused=tuple((tool.name, tool.reasons) for tool in found if tool.schema is None),
        described_anew=tuple(described),
    )


def compared(tx: Transaction, actor: Actor, server: McpServer, found: Sequence[OfferedTool]) -> list[OfferedTool]:
    """What the server offers, with a note on each tool that is not what is stored of it."""
    stored = dict(mcp_servers.tools_of(tx, actor, server.id))
    return [_noted(server, offer, stored.get(offer.name)) for offer in found]


def _noted(server: McpServer, offer: OfferedTool, known: Tool | None) -> OfferedTool:
    if known is None or offer.schema is None or not _differs(known, _row(server, offer, known)):
        return offer
    return replace(offer, reasons=(CHANGED, *offer.reasons))


def change(
    tx: Transaction, actor: Actor, author: Author, known: McpServer, server: McpServer, now: datetime
) -> McpServer:
    """Store what a server has become; its tools go by its new name.

    Raises NotFound, Conflict, and VersionConflict if it is not as it was known.
    """
    if mcp_servers.get(tx, actor, known.id) != known:
        raise VersionConflict
    stored = mcp_servers.update(tx, actor, server, now)
    for name, tool in mcp_servers.tools_of(tx, actor, server.id):
        if tag_of(server) not in tool.tags:
            tools.update(tx, actor, author, _belonging(server, name, tool), now)
    return stored


def _new(tx: Transaction, actor: Actor, server: McpServer, name: str) -> Tool:
    """An empty tool with a name that nobody else has."""
    taken: set[str] = set()
    chosen = safe_name(name, server.name, taken)
    while tools.by_name(tx, actor, chosen) is not None:
        taken.add(chosen)
        chosen = safe_name(name, server.name, taken)
    return Tool(id=new_id("tool"), name=chosen, tool_type=ToolType.EXTERNAL_MCP, description="", json_schema={})


def _row(server: McpServer, offer: OfferedTool, known: Tool) -> Tool:
    """The tool as it is to be stored; what people set on it (approval, limits) stays."""
    owned = _belonging(server, offer.name, known)
    return replace(
        owned,
        description=offer.description,
        json_schema={"name": known.name, "description": offer.description, "parameters": offer.schema},
        metadata={**owned.metadata, STATUS: offer.health, WARNINGS: list(offer.reasons)},
    )


def _belonging(server: McpServer, remote_name: str, tool: Tool) -> Tool:
    """The tool, saying whose it is."""
    home: JsonObject = {"server_id": server.id, "server_name": server.name, "tool_name": remote_name}
    tags = (tag_of(server), *(tag for tag in tool.tags if not tag.startswith("mcp:")))
    return replace(tool, tags=tags, metadata={**tool.metadata, "mcp": home})


def _differs(known: Tool, wanted: Tool) -> bool:
    return (known.json_schema, known.tags, known.metadata) != (wanted.json_schema, wanted.tags, wanted.metadata)
