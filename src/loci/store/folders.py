"""Folders of files, and which agents hold them. What an agent is given or loses is journaled and bumps its version."""

from collections.abc import Sequence
from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.store import journal, scopes
from loci.store.attachments import BUMP_AGENT
from loci.store.base import Row, Transaction
from loci.store.rows import Record, text, time_text, within
from loci.store.scopes import ScopeKey, ScopeKind
from loci.types.actor import Actor
from loci.types.files import Folder
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page

_ROWS = Record(Folder, "folders", "fo", missing="Folder {} not found.")
BY_NAME = _ROWS.select + " and fo.name = :name"
FORGET_PIECES = "delete from file_pieces where file_id in (select id from files where folder_id = :id)"

OF_AGENTS = f"""
select af.agent_id as holder_id, {_ROWS.columns} from agent_folders af join folders fo on fo.id = af.folder_id
where af.agent_id in (select value from json_each(:ids)) and af.organization_id = :organization_id
order by af.created_at, fo.id"""
AGENTS_OF = """
select af.agent_id from agent_folders af join agents a on a.id = af.agent_id
where af.folder_id = :id and af.organization_id = :organization_id and a.deleted_at is null
order by a.created_at, a.id"""
ATTACH = """
insert into agent_folders (agent_id, folder_id, organization_id, project_id, created_at)
select a.id, :id, :organization_id, :project_id, :now
from agents a where a.id = :agent_id and a.organization_id = :organization_id and a.deleted_at is null
on conflict (agent_id, folder_id) do nothing"""
DETACH = """
delete from agent_folders where agent_id = :agent_id and folder_id = :id and organization_id = :organization_id"""
FORGET_VIEWS = """
delete from agent_files where agent_id = :agent_id and organization_id = :organization_id
    and file_id in (select id from files where folder_id = :id)"""
BUMP_HOLDERS = """
update agents set memory_version = memory_version + 1 where organization_id = :organization_id
    and id in (select agent_id from agent_folders where folder_id = :id)"""
SIZES = """
select fo.id, fo.name, count(fi.id) as files, coalesce(sum(fi.size_bytes), 0) as size_bytes
from folders fo left join files fi on fi.folder_id = fo.id
where fo.organization_id = :organization_id group by fo.id, fo.name, fo.created_at"""
TOTAL_SIZE = f"""
select count(*) as folders, coalesce(sum(files), 0) as files, coalesce(sum(size_bytes), 0) as size_bytes
from ({SIZES}) as sizes"""
FILE_SIZES = """
select fi.folder_id, fi.id, fo.name || '/' || fi.name as path, fi.size_bytes
from folders fo join files fi on fi.folder_id = fo.id where fo.organization_id = :organization_id
order by fo.created_at, fo.id, fi.created_at, fi.id limit :limit"""


get = _ROWS.get


def named(tx: Transaction, actor: Actor, name: str) -> Folder:
    """The folder of that name. Raises NotFound."""
    found = _ROWS.one(tx, BY_NAME, within(actor, name=name))
    if found is None:
        raise NotFound(f"There is no folder '{name}'.")
    return found


def listing(tx: Transaction, actor: Actor, page: Page, *, name: str | None = None) -> list[Folder]:
    """One page of folders. Raises NotFound for a cursor that is not a folder."""
    return _ROWS.page(tx, actor, _ROWS.where(actor).equal("fo.", name=name), page)


def count(tx: Transaction, actor: Actor) -> int:
    """How many folders there are."""
    return _ROWS.count(tx, _ROWS.where(actor))


def sizes(tx: Transaction, actor: Actor, limit: int) -> tuple[Row, list[Row], list[Row]]:
    """How many `folders`, `files` and `size_bytes` there are in all; those of the oldest folders; the oldest files."""
    params = within(actor, limit=limit)
    each = tx.all(f"{SIZES} order by fo.created_at, fo.id limit :limit", params)
    return tx.all(TOTAL_SIZE, params)[0], each, tx.all(FILE_SIZES, params)


def insert(tx: Transaction, actor: Actor, folder: Folder, now: datetime) -> Folder:
    """Store a new folder. Raises Conflict when the name is taken."""
    _check_name(tx, actor, folder)
    return _ROWS.insert(tx, actor, folder, now)


def update(tx: Transaction, actor: Actor, folder: Folder, now: datetime) -> Folder:
    """Store a changed folder; agents that hold it see it from their next step. Raises Conflict for a taken name."""
    _check_name(tx, actor, folder)
    stored = _ROWS.update(tx, actor, folder, now)
    tx.run(BUMP_HOLDERS, within(actor, id=folder.id))
    return stored


def delete(tx: Transaction, actor: Actor, folder_id: str) -> None:
    """Delete a folder with all its files. The caller has taken it off every agent. Raises NotFound."""
    get(tx, actor, folder_id)
    tx.run(FORGET_PIECES, within(actor, id=folder_id))
    scopes.drop(tx, actor, ScopeKey(ScopeKind.FOLDER, folder_id))
    _ROWS.delete(tx, actor, folder_id)


def of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Folder]:
    """The folders of an agent, in the order of attachment."""
    return of_agents(tx, actor, [agent_id])[agent_id]


def of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[Folder]]:
    """The folders of several agents at once, by agent."""
    return _ROWS.by_holder(tx, actor, OF_AGENTS, agent_ids)


def holders(tx: Transaction, actor: Actor, folder_id: str) -> list[str]:
    """The ids of the agents that hold a folder, oldest agent first."""
    return [text(row, "agent_id") for row in tx.all(AGENTS_OF, within(actor, id=folder_id))]


def attach(tx: Transaction, actor: Actor, author: Author, agent_id: str, folder: Folder, *, now: datetime) -> bool:
    """Give a folder to an agent; False when it has it. The caller knows that the agent is there."""
    if tx.run(ATTACH, within(actor, agent_id=agent_id, id=folder.id, now=time_text(now))) == 0:
        return False
    _note(tx, actor, author, agent_id, folder, now=now, attached=True)
    return True


def detach(tx: Transaction, actor: Actor, author: Author, agent_id: str, folder: Folder, *, now: datetime) -> None:
    """Take a folder off an agent, with what it has open of it. Raises NotFound if the agent does not hold it."""
    params = within(actor, agent_id=agent_id, id=folder.id)
    if tx.run(DETACH, params) == 0:
        raise NotFound(f"Agent {agent_id} does not hold folder {folder.id}.")
    tx.run(FORGET_VIEWS, params)
    _note(tx, actor, author, agent_id, folder, now=now, attached=False)


def _check_name(tx: Transaction, actor: Actor, folder: Folder) -> None:
    row = tx.one(BY_NAME, within(actor, name=folder.name))
    if row is not None and row["id"] != folder.id:
        raise Conflict(f"There is a folder '{folder.name}' already.", hint="Choose another name.")


def _note(  # noqa: PLR0913  one fact
    tx: Transaction, actor: Actor, author: Author, agent_id: str, folder: Folder, *, now: datetime, attached: bool
) -> None:
    tx.run(BUMP_AGENT, within(actor, agent_id=agent_id))
    fact = {"folder_id": folder.id, "name": folder.name}
    entry = JournalEntry(
        subject=Subject.ATTACHMENT,
        subject_id=folder.id,
        agent_id=agent_id,
        action="attach_folder" if attached else "detach_folder",
        before=None if attached else fact,
        after=fact if attached else None,
        author=author,
    )
    journal.record(tx, actor, [entry], now)
