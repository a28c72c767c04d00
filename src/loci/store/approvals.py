"""Questions to people and calls handed to the client: rows with an owner and an end."""

from collections.abc import Sequence
from datetime import datetime

from loci.store.base import Transaction
from loci.store.rows import Record, dump, maybe_dump, text, time_text, within
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.messages import Message
from loci.types.runs import Approval, ApprovalStatus

_ROWS = Record(Approval, "approvals", "p", missing="There is no question {}.")
ASKED = """
select run_id, call_id from approvals
where organization_id = :organization_id and run_id in (select value from json_each(:run_ids))"""
AWAITED = """
select distinct conversation_id from approvals where organization_id = :organization_id and status = 'pending'
    and conversation_id in (select value from json_each(:ids))"""
ANSWER = """
update approvals set status = :status, answer = :answer, answered_at = :now
where run_id = :run_id and call_id = :call_id and organization_id = :organization_id and status = 'pending'"""
CLOSE = """
update approvals set status = :status, answered_at = :now
where conversation_id = :conversation_id and organization_id = :organization_id and status = 'pending'"""


def insert(tx: Transaction, actor: Actor, approvals: Sequence[Approval], now: datetime) -> None:
    """Store new questions."""
    _ROWS.insert_all(tx, actor, approvals, now)


def of_conversation(tx: Transaction, actor: Actor, conversation_id: str, *, pending_only: bool) -> list[Approval]:
    """The questions of a conversation, oldest first."""
    sql = _ROWS.select + " and p.conversation_id = :conversation_id"
    sql += (" and p.status = 'pending'" if pending_only else "") + " order by p.created_at, p.call_id"
    return _ROWS.all(tx, sql, within(actor, conversation_id=conversation_id))


def of_message(tx: Transaction, actor: Actor, message: Message) -> list[Approval]:
    """The questions that the calls of one message led to."""
    sql = _ROWS.select + " and p.conversation_id = :conversation_id and p.message_id = :message_id"
    return _ROWS.all(tx, sql, within(actor, conversation_id=message.conversation_id, message_id=message.id))


def awaited(tx: Transaction, actor: Actor, conversation_ids: Sequence[str]) -> set[str]:
    """Those of the conversations that have open questions."""
    rows = tx.all(AWAITED, within(actor, ids=dump(list(conversation_ids))))
    return {text(row, "conversation_id") for row in rows}


def asked(tx: Transaction, actor: Actor, run_ids: Sequence[str]) -> set[tuple[str, str]]:
    """The calls of these runs that had to be asked for, as pairs of run id and call id."""
    rows = tx.all(ASKED, within(actor, run_ids=dump(list(run_ids))))
    return {(text(row, "run_id"), text(row, "call_id")) for row in rows}


def answer(
    tx: Transaction,
    actor: Actor,
    approval: Approval,
    status: ApprovalStatus,
    reply: JsonObject,
    now: datetime,
) -> bool:
    """Store an answer. False when it had one already: the first answer stands."""
    key = within(actor, run_id=approval.run_id, call_id=approval.call_id)
    params = {**key, "status": status.value, "answer": maybe_dump(reply), "now": time_text(now)}
    return tx.run(ANSWER, params) == 1


def close(tx: Transaction, actor: Actor, conversation_id: str, status: ApprovalStatus, now: datetime) -> int:
    """End every question of a conversation that is still open; how many there were."""
    return tx.run(CLOSE, within(actor, conversation_id=conversation_id, status=status.value, now=time_text(now)))
