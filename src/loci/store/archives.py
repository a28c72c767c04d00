"""Archives, and which agents they are attached to. An agent writes into the archive that it owns."""

from datetime import datetime

from loci.errors import NotFound
from loci.ids import new_id
from loci.store import journal, scopes
from loci.store.base import Transaction
from loci.store.rows import Record, maybe_text, text, time_text, within
from loci.store.scopes import ScopeKey, ScopeKind
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import Archive, Author, JournalEntry, Subject
from loci.types.paging import Page

_ROWS = Record(Archive, "archives", "ar", missing="Archive {} not found.")
OF_AGENT = f"""
select {_ROWS.columns} from agent_archives aa join archives ar on ar.id = aa.archive_id
where aa.agent_id = :agent_id and aa.organization_id = :organization_id
order by aa.is_owner desc, aa.created_at, ar.seq"""
AGENTS_OF = """
select aa.agent_id from agent_archives aa join agents a on a.id = aa.agent_id
where aa.archive_id = :id and aa.organization_id = :organization_id and a.deleted_at is null
order by a.created_at, a.id"""
ATTACH = """
insert into agent_archives (agent_id, archive_id, organization_id, project_id, is_owner, created_at)
select a.id, :id, :organization_id, :project_id, :is_owner, :now
from agents a where a.id = :agent_id and a.organization_id = :organization_id and a.deleted_at is null
on conflict (agent_id, archive_id) do nothing"""
DETACH = """
delete from agent_archives
where agent_id = :agent_id and archive_id = :id and organization_id = :organization_id"""
OWNER_OF_NEW = """
select name, embedding from agents
where id = :agent_id and organization_id = :organization_id and deleted_at is null"""
FORGET_TAGS = "delete from passage_tags where archive_id = :id and organization_id = :organization_id"


get = _ROWS.get


def listing(
    tx: Transaction, actor: Actor, page: Page, *, name: str | None = None, agent_id: str | None = None
) -> list[Archive]:
    """One page of archives. Raises NotFound for a cursor that is not an archive."""
    held = "ar.id in (select archive_id from agent_archives where agent_id = :agent_id)"
    return _ROWS.page(tx, actor, _ROWS.where(actor).equal("ar.", name=name).also(held, agent_id=agent_id), page)


def archives_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Archive]:
    """The archives that an agent searches, its own first."""
    return _ROWS.all(tx, OF_AGENT, within(actor, agent_id=agent_id))


def agents_of_archive(tx: Transaction, actor: Actor, archive_id: str) -> list[str]:
    """The ids of the agents that an archive is attached to, oldest agent first."""
    rows = tx.all(AGENTS_OF, {"id": archive_id, "organization_id": actor.organization_id})
    return [text(row, "agent_id") for row in rows]


def insert(tx: Transaction, actor: Actor, author: Author, archive: Archive, now: datetime) -> Archive:
    """Store a new archive."""
    stored = _ROWS.insert(tx, actor, archive, now)
    _note(tx, actor, author, "create", stored.id, now, after=_state(stored))
    return stored


def update(tx: Transaction, actor: Actor, author: Author, archive: Archive, now: datetime) -> Archive:
    """Store a changed archive. Another embedding model takes effect as its vectors are filled in. Raises NotFound."""
    before = get(tx, actor, archive.id)
    stored = _ROWS.update(tx, actor, archive, now)
    _note(tx, actor, author, "update", stored.id, now, before=_state(before), after=_state(stored))
    return stored


def delete(tx: Transaction, actor: Actor, author: Author, archive_id: str, now: datetime) -> None:
    """Delete an archive with all its passages. Raises NotFound."""
    before = get(tx, actor, archive_id)
    tx.run(FORGET_TAGS, within(actor, id=archive_id))
    scopes.drop(tx, actor, ScopeKey(ScopeKind.ARCHIVE, archive_id))
    _ROWS.delete(tx, actor, archive_id)
    _note(tx, actor, author, "delete", archive_id, now, before=_state(before))


def attach(tx: Transaction, actor: Actor, author: Author, agent_id: str, archive_id: str, now: datetime) -> None:
    """Let an agent search an archive. It writes there if it had none before. Raises NotFound."""
    archive = get(tx, actor, archive_id)
    held = archives_of_agent(tx, actor, agent_id)
    if any(other.id == archive_id for other in held):
        return
    params = within(actor, agent_id=agent_id, id=archive_id, is_owner=int(not held), now=time_text(now))
    if tx.run(ATTACH, params) == 0:
        raise NotFound(f"Agent {agent_id} not found.")
    state: JsonObject = {"agent_id": agent_id, "name": archive.name}
    _note(tx, actor, author, "attach", archive_id, now, after=state, agent_id=agent_id)


def detach(tx: Transaction, actor: Actor, author: Author, agent_id: str, archive_id: str, now: datetime) -> None:
    """Take an archive off an agent; it stays as it is. Raises NotFound if it was not attached."""
    if tx.run(DETACH, within(actor, agent_id=agent_id, id=archive_id)) == 0:
        raise NotFound(f"Archive {archive_id} is not attached to agent {agent_id}.")
    _note(tx, actor, author, "detach", archive_id, now, before={"agent_id": agent_id}, agent_id=agent_id)


def archive_to_write(tx: Transaction, actor: Actor, author: Author, agent_id: str, now: datetime) -> Archive:
    """The archive that an agent's new passages go to; it is made on first use. Raises NotFound for no such agent."""
    held = archives_of_agent(tx, actor, agent_id)
    if held:
        return held[0]
    agent = tx.one(OWNER_OF_NEW, within(actor, agent_id=agent_id))
    if agent is None:
        raise NotFound(f"Agent {agent_id} not found.")
    archive = Archive(
        id=new_id("archive"), name=f"{text(agent, 'name')}'s Archive", embedding=maybe_text(agent, "embedding")
    )
    stored = insert(tx, actor, author, archive, now)
    attach(tx, actor, author, agent_id, stored.id, now)
    return stored


def _state(archive: Archive) -> JsonObject:
    return {
        "name": archive.name,
        "description": archive.description,
        "embedding": archive.embedding,
        "metadata": archive.metadata,
    }


def _note(  # noqa: PLR0913  one entry
    tx: Transaction,
    actor: Actor,
    author: Author,
    action: str,
    archive_id: str,
    now: datetime,
    *,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
    agent_id: str | None = None,
) -> None:
    entry = JournalEntry(
        subject=Subject.ARCHIVE,
        subject_id=archive_id,
        action=action,
        before=before,
        after=after,
        author=author,
        agent_id=agent_id,
    )
    journal.record(tx, actor, [entry], now)
