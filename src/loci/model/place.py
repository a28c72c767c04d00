"""A place where models come from, and what it last said about them.

Nobody waits for a listing that is known already: an old one is used while a new one is fetched. A place that does not
answer is remembered as such for a while, so that it costs a request at most one short wait.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from loci.clock import Clock
from loci.config import LOOPBACK
from loci.errors import ModelFailure
from loci.model.base import ProviderConfig
from loci.model.known import preferred
from loci.model.listing import Found, Lister

FRESH_S = 60.0
FAILED_FRESH_S = 10.0
LOOKED_FOR_TIMEOUT_S = 0.5
CONFIGURED_TIMEOUT_S = 5.0
SLOW_S = 1.0

_DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})")


@dataclass(slots=True)
class Place:
    """One provider. `error` tells why the last listing failed; `found` stays what it was before."""

    config: ProviderConfig
    lister: Lister
    clock: Clock
    found: dict[str, Found] = field(default_factory=dict[str, Found])
    error: str | None = None
    asked_at_s: float | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _was_slow: bool = False
    _behind: "asyncio.Task[None] | None" = None

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return (urlsplit(self.config.base_url or "").hostname or "") in LOOPBACK

    @property
    def is_custom(self) -> bool:
        """Whether it calls itself OpenAI, but is someone else: a proxy or a local server."""
        return self.config.provider_type == "openai" and self.config.wire == "chat"

    @property
    def answers(self) -> bool:
        """Whether it answered the last time it was asked."""
        return self.asked_at_s is not None and self.error is None

    async def ask(self, *, fresh_s: float = FRESH_S) -> None:
        """Have a listing (or a failure) that is no older than that; only one question is under way at a time."""
        async with self._asking:
            if self._is_fresh(fresh_s):
                return
            began_s = self.clock.monotonic_s()
            timeout_s = CONFIGURED_TIMEOUT_S if self.config.configured else LOOKED_FOR_TIMEOUT_S
            try:
                found = await self.lister.models(self.config, timeout_s=timeout_s)
            except ModelFailure as error:
                self.error = error.detail
            else:
                self.error = None
                self.found = {each.name: each for each in found}
            self._was_slow = self.error is not None and self.clock.monotonic_s() - began_s > SLOW_S
            self.asked_at_s = self.clock.monotonic_s()

    async def ask_now(self, *, fresh_s: float = FRESH_S) -> None:
        """Have a fresh listing, unless the place was too slow to answer the last time: then it is asked behind."""
        if self._was_slow:
            self.ask_behind()
        else:
            await self.ask(fresh_s=fresh_s)

    def ask_behind(self) -> None:
        """Fetch a new listing in the background if the one at hand is old."""
        if not self._is_fresh(FRESH_S) and (self._behind is None or self._behind.done()):
            self._behind = asyncio.create_task(self.ask())

    async def aclose(self) -> None:
        """Stop asking."""
        if self._behind is not None:
            self._behind.cancel()
            await asyncio.gather(self._behind, return_exceptions=True)

    def look_up(self, name: str) -> Found | None:
        """The model of that name, also when the server spells it with a tag or a date that the name leaves out."""
        if name in self.found:
            return self.found[name]
        if f"{name}:latest" in self.found:  # Ollama
            return self.found[f"{name}:latest"]
        stem = name.removesuffix("-latest")
        dated = [other for other in self.found if other.startswith(stem) and _DATED.fullmatch(other[len(stem) :])]
        if dated:
            return self.found[max(dated)]
        base, colon, _ = name.partition(":")  # OpenRouter: a way to serve a model, as in `:nitro`
        return self.found.get(base) if colon and self.config.provider_type == "openrouter" else None

    def best(self) -> str | None:
        """The model to take when nobody chose: one known to be good, else one that is loaded and can call tools."""
        chat = [each for each in self.found.values() if each.kind == "chat"]
        for name in preferred(self.config.provider_type):
            if found := self.look_up(name):
                return found.name
        ranked: Sequence[Found] = sorted(chat, key=lambda each: (each.calls_tools is False, not each.loaded))
        if ranked:
            return ranked[0].name
        unasked = self.config.configured and not self.answers and not self.is_custom
        return next(iter(preferred(self.config.provider_type)), None) if unasked else None

    def _is_fresh(self, fresh_s: float) -> bool:
        if self.asked_at_s is None:
            return False
        limit_s = fresh_s if self.error is None else min(fresh_s, FAILED_FRESH_S)
        return self.clock.monotonic_s() - self.asked_at_s <= limit_s
