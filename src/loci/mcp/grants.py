"""What OAuth granted, kept sealed for each address, and the people whose consent is waited for."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

import orjson

from loci.clock import Clock
from loci.errors import BadRequest, McpTimedOut, TooLarge
from loci.store import mcp_servers
from loci.store.base import Store
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.vault import Vault

CONSENT_TIMEOUT_S = 300.0
WAITING_MAX = 100
_SEAL = "mcp_grant"

Grant: TypeAlias = JsonObject
"""Tokens, the registration as a client, and where the authorization server is: as its own protocol writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the authorization server sent back with the person's browser."""

    code: str
    state: str
    issuer: str | None = None


class Grants:
    """All grants of this server."""

    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[Consent]] = {}

    async def read(self, actor: Actor, place: str) -> Grant | None:
        """What was granted there before."""
        sealed = await self._store.read(mcp_servers.grant, actor, place)
        if sealed is None:
            return None
        value: object = orjson.loads(self._vault.open(actor, _SEAL, sealed))
        return cast("Grant", value) if isinstance(value, Mapping) else None

    async def keep(self, actor: Actor, place: str, grant: Grant) -> None:
        """Keep what was granted."""
        sealed = self._vault.seal(actor, _SEAL, orjson.dumps(grant).decode())
        await self._store.write(mcp_servers.put_grant, actor, place, sealed, self._clock.now())

    def expect(self, state: str) -> None:
        """Note that a person is on the way to give consent. Raises TooLarge when too many are."""
        if len(self._waiting) >= WAITING_MAX:
            raise TooLarge(f"{WAITING_MAX} authorizations are waited for already.")
        self._waiting[state] = asyncio.get_running_loop().create_future()

    async def consent(self, state: str) -> Consent:
        """Wait for the person's consent. Raises BadRequest if it was denied, McpTimedOut if nobody came."""
        try:
            async with asyncio.timeout(CONSENT_TIMEOUT_S):
                return await self._waiting[state]
        except TimeoutError as error:
            raise McpTimedOut("Nobody gave consent in time.", hint="Connect again, and open the address.") from error
        finally:
            self._waiting.pop(state, None)

    def answer(self, state: str, code: str | None, issuer: str | None, problem: str | None) -> None:
        """The person came back. Raises BadRequest if nobody waits for this state: it holds once, and not for long."""
        future = self._waiting.get(state)
        if future is None or future.done():
            raise BadRequest("Nobody waits for this authorization any more.", hint="Connect to the server again.")
        if code is None:
            future.set_exception(BadRequest(f"Consent was not given: {problem or 'no code was sent'}."))
        else:
            future.set_result(Consent(code=code, state=state, issuer=issuer))
