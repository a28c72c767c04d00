"""MCP servers in the JSON of the Letta V1 API, in the words of `mcp-servers` and of the older `tools/mcp`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from loci.api.requests_agents import Body, Name
from loci.api.wire_messages import WireObject
from loci.errors import BadRequest
from loci.mcp import configs
from loci.mcp.configs import MASK
from loci.mcp.syncing import Synced
from loci.tools.base import ToolOutcome
from loci.types.json import JsonValue
from loci.types.mcp import HttpConfig, McpConfig, McpServer, OfferedTool, StdioConfig

Text = Annotated[str, Field(max_length=8_192)]
Texts = Annotated[list[Text], Field(max_length=256)]
Pairs = Annotated[dict[Annotated[str, Field(min_length=1, max_length=256)], Text], Field(max_length=64)]
Command = Annotated[str, Field(min_length=1, max_length=1_024)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
Address = Annotated[str, Field(min_length=1, max_length=2_048)]
_NOT_IN_HEADERS = frozenset("\r\n\0")


class StdioIn(Body):
    """A server that is a command."""

    mcp_server_type: Literal["stdio"] = "stdio"
    command: Command | None = None
    args: Texts | None = None
    env: Pairs | None = None

    def on(self, known: McpConfig | None) -> StdioConfig:
        """The configuration; what is not given stays. Raises BadRequest for one without a command."""
        old = known if isinstance(known, StdioConfig) else None
        command = self.command or (old.command if old else None)
        if command is None:
            raise BadRequest("The configuration has no command.", hint="Name the program, such as 'npx' or 'uvx'.")
        return StdioConfig(
            command=command,
            args=tuple(self.args) if self.args is not None else (old.args if old else ()),
            env=self.env if self.env is not None else (old.env if old else {}),
        )


class _HttpIn(Body):
    server_url: Address | None = None
    auth_header: HeaderName | None = None
    auth_token: Text | None = None
    custom_headers: Pairs | None = None

    def _on(self, transport: Literal["sse", "streamable_http"], known: McpConfig | None) -> HttpConfig:
        old = known if isinstance(known, HttpConfig) else None
        url = self.server_url or (old.url if old else None)
        if url is None:
            raise BadRequest("The configuration has no 'server_url'.")
        # What is not given stays, unless the address leads to another host: `configs.unmasked` knows.
        headers = (
            self.custom_headers if self.custom_headers is not None else dict.fromkeys(old.headers if old else (), MASK)
        )
        token = self.auth_token if self.auth_token is not None else (MASK if old and old.auth_token else None)
        _check_headers(headers, token)
        return HttpConfig(
            transport=transport,
            url=url,
            auth_header=self.auth_header or (old.auth_header if old else None),
            auth_token=token,
            headers=headers,
        )


class SseIn(_HttpIn):
    """A server that speaks over server-sent events."""

    mcp_server_type: Literal["sse"] = "sse"

    def on(self, known: McpConfig | None) -> HttpConfig:
        """The configuration; what is not given stays."""
        return self._on("sse", known)


class StreamableIn(_HttpIn):
    """A server that speaks streamable HTTP."""

    mcp_server_type: Literal["streamable_http"] = "streamable_http"

    def on(self, known: McpConfig | None) -> HttpConfig:
        """The configuration; what is not given stays."""
        return self._on("streamable_http", known)


ConfigIn = Annotated[StdioIn | SseIn | StreamableIn, Field(discriminator="mcp_server_type")]


class ServerIn(Body):
    """A server to be registered."""

    server_name: Name
    config: ConfigIn


class ServerChangeIn(Body):
    """What a server shall become; what is not named stays."""

    server_name: Name | None = None
    config: ConfigIn


class CallIn(Body):
    """The arguments of a tool."""

    args: dict[str, Any] = Field(default_factory=dict)


class OldServerIn(Body):
    """A server, as older clients write it."""

    server_name: Name
    type: Literal["stdio", "sse", "streamable_http"] | None = None
    server_url: Address | None = None
    auth_header: HeaderName | None = None
    auth_token: Text | None = None
    custom_headers: Pairs | None = None
    command: Command | None = None
    args: Texts | None = None
    env: Pairs | None = None

    def config(self) -> McpConfig:
        """The configuration. Raises BadRequest for one that is neither a command nor an address."""
        kind = self.type or ("stdio" if self.command else "streamable_http")
        if kind == "stdio":
            return StdioIn(command=self.command, args=self.args, env=self.env).on(None)
        return _http(self, kind, None)


class OldChangeIn(Body):
    """What a server shall become, as older clients write it."""

    server_name: Name | None = None
    stdio_config: OldServerIn | None = None
    server_url: Address | None = None
    auth_header: HeaderName | None = None
    auth_token: Text | None = None
    token: Text | None = None
    custom_headers: Pairs | None = None

    def config(self, known: McpConfig) -> McpConfig:
        """The configuration; what is not named stays. Raises BadRequest for what does not fit the server."""
        if self.stdio_config is not None:
            return self.stdio_config.config()
        if isinstance(known, StdioConfig):
            return known
        return _http(self, known.transport, known)


def _http(
    body: OldServerIn | OldChangeIn, kind: Literal["sse", "streamable_http"], known: McpConfig | None
) -> HttpConfig:
    fields: dict[str, Any] = {
        "server_url": body.server_url,
        "auth_header": body.auth_header,
        "auth_token": body.auth_token or (body.token if isinstance(body, OldChangeIn) else None),
        "custom_headers": body.custom_headers,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return (SseIn if kind == "sse" else StreamableIn)(**given).on(known)


def _check_headers(headers: Mapping[str, str], token: str | None) -> None:
    for name, value in {**headers, "auth_token": token or ""}.items():
        if _NOT_IN_HEADERS & set(name + value) or not (name + value).isascii() or not name.strip():
            raise BadRequest(f"The header '{name[:50]}' cannot be sent.", hint="Use plain ASCII without line breaks.")


def wire_server(server: McpServer, config: McpConfig) -> WireObject:
    """A server, its secrets masked."""
    shown = configs.as_json(configs.masked(config))
    return {"mcp_server_type": server.transport, **shown, "id": server.id, "server_name": server.name}


def wire_old_server(server: McpServer, config: McpConfig) -> WireObject:
    """A server for older clients, its secrets masked."""
    return {"server_name": server.name, "type": server.transport, **configs.as_json(configs.masked(config))}


def wire_offered(tool: OfferedTool) -> WireObject:
    """A tool as its server offers it, with the health of its schema."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.schema or {"type": "object", "properties": {}},
        "outputSchema": None,
        "annotations": tool.annotations,
        "_meta": None,
        "health": {"status": tool.health, "reasons": list(tool.reasons)},
    }


def wire_synced(synced: Synced) -> WireObject:
    """What refreshing a server did."""
    refused: list[JsonValue] = [{"name": name, "reasons": list(reasons)} for name, reasons in synced.refused]
    return {
        "deleted": list(synced.deleted),
        "updated": list(synced.updated),
        "added": list(synced.added),
        "description_changed": list(synced.described_anew),
        "refused": refused,
    }


def wire_outcome(outcome: ToolOutcome) -> WireObject:
    """What a tool gave back."""
    return {
        "status": outcome.status,
        "func_return": outcome.text,
        "agent_state": None,
        "stdout": list(outcome.stdout),
        "stderr": list(outcome.stderr),
        "sandbox_config_fingerprint": None,
    }
