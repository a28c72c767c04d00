"""An MCP server that wants consent, and the authorization server that it names: OAuth 2.1 with PKCE, in one app."""

import asyncio
import base64
import contextlib
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send


@dataclass
class Authority:
    """What the authorization server knows."""

    url: str
    deny: bool = False
    elsewhere: str | None = None
    """Where it says that consent is given, if not here."""
    lifetime_s: int = 3_600
    valid: set[str] = field(default_factory=set)
    refreshable: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    grants: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        server = MCPServer("guarded")

        @server.tool()
        def whisper() -> str:
            """Tell a secret."""
            return "the secret"

        self._inner = server.streamable_http_app()

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            async with self._inner.router.lifespan_context(self._inner):
                yield

        routes = [
            Route("/.well-known/oauth-protected-resource/mcp", self._resource),
            Route("/.well-known/oauth-authorization-server/as", self._metadata),
            Route("/as/register", self._register, methods=["POST"]),
            Route("/as/authorize", self._authorize),
            Route("/as/token", self._token, methods=["POST"]),
            Mount("/", self._guard),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        if token in self.valid:
            await self._inner(scope, receive, send)
            return
        where = f'Bearer resource_metadata="{self.url}/.well-known/oauth-protected-resource/mcp"'
        await Response(status_code=401, headers={"www-authenticate": where})(scope, receive, send)

    async def _resource(self, request: Request) -> Response:
        return JSONResponse(
            {"resource": f"{self.url}/mcp", "authorization_servers": [f"{self.elsewhere or self.url}/as"]}
        )

    async def _metadata(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": f"{self.url}/as",
                "authorization_endpoint": f"{self.url}/as/authorize",
                "token_endpoint": f"{self.url}/as/token",
                "registration_endpoint": f"{self.url}/as/register",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _register(self, request: Request) -> Response:
        client_id = secrets.token_hex(8)
        self.clients[client_id] = await request.json()
        made = {**self.clients[client_id], "client_id": client_id, "token_endpoint_auth_method": "none"}
        return JSONResponse(made, 201)

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["redirect_uri"] in self.clients[asked["client_id"]]["redirect_uris"]
        if self.deny:
            answer = {"error": "access_denied", "error_description": "She said no.", "state": asked["state"]}
        else:
            code = secrets.token_hex(8)
            self.codes[code] = asked
            answer = {"code": code, "state": asked["state"]}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def _token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        self.grants.append(form["grant_type"])
        if form["grant_type"] == "authorization_code":
            asked = self.codes.pop(form["code"])
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
        elif form["refresh_token"] not in self.refreshable:
            return JSONResponse({"error": "invalid_grant"}, 400)
        access, refresh = f"at-{secrets.token_hex(8)}", f"rt-{secrets.token_hex(8)}"
        self.valid, self.refreshable = {access}, {refresh}
        token = {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lifetime_s,
        }
        return JSONResponse(token)


@contextlib.asynccontextmanager
async def authority() -> AsyncIterator[Authority]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made = Authority(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(made.app(), log_config=None, lifespan="on", timeout_graceful_shutdown=1))
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield made
        finally:
            server.should_exit = True
            await serving
