"""Steps: one model call and the tools it led to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from loci.errors import NotFound
from loci.store.base import Transaction
from loci.store.page import like_pattern
from loci.store.rows import Record, dump, maybe_time_text, within
from loci.store.runs import USAGE, of_agent
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.runs import Step

StepStatus: TypeAlias = Literal["success", "failed", "cancelled", "pending"]
Feedback: TypeAlias = Literal["positive", "negative"]

_AGENT = of_agent("s")
_ROWS = Record(Step, "steps", "s", missing="Step {} not found.", special={"usage": USAGE}, found=_AGENT)
INSERT = f"""{_ROWS.insertion}
on conflict (id) do update set usage = excluded.usage, status = excluded.status, stop_reason = excluded.stop_reason,
    error = excluded.error, duration_ns = excluded.duration_ns, model_duration_ns = excluded.model_duration_ns,
    tools_duration_ns = excluded.tools_duration_ns"""
OF_RUN = _ROWS.select + " and s.run_id = :run_id order by s.number"
SET_TRANSACTION = """
update steps set transaction_id = :transaction_id where id = :id and organization_id = :organization_id"""
SET_FEEDBACK = """
update steps set feedback = :feedback, tags = coalesce(:tags, tags)
where id = :id and organization_id = :organization_id"""


get = _ROWS.get


def insert(tx: Transaction, actor: Actor, step: Step) -> None:
    """Store a step, or what has become of it."""
    tx.run(INSERT, _ROWS.params(actor, step))


def of_run(tx: Transaction, actor: Actor, run_id: str) -> list[Step]:
    """All steps of a run, in order."""
    return _ROWS.all(tx, OF_RUN, within(actor, run_id=run_id))


def set_feedback(
    tx: Transaction, actor: Actor, step_id: str, feedback: str | None, tags: tuple[str, ...] | None
) -> None:
    """What a person thinks of a step. Raises NotFound."""
    params = within(actor, id=step_id, feedback=feedback, tags=None if tags is None else dump(tags))
    if not tx.run(SET_FEEDBACK, params):
        raise NotFound(f"Step {step_id} not found.")


def set_transaction(tx: Transaction, actor: Actor, step_id: str, transaction_id: str) -> None:
    """Note what an accounting system outside knows the step by. Raises NotFound."""
    params = {"id": step_id, "organization_id": actor.organization_id, "transaction_id": transaction_id}
    if not tx.run(SET_TRANSACTION, params):
        raise NotFound(f"Step {step_id} not found.")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFilter:
    """Which steps to list. None means any; times are of their beginning; `model` is a handle, or only its name."""

    agent_id: str | None = None
    project_id: str | None = None
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
    where = _ROWS.where(actor).equal("s.", agent_id=chosen.agent_id, feedback=chosen.feedback)
    where.also("(s.model = :model or substr(s.model, -1 - length(:model)) = '/' || :model)", model=chosen.model)
    where.in_project(_AGENT["project_id"], chosen.project_id)
    where.also("s.created_at >= :since", since=maybe_time_text(chosen.since))
    where.also("s.created_at < :until", until=maybe_time_text(chosen.until))
    if chosen.has_feedback is not None:
        where.also(f"s.feedback is {'not ' if chosen.has_feedback else ''}null")
    where.among("s.run_id", "run", chosen.run_ids)
    if chosen.tags:
        # Tags are a JSON list of texts, in which each stands between quotes.
        tags = {f"tag{n}": like_pattern(dump(tag)) for n, tag in enumerate(chosen.tags)}
        wanted = [f"s.tags like :{name} escape '!'" for name in tags]
        where.also(f"({' or '.join(wanted)})", **tags)
    return _ROWS.page(tx, actor, where, page)
