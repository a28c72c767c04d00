"""Batches of messages, their requests, and what was said for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from loci.errors import NotFound
from loci.store import messages
from loci.store.base import Row, SqlValue, Transaction
from loci.store.page import BY_SEQ, page_clause
from loci.store.rows import Record, integer, maybe_moment, maybe_text, moment, text, time_text
from loci.types.actor import Actor
from loci.types.batches import Batch, BatchItem, BatchStatus, ItemStatus
from loci.types.messages import Message
from loci.types.paging import Page

COLUMNS = "id, status, callback_url, created_at, completed_at, created_by"
INSERT = """
insert into message_batches (id, organization_id, project_id, status, callback_url, created_at, completed_at,
    created_by)
values (:id, :organization_id, :project_id, 'created', :callback_url, :now, null, :created_by)"""
_ITEMS = Record(BatchItem, "message_batch_items", "i", missing="There is no request {}.")
BY_ID = f"select {COLUMNS} from message_batches where id = :id and organization_id = :organization_id"
COUNTS = """
select status, count(*) as n from message_batch_items
where batch_id = :id and organization_id = :organization_id group by status"""
LEFT = f"{_ITEMS.select} and batch_id = :id and status in ('pending', 'running') order by number"
SET_ITEM = """
update message_batch_items set status = :status, run_id = coalesce(:run_id, run_id), error = :error
where batch_id = :batch_id and number = :number and organization_id = :organization_id and status <> 'cancelled'"""
BEGIN = """
update message_batches set status = 'running'
where id = :id and organization_id = :organization_id and status in ('created', 'running')"""
END = """
update message_batches set status = :status, completed_at = :now
where id = :id and organization_id = :organization_id and completed_at is null"""
END_ITEMS = """
update message_batch_items set status = :status, error = :error
where batch_id = :id and organization_id = :organization_id and status in ('pending', 'running')"""
SAID = f"""
select {messages.COLUMNS} from messages where organization_id = :organization_id and run_id in (
    select run_id from message_batch_items where batch_id = :batch_id and run_id is not null)"""


def insert(tx: Transaction, actor: Actor, batch_id: str, callback_url: str | None, now: datetime) -> None:
    """Store a new batch."""
    tx.run(
        INSERT,
        {
            "id": batch_id,
            "organization_id": actor.organization_id,
            "project_id": actor.project_id,
            "callback_url": callback_url,
            "now": time_text(now),
            "created_by": actor.user_id,
        },
    )


def insert_items(tx: Transaction, actor: Actor, items: Sequence[BatchItem]) -> None:
    """Store the requests of a batch."""
    tx.many(_ITEMS.insertion, [_ITEMS.params(actor, item) for item in items])


def get(tx: Transaction, actor: Actor, batch_id: str) -> Batch:
    """One batch. Raises NotFound."""
    row = tx.one(BY_ID, {"id": batch_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"There is no batch {batch_id}.")
    return _from_row(tx, actor, row)


def listing(tx: Transaction, actor: Actor, page: Page) -> list[Batch]:
    """One page of batches by time. Raises NotFound for a cursor that is not a batch."""
    clause = page_clause(tx, actor, page, "message_batches")
    select = f"select {COLUMNS} from message_batches where organization_id = :organization_id"
    return [_from_row(tx, actor, row) for row in clause.read(tx, select, {"organization_id": actor.organization_id})]


def _from_row(tx: Transaction, actor: Actor, row: Row) -> Batch:
    counted = tx.all(COUNTS, {"id": row["id"], "organization_id": actor.organization_id})
    return Batch(
        id=text(row, "id"),
        status=cast("BatchStatus", text(row, "status")),
        callback_url=maybe_text(row, "callback_url"),
        created_at=moment(row, "created_at"),
        completed_at=maybe_moment(row, "completed_at"),
        created_by=maybe_text(row, "created_by"),
        counts={text(item, "status"): integer(item, "n") for item in counted},
    )


def begin(tx: Transaction, actor: Actor, batch_id: str) -> list[BatchItem]:
    """Note that a batch is worked on; what is left to do, nothing for one that has ended."""
    params = {"id": batch_id, "organization_id": actor.organization_id}
    if not tx.run(BEGIN, params):
        return []
    return _ITEMS.all(tx, LEFT, params)


def set_item(
    tx: Transaction,
    actor: Actor,
    item: BatchItem,
    status: ItemStatus,
    *,
    run_id: str | None = None,
    error: str | None = None,
) -> bool:
    """Note how far a request has come. False when it was called off."""
    params: dict[str, SqlValue] = {
        "batch_id": item.batch_id,
        "number": item.number,
        "organization_id": actor.organization_id,
        "status": status,
        "run_id": run_id,
        "error": error,
    }
    return tx.run(SET_ITEM, params) == 1


def end(tx: Transaction, actor: Actor, batch_id: str, status: BatchStatus, now: datetime) -> bool:
    """Store the end of a batch. False when it had one before."""
    params: dict[str, SqlValue] = {"id": batch_id, "organization_id": actor.organization_id, "status": status}
    return tx.run(END, {**params, "now": time_text(now)}) == 1


def end_items(tx: Transaction, actor: Actor, batch_id: str, status: ItemStatus, error: str | None) -> None:
    """Store the end of the requests that were to be done or under way."""
    params: dict[str, SqlValue] = {"id": batch_id, "organization_id": actor.organization_id}
    tx.run(END_ITEMS, {**params, "status": status, "error": error})


def said(tx: Transaction, actor: Actor, batch_id: str, agent_id: str | None, page: Page) -> list[Message]:
    """One page of all that was said in the runs of a batch. Raises NotFound."""
    get(tx, actor, batch_id)
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id, "batch_id": batch_id}
    select = SAID
    if agent_id is not None:
        select += " and agent_id = :agent_id"
        params["agent_id"] = agent_id
    clause = page_clause(tx, actor, page, "messages", table_time_column=BY_SEQ)
    return [messages.from_row(row) for row in clause.read(tx, select, params)]
