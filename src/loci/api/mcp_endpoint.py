"""The address `/mcp`: what Loci offers to MCP clients over HTTP. The SDK is loaded when the first of them comes."""

import asyncio
import importlib
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from loci.api.core import Core

PATH = "/mcp"


class McpEndpoint:
    """An ASGI application with sessions of its own."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._handle: ASGIApp | None = None
        self._ending = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        core: Core = scope["app"].state.core
        async with self._lock:
            if self._handle is None:
                self._handle = await self._begun(core)
        await self._handle(scope, receive, send)

    async def _begun(self, core: Core) -> ASGIApp:
        manager = (await asyncio.to_thread(_load)).sessions_over_http(core)
        ready = asyncio.Event()

        async def keep() -> None:
            async with manager.run():
                ready.set()
                await self._ending.wait()

        self._keeper = asyncio.create_task(keep(), name="mcp endpoint")
        await ready.wait()
        return cast("ASGIApp", manager.handle_request)

    async def close(self) -> None:
        """End all sessions."""
        self._ending.set()
        if self._keeper is not None:
            await asyncio.wait([self._keeper])


def _load() -> Any:  # noqa: ANN401  a module
    return importlib.import_module("loci.api.mcp_server")
