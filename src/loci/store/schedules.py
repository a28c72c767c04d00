"""Scheduled messages as rows. When one is due stands in the job that says it; `due_at` tells what it was due for."""

from datetime import datetime

from loci.errors import NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import page_clause
from loci.store.rows import dump, integer, load_object, maybe_moment, moment, text, time_text
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.schedules import ScheduledMessage

COLUMNS = "id, agent_id, asked, schedule, due_at, created_at"
_ALL = f"select {COLUMNS} from scheduled_messages where organization_id = :organization_id"
BY_ID = _ALL + " and id = :id"
OF_AGENT = _ALL + " and agent_id = :agent_id"
COUNT = "select count(*) as n from scheduled_messages where organization_id = :organization_id and agent_id = :agent_id"
INSERT = f"""
insert into scheduled_messages (organization_id, project_id, {COLUMNS})
values (:organization_id, :project_id, :id, :agent_id, :asked, :schedule, :due_at, :created_at)"""
MOVE = "update scheduled_messages set due_at = :due_at where id = :id and organization_id = :organization_id"
DELETE = "delete from scheduled_messages where id = :id and organization_id = :organization_id"


def from_row(row: Row) -> ScheduledMessage:
    """A stored one."""
    return ScheduledMessage(
        id=text(row, "id"),
        agent_id=text(row, "agent_id"),
        asked=load_object(row["asked"]),
        schedule=load_object(row["schedule"]),
        due_at=moment(row, "due_at"),
        created_at=maybe_moment(row, "created_at"),
    )


def insert(tx: Transaction, actor: Actor, new: ScheduledMessage, now: datetime) -> None:
    """Store one."""
    params: dict[str, SqlValue] = {
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "id": new.id,
        "agent_id": new.agent_id,
        "asked": dump(new.asked),
        "schedule": dump(new.schedule),
        "due_at": time_text(new.due_at),
        "created_at": time_text(now),
    }
    tx.run(INSERT, params)


def find(tx: Transaction, actor: Actor, schedule_id: str) -> ScheduledMessage | None:
    """One, if it is still there."""
    row = tx.one(BY_ID, {"id": schedule_id, "organization_id": actor.organization_id})
    return None if row is None else from_row(row)


def get(tx: Transaction, actor: Actor, agent_id: str, schedule_id: str) -> ScheduledMessage:
    """One of an agent. Raises NotFound."""
    found = find(tx, actor, schedule_id)
    if found is None or found.agent_id != agent_id:
        raise NotFound(f"There is no scheduled message {schedule_id} of this agent.")
    return found


def of_agent(tx: Transaction, actor: Actor, agent_id: str, page: Page) -> list[ScheduledMessage]:
    """One page of those of an agent. Raises NotFound for a cursor that is none."""
    params: Params = {"organization_id": actor.organization_id, "agent_id": agent_id}
    clause = page_clause(tx, actor, page, "scheduled_messages")
    return [from_row(row) for row in clause.read(tx, OF_AGENT, params)]


def count(tx: Transaction, actor: Actor, agent_id: str) -> int:
    """How many an agent has."""
    row = tx.one(COUNT, {"organization_id": actor.organization_id, "agent_id": agent_id})
    return 0 if row is None else integer(row, "n")


def move(tx: Transaction, actor: Actor, schedule_id: str, due_at: datetime) -> None:
    """Set the next time."""
    tx.run(MOVE, {"id": schedule_id, "organization_id": actor.organization_id, "due_at": time_text(due_at)})


def delete(tx: Transaction, actor: Actor, schedule_id: str) -> None:
    """Forget one."""
    tx.run(DELETE, {"id": schedule_id, "organization_id": actor.organization_id})
