"""The HTTP application: routes, and the few layers every request goes through, outermost first.

CORS → slashes → authentication → body limit → routes → errors as HTTP
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import resources
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from loci.api import errors
from loci.api.auth import Authentication
from loci.api.bodies import BodyLimit
from loci.api.mcp_endpoint import PATH, McpEndpoint
from loci.api.routes import ROUTERS
from loci.config import Settings

DESCRIPTION = """
Loci is a memory-first agent server. It speaks the Letta V1 REST API: point `letta-client` (PyPI) or
`@letta-ai/letta-client` (npm) at this address.
"""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(settings: Settings, lifespan: Lifespan) -> FastAPI:
    """The application. `lifespan` opens what stands behind it and sets `app.state.core`."""
    layers = [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_origin_regex=r"https?://(localhost|127\.0\.0\.1)(:\d+)?" if settings.is_loopback else None,
            allow_methods=["*"],
            allow_headers=["*"],
        ),
        Middleware(Slashes),
        Middleware(Authentication, settings=settings),
        Middleware(BodyLimit, limit_bytes=settings.body_limit_bytes),
    ]
    endpoint = McpEndpoint()

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncGenerator[None]:
        async with lifespan(app):
            yield
            await endpoint.close()

    app = FastAPI(
        title="Loci",
        version=version("loci-agents"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=living,
        middleware=layers,
        # In one list: to include a router makes each of its routes once more, and looks through two layers of them.
        routes=[route for router in ROUTERS for route in router.routes],
    )
    errors.install(app)
    app.router.routes.append(Route(PATH, endpoint, include_in_schema=False))
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/", _root, include_in_schema=False)
    return app


class Slashes:
    """Middleware: a path means the same with and without a slash at its end, and neither is a redirect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the slash away."""
        if scope["type"] == "http" and len(scope["path"]) > 1:
            scope["path"] = scope["path"].rstrip("/") or "/"
        await self._app(scope, receive, send)


async def _root() -> Response:
    return RedirectResponse("/docs")


async def _docs() -> Response:
    """The API, readable in a browser without anything from outside."""
    page = (resources.files("loci.api") / "docs.html").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
    return HTMLResponse(page, headers={"content-security-policy": policy})
