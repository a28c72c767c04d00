"""What the journal tells of an agent's blocks, as commits that a branch lacks.

The newest state is what stands in the database; older ones are found by taking the entries back, newest first. So the
last commit always holds what the agent knows, and an entry that is missing only makes the commits coarser. The same
journal gives the same commits, down to their ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from loci.memfs.files import places, render
from loci.memory.journal import block_at
from loci.store import agents, blocks, journal
from loci.store.base import Transaction
from loci.store.blocks import from_snapshot
from loci.store.memory_commits import Place, Stretch
from loci.types.actor import Actor
from loci.types.memory import ActorKind, Author, Block, JournalEntry, Subject
from loci.types.paging import PAGE_MAX_ROWS, Page

SUMMARY_MAX_CHARS = 200
ENTRIES_MAX = PAGE_MAX_ROWS
"""Older changes than these are told as one."""

_SYSTEM = Author(kind=ActorKind.SYSTEM, id="loci")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of memory: who, when, why, and the blocks as they stood after it."""

    author: Author
    at: datetime
    message: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A step as what it does to files: their new contents, None for one that goes."""

    author: Author
    at: datetime
    message: str
    files: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a branch lacks: the steps since its newest stretch, the blocks at their end, and how far they reach."""

    stretch: Stretch | None
    blocks: tuple[Block, ...]
    steps: tuple[Step, ...]
    journal_seq: int

    @property
    def is_settled(self) -> bool:
        """Whether the branch holds the blocks as they stand."""
        versions = {(place.block_id, place.version) for place in self.stretch.held} if self.stretch else None
        return versions == {(block.id, block.version) for block in self.blocks}


def situation(tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch | None, now: datetime) -> Situation:
    """What happened since a stretch. Raises NotFound for an agent that is not there."""
    agent = agents.get(tx, actor, agent_id)
    held = tuple(blocks.blocks_of_agent(tx, actor, agent_id))
    seq = journal.last_seq(tx, actor)
    found = Situation(stretch=stretch, blocks=held, steps=(), journal_seq=seq)
    if found.is_settled:
        return found
    entries = _entries(tx, actor, agent_id, stretch, held)
    steps = _steps(tx, actor, agent_id, entries, held)
    begin = steps[0].at if steps and stretch is None else now
    first = Step(
        author=_SYSTEM,
        at=min(begin, agent.created_at) if agent.created_at and stretch is None else begin,
        message="Memory begins" if stretch is None else "Memory changed on the server",
        blocks=_before(tx, actor, agent_id, entries, held),
    )
    return Situation(stretch=stretch, blocks=held, steps=(first, *steps), journal_seq=seq)


def _entries(
    tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch | None, held: Sequence[Block]
) -> list[JournalEntry]:
    """What concerns the blocks of an agent since a stretch, oldest first."""
    after = stretch.journal_seq if stretch else 0
    found = journal.of_agent(tx, actor, agent_id, Page(limit_rows=ENTRIES_MAX))
    standing = {block.id for block in held}
    for place in stretch.held if stretch else ():
        if place.block_id not in standing:  # detached, which the page tells, or deleted, which it does not
            found += journal.of_subject(tx, actor, Subject.BLOCK, place.block_id, newest_rows=ENTRIES_MAX)
    told = {entry.seq: entry for entry in found if entry.seq > after and _is_told(entry)}
    return [told[seq] for seq in sorted(told)][-ENTRIES_MAX:]


def _is_told(entry: JournalEntry) -> bool:
    return entry.subject is Subject.BLOCK or (
        entry.subject is Subject.ATTACHMENT and entry.action in ("attach", "detach")
    )


def _before(
    tx: Transaction, actor: Actor, agent_id: str, entries: Sequence[JournalEntry], held: Sequence[Block]
) -> tuple[Block, ...]:
    """The blocks as they stood before these entries."""
    state = {block.id: block for block in held}
    for entry in reversed(entries):
        block_id, before = entry.subject_id, entry.before
        if entry.subject is Subject.BLOCK:
            if not isinstance(before, Mapping):
                continue
            holders = before.get("agent_ids")
            if block_id in state or (isinstance(holders, list) and agent_id in holders):
                state[block_id] = from_snapshot(block_id, before)
        elif entry.agent_id == agent_id and entry.after is not None:
            state.pop(block_id, None)
        elif entry.agent_id == agent_id and entry.at is not None:
            block = block_at(tx, actor, block_id, entry.at)
            if block is not None:
                state[block_id] = block
    return tuple(state.values())


def _steps(
    tx: Transaction, actor: Actor, agent_id: str, entries: Sequence[JournalEntry], held: Sequence[Block]
) -> list[Step]:
    """One step for each ChangeSet, or for what was written at once."""
    groups = [list(group) for _, group in groupby(entries, _written_together)]
    steps: list[Step] = []
    after = tuple(held)
    for group in reversed(groups):
        last = group[-1]
        if last.at is not None:
            steps.append(Step(author=last.author, at=last.at, message=_message(group), blocks=after))
        after = _before(tx, actor, agent_id, group, after)
    return steps[::-1]


def _written_together(entry: JournalEntry) -> object:
    return entry.change_set_id or (entry.at, entry.author.kind, entry.author.id)


def _message(group: Sequence[JournalEntry]) -> str:
    last = group[-1]
    did: dict[str, None] = {}
    for entry in group:
        state = entry.after if isinstance(entry.after, Mapping) else entry.before
        label = state.get("label") if isinstance(state, Mapping) else None
        did[f"{entry.action} {label}"] = None
    summary = last.author.reason or ", ".join(did)
    summary = summary[:1].upper() + summary[1:]
    if len(summary) > SUMMARY_MAX_CHARS:
        summary = summary[: SUMMARY_MAX_CHARS - 1] + "…"
    known = {"Change": last.change_set_id or str(last.seq), "Run": last.author.run_id}
    return "\n".join([summary, "", *(f"{name}: {value}" for name, value in known.items() if value)])


def commits(steps: Sequence[Step], files: Mapping[str, bytes], held: Mapping[str, str]) -> list[Commit]:
    """The steps as commits on top of a tree with these block files, `held` being the path of each block's file.

    A step that changes no file is none; but a branch has a first commit, whatever is in it.
    """
    current, kept = dict(files), dict(held)
    made: list[Commit] = []
    for step in steps:
        placed = places(step.blocks, kept)
        kept |= {block.id: path for path, block in placed.items()}
        wanted = {path: render(path, block, current.get(path)) for path, block in placed.items()}
        changed: dict[str, bytes | None] = {path: None for path in current if path not in wanted}
        changed |= {path: data for path, data in wanted.items() if current.get(path) != data}
        current = wanted
        if changed:
            made.append(Commit(author=step.author, at=step.at, message=step.message, files=changed))
    return made


def placed(blocks_now: Sequence[Block], kept: Mapping[str, str]) -> tuple[Place, ...]:
    """Each block at its version, with the path of its file."""
    found = places(blocks_now, kept)
    return tuple(Place(block_id=block.id, version=block.version, path=path) for path, block in found.items())
