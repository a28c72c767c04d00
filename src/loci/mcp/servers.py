"""MCP servers of an organisation: registered, changed, their tools stored beside all others and run there.

A stored tool stays as it was registered until somebody refreshes its server: what a model is told does not change
because a server says something else one day. What has changed is reported.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from loci.clock import Clock
from loci.errors import BadRequest, FetchFailed, Forbidden, LociError, StoreFailure
from loci.ids import new_id
from loci.mcp import configs, syncing
from loci.mcp.base import Asking, Dial, Limits
from loci.mcp.grants import Grants
from loci.mcp.sessions import Sessions
from loci.mcp.syncing import Synced
from loci.net import Door, Doors
from loci.store import agents, mcp_servers, organizations
from loci.store.base import Store
from loci.tools.base import ToolContext, ToolOutcome
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.json import JsonObject
from loci.types.keys import TRUST_HINT
from loci.types.mcp import HttpConfig, McpConfig, McpServer, OfferedTool
from loci.types.memory import Author
from loci.types.tools import Tool
from loci.vault import Vault

log = logging.getLogger(__name__)

STDIO_OFF = "Commands of MCP servers may not be started on this server."
STDIO_HINT = (
    "Its operator can allow them with LOCI_MCP_STDIO=true: for its own organisation, and others that it trusts with "
    "running programs here."
)
STDIO_FOREIGN = "This organisation may not start commands of MCP servers on this server."
DOOR_HINT = (
    "Public addresses can be reached, and this machine's own by a server that serves it alone; the operator opens "
    "others by name: LOCI_MCP_HOSTS=name,name:port."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What is needed from outside, and what the operator allows."""

    store: Store
    vault: Vault
    clock: Clock
    doors: Doors
    limits: Limits
    allow_stdio: bool
    """Whether trusted organisations may start commands."""


class McpServers:
    """All servers, and the sessions with them."""

    def __init__(self, outside: Outside) -> None:
        self._out = outside
        self._sessions = Sessions(outside.clock, outside.limits)
        self.grants = Grants(outside.store, outside.vault, outside.clock)

    async def close(self) -> None:
        """Hang up everywhere."""
        await self._sessions.close()

    def config(self, actor: Actor, server: McpServer) -> McpConfig:
        """How a server is reached, secrets and all."""
        return configs.unseal(self._out.vault, actor, server.transport, server.sealed)

    def shown(self, actor: Actor, server: McpServer) -> McpConfig | None:
        """How a server is reached; None if that was sealed with another key."""
        try:
            return self.config(actor, server)
        except StoreFailure as error:
            log.warning("the MCP server %s cannot be used: %s", server.id, error)
            return None

    async def permit(self, actor: Actor, config: McpConfig) -> None:
        """Refuse a server that the organisation may not reach now. A name that nobody knows may be known tomorrow.

        Raises Forbidden for what the operator keeps for those that it trusts, AddressRefused, and BadRequest.
        """
        door = await self._door(actor, config)
        if isinstance(config, HttpConfig):
            with suppress(FetchFailed):
                await door.check(config.url)

    async def _door(self, actor: Actor, config: McpConfig) -> Door:
        """The way to a server, which checks each address. Raises Forbidden and BadRequest for a command."""
        trusted = await self._out.store.read(organizations.trusts, actor.organization_id)
        if isinstance(config, HttpConfig):
            return self._out.doors.of(trusted=trusted)
        if not self._out.allow_stdio:
            raise Forbidden(STDIO_OFF, hint=STDIO_HINT)
        if not trusted:
            raise Forbidden(STDIO_FOREIGN, hint=TRUST_HINT)
        if "\0" in config.command or not config.command.strip():
            raise BadRequest("The command is empty.", hint="Name the program, such as 'npx' or 'uvx'.")
        return self._out.doors.of(trusted=trusted)

    async def register(self, actor: Actor, author: Author, name: str, config: McpConfig) -> McpServer:
        """Store a server, with its tools if it can be reached now. Raises Conflict, and as `permit`."""
        await self.permit(actor, config)
        server = McpServer(
            id=new_id("mcp_server"),
            name=name,
            transport=configs.transport_of(config),
            sealed=configs.seal(self._out.vault, actor, config),
        )
        stored = await self._out.store.write(mcp_servers.insert, actor, server, self._out.clock.now())
        try:
            await self.refresh(actor, author, stored)
        except LociError as error:  # it may be down, or need a person's consent first
            log.warning("the MCP server '%s' is registered without tools: %s", name, error)
        return stored

    async def change(
        self, actor: Actor, author: Author, server: McpServer, name: str | None, config: McpConfig
    ) -> McpServer:
        """Store what a server shall become; its tools stay as they are until it is refreshed.

        Raises as `permit`, Conflict, and VersionConflict if `server` is not what is stored any more.
        """
        known = self.shown(actor, server)
        whole = config if known is None else configs.unmasked(config, known)
        await self.permit(actor, whole)
        wanted = replace(
            server,
            name=name or server.name,
            transport=configs.transport_of(whole),
            sealed=configs.seal(self._out.vault, actor, whole),
        )
        stored = await self._out.store.write(syncing.change, actor, author, server, wanted, self._out.clock.now())
        await self._sessions.drop(server.id)
        return stored

    async def forget(self, actor: Actor, author: Author, server: McpServer) -> None:
        """Forget a server, its tools, and what was granted there unless another server has the same address."""
        config = self.shown(actor, server)
        await self._out.store.write(mcp_servers.delete, actor, author, server.id, self._out.clock.now())
        await self._sessions.drop(server.id)
        if isinstance(config, HttpConfig):
            rest = await self._out.store.read(mcp_servers.listing, actor)
            others = [self.shown(actor, item) for item in rest]
            place = configs.place_of(config)
            if not any(isinstance(other, HttpConfig) and configs.place_of(other) == place for other in others):
                await self._out.store.write(mcp_servers.delete_grant, actor, place)

    async def offered(self, actor: Actor, server: McpServer, agent: Agent | None = None) -> list[OfferedTool]:
        """What a server offers now; against what is stored, see `syncing.compared`."""
        dial = await self._dial(actor, self.config(actor, server), agent)
        return await self._sessions.tools(server.id, dial)

    async def refresh(self, actor: Actor, author: Author, server: McpServer, agent: Agent | None = None) -> Synced:
        """Take over what a server offers now."""
        found = await self.offered(actor, server, agent)
        now = self._out.clock.now()
        return await self._out.store.write(syncing.take_over, actor, author, server, found, now=now)

    async def try_out(self, actor: Actor, config: McpConfig, asking: Asking | None = None) -> list[OfferedTool]:
        """What a server offers, in a session of its own; with `asking`, a person may be asked for consent."""
        return await self._sessions.look(replace(await self._dial(actor, config, None), asking=asking))

    async def run_there(
        self, actor: Actor, server: McpServer, name: str, args: JsonObject, agent: Agent | None = None
    ) -> ToolOutcome:
        """Run a tool by the name that its server knows it by."""
        dial = await self._dial(actor, self.config(actor, server), agent)
        return await self._sessions.call(server.id, dial, name, args)

    async def run(self, tool: Tool, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """The port of tools: run a stored tool on its server, for an agent."""
        server, name = await self._out.store.read(mcp_servers.home_of, context.actor, tool)
        return await self.run_there(context.actor, server, name, args, context.agent)

    async def agent(self, actor: Actor, agent_id: str | None) -> Agent | None:
        """The agent whose variables fill in a configuration. Raises NotFound."""
        return None if agent_id is None else await self._out.store.read(agents.get, actor, agent_id)

    async def _dial(self, actor: Actor, config: McpConfig, agent: Agent | None) -> Dial:
        filled = configs.filled(config, self._variables(actor, agent))
        return Dial(
            actor=actor,
            config=filled,
            door=await self._door(actor, config),
            limits=self._out.limits,
            grants=self.grants,
            grant=await self.grants.read(actor, configs.place_of(filled)) if isinstance(filled, HttpConfig) else None,
        )

    def _variables(self, actor: Actor, agent: Agent | None) -> Mapping[str, str]:
        sealed: JsonObject = {} if agent is None else agent.tool_exec_environment
        return {key: self._out.vault.open(actor, key, str(value)) for key, value in sealed.items()}
