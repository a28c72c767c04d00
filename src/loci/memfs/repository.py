"""The memory of agents as git repositories.

What is kept stands in the database: the commits of each branch, as packs. A repository on disk is made of them when git
has to read it, and is only a cache. Changes of blocks become commits when somebody asks for the branch; a push becomes
one ChangeSet in the transaction that stores its commits, or nothing at all.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from loci.clock import Clock
from loci.errors import LociError, StoreFailure, VersionConflict
from loci.ids import new_id
from loci.memfs.cache import Kept, Place, files_of
from loci.memfs.files import standing
from loci.memfs.git import CHILDREN_MAX, Git, GitFailed
from loci.memfs.objects import BRANCH, check_follows, pack_of, read_tree, said_by, write_commits
from loci.memfs.past import SUMMARY_MAX_CHARS, Situation, commits, situation, versions
from loci.memfs.pushing import Proposal, PushRefused, Tree, proposal
from loci.memory import changes
from loci.store import agents, blocks, journal, memory_commits
from loci.store.base import Store, Transaction
from loci.store.memory_commits import Stretch
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import Author, JournalEntry, Subject

PACK_MAX_BYTES = 20_000_000
OBJECTS_MAX = 50_000
UNPACKED_MAX_BYTES = 200_000_000
REPOSITORY_MAX_BYTES = 100_000_000
WHOLE_EVERY = 64
"""After so many stretches one pack takes the place of all, so that a lost cache is soon made again."""
KEPT_MAX = 200
"""So many repositories are on disk, beside those that somebody reads just now."""
PATHS_TOLD_MAX = 100
"""So many files of a push are named in the journal."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Branch:
    """The memory of an agent, up to date: where its repository is, and where it ends."""

    git: Git
    stretch: Stretch


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What somebody wants the branch to be."""

    old: str
    new: str
    pack: bytes
    loss_accepted: bool = False


class Repositories:
    """All repositories of a server."""

    def __init__(self, store: Store, clock: Clock, folder: Path) -> None:
        self._store = store
        self._clock = clock
        self._place = Place(folder)
        self._room = asyncio.Semaphore(CHILDREN_MAX)
        self._kept: dict[str, Kept] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Clear what earlier servers left on disk."""
        await asyncio.to_thread(self._place.sweep)

    async def close(self) -> None:
        """Clear what this one has there."""
        await asyncio.to_thread(self._place.close)

    @contextlib.asynccontextmanager
    async def opened(self, actor: Actor, agent_id: str) -> AsyncGenerator[Branch]:
        """The branch of an agent, for one caller at a time. Raises NotFound, and NotAvailable without git."""
        async with self._locks.setdefault(agent_id, asyncio.Lock()):
            await self._store.read(agents.get, actor, agent_id)
            yield await self._up_to_date(actor, agent_id)

    async def forget(self, agent_id: str) -> None:
        """Take what is cached of an agent off the disk, once nobody reads it any more."""
        async with self._locks.setdefault(agent_id, asyncio.Lock()):
            await self._drop(agent_id)

    async def _drop(self, agent_id: str) -> None:
        if (kept := self._kept.pop(agent_id, None)) is not None:
            await asyncio.to_thread(shutil.rmtree, kept.git.folder, ignore_errors=True)

    async def _up_to_date(self, actor: Actor, agent_id: str) -> Branch:
        for _ in range(_TRIES):
            stretch = await self._store.read(memory_commits.latest, actor, agent_id)
            git = await self._cached(actor, agent_id, stretch)
            found = await self._store.read(situation, actor, agent_id, stretch)
            if stretch is not None and not found.steps:
                return Branch(git, stretch)
            with contextlib.suppress(VersionConflict):  # another server of this database was faster
                await self._go_on(actor, agent_id, git, found)
        raise VersionConflict("The memory changes faster than it can be read.", hint="Try again.")

    async def _go_on(self, actor: Actor, agent_id: str, git: Git, found: Situation) -> None:
        """Store what a branch lacks."""
        old = found.stretch
        held = old.held if old else ()
        tree = await read_tree(git, old.head) if old else Tree(modes={}, sizes={}, blocks={})
        files = {path: tree.blocks[path] for _, _, path in held if path in tree.blocks}
        taken = standing(path for path in tree.sizes if path not in files)
        made, held = await asyncio.to_thread(commits, found.steps, files, held, taken)
        if old is not None and not made:
            settled = replace(old, held=held, journal_seq=found.journal_seq)
            await self._store.write(memory_commits.settle, actor, agent_id, settled)
            return
        head = await write_commits(git, made or [(found.steps[0], {})], old.head if old else None)
        number = old.number + 1 if old else 1
        whole = number % WHOLE_EVERY == 0
        stretch = Stretch(number=number, head=head, held=held, journal_seq=found.journal_seq)
        pack = await pack_of(git, head, None if whole or old is None else old.head)
        now = self._clock.now()
        await self._store.write(memory_commits.append, actor, agent_id, stretch, pack, now, whole=whole)

    async def _cached(self, actor: Actor, agent_id: str, stretch: Stretch | None) -> Git:
        """The repository on disk, with all that the database has."""
        kept = await self._begun(actor, agent_id)
        git, number, head = kept.git, kept.number, kept.head
        if stretch is None or number >= stretch.number:
            return git
        self._kept[agent_id] = Kept(git)  # worth nothing until the rest is there
        while number < stretch.number:
            found = await self._store.read(memory_commits.packs, actor, agent_id, number)
            if not found:
                raise StoreFailure(f"The commits of {agent_id} are not all there.")
            for number, head, pack in found:  # noqa: B007  the last ones count
                await git.run("index-pack", "--stdin", data=pack)
        await git.run("update-ref", BRANCH, head)
        self._kept[agent_id] = Kept(git, number, head, await asyncio.to_thread(files_of, git.folder))
        return git

    async def _begun(self, actor: Actor, agent_id: str) -> Kept:
        """What is cached of an agent, as far as it can be trusted; else an empty repository."""
        kept = self._kept.get(agent_id)
        if kept is not None and await asyncio.to_thread(kept.is_whole):
            known = await self._store.read(memory_commits.head_at, actor, agent_id, kept.number)
            if known == kept.head:
                self._kept[agent_id] = self._kept.pop(agent_id)  # as the one used last
                return kept
        await self._drop(agent_id)
        if len(self._kept) >= KEPT_MAX:
            await self._drop(next((each for each in self._kept if each not in self._locks), agent_id))
        folder = await asyncio.to_thread(self._place.fresh, agent_id)
        kept = self._kept[agent_id] = Kept(Git(folder, self._room))
        await kept.git.run("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(kept.git.folder))
        return kept

    async def push(self, actor: Actor, author: Author, agent_id: str, branch: Branch, push: Push) -> str | None:
        """Make the branch, and the blocks with it, what was pushed; the id of the ChangeSet, if blocks changed.

        Raises PushRefused, with nothing changed.
        """
        if push.old != branch.stretch.head:
            raise PushRefused("fetch first")
        await self._check_size(actor, agent_id, push)
        shared = str(branch.git.folder / "objects")
        with tempfile.TemporaryDirectory(prefix="loci-push-") as apart:
            await asyncio.to_thread((Path(apart) / "pack").mkdir)
            git = branch.git.among({"GIT_OBJECT_DIRECTORY": apart, "GIT_ALTERNATE_OBJECT_DIRECTORIES": shared})
            try:
                wanted, said, pack = await self._unpacked(actor, agent_id, git, branch, push)
            except GitFailed as error:
                raise PushRefused("invalid pack", [error.message]) from error
        now = self._clock.now()

        number = branch.stretch.number + 1

        def land(tx: Transaction) -> str | None:
            agents.get(tx, actor, agent_id)
            if versions(blocks.blocks_of_agent(tx, actor, agent_id)) != versions(branch.stretch.held):
                raise VersionConflict("The memory was changed on the server at this moment.")
            by, change_id = replace(author, reason=said[:SUMMARY_MAX_CHARS]), None
            if wanted.change_set.changes:
                change_id = changes.apply(tx, actor, by, agent_id, wanted.change_set, now=now)
            journal.record(tx, actor, _files_told(by, agent_id, push, wanted.files, change_id), now)
            after = blocks.blocks_of_agent(tx, actor, agent_id)
            held = tuple((block.id, block.version, wanted.paths[block.label]) for block in after)
            stretch = Stretch(number=number, head=push.new, held=held, journal_seq=journal.last_seq(tx, actor))
            whole = number % WHOLE_EVERY == 0
            memory_commits.append(tx, actor, agent_id, stretch, pack, now, whole=whole)
            return change_id

        try:
            return await self._store.write(land)
        except VersionConflict as error:
            raise PushRefused("fetch first", [error.message]) from error
        except LociError as error:
            if error.status >= 500:
                raise
            raise PushRefused("refused", [str(error)]) from error

    async def _check_size(self, actor: Actor, agent_id: str, push: Push) -> None:
        objects = int.from_bytes(push.pack[8:12]) if push.pack.startswith(b"PACK") else 0
        if len(push.pack) > PACK_MAX_BYTES or objects > OBJECTS_MAX:
            most = f"{PACK_MAX_BYTES} bytes and {OBJECTS_MAX} objects"
            raise PushRefused("too large", [f"A push may have {most}; this one has {len(push.pack)} and {objects}."])
        held_bytes = await self._store.read(memory_commits.size_bytes, actor, agent_id)
        if held_bytes + len(push.pack) > REPOSITORY_MAX_BYTES:
            raise PushRefused("too large", [f"The repository may have {REPOSITORY_MAX_BYTES} bytes in all."])

    async def _unpacked(
        self, actor: Actor, agent_id: str, git: Git, branch: Branch, push: Push
    ) -> tuple[Proposal, str, bytes]:
        """What a push wants, who says so and its pack, read apart. Raises PushRefused, GitFailed."""
        if push.pack:
            limit = f"--max-input-size={PACK_MAX_BYTES}"
            await git.run("index-pack", "--stdin", "--strict", "--fix-thin", limit, data=push.pack)
            alone = git.among({"GIT_OBJECT_DIRECTORY": git.extra["GIT_OBJECT_DIRECTORY"]})
            sizes = await alone.run("cat-file", "--batch-all-objects", "--batch-check=%(objectsize)")
            if sum(map(int, sizes.split())) > UNPACKED_MAX_BYTES:
                raise PushRefused("too large", [f"Unpacked it is larger than {UNPACKED_MAX_BYTES} bytes."])
        await check_follows(git, push.new, push.old)
        whole = (branch.stretch.number + 1) % WHOLE_EVERY == 0
        pack = await pack_of(git, push.new, None if whole else push.old)
        old = await read_tree(branch.git, push.old)
        new = await read_tree(git, push.new, old)
        standing = {block.id: block for block in await self._store.read(blocks.blocks_of_agent, actor, agent_id)}
        held = {path: standing[block_id] for block_id, _, path in branch.stretch.held if block_id in standing}
        wanted = await asyncio.to_thread(proposal, held, old, new, loss_accepted=push.loss_accepted)
        return wanted, await said_by(git, push.new), pack


def _files_told(
    author: Author, agent_id: str, push: Push, files: Sequence[str], change_id: str | None
) -> list[JournalEntry]:
    """What the journal keeps of files whose change is none of blocks."""
    after: JsonObject = {"commit": push.new, "paths": list(files[:PATHS_TOLD_MAX]), "count": len(files)}
    entry = JournalEntry(
        subject=Subject.FILES,
        subject_id=push.new,
        action="push",
        before={"commit": push.old},
        after=after,
        author=author,
        agent_id=agent_id,
        change_set_id=change_id or new_id("change"),
    )
    return [entry] if files else []
