"""What the journal tells of an agent's blocks, as commits that a branch lacks.

The newest state is what stands in the database; older ones are found by taking the entries back, newest first. So the
last commit always holds what the agent knows, and an entry that is missing only makes the commits coarser. The same
journal gives the same commits, down to their ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from loci.memfs.files import places, render
from loci.memory.journal import block_at
from loci.store import agents, blocks, journal
from loci.store.base import Transaction
from loci.store.blocks import from_snapshot
from loci.store.memory_commits import Held, Stretch
from loci.types.actor import Actor
from loci.types.memory import SYSTEM, Author, Block, JournalEntry, Subject
from loci.types.paging import PAGE_MAX_ROWS, Page

SUMMARY_MAX_CHARS = 200
_NO_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of memory: who, when, why, and the blocks as they stood after it."""

    author: Author
    at: datetime
    message: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The end of a branch, the blocks as they stand, and the steps by which it gets there: none if it is there."""

    stretch: Stretch | None
    blocks: tuple[Block, ...]
    steps: tuple[Step, ...]
    journal_seq: int


def versions(held: Held | Sequence[Block]) -> set[tuple[str, int]]:
    """What a branch or an agent holds, comparable."""
    return {(each.id, each.version) if isinstance(each, Block) else (each[0], each[1]) for each in held}


def situation(tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch | None) -> Situation:
    """What happened since a stretch. Raises NotFound for an agent that is not there."""
    agent = agents.get(tx, actor, agent_id)
    held = blocks.blocks_of_agent(tx, actor, agent_id)
    seq = journal.last_seq(tx, actor)
    if stretch is not None and versions(stretch.held) == versions(held):
        return Situation(stretch=stretch, blocks=tuple(held), steps=(), journal_seq=seq)
    state = {block.id: block for block in held}
    steps: list[Step] = []
    entries = _entries(tx, actor, agent_id, stretch, held)
    for group in reversed([list(group) for _, group in groupby(entries, _written_together)]):
        last = group[-1]
        at = last.at or _NO_TIME
        steps.append(Step(author=last.author, at=at, message=_message(group), blocks=tuple(state.values())))
        for entry in reversed(group):
            _take_back(tx, actor, agent_id, entry, state)
    changed_at = max((block.updated_at for block in held if block.updated_at), default=agent.created_at or _NO_TIME)
    message = "Memory begins" if stretch is None else "Memory changed on the server"
    at = steps[-1].at if steps else changed_at
    steps.append(Step(author=SYSTEM, at=at, message=message, blocks=tuple(state.values())))
    return Situation(stretch=stretch, blocks=tuple(held), steps=tuple(reversed(steps)), journal_seq=seq)


def _entries(
    tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch | None, held: Sequence[Block]
) -> list[JournalEntry]:
    """What concerns the blocks of an agent since a stretch, oldest first; older changes are told as one."""
    found = journal.of_agent(tx, actor, agent_id, Page(limit_rows=PAGE_MAX_ROWS))
    standing = {block.id for block in held}
    for block_id, _, _ in stretch.held if stretch else ():
        if block_id not in standing:  # detached, which the page tells, or deleted, which it does not
            found += journal.of_subject(tx, actor, Subject.BLOCK, block_id, newest_rows=PAGE_MAX_ROWS)
    after = stretch.journal_seq if stretch else 0
    told = {entry.seq: entry for entry in found if entry.seq > after and _is_told(entry)}
    return [told[seq] for seq in sorted(told)][-PAGE_MAX_ROWS:]


def _is_told(entry: JournalEntry) -> bool:
    attached = entry.subject is Subject.ATTACHMENT and entry.action in ("attach", "detach")
    return attached or entry.subject is Subject.BLOCK


def _written_together(entry: JournalEntry) -> object:
    return entry.change_set_id or (entry.at, entry.author.kind, entry.author.id)


def _take_back(tx: Transaction, actor: Actor, agent_id: str, entry: JournalEntry, state: dict[str, Block]) -> None:
    """Make the blocks what they were before an entry."""
    block_id, before = entry.subject_id, entry.before
    if entry.subject is Subject.BLOCK and isinstance(before, Mapping):
        holders = before.get("agent_ids")
        if block_id in state or (isinstance(holders, list) and agent_id in holders):
            state[block_id] = from_snapshot(block_id, before)
    elif entry.subject is Subject.ATTACHMENT and entry.agent_id == agent_id:
        block = block_at(tx, actor, block_id, entry.at) if entry.after is None and entry.at else None
        state.pop(block_id, None)
        if block is not None:
            state[block_id] = block


def _message(group: Sequence[JournalEntry]) -> str:
    last = group[-1]
    did: dict[str, None] = {}
    for entry in group:
        state = entry.after if isinstance(entry.after, Mapping) else entry.before
        did[f"{entry.action} {state.get('label') if isinstance(state, Mapping) else ''}"] = None
    words = last.author.reason or ", ".join(did)
    summary = words[:1].upper() + words[1:SUMMARY_MAX_CHARS]
    facts = {"Change": last.change_set_id or str(last.seq), "Run": last.author.run_id}
    return "\n".join([summary, "", *(f"{name}: {value}" for name, value in facts.items() if value)])


def commits(
    steps: Sequence[Step], files: Mapping[str, bytes], held: Held, taken: set[str]
) -> tuple[list[tuple[Step, Mapping[str, bytes | None]]], Held]:
    """Steps with what each does to the block files of a tree, and what the last of them holds.

    What is done to a file is its new content, None for one that goes; a step that changes no file is no commit.
    """
    current, kept = dict(files), {block_id: path for block_id, _, path in held}
    made: list[tuple[Step, Mapping[str, bytes | None]]] = []
    for step in steps:
        placed = places(step.blocks, kept, taken)
        held = tuple((block.id, block.version, path) for path, block in placed.items())
        kept |= {block_id: path for block_id, _, path in held}
        wanted = {path: render(path, block, current.get(path)) for path, block in placed.items()}
        changed: dict[str, bytes | None] = {path: None for path in current if path not in wanted}
        changed |= {path: data for path, data in wanted.items() if current.get(path) != data}
        current = wanted
        if changed:
            made.append((step, changed))
    return made, held
