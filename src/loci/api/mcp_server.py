"""What Loci offers, in the words of the Model Context Protocol, by the official SDK.

The same offer over HTTP at `/mcp` and over stdio (`loci mcp`). Over stdio it is either this process that works, or the
server that runs on this machine: then every request is passed on to it.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, TypeAlias, cast

from mcp import Client, MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)

from loci.api import mcp_offers
from loci.api.core import Core
from loci.errors import LociError
from loci.types.actor import Actor
from loci.types.json import JsonObject

SESSIONS_MAX = 1_000
IDLE_S = 1_800.0
CLIENT_CHARS_MAX = 100

Context: TypeAlias = ServerRequestContext[Any, Any]
Pages: TypeAlias = PaginatedRequestParams | None


def offering(core: Core) -> Server[Any]:
    """The offer of this process."""
    return _serving(_Own(core))


def sessions_over_http(core: Core) -> StreamableHTTPSessionManager:
    """The offer over HTTP. Who may ask, and from where, was checked before."""
    return StreamableHTTPSessionManager(
        offering(core),
        session_idle_timeout=IDLE_S,
        max_sessions=SESSIONS_MAX,
        max_request_body_size=core.settings.body_limit_bytes,
    )


async def _list_tools(_context: Context, _params: Pages) -> ListToolsResult:
    tools = [
        Tool(
            name=name,
            description=described.description,
            input_schema=dict(described.parameters),
            annotations=ToolAnnotations(read_only_hint=name in mcp_offers.READ_ONLY, open_world_hint=False),
        )
        for name, (described, _) in mcp_offers.OFFERS.items()
    ]
    return ListToolsResult(tools=tools)


async def _list_templates(_context: Context, _params: Pages) -> ListResourceTemplatesResult:
    template = ResourceTemplate(
        uri_template="loci://agents/{agent_id}/blocks/{label}",
        name="block",
        description="A block of an agent's core memory.",
        mime_type="text/plain",
    )
    return ListResourceTemplatesResult(resource_templates=[template])


class _Own:
    """Answers from the agents of this process."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        caller = _caller(context)
        try:
            text = await mcp_offers.call(self._core, caller, params.name, cast("JsonObject", params.arguments or {}))
        except LociError as error:
            return CallToolResult(content=[TextContent(text=f"Error: {error}")], is_error=True)
        return CallToolResult(content=[TextContent(text=text)])

    async def list_resources(self, context: Context, _params: Pages) -> ListResourcesResult:
        found = await mcp_offers.block_addresses(self._core, _actor(context))
        resources = [
            Resource(
                uri=address,
                name=f"{agent.name}: {block.label}",
                description=block.description,
                mime_type="text/plain",
                size=len(block.value.encode()),
            )
            for address, agent, block in found
        ]
        return ListResourcesResult(resources=resources)

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        address = str(params.uri)
        try:
            text = await mcp_offers.read_block(self._core, _actor(context), address)
        except LociError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from error
        contents = TextResourceContents(uri=address, mime_type="text/plain", text=text)
        return ReadResourceResult(contents=[contents])


def _actor(context: Context) -> Actor:
    """Over HTTP, whom the credential of this very request names; over stdio, whoever started the process."""
    return Actor() if context.request is None else cast("Actor", context.request.state.actor)


def _client(context: Context) -> Implementation:
    known = context.session.client_params
    return known.client_info if known else Implementation(name="unknown", version="")


def _caller(context: Context) -> mcp_offers.Caller:
    async def progress(passed_s: float, words: str) -> None:
        await context.session.report_progress(passed_s, message=words)

    name = "".join(letter for letter in _client(context).name if letter.isprintable())[:CLIENT_CHARS_MAX]
    return mcp_offers.Caller(actor=_actor(context), client=name or "unknown", progress=progress)


def passing_on(open_client: Callable[[Implementation], Client]) -> Server[Any]:
    """The offer of another process, passed on under the name of whoever asks."""
    other = _Other(open_client)
    return _serving(other, lifespan=other.lifespan)


def _serving(answers: "_Own | _Other", **more: Any) -> Server[Any]:  # noqa: ANN401  what the SDK takes besides
    return Server(
        "loci",
        version=version("loci-agents"),
        title="Loci",
        instructions=mcp_offers.INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=answers.call_tool,
        on_list_resources=answers.list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=answers.read_resource,
        **more,
    )


class _Other:
    """Asks another process. One client of the SDK is opened and closed by the same task."""

    def __init__(self, open_client: Callable[[Implementation], Client]) -> None:
        self._open = open_client
        self._asked: asyncio.Future[Implementation]
        self._ready: asyncio.Future[Client]

    @asynccontextmanager
    async def lifespan(self, _server: Server[Any]) -> AsyncGenerator[dict[str, Any]]:
        """Connect when the first request tells who asks."""
        loop = asyncio.get_running_loop()
        self._asked, self._ready = loop.create_future(), loop.create_future()
        keeping = asyncio.ensure_future(self._keep())
        try:
            yield {}
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError, MCPError, OSError):
                await keeping

    async def _keep(self) -> None:
        try:
            async with self._open(await self._asked) as client:
                self._ready.set_result(client)
                await asyncio.get_running_loop().create_future()
        except BaseException as error:
            if not self._ready.done():
                self._ready.set_exception(MCPError(code=-32603, message=f"The server cannot be reached: {error}"))
            raise

    async def _client(self, context: Context) -> Client:
        if not self._asked.done():
            self._asked.set_result(_client(context))
        return await asyncio.shield(self._ready)

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult:
        client = await self._client(context)
        passed_on = context.session.report_progress
        return await client.call_tool(params.name, params.arguments, progress_callback=passed_on)

    async def list_resources(self, context: Context, params: Pages) -> ListResourcesResult:
        client = await self._client(context)
        return await client.list_resources(cursor=params.cursor if params else None)

    async def read_resource(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await (await self._client(context)).read_resource(str(params.uri))
