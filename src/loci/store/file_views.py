"""Which files an agent has open. Those used longest ago make room; every change bumps the agent's version."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from loci.store.attachments import BUMP_AGENT
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.files import COLUMNS, READABLE, TABLES
from loci.store.files import from_row as file_from_row
from loci.store.page import page_clause
from loci.store.rows import dump, flag, integer, maybe_integer, maybe_moment, maybe_text, time_text
from loci.types.actor import Actor
from loci.types.files import File, FileView
from loci.types.paging import Page

SELECT = f"""
select {COLUMNS}, coalesce(v.is_open, 0) as is_open, v.shown, v.line_first, v.line_last, v.accessed_at
from {TABLES} join agent_folders af on af.folder_id = fi.folder_id and af.agent_id = :agent_id
    left join agent_files v on v.file_id = fi.id and v.agent_id = af.agent_id
where af.organization_id = :organization_id"""
OPENED = f"{SELECT} and v.is_open = 1 order by v.accessed_at, fi.id"
ONE = f"{SELECT} and fi.id = :file_id"
CLOSED = (
    f"{SELECT} and {READABLE} and fi.folder_id = :folder_id and coalesce(v.is_open, 0) = 0 order by fi.name limit :n"
)
COUNT = f"select count(*) as n from files fi where fi.folder_id = :folder_id and {READABLE}"
NAMED = f"{SELECT} and {READABLE} and fi.name = :name and :folder in ('', fo.name) limit 2"
LATEST = """
select max(accessed_at) as accessed_at from agent_files
where agent_id = :agent_id and organization_id = :organization_id"""
OPEN = """
insert into agent_files (agent_id, file_id, organization_id, project_id, is_open, shown, line_first, line_last,
    accessed_at)
values (:agent_id, :file_id, :organization_id, :project_id, 1, :shown, :line_first, :line_last, :accessed_at)
on conflict (agent_id, file_id) do update set is_open = 1, shown = excluded.shown, line_first = excluded.line_first,
    line_last = excluded.line_last, accessed_at = excluded.accessed_at"""
CLOSE = """
update agent_files set is_open = 0, shown = null, line_first = null, line_last = null
where agent_id = :agent_id and organization_id = :organization_id and is_open = 1
    and file_id in (select value from json_each(:ids))"""


def from_row(row: Row) -> FileView:
    """A file with what an agent sees of it."""
    return FileView(
        file=file_from_row(row),
        is_open=flag(row, "is_open"),
        shown=maybe_text(row, "shown"),
        line_first=maybe_integer(row, "line_first"),
        line_last=maybe_integer(row, "line_last"),
        accessed_at=maybe_moment(row, "accessed_at"),
    )


def listing(tx: Transaction, actor: Actor, agent_id: str, page: Page, *, is_open: bool | None = None) -> list[FileView]:
    """One page of the files in an agent's folders. Raises NotFound for a cursor that is not a file."""
    params = {**_key(actor, agent_id), "is_open": int(is_open or False)}
    select = SELECT if is_open is None else f"{SELECT} and coalesce(v.is_open, 0) = :is_open"
    clause = page_clause(tx, actor, page, "files", alias="fi")
    return [from_row(row) for row in clause.read(tx, select, params)]


def find(tx: Transaction, actor: Actor, agent_id: str, file_id: str) -> FileView | None:
    """A file of an agent's folders."""
    row = tx.one(ONE, {**_key(actor, agent_id), "file_id": file_id})
    return None if row is None else from_row(row)


def named(tx: Transaction, actor: Actor, agent_id: str, path: str) -> list[File]:
    """The file with a text that an agent calls so; where its folder is not named, there may be two."""
    folder, _, name = path.rpartition("/")
    return [file_from_row(row) for row in tx.all(NAMED, {**_key(actor, agent_id), "folder": folder, "name": name})]


def opened(tx: Transaction, actor: Actor, agent_id: str) -> list[FileView]:
    """The open files, the one used longest ago first."""
    return [from_row(row) for row in tx.all(OPENED, _key(actor, agent_id))]


def closed(tx: Transaction, actor: Actor, agent_id: str, folder_id: str, limit: int) -> list[FileView]:
    """Files of one folder that the agent could open, by name."""
    params = {**_key(actor, agent_id), "folder_id": folder_id, "n": limit}
    return [from_row(row) for row in tx.all(CLOSED, params)] if limit > 0 else []


def count_readable(tx: Transaction, folder_id: str) -> int:
    """How many files of a folder have a text."""
    row = tx.one(COUNT, {"folder_id": folder_id})
    return 0 if row is None else integer(row, "n")


def put(tx: Transaction, actor: Actor, agent_id: str, view: FileView, now: datetime) -> None:
    """Have an agent see a file, as the one used last."""
    row = tx.one(LATEST, _key(actor, agent_id))
    last = None if row is None else maybe_moment(row, "accessed_at")
    # Two files of one moment would have no order.
    at = now if last is None or last < now else last + timedelta(microseconds=1)
    params: Params = {
        **_key(actor, agent_id),
        "project_id": actor.project_id,
        "file_id": view.file.id,
        "shown": view.shown,
        "line_first": view.line_first,
        "line_last": view.line_last,
        "accessed_at": time_text(at),
    }
    tx.run(OPEN, params)
    tx.run(BUMP_AGENT, _key(actor, agent_id))


def close(tx: Transaction, actor: Actor, agent_id: str, file_ids: Sequence[str]) -> int:
    """Close these files; how many were open."""
    count = tx.run(CLOSE, {**_key(actor, agent_id), "ids": dump(list(file_ids))})
    if count:
        tx.run(BUMP_AGENT, _key(actor, agent_id))
    return count


def _key(actor: Actor, agent_id: str) -> dict[str, SqlValue]:
    return {"agent_id": agent_id, "organization_id": actor.organization_id}
