"""Whose key a request carries: asked of the database once in a while, and remembered in between.

sk-loci-…       a key of a user: it may do everything within the user's organisation
sk-loci-at-…    a limited key, for what runs at the client's side: what its grants say, with the agents they name
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from loci.agent.turn import Cache
from loci.clock import Clock
from loci.errors import Forbidden, LociError, StoreFailure, Unauthorized
from loci.ids import new_id
from loci.net import site_of
from loci.store import keys
from loci.store.base import Store, Transaction
from loci.types.actor import Actor
from loci.types.keys import Access, ApiKey

MARK = b"sk-loci-"
KEY_BYTES = 32
BEGINS_CHARS = 14
KNOWN_MAX = 1_000
KNOWN_S = 30.0
"""How long another process may take to notice that a key was revoked; this one does at once."""
TOUCH_EVERY = timedelta(hours=1)

_AGENT = re.compile(r"/v1/agents/([^/]+)((?:/.*)?)")
_MESSAGES = re.compile(r"/messages(?:/.*)?")
_TELLING = re.compile(r"/(?:export|context|summarize|memory/.+|schedule(?:/.*)?|messages/preview-raw-payload)")
"""What shows messages, or memory as it was, beside what it is there for."""
_BEYOND = re.compile(r"/(?:.*/(?:attach|detach)|mcp-servers)/.+")
"""What reaches things that are not the agent's."""
_READING = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class _Known:
    key: ApiKey
    until_s: float


class Keyring:
    """The keys that were used of late."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known = Cache[str, _Known](KNOWN_MAX)

    async def key_of(self, given: bytes) -> ApiKey:
        """The key that a request carries. Raises Unauthorized for one that is not, or not any more, worth anything."""
        if not given.startswith(MARK):
            raise Unauthorized
        hashed = hash_of(given)
        known = self._known.get(hashed)
        if known is None or known.until_s <= self._clock.monotonic_s():
            known = await self._asked(hashed)
        key, now = known.key, self._clock.now()
        if key.revoked_at is not None:
            raise Unauthorized(f"The key {key.begins}… was revoked.", hint="Use another one.")
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthorized(f"The key {key.begins}… has expired.", hint="Use another one.")
        return key

    async def _asked(self, hashed: str) -> _Known:
        kept, now = self._known, self._clock.now()
        key = await self._store.read(keys.by_hash, hashed)
        if key is None:
            raise Unauthorized
        if key.revoked_at is None and (key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY):
            with suppress(StoreFailure):  # a disk that is full keeps nobody from reading
                await self._store.write(keys.touch, key.id, now)
        known = _Known(key, self._clock.monotonic_s() + KNOWN_S)
        kept.put(hashed, known)  # which is no longer ours if something was revoked while we asked
        return known

    def forget(self) -> None:
        """Ask again for every key: one was revoked."""
        self._known = Cache[str, _Known](KNOWN_MAX)

    def make(self, tx: Transaction, new: ApiKey) -> tuple[ApiKey, str]:
        """Store a new key; what is kept of it, and the key itself, which nobody can find out later."""
        mark = MARK.decode() + ("at-" if new.grants is not None else "")
        text = mark + secrets.token_urlsafe(KEY_BYTES)
        named = replace(new, id=new_id("key"), begins=text[:BEGINS_CHARS], created_at=self._clock.now())
        keys.insert(tx, named, hash_of(text.encode()))
        return named, text


def hash_of(key: bytes) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key).hexdigest()


def actor_of(key: ApiKey) -> Actor:
    """Who asks with this key."""
    return Actor(user_id=key.user_id, organization_id=key.organization_id, limited=key.grants is not None)


def objection(key: ApiKey, method: str, path: str, headers: Mapping[bytes, bytes]) -> LociError | None:
    """Why a limited key may not do this; None if it may."""
    if key.grants is None:
        return None
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and key.hostname is not None and site_of(origin) != site_of(key.hostname):
        return Forbidden(f"This token is for pages of {key.hostname}.")
    found = _AGENT.fullmatch(path)
    if found is None:
        return Forbidden("This token is for single agents.", hint="It opens /v1/agents/{agent_id} and what is below.")
    if _BEYOND.fullmatch(found[2]):
        return Forbidden("This token is for what its agents have.", hint="A key of a user attaches and detaches.")
    allowed = {access for grant in key.grants if grant.agent_id == found[1] for access in grant.access}
    missing = sorted(_wanted(found[2], is_reading=method in _READING) - allowed)
    return Forbidden(f"This token does not grant {' and '.join(missing)} for {found[1]}.") if missing else None


def _wanted(below: str, *, is_reading: bool) -> set[Access]:
    """What a path below an agent needs."""
    wanted: set[Access] = {"read_messages"} if _TELLING.fullmatch(below) else set()
    if _MESSAGES.fullmatch(below):
        wanted.add("read_messages" if is_reading else "write_messages")
    else:
        wanted.add("read_agent" if is_reading else "write_agent")
    return wanted
