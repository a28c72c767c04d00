"""What one search looks through: the messages of an agent, the passages of an archive, or the files of a folder.

A scope has a small number (the prefix of its index terms), one narrow row for each text in it, and a `generation` that
grows whenever rows go away, so that what is held in memory of it (see `shelf`) knows when to look again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from loci.store.base import Params, Row, Transaction
from loci.store.rows import integer, maybe_integer, within
from loci.store.terms import index_text
from loci.types.actor import Actor
from loci.types.messages import Role

BY_SUBJECT = """
select number, generation, through_seq, model, vectors_through_seq from search_scopes
where subject = :subject and subject_id = :subject_id and organization_id = :organization_id"""
INSERT = """
insert into search_scopes (organization_id, project_id, subject, subject_id, generation, through_seq, model,
    vectors_through_seq)
values (:organization_id, :project_id, :subject, :subject_id, 0, 0, null, 0)"""
ADVANCE = "update search_scopes set through_seq = :seq where number = :number"
OUTDATE = "update search_scopes set generation = generation + 1 where number = :number"
REWIND_VECTORS = """
update search_scopes set generation = generation + 1, vectors_through_seq = min(vectors_through_seq, :seq - 1)
where number = :number"""
DELETE = "delete from search_scopes where number = :number"
DELETE_ALL_WORDS = "delete from {table} where rowid in (select seq from search_rows where scope = :number)"

INSERT_ROW = """
insert into search_rows (scope, seq, role, thread, words, at_us)
values (:scope, :seq, :role, :thread, :words, :at_us)"""
DELETE_ROW = "delete from search_rows where scope = :scope and seq = :seq"
# Vectors of a model that the scope had before are swept away by `vectors.drop_others`.
DELETE_VECTORS_FROM = """
delete from search_vectors
where scope = :scope and model = (select model from search_scopes where number = :scope) and seq >= :seq"""
DELETE_VECTOR = """
delete from search_vectors
where scope = :scope and model = (select model from search_scopes where number = :scope) and seq = :seq"""
DELETE_WORDS = "delete from {table} where rowid = :seq"

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
ROLE_NUMBERS = {Role.USER: 1, Role.ASSISTANT: 2, Role.SYSTEM: 3, Role.TOOL: 4, Role.APPROVAL: 5}


class ScopeKind(StrEnum):
    """Whose texts a scope holds."""

    AGENT = "agent"
    ARCHIVE = "archive"
    FOLDER = "folder"


WORDS = {
    ScopeKind.AGENT: "message_words",
    ScopeKind.ARCHIVE: "passage_words",
    ScopeKind.FOLDER: "chunk_words",
}
"""The table that holds the words of such texts."""


@dataclass(frozen=True, slots=True)
class ScopeKey:
    """The agent, archive or folder whose texts are searched."""

    kind: ScopeKind
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """State of a scope. `model` is the number of the embedding model that its vectors are of."""

    key: ScopeKey
    number: int
    generation: int
    through_seq: int
    """The newest message that was looked at (agents only: passages are indexed as they are stored)."""
    model: int | None
    vectors_through_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One text to be found, with what filters need to know of it. `thread` is the conversation, if there is one."""

    seq: int
    words: list[str]
    at: datetime
    role: Role | None = None
    thread: str | None = None


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def thread_number(conversation_id: str) -> int:
    """A number that stands for a conversation in the index."""
    digest = blake2b(conversation_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def find(tx: Transaction, actor: Actor, key: ScopeKey) -> Scope | None:
    """The scope, or None as long as nothing was indexed."""
    row = tx.one(BY_SUBJECT, within(actor, subject=key.kind.value, subject_id=key.id))
    return None if row is None else _from_row(key, row)


def _from_row(key: ScopeKey, row: Row) -> Scope:
    return Scope(
        key=key,
        number=integer(row, "number"),
        generation=integer(row, "generation"),
        through_seq=integer(row, "through_seq"),
        model=maybe_integer(row, "model"),
        vectors_through_seq=integer(row, "vectors_through_seq"),
    )


def find_or_create(tx: Transaction, actor: Actor, key: ScopeKey) -> Scope:
    """The scope, which now exists. The caller has checked that the actor may see what `key` names."""
    scope = find(tx, actor, key)
    if scope is not None:
        return scope
    params = within(actor, subject=key.kind.value, subject_id=key.id)
    tx.run(INSERT, params)
    row = tx.one(BY_SUBJECT, params)
    assert row is not None
    return _from_row(key, row)


def add(tx: Transaction, scope: Scope, entries: Sequence[Entry]) -> None:
    """Index texts by their words."""
    if not entries:
        return
    tx.many(
        f"insert into {WORDS[scope.key.kind]} (rowid, words) values (:seq, :text)",
        [{"seq": entry.seq, "text": index_text(scope.number, entry.words)} for entry in entries],
    )
    tx.many(INSERT_ROW, [_row_params(scope, entry) for entry in entries])


def _row_params(scope: Scope, entry: Entry) -> Params:
    return {
        "scope": scope.number,
        "seq": entry.seq,
        "role": 0 if entry.role is None else ROLE_NUMBERS[entry.role],
        "thread": 0 if entry.thread is None else thread_number(entry.thread),
        "words": len(entry.words),
        "at_us": microseconds(entry.at),
    }


def advance(tx: Transaction, scope: Scope, seq: int) -> None:
    """Note that everything up to `seq` was looked at."""
    tx.run(ADVANCE, {"number": scope.number, "seq": seq})


def remove(tx: Transaction, scope: Scope, seqs: Sequence[int]) -> None:
    """Forget texts."""
    if seqs:
        rows: list[Params] = [{"scope": scope.number, "seq": seq} for seq in seqs]
        tx.many(DELETE_WORDS.format(table=WORDS[scope.key.kind]), [{"seq": seq} for seq in seqs])
        tx.many(DELETE_ROW, rows)
        tx.many(DELETE_VECTOR, rows)
        tx.run(OUTDATE, {"number": scope.number})


def drop(tx: Transaction, actor: Actor, key: ScopeKey) -> None:
    """Forget all texts of what `key` names. To be called before they are deleted."""
    scope = find(tx, actor, key)
    if scope is not None:
        tx.run(DELETE_ALL_WORDS.format(table=WORDS[key.kind]), {"number": scope.number})
        tx.run(DELETE, {"number": scope.number})


def replace(tx: Transaction, scope: Scope, entry: Entry) -> None:
    """Index a text anew that was changed. Vectors from there on are computed again, for they are filled in order."""
    tx.run(DELETE_WORDS.format(table=WORDS[scope.key.kind]), {"seq": entry.seq})
    tx.run(DELETE_ROW, {"scope": scope.number, "seq": entry.seq})
    tx.run(DELETE_VECTORS_FROM, {"scope": scope.number, "seq": entry.seq})
    tx.run(REWIND_VECTORS, {"number": scope.number, "seq": entry.seq})
    add(tx, scope, [entry])
