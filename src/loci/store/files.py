"""Files of folders: their facts, their text, and the bytes that were sent, kept until the text is there.

Bytes come in pieces, each in a transaction of its own, before the file itself is stored; so a large file is never held
in memory as a whole, and one that was cut off leaves pieces without a file, which the next start sweeps away.
"""

from collections.abc import Sequence
from datetime import datetime

from loci.errors import NotFound
from loci.store import chunks
from loci.store.base import SqlValue, Transaction
from loci.store.folders import BUMP_HOLDERS
from loci.store.rows import Record, text, time_text, within
from loci.types.actor import Actor
from loci.types.files import File, FileStatus
from loci.types.paging import PAGE_MAX_ROWS, Page

# What is embedded follows from how far the vectors of the folder go, so no counter is kept.
EMBEDDED = """case when fi.status = 'completed' then fi.chunks_total when fi.status = 'embedding' then (
    select count(*) from chunks c where c.file_id = fi.id and c.seq <= coalesce((
        select s.vectors_through_seq from search_scopes s where s.subject = 'folder' and s.subject_id = fi.folder_id
    ), 0)) when fi.chunks_total is null then null else 0 end"""
_ROWS = Record(
    File,
    "files",
    "fi",
    missing="File {} not found.",
    found={"chunks_embedded": EMBEDDED, "folder_name": "(select fo.name from folders fo where fo.id = fi.folder_id)"},
)
COLUMNS = _ROWS.columns
TABLES = "files fi join folders fo on fo.id = fi.folder_id"

BY_NAME = _ROWS.select + " and fi.folder_id = :folder_id and fi.name = :name"
READABLE = "fi.status in ('embedding', 'completed')"
READABLES = f"""
{_ROWS.select} and fi.folder_id = :folder_id and fi.name > :after and {READABLE}
order by fi.name limit {PAGE_MAX_ROWS}"""
NAMES = "select name from files where folder_id = :folder_id and organization_id = :organization_id"
SET_STATUS = """
update files set status = :status, error = :error, updated_at = :now
where id = :id and organization_id = :organization_id"""
SET_TEXT = """
insert into file_texts (file_id, organization_id, project_id, text)
values (:id, :organization_id, :project_id, :text)
on conflict (file_id) do update set text = excluded.text"""
SET_LENGTH = """
update files set lines = :lines, chars = :chars, chunks_total = :chunks_total, updated_at = :now
where id = :id and organization_id = :organization_id"""
TEXT = "select text from file_texts where file_id = :id and organization_id = :organization_id"
FORGET_TEXT = "delete from file_texts where file_id = :id and organization_id = :organization_id"
DELETE = "delete from files where id = :id and organization_id = :organization_id"

PIECE = """
insert into file_pieces (file_id, number, organization_id, project_id, bytes)
values (:id, :number, :organization_id, :project_id, :bytes)"""
PIECE_OF = """
select bytes from file_pieces where file_id = :id and number = :number and organization_id = :organization_id"""
FORGET_PIECES = "delete from file_pieces where file_id = :id and organization_id = :organization_id"
SWEEP = "delete from file_pieces where file_id not in (select id from files)"


from_row = _ROWS.value


def get(tx: Transaction, actor: Actor, file_id: str, *, folder_id: str | None = None) -> File:
    """One file, of this folder if one is named. Raises NotFound."""
    found = _ROWS.get(tx, actor, file_id)
    if folder_id not in (None, found.folder_id):
        raise NotFound(f"File {file_id} not found.")
    return found


def named(tx: Transaction, actor: Actor, folder_id: str, name: str) -> File | None:
    """The file of that name in a folder."""
    return _ROWS.one(tx, BY_NAME, within(actor, folder_id=folder_id, name=name))


def names(tx: Transaction, actor: Actor, folder_id: str) -> set[str]:
    """The names of all files in a folder."""
    return {text(row, "name") for row in tx.all(NAMES, within(actor, folder_id=folder_id))}


def listing(tx: Transaction, actor: Actor, folder_ids: Sequence[str], page: Page) -> list[File]:
    """One page of the files in folders. Raises NotFound for a cursor that is not a file."""
    return _ROWS.page(tx, actor, _ROWS.where(actor).among("fi.folder_id", "folder", folder_ids), page)


def readable(tx: Transaction, actor: Actor, folder_id: str, after: str) -> list[File]:
    """The next files of a folder that have a text, by name; after '' the first."""
    return _ROWS.all(tx, READABLES, within(actor, folder_id=folder_id, after=after))


def insert(tx: Transaction, actor: Actor, new: File, now: datetime) -> File:
    """Store a new file, whose bytes or text are stored under its id. The caller has seen to its name."""
    _ROWS.insert(tx, actor, new, now)
    return get(tx, actor, new.id)


def set_status(
    tx: Transaction, actor: Actor, file_id: str, status: FileStatus, now: datetime, *, error: str | None = None
) -> None:
    """Note how far a file has come. Once it has its text, or cannot have one, the bytes that were sent are dropped."""
    tx.run(SET_STATUS, {**_key(actor, file_id), "status": status, "error": error, "now": time_text(now)})
    if status in ("embedding", "completed", "error"):
        tx.run(FORGET_PIECES, _key(actor, file_id))


def set_text(tx: Transaction, actor: Actor, file: File, words: str, chunks_total: int | None, now: datetime) -> None:
    """Store a file's text; without a number it is yet to be cut. Its status says when agents may see it."""
    tx.run(SET_TEXT, {**_key(actor, file.id), "project_id": actor.project_id, "text": words})
    lengths = {"lines": words.count("\n") + 1, "chars": len(words), "chunks_total": chunks_total}
    tx.run(SET_LENGTH, {**_key(actor, file.id), **lengths, "now": time_text(now)})


def forget_text(tx: Transaction, actor: Actor, file: File, now: datetime) -> None:
    """Drop what was made of a file so far."""
    chunks.forget(tx, actor, file)
    tx.run(FORGET_TEXT, _key(actor, file.id))
    tx.run(SET_LENGTH, {**_key(actor, file.id), "lines": 0, "chars": 0, "chunks_total": None, "now": time_text(now)})


def text_of(tx: Transaction, actor: Actor, file_id: str) -> str | None:
    """The text of a file; None as long as there is none."""
    row = tx.one(TEXT, _key(actor, file_id))
    return None if row is None else text(row, "text")


def delete(tx: Transaction, actor: Actor, file: File) -> None:
    """Delete a file with its text and chunks; agents that hold its folder no longer see it."""
    chunks.forget(tx, actor, file)
    tx.run(FORGET_PIECES, _key(actor, file.id))
    tx.run(DELETE, _key(actor, file.id))
    tx.run(BUMP_HOLDERS, {"id": file.folder_id, "organization_id": actor.organization_id})


def insert_piece(tx: Transaction, actor: Actor, file_id: str, number: int, piece: bytes) -> None:
    """Store the next bytes of a file that is being sent."""
    tx.run(PIECE, {**_key(actor, file_id), "project_id": actor.project_id, "number": number, "bytes": piece})


def piece(tx: Transaction, actor: Actor, file_id: str, number: int) -> bytes | None:
    """A piece of the bytes that were sent, counted from 0; None after the last."""
    row = tx.one(PIECE_OF, {**_key(actor, file_id), "number": number})
    found = None if row is None else row["bytes"]
    return found if isinstance(found, bytes) else None


def forget_pieces(tx: Transaction, actor: Actor, file_id: str) -> None:
    """Drop the bytes that were sent."""
    tx.run(FORGET_PIECES, _key(actor, file_id))


def sweep(tx: Transaction) -> int:
    """Drop what was sent for files that never came to be. Only while nothing is being sent."""
    return tx.run(SWEEP)


def _key(actor: Actor, file_id: str) -> dict[str, SqlValue]:
    return {"id": file_id, "organization_id": actor.organization_id}
