"""Folders of files, and which agents hold them. What an agent is given or loses is journaled and bumps its version."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.store import journal, scopes
from loci.store.attachments import BUMP_AGENT
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import page_clause
from loci.store.rows import dump, integer, load_object, maybe_text, maybe_time_text, moment, text, time_text
from loci.store.scopes import ScopeKey, ScopeKind
from loci.types.actor import Actor
from loci.types.files import Folder
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page

COLUMNS = """fo.id, fo.name, fo.description, fo.instructions, fo.embedding, fo.metadata, fo.created_at, fo.updated_at,
    fo.created_by, fo.updated_by"""

BY_ID = f"select {COLUMNS} from folders fo where fo.id = :id and fo.organization_id = :organization_id"
BY_NAME = f"select {COLUMNS} from folders fo where fo.name = :name and fo.organization_id = :organization_id"
INSERT = """
insert into folders (id, organization_id, project_id, name, description, instructions, embedding, metadata, created_at,
    updated_at, created_by, updated_by)
values (:id, :organization_id, :project_id, :name, :description, :instructions, :embedding, :metadata, :created_at,
    :updated_at, :created_by, :updated_by)"""
UPDATE = """
update folders set name = :name, description = :description, instructions = :instructions, embedding = :embedding,
    metadata = :metadata, updated_at = :updated_at, updated_by = :updated_by
where id = :id and organization_id = :organization_id"""
DELETE = "delete from folders where id = :id and organization_id = :organization_id"
COUNT = "select count(*) as n from folders where organization_id = :organization_id"
FORGET_PIECES = "delete from file_pieces where file_id in (select id from files where folder_id = :id)"

OF_AGENTS = f"""
select af.agent_id as holder_id, {COLUMNS} from agent_folders af join folders fo on fo.id = af.folder_id
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
select fo.id as folder_id, fo.name as folder_name, fi.id, fi.name, fi.size_bytes
from folders fo left join files fi on fi.folder_id = fo.id
where fo.organization_id = :organization_id order by fo.created_at, fo.id, fi.created_at, fi.id limit :limit"""


def from_row(row: Row) -> Folder:
    """A stored folder."""
    return Folder(
        id=text(row, "id"),
        name=text(row, "name"),
        description=maybe_text(row, "description"),
        instructions=maybe_text(row, "instructions"),
        embedding=maybe_text(row, "embedding"),
        metadata=load_object(row["metadata"]),
        created_at=moment(row, "created_at"),
        updated_at=moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
        updated_by=maybe_text(row, "updated_by"),
    )


def get(tx: Transaction, actor: Actor, folder_id: str) -> Folder:
    """One folder. Raises NotFound."""
    row = tx.one(BY_ID, {"id": folder_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Folder {folder_id} not found.")
    return from_row(row)


def named(tx: Transaction, actor: Actor, name: str) -> Folder:
    """The folder of that name. Raises NotFound."""
    row = tx.one(BY_NAME, {"name": name, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"There is no folder '{name}'.")
    return from_row(row)


def listing(tx: Transaction, actor: Actor, page: Page, *, name: str | None = None) -> list[Folder]:
    """One page of folders. Raises NotFound for a cursor that is not a folder."""
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    where = "fo.organization_id = :organization_id"
    if name is not None:
        where += " and fo.name = :name"
        params["name"] = name
    clause = page_clause(tx, actor, page, "folders", alias="fo")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from folders fo where {where}", params)]


def count(tx: Transaction, actor: Actor) -> int:
    """How many folders there are."""
    row = tx.one(COUNT, {"organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "n")


def sizes(tx: Transaction, actor: Actor, limit: int) -> list[Row]:
    """Every folder with every file's id, name and size; a folder without files has one row with nulls for them."""
    return tx.all(SIZES, {"organization_id": actor.organization_id, "limit": limit})


def insert(tx: Transaction, actor: Actor, folder: Folder, now: datetime) -> Folder:
    """Store a new folder. Raises Conflict when the name is taken."""
    _check_name(tx, actor, folder)
    stored = replace(folder, created_at=now, updated_at=now, created_by=actor.user_id, updated_by=actor.user_id)
    tx.run(INSERT, _params(actor, stored))
    return stored


def update(tx: Transaction, actor: Actor, folder: Folder, now: datetime) -> Folder:
    """Store a changed folder; agents that hold it see it from their next step. Raises Conflict for a taken name."""
    _check_name(tx, actor, folder)
    stored = replace(folder, updated_at=now, updated_by=actor.user_id)
    tx.run(UPDATE, _params(actor, stored))
    tx.run(BUMP_HOLDERS, {"id": folder.id, "organization_id": actor.organization_id})
    return stored


def delete(tx: Transaction, actor: Actor, folder_id: str) -> None:
    """Delete a folder with all its files. The caller has taken it off every agent. Raises NotFound."""
    get(tx, actor, folder_id)
    params: Params = {"id": folder_id, "organization_id": actor.organization_id}
    tx.run(FORGET_PIECES, params)
    scopes.drop(tx, actor, ScopeKey(ScopeKind.FOLDER, folder_id))
    tx.run(DELETE, params)


def of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Folder]:
    """The folders of an agent, in the order of attachment."""
    return of_agents(tx, actor, [agent_id])[agent_id]


def of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[Folder]]:
    """The folders of several agents at once, by agent."""
    params: Params = {"ids": dump(list(agent_ids)), "organization_id": actor.organization_id}
    found: dict[str, list[Folder]] = {agent_id: [] for agent_id in agent_ids}
    for row in tx.all(OF_AGENTS, params):
        found[text(row, "holder_id")].append(from_row(row))
    return found


def holders(tx: Transaction, actor: Actor, folder_id: str) -> list[str]:
    """The ids of the agents that hold a folder, oldest agent first."""
    rows = tx.all(AGENTS_OF, {"id": folder_id, "organization_id": actor.organization_id})
    return [text(row, "agent_id") for row in rows]


def attach(tx: Transaction, actor: Actor, author: Author, agent_id: str, folder: Folder, *, now: datetime) -> bool:
    """Give a folder to an agent; False when it has it. The caller knows that the agent is there."""
    params = {**_pair(actor, agent_id, folder.id), "project_id": actor.project_id, "now": time_text(now)}
    if tx.run(ATTACH, params) == 0:
        return False
    _note(tx, actor, author, agent_id, folder, now=now, attached=True)
    return True


def detach(tx: Transaction, actor: Actor, author: Author, agent_id: str, folder: Folder, *, now: datetime) -> None:
    """Take a folder off an agent, with what it has open of it. Raises NotFound if the agent does not hold it."""
    params = _pair(actor, agent_id, folder.id)
    if tx.run(DETACH, params) == 0:
        raise NotFound(f"Agent {agent_id} does not hold folder {folder.id}.")
    tx.run(FORGET_VIEWS, params)
    _note(tx, actor, author, agent_id, folder, now=now, attached=False)


def _check_name(tx: Transaction, actor: Actor, folder: Folder) -> None:
    row = tx.one(BY_NAME, {"name": folder.name, "organization_id": actor.organization_id})
    if row is not None and row["id"] != folder.id:
        raise Conflict(f"There is a folder '{folder.name}' already.", hint="Choose another name.")


def _pair(actor: Actor, agent_id: str, folder_id: str) -> dict[str, SqlValue]:
    return {"agent_id": agent_id, "id": folder_id, "organization_id": actor.organization_id}


def _params(actor: Actor, folder: Folder) -> Params:
    return {
        "id": folder.id,
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "name": folder.name,
        "description": folder.description,
        "instructions": folder.instructions,
        "embedding": folder.embedding,
        "metadata": dump(folder.metadata),
        "created_at": maybe_time_text(folder.created_at),
        "updated_at": maybe_time_text(folder.updated_at),
        "created_by": folder.created_by,
        "updated_by": folder.updated_by,
    }


def _note(  # noqa: PLR0913  one fact
    tx: Transaction, actor: Actor, author: Author, agent_id: str, folder: Folder, *, now: datetime, attached: bool
) -> None:
    tx.run(BUMP_AGENT, {"agent_id": agent_id, "organization_id": actor.organization_id})
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
