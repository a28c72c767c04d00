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
from loci.types.json import JsonObject, JsonValue
from loci.types.mcp import HttpConfig, HttpTransport, McpConfig, McpServer, OfferedTool, StdioConfig, Transport

Text = Annotated[str, Field(max_length=8_192)]
Texts = Annotated[list[Text], Field(max_length=256)]
Pairs = Annotated[dict[Annotated[str, Field(min_length=1, max_length=256)], Text], Field(max_length=64)]
Command = Annotated[str, Field(min_length=1, max_length=1_024)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
Address = Annotated[str, Field(min_length=1, max_length=2_048)]
_NOT_IN_HEADERS = frozenset("\r\n\0")


class _Command(Body):
    command: Command | None = None
    args: Texts | None = None
    env: Pairs | None = None

    def stdio(self, known: McpConfig | None) -> StdioConfig:
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


class _Address(Body):
    server_url: Address | None = None
    auth_header: HeaderName | None = None
    auth_token: Text | None = None
    custom_headers: Pairs | None = None

    def http(self, transport: HttpTransport, known: McpConfig | None) -> HttpConfig:
        """The configuration; what is not given stays, unless the address leads to another host: `configs.unmasked`
        knows. Raises BadRequest for one without an address.
        """
        old = known if isinstance(known, HttpConfig) else None
        url = self.server_url or (old.url if old else None)
        if url is None:
            raise BadRequest("The configuration has no 'server_url'.")
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


class StdioIn(_Command):
    """A server that is a command."""

    mcp_server_type: Literal["stdio"] = "stdio"

    def on(self, known: McpConfig | None) -> McpConfig:
        """The configuration; what is not given stays."""
        return self.stdio(known)


class HttpIn(_Address):
    """A server that speaks streamable HTTP, or over server-sent events."""

    mcp_server_type: HttpTransport = "streamable_http"

    def on(self, known: McpConfig | None) -> McpConfig:
        """The configuration; what is not given stays."""
        return self.http(self.mcp_server_type, known)


ConfigIn = Annotated[StdioIn | HttpIn, Field(discriminator="mcp_server_type")]


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


class OldServerIn(_Command, _Address):
    """A server, as older clients write it."""

    server_name: Name
    type: Transport | None = None

    def config(self) -> McpConfig:
        """The configuration. Raises BadRequest for one that is neither a command nor an address."""
        kind = self.type or ("stdio" if self.command else "streamable_http")
        return self.stdio(None) if kind == "stdio" else self.http(kind, None)


class OldChangeIn(_Address):
    """What a server shall become, as older clients write it."""

    server_name: Name | None = None
    stdio_config: OldServerIn | None = None
    token: Text | None = None

    def config(self, transport: Transport, known: McpConfig | None) -> McpConfig:
        """The configuration; what is not named stays. Raises BadRequest for what does not fit the server."""
        if self.stdio_config is not None:
            return self.stdio_config.config()
        if transport == "stdio":
            return _Command().stdio(known)
        return self.model_copy(update={"auth_token": self.auth_token or self.token}).http(transport, known)


def _check_headers(headers: Mapping[str, str], token: str | None) -> None:
    for name, value in {**headers, "auth_token": token or ""}.items():
        if _NOT_IN_HEADERS & set(name + value) or not (name + value).isascii() or not name.strip():
            raise BadRequest(f"The header '{name[:50]}' cannot be sent.", hint="Use plain ASCII without line breaks.")


def wire_server(server: McpServer, config: McpConfig | None) -> WireObject:
    """A server, its secrets masked; without a configuration if that cannot be read."""
    return {"mcp_server_type": server.transport, **_masked(config), "id": server.id, "server_name": server.name}


def wire_old_server(server: McpServer, config: McpConfig | None) -> WireObject:
    """A server for older clients."""
    return {"server_name": server.name, "type": server.transport, **_masked(config)}


def _masked(config: McpConfig | None) -> JsonObject:
    return {} if config is None else configs.as_json(configs.masked(config))


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
