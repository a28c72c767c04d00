"""Recall: finding what was said, among every message of an agent, by words, meaning, speaker and time.

The index is caught up with before the search, so whatever was said is found at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.clock import Clock
from loci.errors import LociError, NotFound
from loci.memory.embedding import Embedding
from loci.memory.ranking import Ranked, fuse
from loci.model.base import Models
from loci.store import agents, search, turns
from loci.store.agents import AgentFilter
from loci.store.base import Store, Transaction
from loci.store.scopes import ScopeKey, ScopeKind
from loci.store.search import Wanted
from loci.store.shelf import Shelves
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.messages import Message, Role
from loci.types.paging import Page

AGENTS_MAX = 100
"""A search without an agent looks through so many, those that ran last first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallQuery:
    """What to look for. None or empty means any; without `text`, the newest messages. Times are inclusive."""

    text: str = ""
    roles: tuple[Role, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    conversation_id: str | None = None
    before_run_id: str | None = None
    """Only what was said before this run: what the agent has just read is no memory."""
    limit: int = 5
    offset: int = 0
    by_words: bool = True
    by_meaning: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallHit:
    """A message with how well it fits, 0…1, and its place by words and by meaning alone (from 1)."""

    message: Message
    text: str
    score: float
    words_rank: int | None
    likeness_rank: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallPage:
    """One page of hits, best first; `total` is how many messages come into question."""

    hits: tuple[RecallHit, ...]
    total: int


class Recall:
    """Search over the messages of agents."""

    def __init__(self, store: Store, models: Models, clock: Clock) -> None:
        self.clock = clock
        self._store = store
        self._embedding = Embedding(store, models, clock, _texts)
        self._shelves = Shelves()

    async def search(self, actor: Actor, agent_id: str, query: RecallQuery) -> RecallPage:
        """The best messages of one agent. Raises NotFound for an agent that does not exist."""
        agent = await self._store.read(agents.get, actor, agent_id)
        return await self._search(actor, [agent], query)

    async def search_all(self, actor: Actor, query: RecallQuery, chosen: AgentFilter) -> RecallPage:
        """The best messages of these agents of the actor, hidden ones too (the AGENTS_MAX that ran last)."""
        page, every = Page(limit_rows=AGENTS_MAX), replace(chosen, show_hidden=True)
        listed = await self._store.read(agents.listing, actor, every, page, order_by="last_run_completion")
        return await self._search(actor, listed, query)

    async def _search(self, actor: Actor, chosen: Sequence[Agent], query: RecallQuery) -> RecallPage:
        await self._index_words(actor, [agent.id for agent in chosen])
        handles = {
            ScopeKey(ScopeKind.AGENT, agent.id): agent.embedding if query.by_meaning else None for agent in chosen
        }
        wanted = Wanted(
            text=query.text,
            roles=query.roles,
            since=query.since,
            until=query.until,
            thread=query.conversation_id,
            by_words=query.by_words,
        )
        asked = await self._embedding.queries(actor, handles, wanted)
        return await self._store.read(self._find, actor, asked, query)

    def _find(self, tx: Transaction, actor: Actor, asked: dict[ScopeKey, Wanted], query: RecallQuery) -> RecallPage:
        if query.before_run_id is not None:
            first = turns.first_of_run(tx, actor, query.before_run_id)
            asked = {key: replace(wanted, before_seq=first) for key, wanted in asked.items()}
        found = search.among(tx, actor, self._shelves, asked, query.offset + query.limit)
        ranked = fuse(found.candidates)[query.offset : query.offset + query.limit]
        stored = turns.by_seqs(tx, actor, [item.seq for item in ranked])
        hits = tuple(_hit(stored[item.seq], item) for item in ranked if item.seq in stored)
        return RecallPage(hits=hits, total=found.total)

    async def _index_words(self, actor: Actor, agent_ids: Sequence[str]) -> None:
        """Index what was said since the last time."""
        for agent_id in await self._store.read(_behind, actor, agent_ids):
            while not (await self._store.write(turns.catch_up, actor, agent_id)).is_empty:
                pass

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._embedding.close()

    async def index(self, actor: Actor, agent_id: str) -> None:
        """Catch up in the background, with words and meaning."""
        try:
            agent = await self._store.read(agents.get, actor, agent_id)
            await self._index_words(actor, [agent_id])
            await self._embedding.catch_up(actor, ScopeKey(ScopeKind.AGENT, agent_id), agent.embedding)
        except NotFound:
            return
        except LociError:
            return  # a model that fails now is asked again before the next search


def _behind(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> list[str]:
    return [agent_id for agent_id in agent_ids if not turns.recall_state(tx, actor, agent_id).is_empty]


def _texts(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, str]:
    stored = turns.by_seqs(tx, actor, seqs)
    zones = {agent_id: turns.timezone_of(tx, actor, agent_id) for agent_id in {m.agent_id for m in stored.values()}}
    return {seq: turns.turn_text(message, zones[message.agent_id]) for seq, message in stored.items()}


def _hit(message: Message, ranked: Ranked) -> RecallHit:
    return RecallHit(
        message=message,
        text=turns.spoken_text(message),
        score=ranked.score,
        words_rank=ranked.words_rank,
        likeness_rank=ranked.likeness_rank,
    )
