"""Consent for MCP servers by OAuth 2.1: the SDK's client, with what it learns kept sealed in the database.

A person is asked only when somebody connects for that purpose. Calls of agents use what was granted, refresh it when it
has run out, and fail with what to do when that cannot be done.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.auth.oauth2 import OAuthContext
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

from loci.config import LOOPBACK
from loci.mcp.base import Asking, Dial
from loci.mcp.configs import place_of
from loci.types.json import JsonValue
from loci.types.mcp import HttpConfig

CLIENT_NAME = "Loci"


def authorization(dial: Dial, config: HttpConfig) -> "Authorization | None":
    """How requests to the server are authorized; None if nothing was granted and nobody can be asked."""
    if config.auth_token or any(name.lower() == "authorization" for name in config.headers):
        return None
    if dial.asking is None and dial.grant is None:
        return None
    return Authorization(dial, config)


class _Kept(TokenStorage):
    """The grant of one server, as the SDK reads and writes it."""

    def __init__(self, dial: Dial, config: HttpConfig) -> None:
        self._dial = dial
        self._place = place_of(config)
        self.grant: dict[str, JsonValue] = dict(dial.grant or {})
        self.context: OAuthContext | None = None

    async def get_tokens(self) -> OAuthToken | None:
        tokens = self.grant.get("tokens")
        return OAuthToken.model_validate(tokens) if isinstance(tokens, Mapping) else None

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """The registration, if it knows the address that answers come back to."""
        stored = self.grant.get("client")
        if not isinstance(stored, Mapping):
            return None
        client = OAuthClientInformationFull.model_validate(stored)
        asking = self._dial.asking
        known = [str(url) for url in client.redirect_uris or ()]
        return None if asking is not None and known and asking.redirect_url not in known else client

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep the tokens, and what the SDK does not keep: when they run out, and where to renew them."""
        old = await self.get_tokens()
        if tokens.refresh_token is None and old is not None:
            tokens.refresh_token = old.refresh_token  # a server may say nothing of it, and means that it stays
        known: dict[str, JsonValue] = {"tokens": tokens.model_dump(mode="json", exclude_none=True)}
        if self.context is not None:
            metadata = self.context.oauth_metadata
            known["expiry_s"] = self.context.token_expiry_time
            known["server"] = self.context.auth_server_url
            known["metadata"] = None if metadata is None else metadata.model_dump(mode="json", exclude_none=True)
        await self._put(known)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        await self._put({"client": client_info.model_dump(mode="json", exclude_none=True)})

    async def _put(self, known: dict[str, JsonValue]) -> None:
        self.grant |= known
        await self._dial.grants.keep(self._dial.actor, self._place, dict(self.grant))


class Authorization(OAuthClientProvider):
    """Authorizes the requests of one session."""

    def __init__(self, dial: Dial, config: HttpConfig) -> None:
        self._kept = _Kept(dial, config)
        self._dial = dial
        self._state = ""
        asking = dial.asking
        super().__init__(
            server_url=config.url,
            client_metadata=_metadata(asking),
            storage=self._kept,
            redirect_handler=None if asking is None else self._send_away,
            callback_handler=None if asking is None else self._come_back,
        )
        self._kept.context = self.context

    async def _initialize(self) -> None:
        """Know what was known before: the SDK itself forgets when a token runs out, and where to renew it."""
        await super()._initialize()
        expiry, server, metadata = (self._kept.grant.get(name) for name in ("expiry_s", "server", "metadata"))
        if isinstance(expiry, int | float):
            self.context.token_expiry_time = float(expiry)
        if isinstance(server, str):
            self.context.auth_server_url = server
        if isinstance(metadata, Mapping):
            self.context.oauth_metadata = OAuthMetadata.model_validate(metadata)

    async def _perform_authorization(self) -> httpx2.Request:
        """Renew a token that is refused before its time; only somebody who connects is asked for consent anew."""
        if self._dial.asking is None and self.context.can_refresh_token():
            return await self._refresh_token()
        return await super()._perform_authorization()

    async def _send_away(self, url: str) -> None:
        self._state = parse_qs(urlsplit(url).query).get("state", [""])[0]
        if self._dial.asking is not None:
            self._dial.grants.expect(self._state)
            await self._dial.asking.tell(url)

    async def _come_back(self) -> AuthorizationCodeResult:
        consent = await self._dial.grants.consent(self._state)
        return AuthorizationCodeResult(code=consent.code, state=consent.state, iss=consent.issuer)


def _metadata(asking: Asking | None) -> OAuthClientMetadata:
    redirect = "http://localhost" if asking is None else asking.redirect_url  # nobody is sent anywhere without asking
    host = urlsplit(redirect).hostname or ""
    return OAuthClientMetadata(
        client_name=CLIENT_NAME,
        redirect_uris=[AnyUrl(redirect)],
        application_type="native" if host in LOOPBACK else "web",
    )
