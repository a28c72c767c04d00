"""Runs and their steps: listed, looked at, followed."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.message_pages import MessagePage, wire_page
from loci.api.parameters import Moment, Number, RunId, StepId, page_of, paged
from loci.api.routes.messages import AskedPage
from loci.api.sse import EventStream, Pings
from loci.api.streams import BATCH_ROWS, POLL_S
from loci.api.wire_messages import PLAIN_VIEW, WireObject
from loci.api.wire_requests import view_of
from loci.api.wire_runs import (
    wire_run,
    wire_run_metrics,
    wire_run_usage,
    wire_step,
    wire_step_metrics,
)
from loci.errors import Conflict
from loci.store import messages, runs, steps
from loci.store.base import Transaction
from loci.store.messages import MessageFilter
from loci.store.runs import RunFilter
from loci.store.steps import StepFilter
from loci.types import actor as actors
from loci.types.paging import PAGE_MAX_ROWS, Page
from loci.types.runs import Step, StopReason

router = new_router("runs")

DEFAULT_ROWS = 100
SEQ_ID_MAX = 2**31 - 1


def asked_list(page: Annotated[Page, Depends(paged("desc", DEFAULT_ROWS))], ascending: bool = False) -> Page:
    """The page of a list by time that the query of a request asks for; older clients name the order in another way."""
    return replace(page, ascending=page.ascending or ascending)


AskedList = Annotated[Page, Depends(asked_list)]


class StreamIn(BaseModel):
    """From where a stream is to be told again."""

    starting_after: int = Field(default=0, ge=0, le=SEQ_ID_MAX)
    include_pings: bool | None = True
    poll_interval: float | None = POLL_S
    batch_size: int | None = BATCH_ROWS
    run_id: str | None = None
    otid: str | None = None
    agent_id: str | None = None


class FeedbackIn(BaseModel):
    """What a person thinks of a step."""

    feedback: Literal["positive", "negative"] | None = None
    tags: list[str] | None = None


def asked_runs(  # noqa: PLR0917  one argument for each query parameter
    agent_id: str | None = None,
    agent_ids: Annotated[list[str] | None, Query()] = None,
    statuses: Annotated[list[str] | None, Query()] = None,
    background: bool | None = None,
    stop_reason: StopReason | None = None,
    conversation_id: str | None = None,
    active: bool = False,
    run_id: str | None = None,
    project_id: str | None = None,
    template_family: str | None = None,
    step_count: Number | None = None,
    step_count_operator: Literal["eq", "gte", "lte"] = "eq",
    tools_used: Annotated[list[str] | None, Query(max_length=PAGE_MAX_ROWS)] = None,
    duration_percentile: Annotated[int | None, Query(ge=1, le=100)] = None,
    duration_value: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    duration_operator: Literal["gt", "lt", "eq"] = "gt",
    start_date: Moment | None = None,
    end_date: Moment | None = None,
) -> RunFilter:
    """The runs that the query of a request asks for."""
    return RunFilter(
        run_id=run_id,
        project_id=project_id,
        template_family=template_family,
        step_count=None if step_count is None else (step_count_operator, step_count),
        duration_ns=None if duration_value is None else (duration_operator, duration_value),
        duration_percentile=duration_percentile,
        tools_used=None if tools_used is None else tuple(tools_used),
        since=start_date,
        until=end_date,
        agent_ids=(agent_id,) if agent_id else tuple(agent_ids) if agent_ids else None,
        conversation_id=conversation_id,
        statuses=tuple(statuses) if statuses else None,
        background=background,
        stop_reason=stop_reason,
        active=True if active else None,
    )


@router.get("/runs")
async def list_runs(
    services: Services,
    actor: Actor,
    wanted: AskedList,
    chosen: Annotated[RunFilter, Depends(asked_runs)],
    order_by: Literal["created_at", "duration"] = "created_at",
) -> Response:
    """Runs, the newest or the longest first."""
    found = await services.store.read(runs.listing, actor, chosen, wanted, by_duration=order_by == "duration")
    return json_answer([wire_run(run) for run in found])


@router.get("/runs/active")
async def list_active_runs(
    services: Services, actor: Actor, agent_id: str | None = None, background: bool | None = None
) -> Response:
    """Runs that have no end yet."""
    chosen = RunFilter(agent_ids=(agent_id,) if agent_id else None, background=background, active=True)
    found = await services.store.read(runs.listing, actor, chosen, Page(limit_rows=PAGE_MAX_ROWS))
    return json_answer([wire_run(run) for run in found])


@router.get("/runs/{run_id}")
async def get_run(run_id: RunId, services: Services, actor: Actor) -> Response:
    """One run."""
    return json_answer(wire_run(await services.store.read(runs.get, actor, run_id)))


@router.delete("/runs/{run_id}")
async def delete_run(run_id: RunId, services: Services, actor: Actor) -> Response:
    """Forget a run that has ended, with its steps; its messages stay."""
    await services.store.write(_forget, actor, run_id)
    return json_answer(None)


def _forget(tx: Transaction, actor: actors.Actor, run_id: str) -> None:
    if runs.get(tx, actor, run_id).completed_at is None:
        raise Conflict(f"Run {run_id} has not ended.", hint="Cancel it first.")
    runs.delete(tx, actor, run_id)


@router.get("/runs/{run_id}/messages")
async def list_run_messages(run_id: RunId, services: Services, actor: Actor, wanted: AskedPage) -> Response:
    """What was said in a run, its input included, the oldest first."""
    return json_answer(await services.store.read(_messages_of_run, actor, run_id, wanted))


def _messages_of_run(tx: Transaction, actor: actors.Actor, run_id: str, wanted: MessagePage) -> list[WireObject]:
    view = view_of(runs.get(tx, actor, run_id))
    return wire_page(tx, actor, MessageFilter(run_id=run_id), wanted.in_order("asc"), replace(view, types=None))


@router.get("/runs/{run_id}/usage")
async def get_run_usage(run_id: RunId, services: Services, actor: Actor) -> Response:
    """What a run used up."""
    return json_answer(wire_run_usage(await services.store.read(runs.get, actor, run_id)))


@router.get("/runs/{run_id}/metrics")
async def get_run_metrics(run_id: RunId, services: Services, actor: Actor) -> Response:
    """How long a run took, and the tools that it called."""
    return json_answer(await services.store.read(_metrics, actor, run_id))


def _metrics(tx: Transaction, actor: actors.Actor, run_id: str) -> WireObject:
    run = runs.get(tx, actor, run_id)
    said = messages.of_run(tx, actor, run_id)
    return wire_run_metrics(run, list(dict.fromkeys(call.name for message in said for call in message.tool_calls)))


@router.get("/runs/{run_id}/steps")
async def list_run_steps(run_id: RunId, services: Services, actor: Actor, wanted: AskedList) -> Response:
    """The steps of a run, the newest first."""
    return json_answer(await services.store.read(_steps_of_run, actor, run_id, wanted))


def _steps_of_run(tx: Transaction, actor: actors.Actor, run_id: str, wanted: Page) -> list[WireObject]:
    runs.get(tx, actor, run_id)
    return [wire_step(step) for step in page_of(steps.of_run(tx, actor, run_id), wanted)]


@router.post("/runs/{run_id}/stream")
async def stream_run(run_id: RunId, services: Services, actor: Actor, body: StreamIn | None = None) -> Response:
    """Tell the stream of a background run again, from where the client was cut off, and then go on with it."""
    return await told_again(services, actor, run_id, body or StreamIn())


async def told_again(core: Core, actor: actors.Actor, run_id: str, body: StreamIn) -> Response:
    """The stream of a background run from where the client wants it."""
    run = await core.streams.check(actor, run_id)
    pings = Pings(run_id=run.id, interval_s=core.settings.ping_interval_s) if body.include_pings else None
    source = core.streams.follow(
        actor,
        run,
        body.starting_after,
        batch_rows=body.batch_size or BATCH_ROWS,
        poll_s=body.poll_interval or POLL_S,
    )
    return EventStream(source, core.clock, pings)


@router.get("/steps")
async def list_steps(
    services: Services,
    actor: Actor,
    wanted: AskedList,
    *,
    agent_id: str | None = None,
    project_id: str | None = None,
    model: str | None = None,
    feedback: Literal["positive", "negative"] | None = None,
    has_feedback: bool | None = None,
    start_date: Moment | None = None,
    end_date: Moment | None = None,
    trace_ids: Annotated[list[str] | None, Query(max_length=PAGE_MAX_ROWS)] = None,
    tags: Annotated[list[str] | None, Query(max_length=PAGE_MAX_ROWS)] = None,
) -> Response:
    """Steps by time, the newest first."""
    chosen = StepFilter(
        agent_id=agent_id,
        project_id=project_id,
        model=model,
        feedback=feedback,
        has_feedback=has_feedback,
        since=start_date,
        until=end_date,
        run_ids=None if trace_ids is None else tuple(trace_ids),
        tags=tuple(tags or ()),
    )
    found = await services.store.read(steps.listing, actor, chosen, wanted)
    return json_answer([wire_step(step) for step in found])


@router.get("/steps/{step_id}")
async def get_step(step_id: StepId, services: Services, actor: Actor) -> Response:
    """One step."""
    return json_answer(wire_step(await services.store.read(steps.get, actor, step_id)))


@router.get("/steps/{step_id}/metrics")
async def get_step_metrics(step_id: StepId, services: Services, actor: Actor) -> Response:
    """How long a step took, by what it waited for."""
    return json_answer(wire_step_metrics(await services.store.read(steps.get, actor, step_id)))


@router.get("/steps/{step_id}/messages")
async def list_step_messages(step_id: StepId, services: Services, actor: Actor, wanted: AskedPage) -> Response:
    """What was said in a step, the oldest first."""
    return json_answer(await services.store.read(_messages_of_step, actor, step_id, wanted))


def _messages_of_step(tx: Transaction, actor: actors.Actor, step_id: str, wanted: MessagePage) -> list[WireObject]:
    step = steps.get(tx, actor, step_id)
    return wire_page(tx, actor, MessageFilter(run_id=step.run_id, step_id=step_id), wanted.in_order("asc"), PLAIN_VIEW)


@router.patch("/steps/{step_id}/feedback")
async def set_step_feedback(step_id: StepId, body: FeedbackIn, services: Services, actor: Actor) -> Response:
    """Note what a person thinks of a step."""
    return json_answer(wire_step(await services.store.write(_set_feedback, actor, step_id, body)))


@router.patch("/steps/{step_id}/transaction/{transaction_id}")
async def set_step_transaction(step_id: StepId, transaction_id: str, services: Services, actor: Actor) -> Response:
    """Note what an accounting system outside knows the step by."""
    return json_answer(wire_step(await services.store.write(_set_transaction, actor, step_id, transaction_id)))


def _set_transaction(tx: Transaction, actor: actors.Actor, step_id: str, transaction_id: str) -> Step:
    steps.set_transaction(tx, actor, step_id, transaction_id)
    return steps.get(tx, actor, step_id)


def _set_feedback(tx: Transaction, actor: actors.Actor, step_id: str, body: FeedbackIn) -> Step:
    steps.set_feedback(tx, actor, step_id, body.feedback, None if body.tags is None else tuple(body.tags))
    return steps.get(tx, actor, step_id)
