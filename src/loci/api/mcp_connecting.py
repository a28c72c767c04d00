"""Connecting to an MCP server as a stream of events, so that a person can be asked for consent on the way."""

import asyncio
import html
from collections.abc import AsyncGenerator

import orjson
from fastapi import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from loci.api.answers import json_answer
from loci.api.core import Core
from loci.api.wire_mcp import wire_offered
from loci.api.wire_messages import WireObject
from loci.errors import LociError
from loci.mcp.base import Asking
from loci.types.actor import Actor
from loci.types.mcp import HttpConfig, McpConfig, OfferedTool

CALLBACK_PATH = "/v1/tools/mcp/oauth/callback"


async def connecting(core: Core, actor: Actor, request: Request, name: str, config: McpConfig) -> Response:
    """Tell how connecting goes. Raises before the first word what `McpServers.permit` raises."""
    await core.mcp.permit(actor, config)
    base = core.settings.public_url or str(request.base_url)
    redirect_url = base.rstrip("/") + CALLBACK_PATH
    told = _told(core, actor, name, config, redirect_url)
    return StreamingResponse(told, media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _told(core: Core, actor: Actor, name: str, config: McpConfig, redirect_url: str) -> AsyncGenerator[bytes]:
    urls: asyncio.Queue[str] = asyncio.Queue()
    yield _event("connection_attempt", server_name=name)
    asking = Asking(redirect_url=redirect_url, tell=urls.put) if isinstance(config, HttpConfig) else None
    trying = asyncio.ensure_future(core.mcp.try_out(actor, config, asking))
    asked = asyncio.ensure_future(urls.get())
    try:
        while not trying.done():
            await asyncio.wait([trying, asked], return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                yield _event("oauth_required", message="The server wants a person's consent.")
                yield _event("authorization_url", url=asked.result(), server_name=name)
                yield _event("waiting_for_auth", message="Open the address in a browser.")
                asked = asyncio.ensure_future(urls.get())
        yield _outcome(trying)
    finally:
        trying.cancel()
        asked.cancel()
        await asyncio.gather(trying, asked, return_exceptions=True)


def _outcome(trying: "asyncio.Future[list[OfferedTool]]") -> bytes:
    try:
        found = trying.result()
    except LociError as error:
        return _event("error", message=str(error))
    return _event("success", tools=[wire_offered(tool) for tool in found])


def _event(kind: str, **fields: str | list[WireObject]) -> bytes:
    return b"data: " + orjson.dumps({"event": kind, **fields}) + b"\n\n"


def came_back(request: Request, problem: str | None) -> Response:
    """What the person's browser shows when it comes back from the authorization server."""
    words = "You can close this window: Loci is connected." if problem is None else f"Loci is not connected. {problem}"
    if "text/html" in request.headers.get("accept", ""):
        page = f"<!doctype html><meta charset=utf-8><title>Loci</title><p>{html.escape(words)}</p>"
        return HTMLResponse(page, 200 if problem is None else 400, {"content-security-policy": "default-src 'none'"})
    status = "success" if problem is None else "error"
    return json_answer({"status": status, "message": words}, 200 if problem is None else 400)
