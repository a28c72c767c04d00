"""Runs: one answer to one request each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from loci.errors import NotFound
from loci.store.base import Row, SqlValue, Transaction
from loci.store.page import page_clause
from loci.store.rows import (
    dump,
    flag,
    integer,
    load,
    load_maybe_object,
    load_object,
    maybe_dump,
    maybe_integer,
    maybe_moment,
    maybe_text,
    maybe_time_text,
    text,
)
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.paging import Page
from loci.types.runs import Run, RunStatus, StopReason
from loci.types.usage import Usage

COLUMNS = """id, agent_id, conversation_id, status, stop_reason, background, request, metadata, callback_url, usage,
    step_count, error, ttft_ns, total_duration_ns, cancel_requested, created_at, completed_at"""
INSERT = """
insert into runs (id, organization_id, project_id, agent_id, conversation_id, status, stop_reason, background, request,
    metadata, callback_url, usage, step_count, error, ttft_ns, total_duration_ns, cancel_requested, created_at,
    completed_at)
values (:id, :organization_id, :project_id, :agent_id, :conversation_id, :status, :stop_reason, :background, :request,
    :metadata, :callback_url, :usage, :step_count, :error, :ttft_ns, :total_duration_ns, :cancel_requested,
    :created_at, :completed_at)"""
UPDATE = """
update runs set status = :status, stop_reason = :stop_reason, usage = :usage, step_count = :step_count, error = :error,
    ttft_ns = :ttft_ns, total_duration_ns = :total_duration_ns, completed_at = :completed_at
where id = :id and organization_id = :organization_id"""
BY_ID = f"select {COLUMNS} from runs where id = :id and organization_id = :organization_id"
DELETE = "delete from runs where id = :id and organization_id = :organization_id"
UNFINISHED = """
select organization_id, project_id, id from runs where completed_at is null order by created_at"""
ACTIVE_OF_AGENT = f"""
select {COLUMNS} from runs where agent_id = :agent_id and organization_id = :organization_id
    and completed_at is null order by created_at"""
ASK_CANCEL = "update runs set cancel_requested = 1 where id = :id and organization_id = :organization_id"


def from_row(row: Row) -> Run:
    """A stored run."""
    reason = maybe_text(row, "stop_reason")
    return Run(
        id=text(row, "id"),
        agent_id=text(row, "agent_id"),
        conversation_id=text(row, "conversation_id"),
        status=cast("RunStatus", text(row, "status")),
        stop_reason=None if reason is None else StopReason(reason),
        background=flag(row, "background"),
        request=load_object(row["request"]),
        metadata=load_object(row["metadata"]),
        callback_url=maybe_text(row, "callback_url"),
        usage=usage_from_json(load(row["usage"])),
        step_count=integer(row, "step_count"),
        error=load_maybe_object(row["error"]),
        ttft_ns=maybe_integer(row, "ttft_ns"),
        total_duration_ns=maybe_integer(row, "total_duration_ns"),
        cancel_requested=flag(row, "cancel_requested"),
        created_at=maybe_moment(row, "created_at"),
        completed_at=maybe_moment(row, "completed_at"),
    )


def usage_to_json(usage: Usage) -> JsonObject:
    """Usage as a column holds it."""
    return {
        "prompt": usage.prompt_tokens,
        "completion": usage.completion_tokens,
        "cached": usage.cached_input_tokens,
        "cache_write": usage.cache_write_tokens,
        "reasoning": usage.reasoning_tokens,
        "cost_usd": usage.cost_usd,
    }


def usage_from_json(value: object) -> Usage:
    """Usage from its column."""
    stored = cast("Mapping[str, int | float | None]", value if isinstance(value, Mapping) else {})
    return Usage(
        prompt_tokens=int(stored.get("prompt") or 0),
        completion_tokens=int(stored.get("completion") or 0),
        cached_input_tokens=_maybe_int(stored.get("cached")),
        cache_write_tokens=_maybe_int(stored.get("cache_write")),
        reasoning_tokens=_maybe_int(stored.get("reasoning")),
        cost_usd=float(stored.get("cost_usd") or 0.0),
    )


def _maybe_int(value: float | None) -> int | None:
    return None if value is None else int(value)


def _params(actor: Actor, run: Run) -> dict[str, SqlValue]:
    return {
        "id": run.id,
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "agent_id": run.agent_id,
        "conversation_id": run.conversation_id,
        "status": run.status,
        "stop_reason": None if run.stop_reason is None else run.stop_reason.value,
        "background": int(run.background),
        "request": dump(run.request),
        "metadata": dump(run.metadata),
        "callback_url": run.callback_url,
        "usage": dump(usage_to_json(run.usage)),
        "step_count": run.step_count,
        "error": maybe_dump(run.error),
        "ttft_ns": run.ttft_ns,
        "total_duration_ns": run.total_duration_ns,
        "cancel_requested": int(run.cancel_requested),
        "created_at": maybe_time_text(run.created_at),
        "completed_at": maybe_time_text(run.completed_at),
    }


def insert(tx: Transaction, actor: Actor, run: Run) -> None:
    """Store a new run."""
    tx.run(INSERT, _params(actor, run))


def update(tx: Transaction, actor: Actor, run: Run) -> None:
    """Store how far a run has come. A request to cancel, set by others, is left as it is."""
    tx.run(UPDATE, _params(actor, run))


def get(tx: Transaction, actor: Actor, run_id: str) -> Run:
    """One run. Raises NotFound."""
    row = tx.one(BY_ID, {"id": run_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Run {run_id} not found.")
    return from_row(row)


def delete(tx: Transaction, actor: Actor, run_id: str) -> None:
    """Forget a run, its steps and events; its messages stay. Raises NotFound."""
    if not tx.run(DELETE, {"id": run_id, "organization_id": actor.organization_id}):
        raise NotFound(f"Run {run_id} not found.")


def unfinished(tx: Transaction) -> list[tuple[Actor, str]]:
    """Every run without an end, with the actor it belongs to: what a starting server must take up again."""
    return [
        (
            Actor(organization_id=text(row, "organization_id"), project_id=maybe_text(row, "project_id")),
            text(row, "id"),
        )
        for row in tx.all(UNFINISHED)
    ]


def active_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Run]:
    """The runs of an agent that have no end yet."""
    rows = tx.all(ACTIVE_OF_AGENT, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def last_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, Run]:
    """The newest ended run of each of these agents, by agent."""
    if not agent_ids:
        return {}
    params: dict[str, SqlValue] = {f"id{n}": agent_id for n, agent_id in enumerate(agent_ids)}
    listed = ", ".join(f":{name}" for name in params)
    params["organization_id"] = actor.organization_id
    newest = f"select max(id) from runs where agent_id in ({listed}) and completed_at is not null group by agent_id"
    sql = f"select {COLUMNS} from runs where organization_id = :organization_id and id in ({newest})"
    return {run.agent_id: run for run in map(from_row, tx.all(sql, params))}


def ask_cancel(tx: Transaction, actor: Actor, run_id: str) -> None:
    """Note that somebody wants the run to end."""
    tx.run(ASK_CANCEL, {"id": run_id, "organization_id": actor.organization_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list. None means any."""

    agent_ids: tuple[str, ...] | None = None
    conversation_id: str | None = None
    statuses: tuple[str, ...] | None = None
    background: bool | None = None
    stop_reason: str | None = None
    active: bool | None = None


def listing(tx: Transaction, actor: Actor, chosen: RunFilter, page: Page) -> list[Run]:
    """One page of runs by time. Raises NotFound for a cursor that is not a run."""
    where = ["organization_id = :organization_id"]
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    for column, values in (("agent_id", chosen.agent_ids), ("status", chosen.statuses)):
        if values is not None:
            params |= {f"{column}{n}": value for n, value in enumerate(values)}
            where.append(f"{column} in ({', '.join(f':{column}{n}' for n in range(len(values)))})")
    if chosen.conversation_id is not None:
        where.append("conversation_id = :conversation_id")
        params["conversation_id"] = chosen.conversation_id
    if chosen.background is not None:
        where.append("background = :background")
        params["background"] = int(chosen.background)
    if chosen.stop_reason is not None:
        where.append("stop_reason = :stop_reason")
        params["stop_reason"] = chosen.stop_reason
    if chosen.active is not None:
        where.append("completed_at is null" if chosen.active else "completed_at is not null")
    clause = page_clause(tx, actor, page, "runs")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from runs where {' and '.join(where)}", params)]
