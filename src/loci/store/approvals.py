"""Questions to people and calls handed to the client: rows with an owner and an end."""

from collections.abc import Sequence
from datetime import datetime

from loci.store.base import Row, SqlValue, Transaction
from loci.store.rows import load_maybe_object, maybe_dump, maybe_moment, text, time_text
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.runs import Approval, ApprovalStatus

COLUMNS = """call_id, run_id, conversation_id, agent_id, message_id, tool_name, arguments, kind, status, answer,
    created_at, answered_at"""
INSERT = """
insert into approvals (call_id, run_id, organization_id, project_id, conversation_id, agent_id, message_id, tool_name,
    arguments, kind, status, answer, created_at, answered_at)
values (:call_id, :run_id, :organization_id, :project_id, :conversation_id, :agent_id, :message_id, :tool_name,
    :arguments, :kind, :status, null, :created_at, null)"""
OF_CONVERSATION = f"""
select {COLUMNS} from approvals where conversation_id = :conversation_id and organization_id = :organization_id"""
ANSWER = """
update approvals set status = :status, answer = :answer, answered_at = :now
where run_id = :run_id and call_id = :call_id and organization_id = :organization_id and status = 'pending'"""
CLOSE = """
update approvals set status = :status, answered_at = :now
where conversation_id = :conversation_id and organization_id = :organization_id and status = 'pending'"""


def from_row(row: Row) -> Approval:
    """A stored question."""
    kind = text(row, "kind")
    return Approval(
        call_id=text(row, "call_id"),
        run_id=text(row, "run_id"),
        conversation_id=text(row, "conversation_id"),
        agent_id=text(row, "agent_id"),
        message_id=text(row, "message_id"),
        tool_name=text(row, "tool_name"),
        arguments=text(row, "arguments"),
        kind="client" if kind == "client" else "approval",
        status=ApprovalStatus(text(row, "status")),
        answer=load_maybe_object(row["answer"]),
        created_at=maybe_moment(row, "created_at"),
        answered_at=maybe_moment(row, "answered_at"),
    )


def insert(tx: Transaction, actor: Actor, approvals: Sequence[Approval], now: datetime) -> None:
    """Store new questions."""
    tx.many(
        INSERT,
        [
            {
                "call_id": approval.call_id,
                "run_id": approval.run_id,
                "organization_id": actor.organization_id,
                "project_id": actor.project_id,
                "conversation_id": approval.conversation_id,
                "agent_id": approval.agent_id,
                "message_id": approval.message_id,
                "tool_name": approval.tool_name,
                "arguments": approval.arguments,
                "kind": approval.kind,
                "status": approval.status.value,
                "created_at": time_text(now),
            }
            for approval in approvals
        ],
    )


def of_conversation(tx: Transaction, actor: Actor, conversation_id: str, *, pending_only: bool) -> list[Approval]:
    """The questions of a conversation, oldest first."""
    sql = OF_CONVERSATION + (" and status = 'pending'" if pending_only else "") + " order by created_at, call_id"
    rows = tx.all(sql, {"conversation_id": conversation_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def of_message(tx: Transaction, actor: Actor, message_id: str) -> list[Approval]:
    """The questions that the calls of one message led to."""
    sql = f"select {COLUMNS} from approvals where message_id = :message_id and organization_id = :organization_id"
    return [from_row(row) for row in tx.all(sql, {"message_id": message_id, "organization_id": actor.organization_id})]


def asked(tx: Transaction, actor: Actor, run_ids: Sequence[str]) -> set[tuple[str, str]]:
    """The calls of these runs that had to be asked for, as pairs of run id and call id."""
    params: dict[str, SqlValue] = {f"run{n}": run_id for n, run_id in enumerate(run_ids)}
    names = ", ".join(f":{name}" for name in params)
    rows = tx.all(
        f"select run_id, call_id from approvals where organization_id = :organization_id and run_id in ({names})",
        {**params, "organization_id": actor.organization_id},
    )
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
    params = {
        "run_id": approval.run_id,
        "call_id": approval.call_id,
        "organization_id": actor.organization_id,
        "status": status.value,
        "answer": maybe_dump(reply),
        "now": time_text(now),
    }
    return tx.run(ANSWER, params) == 1


def close(tx: Transaction, actor: Actor, conversation_id: str, status: ApprovalStatus, now: datetime) -> int:
    """End every question of a conversation that is still open; how many there were."""
    return tx.run(
        CLOSE,
        {
            "conversation_id": conversation_id,
            "organization_id": actor.organization_id,
            "status": status.value,
            "now": time_text(now),
        },
    )
