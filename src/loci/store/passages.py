"""Passages of archival memory. Each is indexed by its words in the transaction that stores it; vectors come later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.errors import NotFound
from loci.store import archives, journal, scopes
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import like_pattern, page_clause
from loci.store.rows import (
    dump,
    integer,
    load_object,
    load_texts,
    maybe_moment,
    maybe_text,
    maybe_time_text,
    moment,
    text,
)
from loci.store.scopes import Entry, ScopeKey, ScopeKind
from loci.store.terms import words_of
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import Author, JournalEntry, Passage, Subject
from loci.types.messages import Trust
from loci.types.paging import Page

COLUMNS = """p.seq, p.id, p.archive_id, p.text, p.tags, p.metadata, p.trust, p.created_at, p.updated_at, p.created_by"""

BY_ID = f"select {COLUMNS} from passages p where p.id = :id and p.organization_id = :organization_id"
BY_SEQS = f"""
select {COLUMNS} from passages p
where p.seq in (select value from json_each(:seqs)) and p.organization_id = :organization_id"""
SEQS_OF = "select seq, id from passages where id in (select value from json_each(:ids)) order by seq"
INSERT = """
insert into passages (id, organization_id, project_id, archive_id, text, tags, metadata, trust, created_at, updated_at,
    created_by)
values (:id, :organization_id, :project_id, :archive_id, :text, :tags, :metadata, :trust, :created_at, :updated_at,
    :created_by)"""
INSERT_TAG = """
insert into passage_tags (archive_id, tag, passage_seq, organization_id, project_id)
values (:archive_id, :tag, :seq, :organization_id, :project_id)
on conflict (archive_id, tag, passage_seq) do nothing"""
DELETE = "delete from passages where seq = :seq and organization_id = :organization_id"
DELETE_TAGS = "delete from passage_tags where passage_seq = :seq and organization_id = :organization_id"
ARCHIVES_OF = """
select archive_id from agent_archives where agent_id = :agent_id and organization_id = :organization_id"""
TAGS_OF_AGENT = """
select distinct tag from passage_tags
where archive_id in (select archive_id from agent_archives where agent_id = :agent_id)
    and organization_id = :organization_id
order by tag limit :limit"""


def from_row(row: Row) -> Passage:
    """A stored passage."""
    return Passage(
        seq=integer(row, "seq"),
        id=text(row, "id"),
        archive_id=text(row, "archive_id"),
        text=text(row, "text"),
        tags=load_texts(row["tags"]),
        metadata=load_object(row["metadata"]),
        trust=Trust(text(row, "trust")),
        created_at=moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
    )


def insert(  # noqa: PLR0913  the last is rarely given
    tx: Transaction,
    actor: Actor,
    author: Author,
    archive_id: str,
    new: Sequence[Passage],
    now: datetime,
    *,
    change_set_id: str | None = None,
) -> list[Passage]:
    """Store passages in an archive, searchable at once. `created_at` may lie in the past. Raises NotFound."""
    archives.get(tx, actor, archive_id)
    if not new:
        return []
    stored = [
        replace(
            passage,
            archive_id=archive_id,
            tags=tuple(dict.fromkeys(passage.tags)),
            created_at=passage.created_at or now,
            updated_at=now,
            created_by=passage.created_by or actor.user_id,
        )
        for passage in new
    ]
    tx.many(INSERT, [_params(actor, passage) for passage in stored])
    rows = tx.all(SEQS_OF, {"ids": dump([passage.id for passage in stored])})
    seqs = {text(row, "id"): integer(row, "seq") for row in rows}
    stored = [replace(passage, seq=seqs[passage.id]) for passage in stored]
    tags: list[Params] = [
        {
            "archive_id": archive_id,
            "tag": tag,
            "seq": passage.seq,
            "organization_id": actor.organization_id,
            "project_id": actor.project_id,
        }
        for passage in stored
        for tag in passage.tags
    ]
    if tags:
        tx.many(INSERT_TAG, tags)
    scope = scopes.find_or_create(tx, actor, ScopeKey(ScopeKind.ARCHIVE, archive_id))
    scopes.add(tx, scope, [_entry(passage, now) for passage in stored])
    journal.record(tx, actor, [_note(author, passage, change_set_id, gone=False) for passage in stored], now)
    return stored


def delete(
    tx: Transaction, actor: Actor, author: Author, passage_id: str, now: datetime, *, change_set_id: str | None = None
) -> None:
    """Delete a passage; the journal keeps it. Raises NotFound."""
    passage = get(tx, actor, passage_id)
    params: Params = {"seq": passage.seq, "organization_id": actor.organization_id}
    scope = scopes.find_or_create(tx, actor, ScopeKey(ScopeKind.ARCHIVE, passage.archive_id))
    scopes.remove(tx, scope, [passage.seq])
    tx.run(DELETE_TAGS, params)
    tx.run(DELETE, params)
    journal.record(tx, actor, [_note(author, passage, change_set_id, gone=True)], now)


def get(tx: Transaction, actor: Actor, passage_id: str) -> Passage:
    """One passage. Raises NotFound."""
    row = tx.one(BY_ID, {"id": passage_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Passage {passage_id} not found.")
    return from_row(row)


def by_seqs(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, Passage]:
    """Passages by their seq; those that do not exist are left out."""
    rows = tx.all(BY_SEQS, {"seqs": dump(list(seqs)), "organization_id": actor.organization_id})
    return {integer(row, "seq"): from_row(row) for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageFilter:
    """Which passages to list. None means any; `search` looks for a part of the text, in any case of letters."""

    archive_id: str | None = None
    agent_id: str | None = None
    search: str | None = None


def listing(tx: Transaction, actor: Actor, chosen: PassageFilter, page: Page) -> list[Passage]:
    """One page of passages by their time. Raises NotFound for a cursor that is not a passage."""
    where, params = _where(tx, actor, chosen)
    clause = page_clause(tx, actor, page, "passages", alias="p")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from passages p where {where}", params)]


def count(tx: Transaction, actor: Actor, chosen: PassageFilter) -> int:
    """How many passages the filter lets through."""
    where, params = _where(tx, actor, chosen)
    row = tx.one(f"select count(*) as n from passages p where {where}", params)
    return 0 if row is None else integer(row, "n")


def _where(tx: Transaction, actor: Actor, chosen: PassageFilter) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    parts = ["p.organization_id = :organization_id"]
    archive_ids = [] if chosen.archive_id is None else [chosen.archive_id]
    if chosen.agent_id is not None:
        rows = tx.all(ARCHIVES_OF, {"agent_id": chosen.agent_id, "organization_id": actor.organization_id})
        held = [text(row, "archive_id") for row in rows]
        archive_ids = [archive_id for archive_id in held if chosen.archive_id in {None, archive_id}]
    if archive_ids or chosen.agent_id is not None:
        # With one archive, which is the rule, this is an equality and the page comes straight from the index.
        names = {f"archive_{n}": archive_id for n, archive_id in enumerate(archive_ids)}
        listed = ", ".join(f":{name}" for name in names)
        parts.append(f"p.archive_id = {listed}" if len(names) == 1 else f"p.archive_id in ({listed})")
        params |= names
    if chosen.search:
        parts.append("lower(p.text) like lower(:search) escape '!'")
        params["search"] = like_pattern(chosen.search)
    return " and ".join(parts), params


def tags_of_agent(tx: Transaction, actor: Actor, agent_id: str, *, limit: int = 200) -> list[str]:
    """The tags in use in the archives of an agent, in alphabetical order."""
    params: Params = {"agent_id": agent_id, "organization_id": actor.organization_id, "limit": limit}
    return [text(row, "tag") for row in tx.all(TAGS_OF_AGENT, params)]


def snapshot(passage: Passage) -> JsonObject:
    """A passage as the journal keeps it."""
    return {
        "archive_id": passage.archive_id,
        "text": passage.text,
        "tags": list(passage.tags),
        "metadata": passage.metadata,
        "trust": passage.trust.value,
        "created_at": maybe_time_text(passage.created_at),
    }


def from_snapshot(passage_id: str, state: JsonObject) -> Passage:
    """The passage that the journal kept."""
    tags, metadata, created_at = state.get("tags"), state.get("metadata"), state.get("created_at")
    return Passage(
        id=passage_id,
        archive_id=str(state.get("archive_id") or ""),
        text=str(state.get("text") or ""),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        trust=Trust(str(state.get("trust") or Trust.AGENT.value)),
        created_at=datetime.fromisoformat(created_at) if isinstance(created_at, str) else None,
    )


def _note(author: Author, passage: Passage, change_set_id: str | None, *, gone: bool) -> JournalEntry:
    state = snapshot(passage)
    return JournalEntry(
        subject=Subject.PASSAGE,
        subject_id=passage.id,
        action="delete" if gone else "create",
        before=state if gone else None,
        after=None if gone else state,
        author=author,
        change_set_id=change_set_id,
    )


def _entry(passage: Passage, now: datetime) -> Entry:
    words = words_of(passage.text) + words_of(" ".join(passage.tags))
    return Entry(seq=passage.seq, words=words, at=passage.created_at or now)


def _params(actor: Actor, passage: Passage) -> Params:
    return {
        "id": passage.id,
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "archive_id": passage.archive_id,
        "text": passage.text,
        "tags": dump(passage.tags),
        "metadata": dump(passage.metadata),
        "trust": passage.trust.value,
        "created_at": maybe_time_text(passage.created_at),
        "updated_at": maybe_time_text(passage.updated_at),
        "created_by": passage.created_by,
    }
