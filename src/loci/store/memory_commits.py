"""The memory of an agent as a git branch: each stretch of commits is a row, with its objects as one pack.

The rows are all there is to keep: a repository on disk is made of their packs and can be thrown away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from loci.errors import VersionConflict
from loci.store.base import Row, Transaction
from loci.store.rows import dump, integer, load, text, time_text
from loci.types.actor import Actor

COLUMNS = "number, head, held, journal_seq"
LATEST = f"""
select {COLUMNS} from memory_commits
where agent_id = :agent_id and organization_id = :organization_id order by number desc limit 1"""
HEAD_AT = """
select head from memory_commits
where agent_id = :agent_id and organization_id = :organization_id and number = :number"""
PACKS = """
select number, head, pack from memory_commits
where agent_id = :agent_id and organization_id = :organization_id and number > :after order by number limit :limit"""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A block at a version, and the path of its file."""

    block_id: str
    version: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Where the branch ends: its newest commit, the blocks that it holds, and the journal entry that it is up to."""

    number: int
    head: str
    held: tuple[Place, ...]
    journal_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The objects of a stretch."""

    number: int
    head: str
    data: bytes


def latest(tx: Transaction, actor: Actor, agent_id: str) -> Stretch | None:
    """The newest stretch; None as long as nobody asked for the branch."""
    row = tx.one(LATEST, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return None if row is None else _stretch(row)


def _stretch(row: Row) -> Stretch:
    held = cast("list[tuple[str, int, str]]", load(row["held"]))
    return Stretch(
        number=integer(row, "number"),
        head=text(row, "head"),
        held=tuple(Place(block_id=block_id, version=version, path=path) for block_id, version, path in held),
        journal_seq=integer(row, "journal_seq"),
    )


def head_at(tx: Transaction, actor: Actor, agent_id: str, number: int) -> str | None:
    """Where a stretch ended; None if it is not kept by itself."""
    row = tx.one(HEAD_AT, {"agent_id": agent_id, "organization_id": actor.organization_id, "number": number})
    return None if row is None else text(row, "head")


def packs(tx: Transaction, actor: Actor, agent_id: str, *, after: int, limit: int) -> list[Pack]:
    """The packs that follow a stretch, in order."""
    params = {"agent_id": agent_id, "organization_id": actor.organization_id, "after": after, "limit": limit}
    return [
        Pack(number=integer(row, "number"), head=text(row, "head"), data=bytes(cast("bytes", row["pack"])))
        for row in tx.all(PACKS, params)
    ]


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
    tx.run(
        APPEND,
        {
            **params,
            "project_id": actor.project_id,
            "head": stretch.head,
            "held": _held(stretch.held),
            "journal_seq": stretch.journal_seq,
            "pack": pack,
            "now": time_text(now),
        },
    )


def settle(tx: Transaction, actor: Actor, agent_id: str, stretch: Stretch) -> None:
    """Note that a stretch stands for these versions too: what changed in them shows in no file."""
    params = {"agent_id": agent_id, "number": stretch.number, "organization_id": actor.organization_id}
    tx.run(SETTLE, {**params, "held": _held(stretch.held), "journal_seq": stretch.journal_seq})


def _held(places: Sequence[Place]) -> str:
    return dump([[place.block_id, place.version, place.path] for place in places])
