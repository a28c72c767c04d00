"""Looking into a run: what was sent to the model and what it answered; and what a message would send."""

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from loci.agent.previewing import preview
from loci.api.answers import JSON, json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import AgentId, ConversationId, RunId, StepId
from loci.api.threads import thread_of
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import SendIn, run_request
from loci.api.wire_traces import wire_spans, wire_trace
from loci.errors import NotFound
from loci.store import messages, runs, steps, traces
from loci.store.base import Transaction
from loci.types import actor as actors

router = new_router("traces")

Object = dict[str, Any]


@router.get("/steps/{step_id}/trace", response_model=Object | None)
@router.get("/telemetry/{step_id}", response_model=Object | None)
async def get_step_trace(step_id: StepId, services: Services, actor: Actor) -> Response:
    """The request of a step to the provider and its answer; null when it is not kept, or not any more."""
    await services.traces.flush()
    return json_answer(await services.store.read(_of_step, actor, step_id))


def _of_step(tx: Transaction, actor: actors.Actor, step_id: str) -> WireObject | None:
    trace = traces.of_step(tx, actor, step_id)
    if trace is None:
        steps.get(tx, actor, step_id)
        return None
    return wire_trace(trace, actor)


@router.get("/runs/{run_id}/trace", response_model=list[Object])
async def get_run_trace(
    run_id: RunId, services: Services, actor: Actor, limit: Annotated[int, Query(ge=1, le=5_000)] = 1_000
) -> Response:
    """A run as spans: the run, its steps, the calls of models and tools, each with its beginning and its duration."""
    await services.traces.flush()
    return json_answer((await services.store.read(_of_run, actor, run_id, limit))[:limit])


def _of_run(tx: Transaction, actor: actors.Actor, run_id: str, limit: int) -> list[WireObject]:
    run = runs.get(tx, actor, run_id)
    said = messages.of_run(tx, actor, run_id)
    return wire_spans(run, steps.of_run(tx, actor, run_id), traces.of_run(tx, actor, run_id, limit), said)


@router.post("/agents/{agent_id}/messages/preview-raw-payload", response_model=Object)
async def preview_message(agent_id: AgentId, body: SendIn, services: Services, actor: Actor) -> Response:
    """The body that this message would send to the provider. Nothing is sent or stored."""
    return await _previewed(services, actor, agent_id, None, body)


@router.post("/conversations/{conversation_id}/messages/preview-raw-payload", response_model=Object)
async def preview_conversation_message(
    conversation_id: ConversationId, body: SendIn, services: Services, actor: Actor
) -> Response:
    """The body that this message would send to the provider. Nothing is sent or stored."""
    found = await services.store.read(thread_of, actor, conversation_id, body.agent_id)
    return await _previewed(services, actor, found.agent_id, found.id, body)


async def _previewed(
    core: Core, actor: actors.Actor, agent_id: str, conversation_id: str | None, body: SendIn
) -> Response:
    request, old = run_request(body, tokens=False)
    if old is not None:
        raise NotFound("There is no call here whose answer could be shown.")
    return Response(await preview(core.kit, actor, agent_id, conversation_id, request), media_type=JSON)
