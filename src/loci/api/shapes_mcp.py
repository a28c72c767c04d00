"""What answers about MCP servers look like, for the API document."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from loci.api.shapes import Object, exact


class _Reached(TypedDict):
    command: NotRequired[str]
    args: NotRequired[list[str]]
    env: NotRequired[dict[str, str] | None]
    server_url: NotRequired[str]
    auth_header: NotRequired[str | None]
    auth_token: NotRequired[str | None]
    custom_headers: NotRequired[dict[str, str] | None]
    server_name: str


@exact
class McpServerShape(_Reached):
    """An MCP server: a command, or an address. Secrets are shown as `********`."""

    id: str
    mcp_server_type: Literal["stdio", "sse", "streamable_http"]


@exact
class OldMcpServerShape(_Reached):
    """An MCP server for older clients."""

    type: Literal["stdio", "sse", "streamable_http"]


@exact
class RefusedToolShape(TypedDict):
    """A tool that cannot be used, and why."""

    name: str
    reasons: list[str]


@exact
class RefreshedShape(TypedDict):
    """What refreshing a server did, by the names of the stored tools."""

    added: list[str]
    updated: list[str]
    deleted: list[str]
    description_changed: list[str]
    refused: list[RefusedToolShape]


@exact
class HealthShape(TypedDict):
    """Whether a schema can be used as strict, only as it is, or not at all, and what was found."""

    status: Literal["STRICT_COMPLIANT", "NON_STRICT_ONLY", "INVALID"]
    reasons: list[str]


class _OfferedTool(TypedDict):
    name: str
    title: str | None
    description: str
    inputSchema: Object
    outputSchema: Object | None
    annotations: Object | None
    _meta: Object | None
    health: HealthShape


@exact
class OfferedToolShape(_OfferedTool):
    """A tool as its server offers it now."""


@exact
class TestedShape(TypedDict):
    """What a server offers that was tried."""

    status: str
    tools: list[OfferedToolShape]
