"""Who is asking: taken from the credential only. A header that names a user is not a credential and is not read.

Without a key the server serves this machine alone. A page in a browser on this machine could still reach it by a name
that resolves to loopback (DNS rebinding), so the Host header must be a loopback name then.
"""

import hmac
from collections.abc import Mapping

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from loci.config import LOOPBACK, Settings
from loci.types.actor import Actor

OPEN_PATHS = frozenset({"/v1/health", "/v1/ready"})
_HOSTS = frozenset({*LOOPBACK, "[::1]", "testserver"})


class Authentication:
    """Middleware: sets `state.actor`, or answers 401."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._key = settings.api_key.encode() if settings.api_key else None
        self._loopback = settings.is_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the credential of a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        path: str = scope["path"]
        if self._key is None:
            if self._loopback and _host(headers) not in _HOSTS:
                detail = (
                    "This server has no API key, so it answers on loopback names only. Set LOCI_API_KEY to open it."
                )
                await refuse(send, 403, detail)
                return
        elif path.startswith("/v1") and path.rstrip("/") not in OPEN_PATHS and scope["method"] != "OPTIONS":
            given = credential(headers)
            if given is None or not hmac.compare_digest(given, self._key):
                await refuse(send, 401, "A valid API key is needed. Send it as 'Authorization: Bearer <key>'.")
                return
        scope.setdefault("state", {})["actor"] = Actor()
        await self._app(scope, receive, send)


def _host(headers: Mapping[bytes, bytes]) -> str:
    host = headers.get(b"host", b"localhost").decode("latin-1").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def credential(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a request carries."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key:
        return key.strip()
    word, _, password = headers.get(b"x-bare-password", b"").partition(b" ")
    return password.strip() if word.lower() == b"password" and password else None


async def refuse(send: Send, status: int, detail: str) -> None:
    """Answer without asking the application."""
    body = orjson.dumps({"detail": detail})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
