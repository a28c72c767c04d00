"""Filling in vectors, before a search and in the background; search never breaks for want of them.

The embedding model belongs to the archive or agent. After a change of it the texts are embedded anew from the first one
on; until a text has a vector of the new model, it is found by its words. The same holds while a provider is down.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

import numpy as np

from loci.clock import Clock
from loci.errors import LociError, ModelFailure, ModelFault
from loci.model.base import Embedder, Models
from loci.store import scopes, vectors
from loci.store.base import Store, Transaction
from loci.store.scopes import ScopeKey
from loci.store.search import Wanted
from loci.types.actor import Actor

BATCH_TEXTS = 256
SEARCH_WAIT_S = 5.0
"""How long a search waits for the embedding model before it goes on with words alone."""
SEARCH_FILL_S = 0.5
"""How long a search fills in missing vectors before it looks; the rest is left to the background."""
SWEPT_ROWS = 2_000

TextsOf = Callable[[Transaction, Actor, Sequence[int]], dict[int, str]]
"""The texts to embed, by seq."""

_TEXT_IS_AT_FAULT = {ModelFault.BAD_REQUEST, ModelFault.CONTEXT_TOO_LONG, ModelFault.REFUSED}


class Embedding:
    """Vectors of the texts of one kind of scope."""

    def __init__(self, store: Store, models: Models, clock: Clock, texts_of: TextsOf) -> None:
        self._store = store
        self._models = models
        self._clock = clock
        self._texts_of = texts_of
        self._filling: WeakValueDictionary[ScopeKey, asyncio.Lock] = WeakValueDictionary()
        self._behind: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Stop filling in; the rest comes with the next search or run."""
        for task in self._behind:
            task.cancel()
        await asyncio.gather(*self._behind, return_exceptions=True)

    async def queries(
        self, actor: Actor, handles: Mapping[ScopeKey, str | None], wanted: Wanted
    ) -> dict[ScopeKey, Wanted]:
        """What to look for in each scope, with its vector by the model that the scope has: each model is asked once.

        Without one when there is no embedding model, nothing to embed, or the model fails or is slow: words decide.
        """
        by_handle: dict[str | None, list[ScopeKey]] = {}
        for key, handle in handles.items():
            by_handle.setdefault(handle, []).append(key)
        found: dict[ScopeKey, Wanted] = {}
        for handle, keys in by_handle.items():
            found |= dict.fromkeys(keys, await self._query(actor, keys, handle, wanted))
        return found

    async def _query(self, actor: Actor, keys: Sequence[ScopeKey], handle: str | None, wanted: Wanted) -> Wanted:
        """With the vector by one model, after missing ones were filled in as far as a search may wait for them."""
        embedder = await self._embedder(actor, handle)
        if embedder is None or not wanted.text.strip():
            return wanted
        try:
            async with asyncio.timeout(SEARCH_WAIT_S):
                until_s = self._clock.monotonic_s() + SEARCH_FILL_S
                behind = await self._store.read(_behind, actor, keys, model_name(embedder))
                for key in behind:
                    if not await self._fill(actor, key, embedder, until_s):
                        self._go_on(actor, behind, embedder)
                        break
                found = await embedder.embed([wanted.text])
        except (LociError, TimeoutError):
            return wanted
        return replace(wanted, vector=np.asarray(found[0], dtype=np.float32), vector_model=model_name(embedder))

    async def catch_up(self, actor: Actor, key: ScopeKey, handle: str | None) -> None:
        """Fill in everything that is missing and sweep away what other models left. Raises ModelFailure."""
        embedder = await self._embedder(actor, handle)
        if embedder is None:
            return
        await self._fill(actor, key, embedder, None)
        while await self._store.write(_sweep, actor, key, model_name(embedder)):
            pass

    def _go_on(self, actor: Actor, keys: Sequence[ScopeKey], embedder: Embedder) -> None:
        """Fill in the rest, while searches look among what is there by then."""

        async def rest() -> None:
            with contextlib.suppress(LociError):  # a model that fails now is asked again before the next search
                for key in keys:
                    await self._fill(actor, key, embedder, None)

        task = asyncio.create_task(rest())
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _fill(self, actor: Actor, key: ScopeKey, embedder: Embedder, until_s: float | None) -> bool:
        """Fill in missing vectors; False if the time ran out before all were there."""
        lock = self._filling.setdefault(key, asyncio.Lock())
        if until_s is not None and lock.locked():
            return True  # somebody is at it; what they have done by now is good enough for a search
        async with lock:
            while await self._fill_batch(actor, key, embedder):
                if until_s is not None and self._clock.monotonic_s() >= until_s:
                    return False
            return True

    async def _fill_batch(self, actor: Actor, key: ScopeKey, embedder: Embedder) -> bool:
        """Fill in the next vectors; whether there may be more."""
        name = model_name(embedder)
        seqs, texts = await self._store.read(self._next, actor, key, name)
        if seqs:
            found = await _embed(embedder, texts)
            await self._store.write(_store_vectors, actor, key, name, list(zip(seqs, found, strict=True)))
        return len(seqs) == BATCH_TEXTS

    def _next(self, tx: Transaction, actor: Actor, key: ScopeKey, name: str) -> tuple[list[int], list[str]]:
        scope = scopes.find(tx, actor, key)
        if scope is None:
            return [], []
        seqs = vectors.pending(tx, scope, vectors.model_number(tx, name), BATCH_TEXTS)
        texts = self._texts_of(tx, actor, seqs) if seqs else {}
        return seqs, [texts.get(seq, "") for seq in seqs]

    async def _embedder(self, actor: Actor, handle: str | None) -> Embedder | None:
        if handle is None:
            return None
        try:
            return await self._models.embedder(actor, handle)
        except LociError:
            return None


def model_name(embedder: Embedder) -> str:
    """What vectors are filed under: a handle can come to stand for another model, which its length betrays."""
    return f"{embedder.info.handle}:{embedder.info.dimensions}"


async def _embed(embedder: Embedder, texts: Sequence[str]) -> Sequence[Sequence[float]]:
    """Vectors of texts. One that the model refuses gets a vector that is like nothing, so that it blocks no other."""
    try:
        return await embedder.embed(texts)
    except ModelFailure as error:
        if error.fault not in _TEXT_IS_AT_FAULT:
            raise
    found: list[Sequence[float]] = []
    for text in texts:
        try:
            found += await embedder.embed([text])
        except ModelFailure as error:
            if error.fault not in _TEXT_IS_AT_FAULT:
                raise
            found.append([0.0] * embedder.info.dimensions)
    return found


def _behind(tx: Transaction, actor: Actor, keys: Sequence[ScopeKey], name: str) -> list[ScopeKey]:
    """The scopes in which vectors of a model are missing."""
    model, found = vectors.model_number(tx, name), {key: scopes.find(tx, actor, key) for key in keys}
    return [key for key, scope in found.items() if scope is not None and vectors.pending(tx, scope, model, 1)]


def _store_vectors(
    tx: Transaction, actor: Actor, key: ScopeKey, name: str, found: Sequence[tuple[int, Sequence[float]]]
) -> None:
    scope = scopes.find(tx, actor, key)
    if scope is not None:
        vectors.fill(tx, scope, vectors.use_model(tx, scope, name), found)


def _sweep(tx: Transaction, actor: Actor, key: ScopeKey, name: str) -> bool:
    scope, model = scopes.find(tx, actor, key), vectors.model_number(tx, name)
    if scope is None or model is None or scope.model != model:
        return False
    return vectors.drop_others(tx, scope, model, SWEPT_ROWS) > 0
