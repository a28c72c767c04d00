"""Archival memory: finding notes in the archives of an agent by words, meaning, tags and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from loci.clock import Clock
from loci.errors import LociError
from loci.memory import embedding
from loci.memory.embedding import query_vector
from loci.memory.ranking import Scored, fuse
from loci.model.base import Embedder, Models
from loci.store import archives, passages, scopes, search
from loci.store.base import Store, Transaction
from loci.store.scopes import ScopeKey, ScopeKind
from loci.store.search import Found, Wanted
from loci.store.shelf import Shelves
from loci.types.actor import Actor
from loci.types.memory import Archive, Passage

CANDIDATES = 100
BATCHES_BEFORE_SEARCH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveQuery:
    """What to look for. None or empty means any. Times are inclusive and of the passage's own time."""

    text: str = ""
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 10
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveHit:
    """A passage with how well it fits, 0…1."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePage:
    """One page of hits, best first; `total` is how many passages come into question."""

    hits: tuple[ArchiveHit, ...]
    total: int


class ArchiveSearch:
    """Search over archives."""

    def __init__(self, store: Store, models: Models, clock: Clock) -> None:
        self._store = store
        self._models = models
        self._clock = clock
        self._shelves = Shelves()

    async def search(self, actor: Actor, agent_id: str, query: ArchiveQuery) -> ArchivePage:
        """The best passages in all archives of an agent."""
        held = await self._store.read(archives.archives_of_agent, actor, agent_id)
        return await self.search_archives(actor, held, query)

    async def search_archives(self, actor: Actor, held: Sequence[Archive], query: ArchiveQuery) -> ArchivePage:
        """The best passages in these archives; each is compared by its own embedding model."""
        scored: list[Scored] = []
        total = 0
        for archive in held:
            found = await self._candidates(actor, archive, query)
            total += found.total
            scored += [Scored(key=item.seq, words=item.words, likeness=item.likeness) for item in found.candidates]
        ranked = fuse(scored)[query.offset : query.offset + query.limit]
        stored = await self._store.read(passages.by_seqs, actor, [item.key for item in ranked])
        hits = tuple(ArchiveHit(passage=stored[item.key], score=item.score) for item in ranked if item.key in stored)
        return ArchivePage(hits=hits, total=total)

    async def _candidates(self, actor: Actor, archive: Archive, query: ArchiveQuery) -> Found:
        embedder = await self._embedder(archive)
        key = ScopeKey(ScopeKind.ARCHIVE, archive.id)
        if embedder is not None and query.text.strip():
            await self._fill(actor, key, embedder, BATCHES_BEFORE_SEARCH)
        wanted = Wanted(
            text=query.text,
            vector=await query_vector(embedder, query.text),
            since=query.since,
            until=query.until,
            tags=query.tags,
            match_all_tags=query.match_all_tags,
        )
        return await self._store.read(self._find, actor, key, wanted, max(CANDIDATES, query.offset + query.limit))

    def _find(self, tx: Transaction, actor: Actor, key: ScopeKey, wanted: Wanted, count: int) -> Found:
        scope = scopes.find(tx, actor, key)
        if scope is None:
            return Found(candidates=[], total=0)
        return search.candidates(tx, self._shelves, scope, wanted, count)

    async def index(self, actor: Actor, agent_id: str) -> None:
        """Fill in every missing vector of an agent's archives, in the background."""
        for archive in await self._store.read(archives.archives_of_agent, actor, agent_id):
            embedder = await self._embedder(archive)
            if embedder is not None:
                await self._fill(actor, ScopeKey(ScopeKind.ARCHIVE, archive.id), embedder, 10_000)

    async def _fill(self, actor: Actor, key: ScopeKey, embedder: Embedder, batches_max: int) -> None:
        try:
            await embedding.catch_up(self._store, actor, key, embedder, _texts, batches_max=batches_max)
        except LociError:
            return  # an embedder that fails leaves search by words, which works fully

    async def _embedder(self, archive: Archive) -> Embedder | None:
        if archive.embedding is None:
            return None
        try:
            return await self._models.embedder(archive.embedding)
        except LociError:
            return None


def _texts(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, str]:
    return {seq: passage.text for seq, passage in passages.by_seqs(tx, actor, seqs).items()}
