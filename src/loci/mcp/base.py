"""What the rest knows of a session with an MCP server: opened once, asked often, closed by whoever opened it.

The SDK takes a second to import, so it stands behind this port and is loaded when the first session is opened.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from loci.errors import McpFailed
from loci.mcp.grants import Grant, Grants
from loci.net import Door
from loci.tools.base import ToolOutcome
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.mcp import McpConfig, OfferedTool

CLOSE_TIMEOUT_S = 4.0


class SessionOver(McpFailed):
    """The MCP server has forgotten the session: it did not run the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a server may take, and how long a session is kept that nobody uses."""

    connect_timeout_s: float = 20.0
    call_timeout_s: float = 60.0
    idle_s: float = 600.0
    sessions_max: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a person is asked for consent: where the answer comes back to, and whom to tell the address to go to."""

    redirect_url: str
    tell: Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """What is needed to reach a server. The configuration is filled in."""

    actor: Actor
    config: McpConfig
    door: Door
    limits: Limits
    grants: Grants
    grant: Grant | None = None
    """What OAuth granted there before."""
    asking: Asking | None = None


class Session(Protocol):
    """A session with one server. Failures are McpFailed and McpTimedOut."""

    @property
    def usable(self) -> bool:
        """Whether new calls may go here."""
        ...

    async def open(self) -> None:
        """Connect and greet."""
        ...

    async def tools(self) -> list[OfferedTool]:
        """What the server offers now."""
        ...

    async def call(self, name: str, args: JsonObject) -> ToolOutcome:
        """Run a tool there. Raises SessionOver if it surely did not run and may be tried in a new session."""
        ...

    async def close(self) -> None:
        """Hang up. Never raises, and never takes long."""
        ...


@dataclass(slots=True)
class Entry:
    """A session with its bookkeeping. Whoever changes the session holds the lock."""

    session: Session | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    used_s: float = 0.0
    failure: McpFailed | None = None
    failed_s: float = 0.0
