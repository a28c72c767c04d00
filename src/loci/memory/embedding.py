"""Filling in vectors: before a search, and in the background. Search never waits for more than one batch.

The embedding model belongs to the archive. After a change of it the texts are embedded anew from the first one on;
until a text has a vector of the new model it is found by its words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loci.errors import LociError
from loci.model.base import Embedder
from loci.store import scopes, vectors
from loci.store.base import Store, Transaction
from loci.store.scopes import Scope, ScopeKey
from loci.types.actor import Actor

BATCH_TEXTS = 512

TextsOf = Callable[[Transaction, Actor, Sequence[int]], dict[int, str]]
"""The texts to embed, by seq."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The next texts of a scope that lack a vector."""

    scope: Scope
    seqs: list[int]
    texts: list[str]


async def catch_up(
    store: Store, actor: Actor, key: ScopeKey, embedder: Embedder, texts_of: TextsOf, *, batches_max: int = 1
) -> bool:
    """Fill in vectors of this model, at most so many batches. Whether everything has one now."""
    handle = embedder.info.handle
    for _ in range(batches_max):
        batch = await store.read(_next, actor, key, handle, texts_of)
        if batch is None:
            return True
        found = await embedder.embed(batch.texts)
        await store.write(_fill, actor, key, handle, batch.seqs, found)
        if len(batch.seqs) < BATCH_TEXTS:
            return True
    return False


def _next(tx: Transaction, actor: Actor, key: ScopeKey, handle: str, texts_of: TextsOf) -> Batch | None:
    scope = scopes.find(tx, actor, key)
    if scope is None:
        return None
    seqs = vectors.pending(tx, scope, vectors.model_number(tx, handle), BATCH_TEXTS)
    if not seqs:
        return None
    texts = texts_of(tx, actor, seqs)
    return Batch(scope=scope, seqs=seqs, texts=[texts.get(seq, "") for seq in seqs])


def _fill(
    tx: Transaction, actor: Actor, key: ScopeKey, handle: str, seqs: Sequence[int], found: Sequence[Sequence[float]]
) -> None:
    scope = scopes.find_or_create(tx, actor, key)
    model = vectors.use_model(tx, scope, handle)
    vectors.fill(tx, scope, model, seqs, found)


async def query_vector(embedder: Embedder | None, query: str) -> NDArray[np.float32] | None:
    """The vector of a query; None without an embedder, without words, or when it fails: then words decide."""
    if embedder is None or not query.strip():
        return None
    try:
        found = await embedder.embed([query])
    except LociError:
        return None
    return np.asarray(found[0], dtype=np.float32)
