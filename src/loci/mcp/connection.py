"""One session with an MCP server, by the official SDK. Nothing else of the client imports the SDK.

The SDK wants a session to be opened and closed by the same task, so a task of its own keeps it. What the server does
(hang, crash, send garbage, refuse) ends as an error that says what happened and what can be done.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import TypeVar, cast

import anyio
import httpx2
from mcp import Client, MCPError
from mcp.client._transport import TransportStreams
from mcp.client.auth import OAuthFlowError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    INVALID_REQUEST,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    PaginatedRequestParams,
)

from loci.carrier import Carrier
from loci.errors import LociError, McpFailed, McpTimedOut
from loci.mcp.base import CLOSE_TIMEOUT_S, Dial, SessionOver
from loci.mcp.configs import request_headers
from loci.mcp.grants import CONSENT_TIMEOUT_S
from loci.mcp.mending import Watched, text_of
from loci.mcp.oauth import authorization
from loci.mcp.schema import offered
from loci.mcp.stdio import Said, stdio_streams
from loci.tools.base import ToolOutcome
from loci.types.json import JsonObject
from loci.types.mcp import HttpConfig, OfferedTool, StdioConfig

logging.getLogger("mcp.client").setLevel(logging.CRITICAL)  # what breaks on a foreign server is told in our words

TOOLS_MAX = 512
PAGES_MAX = 100
EVENT_MAX_BYTES = 4_000_000
CONNECT_HINT = "Connect to it first, so that a person can give consent: GET /v1/mcp-servers/connect/{id}."
_STATUS_HINTS = {401: CONNECT_HINT, 403: "Its credentials may not do that.", 404: "Check its address."}

T = TypeVar("T")


class Connection:
    """A session. Use it from any task."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._carrier = Carrier(dial.door)
        self._said = Said()
        self._client: Client | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._ending = asyncio.Event()
        self._retired = False

    @property
    def usable(self) -> bool:
        """Whether new calls may go here."""
        return self._client is not None and not self._retired and not self._ending.is_set()

    async def open(self) -> None:
        """Connect and greet. Raises McpFailed, McpTimedOut, AddressRefused."""
        limit_s = self._dial.limits.connect_timeout_s + (CONSENT_TIMEOUT_S if self._dial.asking else 0.0)
        self._keeper = asyncio.create_task(self._keep(), name="mcp session")
        ready = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait([self._keeper, ready], timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if self._client is not None:
                return
            if self._keeper.done():
                raise self._explained(self._keeper.exception())
            raise McpTimedOut(f"The MCP server did not greet within {limit_s:g} seconds.{self._words()}")
        finally:
            ready.cancel()
            if self._client is None:
                await self.close()

    async def tools(self) -> list[OfferedTool]:
        """What the server offers now."""
        client, found, cursor = self._live(), list[OfferedTool](), None
        for _ in range(PAGES_MAX):
            params = PaginatedRequestParams(cursor=cursor)
            page = await self._asked(client.session.list_tools(params=params), "list its tools")
            dumped = (tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools)
            found += [offered(tool) for tool in dumped]
            cursor = page.next_cursor
            if cursor is None or len(found) >= TOOLS_MAX:
                break
        return found[:TOOLS_MAX]

    async def call(self, name: str, args: JsonObject) -> ToolOutcome:
        """Run a tool there."""
        client = self._live()
        params = CallToolRequestParams(name=name, arguments=dict(args))
        # Not the SDK's own call: it checks results against schemas of the server, whose patterns may take for ever.
        asked = client.session.send_request(CallToolRequest(params=params), CallToolResult)
        try:
            result = await self._asked(asked, f"run '{name[:100]}'")
        except _Refusal as refusal:
            if refusal.code == HEADER_MISMATCH:
                result = await self._asked(client.call_tool(name, dict(args)), f"run '{name[:100]}'")
            else:
                return ToolOutcome(text=f"Error: {refusal.message}", status="error")
        return ToolOutcome(text=text_of(result), status="error" if result.is_error else "success")

    async def close(self) -> None:
        """Hang up."""
        self._ending.set()
        if self._keeper is None:
            return
        if self._client is not None:
            await asyncio.wait([self._keeper], timeout=CLOSE_TIMEOUT_S)
        if not self._keeper.done():
            self._keeper.cancel()
            await asyncio.wait([self._keeper], timeout=CLOSE_TIMEOUT_S)
        if self._keeper.done() and not self._keeper.cancelled():
            self._keeper.exception()  # it was told to whoever called

    def _live(self) -> Client:
        if self._client is None or not self.usable:
            raise SessionOver("The MCP server has ended the session.")
        return self._client

    async def _keep(self) -> None:
        try:
            info = Implementation(name="loci", version=version("loci-agents"))
            async with Client(self._streams(), client_info=info, cache=None) as client:
                self._client = client
                self._ready.set()
                await self._ending.wait()
        finally:
            self._ending.set()

    @asynccontextmanager
    async def _streams(self) -> AsyncGenerator[TransportStreams]:
        config, limits = self._dial.config, self._dial.limits
        async with AsyncExitStack() as stack:
            match config:
                case StdioConfig():
                    transport = stdio_streams(config, self._said)
                case HttpConfig(transport="sse"):
                    transport = sse_client(
                        config.url,
                        headers=request_headers(config),
                        timeout=limits.connect_timeout_s,
                        sse_read_timeout=limits.idle_s + limits.call_timeout_s,
                        httpx_client_factory=self._http,
                        auth=authorization(self._dial, config),
                    )
                case HttpConfig():
                    timeout = httpx2.Timeout(limits.connect_timeout_s, read=limits.idle_s + limits.call_timeout_s)
                    auth = authorization(self._dial, config)
                    client = self._http(request_headers(config), timeout, auth)
                    await stack.enter_async_context(client)
                    transport = streamable_http_client(
                        config.url, http_client=client, max_sse_event_size=EVENT_MAX_BYTES
                    )
            incoming, outgoing = await stack.enter_async_context(transport)
            yield Watched(incoming, self._ending), outgoing

    def _http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=headers,
            timeout=timeout,
            auth=auth,
            transport=self._carrier,
            trust_env=False,
            follow_redirects=False,
        )

    async def _asked(self, answer: Awaitable[T], doing: str) -> T:
        """Wait for an answer. Raises McpTimedOut, McpFailed, and _Refusal for what the server itself refuses."""
        limit_s = self._dial.limits.call_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError as error:
            self._retired = True
            raise McpTimedOut(f"The MCP server did not {doing} within {limit_s:g} seconds.{self._words()}") from error
        except MCPError as error:
            raise await self._after(error) from error
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            self._retired = True
            raise McpFailed(f"The connection to the MCP server broke off.{self._words()}") from error
        except (ValueError, TypeError, RuntimeError) as error:
            raise McpFailed(f"The MCP server sent something that is no answer: {_short(error)}") from error

    async def _after(self, error: MCPError) -> LociError:
        """What an error of the protocol means."""
        if error.code == INVALID_REQUEST and error.message == "Session terminated":
            self._retired = True
            return SessionOver("The MCP server has ended the session.")
        if error.code == CONNECTION_CLOSED:
            self._retired = True
            if self._keeper is not None:
                await asyncio.wait([self._keeper], timeout=CLOSE_TIMEOUT_S)
                if self._keeper.done() and not self._keeper.cancelled() and (cause := self._keeper.exception()):
                    return self._explained(cause)
            return McpFailed(f"The MCP server broke off before it answered.{self._words()}")
        if self._carrier.bad_status in (401, 403):
            self._retired = True
            return self._explained(error)
        return _Refusal(error)

    def _explained(self, error: BaseException | None) -> LociError:
        """A failure in words. The SDK wraps errors in groups; the first one inside is the cause."""
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        if isinstance(error, LociError):
            return error
        status = self._carrier.bad_status
        if isinstance(error, OAuthFlowError):
            return McpFailed(f"The MCP server was not authorized: {_short(error)}", hint=CONNECT_HINT)
        if status is not None:
            return McpFailed(f"The MCP server answered with status {status}.", hint=_STATUS_HINTS.get(status))
        if isinstance(error, httpx2.ConnectError | httpx2.TimeoutException):
            return McpFailed("The MCP server cannot be reached.", hint="Check its address, and whether it runs.")
        what = "it ended" if error is None else _short(error)
        return McpFailed(f"The session with the MCP server could not be opened: {what}.{self._words()}")

    def _words(self) -> str:
        words = str(self._said)
        return f" It said: {words[-500:]}" if words else ""


class _Refusal(McpFailed):
    """The server answered with an error."""

    def __init__(self, error: MCPError) -> None:
        super().__init__(error.message[:2_000], hint="That is what the server says.")
        self.code = error.code


def _short(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
