"""The chunks of files: what search over folders finds. Derived from the text, so the journal has none of it."""

from collections.abc import Sequence
from datetime import datetime

from loci.ids import new_id
from loci.store import scopes
from loci.store.base import Params, Row, Transaction
from loci.store.page import page_clause
from loci.store.rows import dump, integer, moment, text, time_text
from loci.store.scopes import Entry, ScopeKey, ScopeKind
from loci.store.terms import words_of
from loci.types.actor import Actor
from loci.types.files import Chunk, File
from loci.types.paging import Page

COLUMNS = "c.seq, c.id, c.folder_id, c.file_id, c.text, c.line, c.created_at, fo.name || '/' || fi.name as path"
TABLES = "chunks c join files fi on fi.id = c.file_id join folders fo on fo.id = c.folder_id"
BY_SEQS = f"""
select {COLUMNS} from {TABLES}
where c.seq in (select value from json_each(:seqs)) and c.organization_id = :organization_id"""
SEQS_OF = "select seq, id from chunks where id in (select value from json_each(:ids)) order by seq"
SEQS_OF_FILE = "select seq from chunks where file_id = :file_id and organization_id = :organization_id order by seq"
INSERT = """
insert into chunks (id, organization_id, project_id, folder_id, file_id, text, line, created_at)
values (:id, :organization_id, :project_id, :folder_id, :file_id, :text, :line, :created_at)"""
DELETE_OF_FILE = "delete from chunks where file_id = :file_id and organization_id = :organization_id"


def from_row(row: Row) -> Chunk:
    """A stored chunk."""
    return Chunk(
        seq=integer(row, "seq"),
        id=text(row, "id"),
        folder_id=text(row, "folder_id"),
        file_id=text(row, "file_id"),
        text=text(row, "text"),
        line=integer(row, "line"),
        path=text(row, "path"),
        created_at=moment(row, "created_at"),
    )


def insert(tx: Transaction, actor: Actor, file: File, pieces: Sequence[tuple[int, str]], now: datetime) -> None:
    """Store chunks of a file as (first line, text), to be found by their words at once."""
    if not pieces:
        return
    rows: list[Params] = [
        {
            "id": new_id("passage"),
            "organization_id": actor.organization_id,
            "project_id": actor.project_id,
            "folder_id": file.folder_id,
            "file_id": file.id,
            "text": piece,
            "line": line,
            "created_at": time_text(now),
        }
        for line, piece in pieces
    ]
    tx.many(INSERT, rows)
    stored = tx.all(SEQS_OF, {"ids": dump([row["id"] for row in rows])})
    seqs = {text(row, "id"): integer(row, "seq") for row in stored}
    scope = scopes.find_or_create(tx, actor, ScopeKey(ScopeKind.FOLDER, file.folder_id))
    # The name belongs to the words: a question often says where the answer stands.
    named = words_of(file.name)
    entries = [
        Entry(seq=seqs[str(row["id"])], words=words_of(str(row["text"])) + named, at=file.created_at or now)
        for row in rows
    ]
    scopes.add(tx, scope, entries)


def forget(tx: Transaction, actor: Actor, file: File) -> None:
    """Drop the chunks of a file."""
    params = {"file_id": file.id, "organization_id": actor.organization_id}
    seqs = [integer(row, "seq") for row in tx.all(SEQS_OF_FILE, params)]
    scope = scopes.find(tx, actor, ScopeKey(ScopeKind.FOLDER, file.folder_id))
    if scope is not None:
        scopes.remove(tx, scope, seqs)
    tx.run(DELETE_OF_FILE, params)


def by_seqs(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, Chunk]:
    """Chunks by their seq; those that do not exist are left out."""
    rows = tx.all(BY_SEQS, {"seqs": dump(list(seqs)), "organization_id": actor.organization_id})
    return {integer(row, "seq"): from_row(row) for row in rows}


def listing(tx: Transaction, actor: Actor, folder_id: str, page: Page) -> list[Chunk]:
    """One page of the chunks in a folder. Raises NotFound for a cursor that is not a chunk."""
    params: Params = {"folder_id": folder_id, "organization_id": actor.organization_id}
    where = "c.folder_id = :folder_id and c.organization_id = :organization_id"
    clause = page_clause(tx, actor, page, "chunks", alias="c")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from {TABLES} where {where}", params)]
