"""Passages of archival memory. Each is indexed by its words in the transaction that stores it; vectors come later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.store import archives, journal, scopes
from loci.store.base import Params, Transaction
from loci.store.page import Where
from loci.store.rows import Record, dump, integer, maybe_time_text, text, within
from loci.store.scopes import Entry, ScopeKey, ScopeKind
from loci.store.terms import words_of
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import Author, JournalEntry, Passage, Subject
from loci.types.messages import Trust
from loci.types.paging import Page

_ROWS = Record(Passage, "passages", "p", missing="Passage {} not found.", found={"seq": "p.seq"})
BY_SEQS = _ROWS.select + " and p.seq in (select value from json_each(:seqs))"
SEQS_OF = "select seq, id from passages where id in (select value from json_each(:ids)) order by seq"
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


get = _ROWS.get


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
    wanted = [replace(passage, archive_id=archive_id, tags=tuple(dict.fromkeys(passage.tags))) for passage in new]
    stored = _ROWS.insert_all(tx, actor, wanted, now)
    rows = tx.all(SEQS_OF, {"ids": dump([passage.id for passage in stored])})
    seqs = {text(row, "id"): integer(row, "seq") for row in rows}
    stored = [replace(passage, seq=seqs[passage.id]) for passage in stored]
    tags: list[Params] = [
        within(actor, archive_id=archive_id, tag=tag, seq=passage.seq) for passage in stored for tag in passage.tags
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
    params = within(actor, seq=passage.seq)
    scope = scopes.find_or_create(tx, actor, ScopeKey(ScopeKind.ARCHIVE, passage.archive_id))
    scopes.remove(tx, scope, [passage.seq])
    tx.run(DELETE_TAGS, params)
    tx.run(DELETE, params)
    journal.record(tx, actor, [_note(author, passage, change_set_id, gone=True)], now)


def by_seqs(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, Passage]:
    """Passages by their seq; those that do not exist are left out."""
    return {passage.seq: passage for passage in _ROWS.all(tx, BY_SEQS, within(actor, seqs=dump(list(seqs))))}


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageFilter:
    """Which passages to list. None means any; `search` looks for a part of the text, in any case of letters."""

    archive_id: str | None = None
    agent_id: str | None = None
    search: str | None = None


def listing(tx: Transaction, actor: Actor, chosen: PassageFilter, page: Page) -> list[Passage]:
    """One page of passages by their time. Raises NotFound for a cursor that is not a passage."""
    return _ROWS.page(tx, actor, _where(tx, actor, chosen), page)


def count(tx: Transaction, actor: Actor, chosen: PassageFilter) -> int:
    """How many passages the filter lets through."""
    return _ROWS.count(tx, _where(tx, actor, chosen))


def _where(tx: Transaction, actor: Actor, chosen: PassageFilter) -> Where:
    where = _ROWS.where(actor).having("p.text", "search", chosen.search)
    archive_ids = [] if chosen.archive_id is None else [chosen.archive_id]
    if chosen.agent_id is not None:
        rows = tx.all(ARCHIVES_OF, within(actor, agent_id=chosen.agent_id))
        held = [text(row, "archive_id") for row in rows]
        archive_ids = [archive_id for archive_id in held if chosen.archive_id in {None, archive_id}]
    if archive_ids or chosen.agent_id is not None:
        # With one archive, which is the rule, SQLite takes this as an equality: the page comes straight from the index.
        where.among("p.archive_id", "archive", archive_ids)
    return where


def tags_of_agent(tx: Transaction, actor: Actor, agent_id: str, *, limit: int = 200) -> list[str]:
    """The tags in use in the archives of an agent, in alphabetical order."""
    return [text(row, "tag") for row in tx.all(TAGS_OF_AGENT, within(actor, agent_id=agent_id, limit=limit))]


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
