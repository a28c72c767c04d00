"""Archival memory: finding notes in the archives of an agent by words, meaning, tags and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loci.clock import Clock
from loci.errors import LociError
from loci.memory.embedding import Embedding
from loci.memory.ranking import fuse
from loci.model.base import Models
from loci.store import agents, archives, passages, search
from loci.store.base import Store, Transaction
from loci.store.scopes import ScopeKey, ScopeKind
from loci.store.search import Wanted
from loci.store.shelf import Shelves
from loci.types.actor import Actor
from loci.types.memory import Archive, Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveQuery:
    """What to look for. None or empty means any; without `text`, the newest. Times are inclusive, of the passage."""

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
        self._embedding = Embedding(store, models, clock, _texts)
        self._shelves = Shelves()

    async def search(self, actor: Actor, agent_id: str, query: ArchiveQuery) -> ArchivePage:
        """The best passages in all archives of an agent. Raises NotFound."""
        held = await self._store.read(_held, actor, agent_id)
        return await self.search_archives(actor, held, query)

    async def search_archives(self, actor: Actor, held: Sequence[Archive], query: ArchiveQuery) -> ArchivePage:
        """The best passages in these archives; each is compared by its own embedding model."""
        handles = {ScopeKey(ScopeKind.ARCHIVE, archive.id): archive.embedding for archive in held}
        wanted = Wanted(
            text=query.text,
            since=query.since,
            until=query.until,
            tags=query.tags,
            match_all_tags=query.match_all_tags,
        )
        asked = await self._embedding.queries(actor, handles, wanted)
        return await self._store.read(self._find, actor, asked, query)

    def _find(
        self, tx: Transaction, actor: Actor, asked: Mapping[ScopeKey, Wanted], query: ArchiveQuery
    ) -> ArchivePage:
        found = search.among(tx, actor, self._shelves, asked, query.offset + query.limit)
        ranked = fuse(found.candidates)[query.offset : query.offset + query.limit]
        stored = passages.by_seqs(tx, actor, [item.seq for item in ranked])
        hits = tuple(ArchiveHit(passage=stored[item.seq], score=item.score) for item in ranked if item.seq in stored)
        return ArchivePage(hits=hits, total=found.total)

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._embedding.close()

    async def index(self, actor: Actor, agent_id: str) -> None:
        """Fill in every missing vector of an agent's archives, in the background."""
        for archive in await self._store.read(archives.archives_of_agent, actor, agent_id):
            try:
                await self._embedding.catch_up(actor, ScopeKey(ScopeKind.ARCHIVE, archive.id), archive.embedding)
            except LociError:
                continue  # a model that fails now is asked again before the next search


def _held(tx: Transaction, actor: Actor, agent_id: str) -> list[Archive]:
    held = archives.archives_of_agent(tx, actor, agent_id)
    if not held:
        agents.memory_version(tx, actor, agent_id)  # is it there at all?
    return held


def _texts(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, str]:
    return {seq: passage.text for seq, passage in passages.by_seqs(tx, actor, seqs).items()}
