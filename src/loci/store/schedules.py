"""Scheduled messages as rows. When one is due stands in the job that says it; `due_at` tells what it was due for."""

from datetime import datetime

from loci.errors import NotFound
from loci.store.base import Transaction
from loci.store.rows import Record, time_text, within
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.schedules import ScheduledMessage

_ROWS = Record(ScheduledMessage, "scheduled_messages", "s", missing="There is no scheduled message {}.")
DELETE = "delete from scheduled_messages where id = :id and organization_id = :organization_id"
MOVE = "update scheduled_messages set due_at = :due_at where id = :id and organization_id = :organization_id"


def insert(tx: Transaction, actor: Actor, new: ScheduledMessage, now: datetime) -> None:
    """Store one."""
    _ROWS.insert(tx, actor, new, now)


def find(tx: Transaction, actor: Actor, schedule_id: str) -> ScheduledMessage | None:
    """One, if it is still there."""
    return _ROWS.one(tx, _ROWS.by_id, within(actor, id=schedule_id))


def get(tx: Transaction, actor: Actor, agent_id: str, schedule_id: str) -> ScheduledMessage:
    """One of an agent. Raises NotFound."""
    found = find(tx, actor, schedule_id)
    if found is None or found.agent_id != agent_id:
        raise NotFound(f"There is no scheduled message {schedule_id} of this agent.")
    return found


def of_agent(tx: Transaction, actor: Actor, agent_id: str, page: Page) -> list[ScheduledMessage]:
    """One page of those of an agent. Raises NotFound for a cursor that is none."""
    return _ROWS.page(tx, actor, _ROWS.where(actor).equal("s.", agent_id=agent_id), page)


def count(tx: Transaction, actor: Actor, agent_id: str) -> int:
    """How many an agent has."""
    return _ROWS.count(tx, _ROWS.where(actor).equal("s.", agent_id=agent_id))


def move(tx: Transaction, actor: Actor, schedule_id: str, due_at: datetime) -> None:
    """Set the next time."""
    tx.run(MOVE, {"id": schedule_id, "organization_id": actor.organization_id, "due_at": time_text(due_at)})


def delete(tx: Transaction, actor: Actor, schedule_id: str) -> None:
    """Forget one."""
    tx.run(DELETE, within(actor, id=schedule_id))
