"""Recall: finding what was said, among every message of an agent, by words, meaning, speaker and time.

The index is caught up with before the search, so whatever was said is found at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from loci.clock import Clock
from loci.errors import LociError, NotFound
from loci.memory import embedding
from loci.memory.embedding import query_vector
from loci.memory.ranking import Ranked, Scored, fuse
from loci.model.base import Embedder, Models
from loci.store import agents, scopes, search, turns
from loci.store.base import Store, Transaction
from loci.store.scopes import ScopeKey, ScopeKind
from loci.store.search import Wanted
from loci.store.shelf import Shelves
from loci.types.actor import Actor
from loci.types.messages import Message, Role

CANDIDATES = 100
ROUNDS_MAX = 200
"""Batches of messages that one search may have to index first: 100,000 messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallQuery:
    """What to look for. None or empty means any. Times are inclusive."""

    text: str = ""
    roles: tuple[Role, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    conversation_id: str | None = None
    limit: int = 5
    offset: int = 0
    by_words: bool = True
    by_meaning: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallHit:
    """A message with how well it fits, 0…1."""

    message: Message
    text: str
    score: float
    words: float
    likeness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallPage:
    """One page of hits, best first; `total` is how many messages come into question."""

    hits: tuple[RecallHit, ...]
    total: int


class Recall:
    """Search over the messages of agents."""

    def __init__(self, store: Store, models: Models, clock: Clock) -> None:
        self._store = store
        self._models = models
        self._clock = clock
        self._shelves = Shelves()

    async def search(self, actor: Actor, agent_id: str, query: RecallQuery) -> RecallPage:
        """The best messages of one agent. Raises NotFound for an agent that does not exist."""
        agent = await self._store.read(agents.get, actor, agent_id)
        embedder = await self._embedder(agent.embedding) if query.by_meaning else None
        await self.catch_up(actor, agent_id, embedder)
        vector = await query_vector(embedder, query.text)
        wanted = Wanted(
            text=query.text,
            vector=vector,
            roles=query.roles or (Role.USER, Role.ASSISTANT),
            since=query.since,
            until=query.until,
            thread=query.conversation_id,
            by_words=query.by_words,
        )
        return await self._store.read(self._find, actor, agent_id, wanted, query)

    def _find(self, tx: Transaction, actor: Actor, agent_id: str, wanted: Wanted, query: RecallQuery) -> RecallPage:
        scope = scopes.find(tx, actor, ScopeKey(ScopeKind.AGENT, agent_id))
        if scope is None:
            return RecallPage(hits=(), total=0)
        count = max(CANDIDATES, query.offset + query.limit)
        found = search.candidates(tx, self._shelves, scope, wanted, count)
        ranked = fuse([Scored(key=item.seq, words=item.words, likeness=item.likeness) for item in found.candidates])
        page = ranked[query.offset : query.offset + query.limit]
        stored = turns.by_seqs(tx, actor, [item.key for item in page])
        hits = tuple(_hit(stored[item.key], item) for item in page if item.key in stored)
        return RecallPage(hits=hits, total=found.total)

    async def catch_up(self, actor: Actor, agent_id: str, embedder: Embedder | None = None) -> None:
        """Index what was said since the last time; with an embedder also its meaning."""
        for _ in range(ROUNDS_MAX):
            state = await self._store.read(turns.recall_state, actor, agent_id)
            if state.is_empty:
                break
            await self._store.write(turns.catch_up, actor, agent_id)
        if embedder is not None:
            key = ScopeKey(ScopeKind.AGENT, agent_id)
            await embedding.catch_up(self._store, actor, key, embedder, _texts, batches_max=ROUNDS_MAX)

    async def index(self, actor: Actor, agent_id: str) -> None:
        """Catch up in the background, by the agent's own embedding model."""
        try:
            agent = await self._store.read(agents.get, actor, agent_id)
        except NotFound:
            return
        await self.catch_up(actor, agent_id, await self._embedder(agent.embedding))

    async def _embedder(self, handle: str | None) -> Embedder | None:
        if handle is None:
            return None
        try:
            return await self._models.embedder(handle)
        except LociError:
            return None  # words alone work fully


def _texts(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, str]:
    stored = turns.by_seqs(tx, actor, list(seqs))
    return {
        seq: turns.turn_text(message, turns.timezone_of(tx, actor, message.agent_id)) for seq, message in stored.items()
    }


def _hit(message: Message, ranked: Ranked) -> RecallHit:
    return RecallHit(
        message=message,
        text=turns.spoken_text(message),
        score=ranked.score,
        words=ranked.words,
        likeness=ranked.likeness,
    )
