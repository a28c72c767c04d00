"""Runs: one answer to one request each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from loci.errors import Unprocessable
from loci.store.base import SqlValue, Transaction
from loci.store.page import Where
from loci.store.rows import Codec, Record, actor_of, bit, dump, load_object, maybe_time_text, text, within
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.paging import Page
from loci.types.runs import Run
from loci.types.usage import Usage

UNFINISHED = """
select organization_id, project_id, created_by, id from runs where completed_at is null order by created_at"""
ASK_CANCEL = "update runs set cancel_requested = 1 where id = :id and organization_id = :organization_id"


_KEYS = {
    "prompt": "prompt_tokens",
    "completion": "completion_tokens",
    "cached": "cached_input_tokens",
    "cache_write": "cache_write_tokens",
    "reasoning": "reasoning_tokens",
    "cost_usd": "cost_usd",
}


def usage_to_json(usage: Usage) -> JsonObject:
    """Usage as a column holds it."""
    return {key: getattr(usage, name) for key, name in _KEYS.items()}


def _loaded(column: SqlValue) -> Usage:
    stored = load_object(column)
    given: Any = {name: stored[key] for key, name in _KEYS.items() if stored.get(key) is not None}
    return Usage(**given)


USAGE = Codec(_loaded, lambda usage: dump(usage_to_json(usage)))


def of_agent(alias: str) -> dict[str, str]:
    """Where the fields of a run or step are found that are those of its agent."""
    names = ("project_id", "template_id", "base_template_id")
    return {name: f"(select a.{name} from agents a where a.id = {alias}.agent_id)" for name in names}


_AGENT = of_agent("r")
_ROWS = Record(Run, "runs", "r", missing="Run {} not found.", special={"usage": USAGE}, found=_AGENT)
_BY_DURATION = "(select runs.*, coalesce(total_duration_ns, 0) as duration_ns from runs) as r"
_PERCENTILE = """select r.total_duration_ns {ended} order by r.total_duration_ns
    limit 1 offset (select max(0, (count(*) * :percentile + 99) / 100 - 1) {ended})"""
LOOKED_AT_MAX_ROWS = 10_000
"""Among so many runs at most it is looked which were slow, or used a tool."""
_TOO_MANY = f"More than {LOOKED_AT_MAX_ROWS:,} runs would have to be looked at."
_NARROWER = "Say whose with agent_id, where with conversation_id, or since when with start_date."
_CALLED = """exists (select 1 from messages m, json_each(m.parts) part
    where m.run_id = r.id and m.role = 'assistant' and json_extract(part.value, '$.type') = 'tool_call'
    and json_extract(part.value, '$.name') in (select value from json_each(:tools_used)))"""
Comparison: TypeAlias = Literal["eq", "gte", "lte", "gt", "lt"]
_SIGNS: dict[Comparison, str] = {"eq": "=", "gte": ">=", "lte": "<=", "gt": ">", "lt": "<"}
UPDATE = """
update runs set status = :status, stop_reason = :stop_reason, usage = :usage, step_count = :step_count, error = :error,
    ttft_ns = :ttft_ns, total_duration_ns = :total_duration_ns, completed_at = :completed_at
where id = :id and organization_id = :organization_id"""

get = _ROWS.get


def insert(tx: Transaction, actor: Actor, run: Run) -> None:
    """Store a new run."""
    tx.run(_ROWS.insertion, _ROWS.params(actor, run))


def update(tx: Transaction, actor: Actor, run: Run) -> None:
    """Store how far a run has come. A request to cancel, set by others, is left as it is."""
    tx.run(UPDATE, _ROWS.params(actor, run))


def delete(tx: Transaction, actor: Actor, run_id: str) -> None:
    """Forget a run, its steps and events; its messages stay. Raises NotFound."""
    _ROWS.delete(tx, actor, run_id)


def unfinished(tx: Transaction) -> list[tuple[Actor, str]]:
    """Every run without an end, with the actor it belongs to: what a starting server must take up again."""
    return [(actor_of(row), text(row, "id")) for row in tx.all(UNFINISHED)]


def active_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Run]:
    """The runs of an agent that have no end yet."""
    active = _ROWS.select + " and r.agent_id = :agent_id and r.completed_at is null order by r.created_at"
    return _ROWS.all(tx, active, within(actor, agent_id=agent_id))


def last_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, Run]:
    """The newest ended run of each of these agents, by agent."""
    newest = """select max(id) from runs
        where agent_id in (select value from json_each(:ids)) and completed_at is not null group by agent_id"""
    found = _ROWS.all(tx, f"{_ROWS.select} and r.id in ({newest})", within(actor, ids=dump(list(agent_ids))))
    return {run.agent_id: run for run in found}


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
    run_id: str | None = None
    project_id: str | None = None
    template_family: str | None = None
    """The template that the agent is made from."""
    step_count: tuple[Comparison, int] | None = None
    duration_ns: tuple[Comparison, int] | None = None
    duration_percentile: int | None = None
    """Only runs slower than this part in a hundred of those that have ended: of these agents, there and then."""
    tools_used: tuple[str, ...] | None = None
    """Any of them is enough."""
    since: datetime | None = None
    until: datetime | None = None


def listing(tx: Transaction, actor: Actor, chosen: RunFilter, page: Page, *, by_duration: bool = False) -> list[Run]:
    """One page of runs, by time or by how long they took.

    Raises NotFound for a cursor that is not a run, Unprocessable if too many runs would have to be looked at.
    """
    where = _where(tx, actor, chosen)
    if by_duration:
        return _ROWS.page(tx, actor, where, page, order_by="duration_ns", table=_BY_DURATION)
    return _ROWS.page(tx, actor, where, page)


def _where(tx: Transaction, actor: Actor, chosen: RunFilter) -> Where:
    where = _ROWS.where(actor).among("r.agent_id", "agents", chosen.agent_ids)
    where.equal("r.", conversation_id=chosen.conversation_id)
    where.also("r.created_at >= :since", since=maybe_time_text(chosen.since))
    where.also("r.created_at <= :until", until=maybe_time_text(chosen.until))
    if chosen.duration_percentile is not None or chosen.tools_used is not None:
        many = tx.all(f"select 1 from runs r where {where.sql} limit {LOOKED_AT_MAX_ROWS + 1}", where.params)
        if len(many) > LOOKED_AT_MAX_ROWS:
            raise Unprocessable(_TOO_MANY, hint=_NARROWER)
    slow = _PERCENTILE.format(ended=f"from runs r where {where.sql} and r.total_duration_ns is not null")
    where.also(f"r.total_duration_ns > ({slow})", percentile=chosen.duration_percentile)
    where.also(_CALLED, tools_used=None if chosen.tools_used is None else dump(chosen.tools_used))
    where.among("r.status", "s", chosen.statuses).equal("r.", background=bit(chosen.background), id=chosen.run_id)
    where.equal("r.", stop_reason=chosen.stop_reason)
    if chosen.active is not None:
        where.also("r.completed_at is null" if chosen.active else "r.completed_at is not null")
    for column, wanted in (("step_count", chosen.step_count), ("total_duration_ns", chosen.duration_ns)):
        if wanted is not None:
            where.also(f"r.{column} {_SIGNS[wanted[0]]} :{column}", **{column: wanted[1]})
    where.in_project(_AGENT["project_id"], chosen.project_id)
    return where.also(f"{_AGENT['base_template_id']} = :template_family", template_family=chosen.template_family)
