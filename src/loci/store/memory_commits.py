"""The memory of an agent as a git branch: each stretch of commits is a row, with its objects as one pack.

The rows are all there is to keep: a repository on disk is made of their packs and can be thrown away.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, cast

from loci.errors import VersionConflict
from loci.store.base import Transaction
from loci.store.rows import dump, integer, load, text, time_text
from loci.types.actor import Actor

LATEST = """
select number, head, held, journal_seq from memory_commits
where agent_id = :agent_id and organization_id = :organization_id order by number desc limit 1"""
HEAD_AT = """
select head from memory_commits
where agent_id = :agent_id and organization_id = :organization_id and number = :number"""
PACKS = """
select number, head, pack from memory_commits
where agent_id = :agent_id and organization_id = :organization_id and number > :after order by number limit 16"""
APPEND = """
insert into memory_commits (agent_id, number, organization_id, project_id, head, held, journal_seq, pack, created_at)
values (:agent_id, :number, :organization_id, :project_id, :head, :held, :journal_seq, :pack, :now)"""
SETTLE = """
update memory_commits set held = :held, journal_seq = :journal_seq
where agent_id = :agent_id and number = :number and organization_id = :organization_id"""
FORGET = """
delete from memory_commits
where agent_id = :agent_id and number < :number and organization_id = :organization_id"""
SIZE = """
select coalesce(sum(length(pack)), 0) as bytes from memory_commits
where agent_id = :agent_id and organization_id = :organization_id"""


Held: TypeAlias = tuple[tuple[str, int, str], ...]
"""The blocks that a commit holds: id, version, and the path of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Where the branch ends: its newest commit, the blocks that it holds, and the journal entry that it is up to."""

    number: int
    head: str
    held: Held
    journal_seq: int


def latest(tx: Transaction, actor: Actor, agent_id: str) -> Stretch | None:
    """The newest stretch; None as long as nobody asked for the branch."""
    row = tx.one(LATEST, {"agent_id": agent_id, "organization_id": actor.organization_id})
    if row is None:
        return None
    held = cast("list[tuple[str, int, str]]", load(row["held"]))
    return Stretch(
        number=integer(row, "number"),
        head=text(row, "head"),
        held=tuple((block_id, version, path) for block_id, version, path in held),
        journal_seq=integer(row, "journal_seq"),
    )


def head_at(tx: Transaction, actor: Actor, agent_id: str, number: int) -> str | None:
    """Where a stretch ended; None if it is not kept by itself."""
    row = tx.one(HEAD_AT, {"agent_id": agent_id, "organization_id": actor.organization_id, "number": number})
    return None if row is None else text(row, "head")


def packs(tx: Transaction, actor: Actor, agent_id: str, after: int) -> list[tuple[int, str, bytes]]:
    """Some of the packs that follow a stretch, in order: number, newest commit, objects."""
    rows = tx.all(PACKS, {"agent_id": agent_id, "organization_id": actor.organization_id, "after": after})
    return [(integer(row, "number"), text(row, "head"), bytes(cast("bytes", row["pack"]))) for row in rows]


def size_bytes(tx: Transaction, actor: Actor, agent_id: str) -> int:
    """What the packs of an agent weigh."""
    row = tx.one(SIZE, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "bytes")


def append(  # noqa: PLR0913  one row
    tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch, pack: bytes, now: datetime, *, whole: bool = False
) -> None:
    """Add a stretch right after the newest. A `whole` pack holds all that came before, whose rows then go.

    Raises VersionConflict if somebody else added one meanwhile.
    """
    newest = latest(tx, actor, agent_id)
    if stretch.number != (newest.number if newest else 0) + 1:
        raise VersionConflict("The memory has newer commits by now.", hint="Fetch them first.")
    params = {"agent_id": agent_id, "number": stretch.number, "organization_id": actor.organization_id}
    if whole:
        tx.run(FORGET, params)
    stored = {"head": stretch.head, "held": dump(stretch.held), "journal_seq": stretch.journal_seq}
    tx.run(APPEND, {**params, **stored, "project_id": actor.project_id, "pack": pack, "now": time_text(now)})


def settle(tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch) -> None:
    """Note that a stretch stands for these versions too: what changed in them shows in no file."""
    params = {"agent_id": agent_id, "number": stretch.number, "organization_id": actor.organization_id}
    tx.run(SETTLE, {**params, "held": dump(stretch.held), "journal_seq": stretch.journal_seq})
