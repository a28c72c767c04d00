"""Search over folders, by words and meaning, and filling in the vectors that it compares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loci.clock import Clock
from loci.memory.embedding import Embedding
from loci.memory.ranking import fuse
from loci.model.base import Models
from loci.store import chunks, search
from loci.store.base import Store, Transaction
from loci.store.scopes import ScopeKey, ScopeKind
from loci.store.search import Wanted
from loci.store.shelf import Shelves
from loci.types.actor import Actor
from loci.types.files import Chunk, Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkHit:
    """A chunk with how well it fits, 0…1."""

    chunk: Chunk
    score: float


class FolderSearch:
    """Search over folders; each is compared by its own embedding model."""

    def __init__(self, store: Store, models: Models, clock: Clock) -> None:
        self._store = store
        self._embedding = Embedding(store, models, clock, _texts)
        self._shelves = Shelves()

    async def search(self, actor: Actor, folders: Sequence[Folder], query: str, limit: int) -> list[ChunkHit]:
        """The best chunks in these folders."""
        handles = {ScopeKey(ScopeKind.FOLDER, folder.id): folder.embedding for folder in folders}
        asked = await self._embedding.queries(actor, handles, Wanted(text=query))
        return await self._store.read(self._find, actor, asked, limit)

    def _find(self, tx: Transaction, actor: Actor, asked: Mapping[ScopeKey, Wanted], limit: int) -> list[ChunkHit]:
        ranked = fuse(search.among(tx, actor, self._shelves, asked, limit).candidates)[:limit]
        stored = chunks.by_seqs(tx, actor, [item.seq for item in ranked])
        return [ChunkHit(chunk=stored[item.seq], score=item.score) for item in ranked if item.seq in stored]

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._embedding.close()

    async def embed(self, actor: Actor, folder: Folder) -> None:
        """Fill in every missing vector of a folder. Raises ModelFailure."""
        await self._embedding.catch_up(actor, ScopeKey(ScopeKind.FOLDER, folder.id), folder.embedding)


def _texts(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, str]:
    # With its name a stretch says more of what it is about.
    return {seq: f"[{chunk.path}] {chunk.text}" for seq, chunk in chunks.by_seqs(tx, actor, seqs).items()}
