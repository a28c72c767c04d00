"""The past of memory, told from the journal: history, diffs, who wrote which line, and what was known at a time.

Only `blame_lines` and `diff` are pure; the rest reads. Taking changes back: `loci.memory.undo`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher, unified_diff

from loci.errors import BadRequest, NotFound
from loci.store import blocks, journal
from loci.store.base import Transaction
from loci.store.blocks import from_snapshot
from loci.types.actor import Actor
from loci.types.memory import Block, JournalEntry, Subject

BLAME_CHANGES_MAX = 500
BLAME_LINES_MAX = 2_000
"""Each version is compared with the one before, line by line: so much is done within a second or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a block as it stands, and the entry that brought it in."""

    text: str
    entry: JournalEntry


def history(tx: Transaction, actor: Actor, subject: Subject, subject_id: str) -> list[JournalEntry]:
    """All that ever happened to a block, passage or other thing, oldest first. Raises NotFound if nothing did."""
    entries = journal.of_subject(tx, actor, subject, subject_id)
    if not entries:
        raise NotFound(f"The journal knows nothing of a {subject.value} {subject_id}.")
    return entries


def block_at(tx: Transaction, actor: Actor, block_id: str, at: datetime) -> Block | None:
    """A block as it stood at a time; None if it was not yet made or was deleted then."""
    entries = journal.of_subject(tx, actor, Subject.BLOCK, block_id, until=at, newest_rows=1)
    after = entries[0].after if entries else None
    return from_snapshot(block_id, after) if isinstance(after, Mapping) else None


def blocks_at(tx: Transaction, actor: Actor, agent_id: str, at: datetime) -> list[Block]:
    """The core memory of an agent as it stood at a time, in the order in which the blocks were attached."""
    held: dict[str, None] = {}
    for entry in journal.of_attachments(tx, actor, agent_id, at):
        if entry.after is None:
            held.pop(entry.subject_id, None)
        else:
            held[entry.subject_id] = None
    found = [block_at(tx, actor, block_id, at) for block_id in held]
    return [block for block in found if block is not None]


def blame(tx: Transaction, actor: Actor, block_id: str) -> list[Line]:
    """For each line of a block the change that brought it in.

    Only the newest BLAME_CHANGES_MAX changes are looked at; what is older is laid to the oldest of them.
    Raises NotFound, and BadRequest for a block of too many lines.
    """
    block = blocks.get(tx, actor, block_id)
    count = len(_lines(block.value))
    if count > BLAME_LINES_MAX:
        raise BadRequest(
            f"The block has {count} lines; who wrote them can be told of at most {BLAME_LINES_MAX}.",
            hint="Its history tells each change.",
        )
    newest = journal.of_subject(tx, actor, Subject.BLOCK, block_id, newest_rows=BLAME_CHANGES_MAX)
    entries = [entry for entry in newest if isinstance(entry.after, Mapping)]
    values = [from_snapshot(block_id, entry.after).value for entry in entries if isinstance(entry.after, Mapping)]
    too_long = [number for number, value in enumerate(values) if value.count("\n") >= BLAME_LINES_MAX]
    first = too_long[-1] + 1 if too_long else 0
    origins = blame_lines(values[first:])
    return [
        Line(text=text, entry=entries[first + origin])
        for text, origin in zip(_lines(block.value), origins, strict=True)
    ]


def blame_lines(values: Sequence[str]) -> list[int]:
    """For each line of the last text the number of the text, counted from 0, in which it first stood there.

    A line that was taken out and came back counts as new.
    """
    lines: list[str] = []
    origins: list[int] = []
    for number, value in enumerate(values):
        new = _lines(value)
        fresh = [number] * len(new)
        for begin, start, size in SequenceMatcher(a=lines, b=new, autojunk=False).get_matching_blocks():
            fresh[start : start + size] = origins[begin : begin + size]
        lines, origins = new, fresh
    return origins


def diff(before: str, after: str) -> str:
    """What changed, as a unified diff without file names; empty if nothing did."""
    return "\n".join(list(unified_diff(_lines(before), _lines(after), lineterm="", n=2))[2:])


def _lines(text: str) -> list[str]:
    return text.split("\n") if text else []
