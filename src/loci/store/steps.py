"""Steps: one model call and the tools it led to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, cast

from loci.errors import NotFound
from loci.store.base import Row, SqlValue, Transaction
from loci.store.page import like_pattern, page_clause
from loci.store.rows import (
    dump,
    integer,
    load,
    load_maybe_object,
    load_texts,
    maybe_dump,
    maybe_moment,
    maybe_text,
    maybe_time_text,
    text,
    time_text,
)
from loci.store.runs import usage_from_json, usage_to_json
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.runs import Step, StopReason

StepStatus: TypeAlias = Literal["success", "failed", "cancelled", "pending"]
Feedback: TypeAlias = Literal["positive", "negative"]

COLUMNS = """id, run_id, agent_id, conversation_id, number, model, provider, usage, context_window_tokens, status,
    stop_reason, error, feedback, tags, duration_ns, model_duration_ns, tools_duration_ns, created_at, transaction_id"""
INSERT = """
insert into steps (id, organization_id, project_id, run_id, agent_id, conversation_id, number, model, provider, usage,
    context_window_tokens, status, stop_reason, error, feedback, tags, duration_ns, model_duration_ns,
    tools_duration_ns, created_at)
values (:id, :organization_id, :project_id, :run_id, :agent_id, :conversation_id, :number, :model, :provider, :usage,
    :context_window_tokens, :status, :stop_reason, :error, :feedback, :tags, :duration_ns, :model_duration_ns,
    :tools_duration_ns, :created_at)
on conflict (id) do update set usage = excluded.usage, status = excluded.status, stop_reason = excluded.stop_reason,
    error = excluded.error, duration_ns = excluded.duration_ns, model_duration_ns = excluded.model_duration_ns,
    tools_duration_ns = excluded.tools_duration_ns"""
BY_ID = f"select {COLUMNS} from steps where id = :id and organization_id = :organization_id"
OF_RUN = f"select {COLUMNS} from steps where run_id = :run_id and organization_id = :organization_id"
SET_TRANSACTION = """
update steps set transaction_id = :transaction_id where id = :id and organization_id = :organization_id"""
SET_FEEDBACK = """
update steps set feedback = :feedback, tags = coalesce(:tags, tags)
where id = :id and organization_id = :organization_id"""


def from_row(row: Row) -> Step:
    """A stored step."""
    reason = maybe_text(row, "stop_reason")
    return Step(
        id=text(row, "id"),
        run_id=text(row, "run_id"),
        agent_id=text(row, "agent_id"),
        conversation_id=text(row, "conversation_id"),
        number=integer(row, "number"),
        model=text(row, "model"),
        provider=text(row, "provider"),
        usage=usage_from_json(load(row["usage"])),
        context_window_tokens=integer(row, "context_window_tokens"),
        status=cast("StepStatus", text(row, "status")),
        stop_reason=None if reason is None else StopReason(reason),
        error=load_maybe_object(row["error"]),
        feedback=cast("Feedback | None", maybe_text(row, "feedback")),
        tags=load_texts(row["tags"]),
        duration_ns=integer(row, "duration_ns"),
        model_duration_ns=integer(row, "model_duration_ns"),
        tools_duration_ns=integer(row, "tools_duration_ns"),
        created_at=maybe_moment(row, "created_at"),
        transaction_id=maybe_text(row, "transaction_id"),
    )


def insert(tx: Transaction, actor: Actor, step: Step) -> None:
    """Store a step, or what has become of it."""
    if step.created_at is None:
        raise ValueError("a step is stored with its time")
    tx.run(
        INSERT,
        {
            "id": step.id,
            "organization_id": actor.organization_id,
            "project_id": actor.project_id,
            "run_id": step.run_id,
            "agent_id": step.agent_id,
            "conversation_id": step.conversation_id,
            "number": step.number,
            "model": step.model,
            "provider": step.provider,
            "usage": dump(usage_to_json(step.usage)),
            "context_window_tokens": step.context_window_tokens,
            "status": step.status,
            "stop_reason": None if step.stop_reason is None else step.stop_reason.value,
            "error": maybe_dump(step.error),
            "feedback": step.feedback,
            "tags": dump(step.tags),
            "duration_ns": step.duration_ns,
            "model_duration_ns": step.model_duration_ns,
            "tools_duration_ns": step.tools_duration_ns,
            "created_at": time_text(step.created_at),
        },
    )


def get(tx: Transaction, actor: Actor, step_id: str) -> Step:
    """One step. Raises NotFound."""
    row = tx.one(BY_ID, {"id": step_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Step {step_id} not found.")
    return from_row(row)


def of_run(tx: Transaction, actor: Actor, run_id: str) -> list[Step]:
    """All steps of a run, in order."""
    rows = tx.all(OF_RUN + " order by number", {"run_id": run_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def set_feedback(
    tx: Transaction, actor: Actor, step_id: str, feedback: str | None, tags: tuple[str, ...] | None
) -> None:
    """What a person thinks of a step. Raises NotFound."""
    params: dict[str, SqlValue] = {
        "id": step_id,
        "organization_id": actor.organization_id,
        "feedback": feedback,
        "tags": None if tags is None else dump(tags),
    }
    if not tx.run(SET_FEEDBACK, params):
        raise NotFound(f"Step {step_id} not found.")


def set_transaction(tx: Transaction, actor: Actor, step_id: str, transaction_id: str) -> None:
    """Note what an accounting system outside knows the step by. Raises NotFound."""
    params = {"id": step_id, "organization_id": actor.organization_id, "transaction_id": transaction_id}
    if not tx.run(SET_TRANSACTION, params):
        raise NotFound(f"Step {step_id} not found.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFilter:
    """Which steps to list. None means any; times are of the steps' beginning."""

    agent_id: str | None = None
    model: str | None = None
    feedback: Feedback | None = None
    has_feedback: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    run_ids: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    """Any of them is enough."""


def listing(tx: Transaction, actor: Actor, chosen: StepFilter, page: Page) -> list[Step]:
    """One page of steps by time. Raises NotFound for a cursor that is not a step."""
    where = ["organization_id = :organization_id"]
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    for condition, name, value in (
        ("agent_id = :agent_id", "agent_id", chosen.agent_id),
        ("model = :model", "model", chosen.model),
        ("feedback = :feedback", "feedback", chosen.feedback),
        ("created_at >= :since", "since", maybe_time_text(chosen.since)),
        ("created_at < :until", "until", maybe_time_text(chosen.until)),
    ):
        if value is not None:
            where.append(condition)
            params[name] = value
    if chosen.has_feedback is not None:
        where.append(f"feedback is {'not ' if chosen.has_feedback else ''}null")
    if chosen.run_ids is not None:
        params |= {f"run{n}": run_id for n, run_id in enumerate(chosen.run_ids)}
        where.append(f"run_id in ({', '.join(f':run{n}' for n in range(len(chosen.run_ids)))})")
    if chosen.tags:
        # Tags are a JSON list of texts, in which each stands between quotes.
        params |= {f"tag{n}": like_pattern(dump(tag)) for n, tag in enumerate(chosen.tags)}
        wanted = [f"tags like :tag{n} escape '!'" for n in range(len(chosen.tags))]
        where.append(f"({' or '.join(wanted)})")
    clause = page_clause(tx, actor, page, "steps")
    return [
        from_row(row) for row in clause.read(tx, f"select {COLUMNS} from steps where {' and '.join(where)}", params)
    ]
