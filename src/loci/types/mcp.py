"""MCP servers as they are registered, and what is found on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from loci.types.json import JsonObject

HttpTransport: TypeAlias = Literal["sse", "streamable_http"]
Transport: TypeAlias = Literal["stdio", "sse", "streamable_http"]

Health: TypeAlias = Literal["STRICT_COMPLIANT", "NON_STRICT_ONLY", "INVALID"]
"""Whether a schema can be used as strict, only as it is (perhaps mended), or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StdioConfig:
    """A server that is a command of this machine. Values of `env` may be secrets."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """A server that has an address. The token and the values of the headers may be secrets."""

    transport: HttpTransport
    url: str
    auth_header: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


McpConfig: TypeAlias = StdioConfig | HttpConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A registered server. Its configuration is sealed as a whole."""

    id: str
    name: str
    transport: Transport
    sealed: str = field(repr=False)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    """A tool as its server offers it now. `schema` is what can be shown to a model, None if that cannot be made."""

    name: str
    description: str
    schema: JsonObject | None
    health: Health
    reasons: tuple[str, ...] = ()
    title: str | None = None
    annotations: JsonObject | None = None
