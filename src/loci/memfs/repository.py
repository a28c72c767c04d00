"""The memory of agents as git repositories.

What is kept stands in the database: the commits of each branch, as packs. A repository on disk is made of them when git
has to read it, and is only a cache. Changes of blocks become commits when somebody asks for the branch; a push becomes
one ChangeSet in the transaction that stores its commits, or nothing at all.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from loci.clock import Clock
from loci.errors import LociError, VersionConflict
from loci.memfs.git import CHILDREN_MAX, Git, GitFailed
from loci.memfs.objects import BRANCH, is_newer, pack_of, read_tree, said_by, write_commits
from loci.memfs.past import SUMMARY_MAX_CHARS, Commit, Situation, commits, placed, situation
from loci.memfs.pushing import Proposal, PushRefused, proposal
from loci.memory import changes
from loci.store import agents, blocks, journal, memory_commits
from loci.store.base import Store, Transaction
from loci.store.memory_commits import Stretch
from loci.types.actor import Actor
from loci.types.memory import Author

PACK_MAX_BYTES = 20_000_000
OBJECTS_MAX = 50_000
UNPACKED_MAX_BYTES = 200_000_000
REPOSITORY_MAX_BYTES = 100_000_000
WHOLE_EVERY = 64
"""After so many stretches one pack takes the place of all, so that a lost cache is soon made again."""
_TRIES = 3
_PAGE_ROWS = 16
_MARK = "loci-stretch"


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
        self._folder = folder
        self._room = asyncio.Semaphore(CHILDREN_MAX)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def opened(self, actor: Actor, agent_id: str) -> AsyncGenerator[Branch]:
        """The branch of an agent, for one caller at a time. Raises NotFound, and NotAvailable without git."""
        await self._store.read(agents.get, actor, agent_id)
        lock = self._locks.setdefault(agent_id, asyncio.Lock())
        async with lock:
            yield await self._up_to_date(actor, agent_id)

    async def _up_to_date(self, actor: Actor, agent_id: str) -> Branch:
        for _ in range(_TRIES):
            stretch = await self._store.read(memory_commits.latest, actor, agent_id)
            git = await self._cached(actor, agent_id, stretch)
            found = await self._store.read(situation, actor, agent_id, stretch, self._clock.now())
            if stretch is not None and found.is_settled:
                return Branch(git, stretch)
            with contextlib.suppress(VersionConflict):  # another server of this database was faster
                await self._go_on(actor, agent_id, git, found)
        raise VersionConflict("The memory changes faster than it can be read.", hint="Try again.")

    async def _go_on(self, actor: Actor, agent_id: str, git: Git, found: Situation) -> None:
        """Store what a branch lacks."""
        old = found.stretch
        kept = {place.block_id: place.path for place in old.held} if old else {}
        files: Mapping[str, bytes] = (await read_tree(git, old.head)).blocks if old else {}
        made = await asyncio.to_thread(commits, found.steps, files, kept)
        if old is None and not made:
            first = found.steps[0]
            made = [Commit(author=first.author, at=first.at, message=first.message, files={})]
        held = placed(found.blocks, kept)
        if old is not None and not made:
            settled = replace(old, held=held, journal_seq=found.journal_seq)
            await self._store.write(memory_commits.settle, actor, agent_id, settled)
            return
        head = await write_commits(git, made, old.head if old else None)
        number = old.number + 1 if old else 1
        stretch = Stretch(number=number, head=head, held=held, journal_seq=found.journal_seq)
        pack = await pack_of(git, head, old.head if old and not _is_whole(number) else None)
        now, whole = self._clock.now(), _is_whole(number)
        await self._store.write(memory_commits.append, actor, agent_id, stretch, pack, now, whole=whole)

    async def _cached(self, actor: Actor, agent_id: str, stretch: Stretch | None) -> Git:
        """The repository on disk, with all that the database has."""
        folder = self._folder / f"{agent_id}.git"
        git = Git(folder, self._room)
        number, head = await asyncio.to_thread(_marked, folder)
        if number == 0 or await self._store.read(memory_commits.head_at, actor, agent_id, number) != head:
            await asyncio.to_thread(_emptied, folder)
            await git.run("init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(folder))
            number = 0
        while stretch is not None and number < stretch.number:
            found = await self._store.read(memory_commits.packs, actor, agent_id, after=number, limit=_PAGE_ROWS)
            if not found:
                raise LociError(f"The commits of {agent_id} are not all there.")
            for pack in found:
                await git.run("index-pack", "--stdin", data=pack.data)
                await git.run("update-ref", BRANCH, pack.head)
                await asyncio.to_thread((folder / _MARK).write_text, f"{pack.number} {pack.head}", "utf-8")
                number = pack.number
        return git

    async def push(self, actor: Actor, author: Author, agent_id: str, branch: Branch, push: Push) -> str | None:
        """Make the branch, and the blocks with it, what was pushed; the id of the ChangeSet, if blocks changed.

        Raises PushRefused, with nothing changed.
        """
        if push.old != branch.stretch.head:
            raise PushRefused("fetch first")
        await self._check_size(actor, agent_id, push)
        with tempfile.TemporaryDirectory(prefix="loci-push-") as place:
            git = branch.git.among(
                {
                    "GIT_OBJECT_DIRECTORY": place,
                    "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(branch.git.folder / "objects"),
                }
            )
            try:
                wanted, said, pack = await self._unpacked(actor, agent_id, git, branch, push)
            except GitFailed as error:
                raise PushRefused("invalid pack", [error.message]) from error
        reason = f"{said[1]} ({said[0]})"[:SUMMARY_MAX_CHARS]
        now = self._clock.now()

        def land(tx: Transaction) -> str | None:
            _same(tx, actor, agent_id, branch.stretch)
            change_id = None
            if wanted.change_set.changes:
                by = replace(author, reason=reason)
                change_id = changes.apply(tx, actor, by, agent_id, wanted.change_set, now=now)
            after = blocks.blocks_of_agent(tx, actor, agent_id)
            kept = {block.id: wanted.paths[block.label] for block in after if block.label in wanted.paths}
            stretch = Stretch(
                number=branch.stretch.number + 1,
                head=push.new,
                held=placed(after, kept),
                journal_seq=journal.last_seq(tx, actor),
            )
            memory_commits.append(tx, actor, agent_id, stretch, pack, now, whole=_is_whole(stretch.number))
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
    ) -> tuple[Proposal, tuple[str, str], bytes]:
        """What a push wants, who says so and its pack, read apart. Raises PushRefused, GitFailed."""
        if push.pack:
            limit = f"--max-input-size={PACK_MAX_BYTES}"
            await git.run("index-pack", "--stdin", "--strict", "--fix-thin", limit, data=push.pack)
            apart = git.among({"GIT_OBJECT_DIRECTORY": _objects(git)})
            sizes = await apart.run("cat-file", "--batch-all-objects", "--batch-check=%(objectsize)")
            if sum(map(int, sizes.split())) > UNPACKED_MAX_BYTES:
                raise PushRefused("too large", [f"Unpacked it is larger than {UNPACKED_MAX_BYTES} bytes."])
        if not await is_newer(git, push.new, push.old):
            lines = ["Memory never loses its past: what is there cannot be replaced by another history.", "Pull first."]
            raise PushRefused("non-fast-forward", lines)
        number = branch.stretch.number + 1
        pack = await pack_of(git, push.new, None if _is_whole(number) else push.old)
        old, new = await read_tree(branch.git, push.old), await read_tree(git, push.new)
        standing = {block.id: block for block in await self._store.read(blocks.blocks_of_agent, actor, agent_id)}
        held = {place.path: standing[place.block_id] for place in branch.stretch.held if place.block_id in standing}
        wanted = await asyncio.to_thread(proposal, held, old, new, loss_accepted=push.loss_accepted)
        return wanted, await said_by(git, push.new), pack


def _same(tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch) -> None:
    """Raises PushRefused if blocks changed since the branch was looked at."""
    agents.get(tx, actor, agent_id)
    standing = {(block.id, block.version) for block in blocks.blocks_of_agent(tx, actor, agent_id)}
    if standing != {(place.block_id, place.version) for place in stretch.held}:
        raise PushRefused("fetch first", ["The memory was changed on the server at this moment."])


def _objects(git: Git) -> str:
    return git.extra["GIT_OBJECT_DIRECTORY"]


def _is_whole(number: int) -> bool:
    return number > 0 and number % WHOLE_EVERY == 0


def _marked(folder: Path) -> tuple[int, str]:
    """Up to which stretch a repository on disk goes."""
    try:
        number, _, head = (folder / _MARK).read_text("utf-8").partition(" ")
        return int(number), head
    except (OSError, ValueError):
        return 0, ""


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
