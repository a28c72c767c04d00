"""Who is asking: taken from the credential only. A header that names a user is not a credential and is not read.

The operator's key is the one of the settings; it alone opens `/v1/admin`. Keys of users are in the database.

Without an operator's key the server serves this machine alone. A page in a browser on this machine could still reach
it, by a name that resolves to loopback (DNS rebinding) or by sending what it may not read the answer of (cross-site
requests); so Host, and Origin where there is one, must be of this machine then.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from loci.api import keyring
from loci.api.core import Core
from loci.api.keyring import MARK
from loci.config import LOOPBACK, Settings
from loci.errors import Forbidden, LociError, Unauthorized
from loci.types.actor import Actor

OPEN_PATHS = frozenset({"/v1/health", "/v1/ready", "/v1/tools/mcp/oauth/callback"})
"""Open to all. The last is where browsers come back to with a secret that holds once."""
_GUARDED = ("/v1", "/mcp")
_GIT = "/v1/git/"
ORIGIN_HINT = "Its operator can name sites in LOCI_CORS_ORIGINS."
ADDRESSES_MAX = 1_024
"""So many addresses and names are not looked at anew for each request."""
NO_KEY_HINT = "Set LOCI_API_KEY to open it."


class Authentication:
    """Middleware: sets `state.actor`, `state.is_operator` and until when the key is good, or answers 401."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._key = settings.api_key.encode() if settings.api_key else None
        self._origins = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the credential of a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        path: str = scope["path"]
        state = scope.setdefault("state", {})
        state["actor"], state["is_operator"], state["until"] = Actor(), self._key is None, None
        if self._key is None and (reason := self._foreign(scope, headers)) is not None:
            await refuse(send, Forbidden(f"This server has no API key, so it {reason}.", hint=NO_KEY_HINT))
            return
        # Without an operator's key anybody here is the operator, unless it is a user's key that was sent.
        sent = headers.get(b"authorization", b"") + headers.get(b"x-bare-password", b"")
        if (self._key is not None or MARK in sent or sent[:6].lower() == b"basic ") and _is_guarded(scope):
            try:
                await self._identify(scope, headers)
            except LociError as error:
                await refuse(send, error, b"Basic realm=Loci" if path.startswith(_GIT) else b"Bearer")
                return
            if path.startswith("/mcp") and (reason := self._foreign(scope, headers)) is not None:
                await refuse(send, Forbidden(f"This server {reason}.", hint=ORIGIN_HINT))
                return
        await self._app(scope, receive, send)

    async def _identify(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Note whose key it is. Raises Unauthorized, and Forbidden for what a limited key may not do."""
        given = credential(headers)
        if given is None:
            raise Unauthorized
        state = scope["state"]
        if self._key is not None and hmac.compare_digest(given, self._key):
            state["is_operator"] = True
            return
        if self._key is None and not given.startswith(MARK):
            return
        core: Core = scope["app"].state.core
        key = await core.keyring.key_of(given)
        if (objection := keyring.objection(key, scope["method"], scope["path"], headers)) is not None:
            raise objection
        state["actor"], state["is_operator"], state["until"] = keyring.actor_of(key), False, key.expires_at

    def _foreign(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
        """Why this request comes from where it may not; None if it may. Without a key, from this machine alone."""
        client = scope.get("client")
        if self._key is None and client and client[0] and not _is_local(client[0]):
            return "answers this machine alone"
        if self._key is None and not _is_local(_host_name(headers.get(b"host", b"localhost").decode("latin-1"))):
            return "answers on loopback names only"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and origin not in self._origins and not _is_local(_host_name(origin)):
            return "answers no pages of other sites"
        return None


def _is_guarded(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith(_GUARDED) and path.rstrip("/") not in OPEN_PATHS and scope["method"] != "OPTIONS"


@lru_cache(ADDRESSES_MAX)
def _host_name(text: str) -> str:
    """The name in `name:port`, `[::1]:port` or the address of a site."""
    try:
        return urlsplit(text if "://" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


@lru_cache(ADDRESSES_MAX)
def _is_local(address: str) -> bool:
    try:
        number = ip_address(address.partition("%")[0])
    except ValueError:
        return address in LOOPBACK
    mapped = number.ipv4_mapped if isinstance(number, IPv6Address) else None
    return (mapped or number).is_loopback


def credential(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a request carries."""
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key:
        return key.strip()
    if scheme.lower() == b"basic":
        return _password(key)
    word, _, password = headers.get(b"x-bare-password", b"").partition(b" ")
    return password.strip() if word.lower() == b"password" and password else None


def _password(encoded: bytes) -> bytes | None:
    """What git sends: any name, and the key as its password."""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2] or None
    except binascii.Error:
        return None


async def refuse(send: Send, error: LociError, scheme: bytes = b"Bearer") -> None:
    """Answer without asking the application."""
    body = orjson.dumps({"detail": str(error)})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if error.status == 401:
        headers.append((b"www-authenticate", scheme))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
