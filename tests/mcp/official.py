"""A server by the official SDK, as a process of its own: over stdio, or over HTTP in both of its ways."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

server = MCPServer("official", instructions="For tests.")
seen: dict[str, str] = {}


class Place(BaseModel):
    city: str
    country: str | None = None


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def describe(place: Place, kind: str = "short") -> str:
    """Describe a place."""
    return f"{kind}: {place.city}"


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("it cannot be done")


@server.tool()
async def nap(seconds: float) -> str:
    """Sleep."""
    await asyncio.sleep(seconds)
    return "rested"


@server.tool()
def environment() -> str:
    """The names of the environment variables."""
    return " ".join(sorted(os.environ))


async def last_headers(request: Request) -> Response:
    return JSONResponse(seen)


class Seeing:
    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] != "/seen":
            seen.update({name.decode(): value.decode() for name, value in scope["headers"]})
        await self._app(scope, receive, send)


def http_app() -> Starlette:
    streamable = server.streamable_http_app()
    sse = server.sse_app()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with streamable.router.lifespan_context(streamable):
            yield

    return Starlette(
        routes=[Route("/seen", last_headers), Mount("/events", sse), Mount("/", streamable)], lifespan=lifespan
    )


def main() -> None:
    if "--http" not in sys.argv:
        server.run("stdio")
        return
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(Seeing(http_app()), log_level="error", lifespan="on")
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


if __name__ == "__main__":
    main()
