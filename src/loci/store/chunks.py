"""The chunks of files: what search over folders finds. Derived from the text, so the journal has none of it."""

from collections.abc import Sequence
from datetime import datetime

from loci.ids import new_id
from loci.store import scopes
from loci.store.base import Transaction
from loci.store.rows import Record, dump, integer, text, within
from loci.store.scopes import Entry, ScopeKey, ScopeKind
from loci.store.terms import words_of
from loci.types.actor import Actor
from loci.types.files import Chunk, File
from loci.types.paging import Page

_PATH = """(select fo.name || '/' || fi.name from files fi join folders fo on fo.id = fi.folder_id
    where fi.id = c.file_id)"""
_ROWS = Record(Chunk, "chunks", "c", missing="Chunk {} not found.", found={"seq": "c.seq", "path": _PATH})
BY_SEQS = _ROWS.select + " and c.seq in (select value from json_each(:seqs))"
SEQS_OF = "select seq, id from chunks where id in (select value from json_each(:ids)) order by seq"
SEQS_OF_FILE = "select seq from chunks where file_id = :file_id and organization_id = :organization_id order by seq"
DELETE_OF_FILE = "delete from chunks where file_id = :file_id and organization_id = :organization_id"


def insert(tx: Transaction, actor: Actor, file: File, pieces: Sequence[tuple[int, str]], now: datetime) -> None:
    """Store chunks of a file as (first line, text), to be found by their words at once."""
    if not pieces:
        return
    new = [
        Chunk(id=new_id("passage"), folder_id=file.folder_id, file_id=file.id, text=piece, line=line)
        for line, piece in pieces
    ]
    _ROWS.insert_all(tx, actor, new, now)
    stored = tx.all(SEQS_OF, {"ids": dump([chunk.id for chunk in new])})
    seqs = {text(row, "id"): integer(row, "seq") for row in stored}
    scope = scopes.find_or_create(tx, actor, ScopeKey(ScopeKind.FOLDER, file.folder_id))
    # The name belongs to the words: a question often says where the answer stands.
    named = words_of(file.name)
    entries = [
        Entry(seq=seqs[chunk.id], words=words_of(chunk.text) + named, at=file.created_at or now) for chunk in new
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
    return {chunk.seq: chunk for chunk in _ROWS.all(tx, BY_SEQS, within(actor, seqs=dump(list(seqs))))}


def listing(tx: Transaction, actor: Actor, folder_id: str, page: Page) -> list[Chunk]:
    """One page of the chunks in a folder. Raises NotFound for a cursor that is not a chunk."""
    return _ROWS.page(tx, actor, _ROWS.where(actor).equal("c.", folder_id=folder_id), page)
