"""Batches: many messages for many agents, answered in the background."""

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.batching import KIND, cancel_batch
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import JobId
from loci.api.requests_agents import LIST_MAX, Body
from loci.api.routes.jobs import wire_work
from loci.api.routes.runs import AskedList
from loci.api.scheduling import said_request
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import SendIn
from loci.api.wire_stored import wire_stored
from loci.errors import Unprocessable
from loci.store import agents, batches
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.batches import Batch, BatchItem
from loci.types.jobs import NewJob
from loci.types.json import JsonObject

router = new_router("batches")


class BatchIn(Body):
    """The messages of a batch, and who is told when it has ended."""

    requests: Annotated[list[SendIn], Field(min_length=1, max_length=LIST_MAX)]
    callback_url: Annotated[str, Field(min_length=1, max_length=2_083)] | None = None


class BatchShape(BaseModel):
    """A batch. `metadata` says how many of its requests stand where."""

    id: str
    status: Literal["created", "running", "completed", "failed", "cancelled"]
    job_type: Literal["batch"]
    metadata: dict[str, Any]
    callback_url: str | None
    created_at: str
    completed_at: str | None


class BatchMessagesShape(BaseModel):
    """What was said in the runs of a batch."""

    messages: list[dict[str, Any]]


@router.post("/messages/batches", response_model=BatchShape)
async def create_batch(body: BatchIn, services: Services, actor: Actor) -> Response:
    """Have many messages answered in the background, a few at a time; those of one agent in their order."""
    if body.callback_url is not None:
        await services.door.check(body.callback_url)
    asked: list[tuple[str, JsonObject]] = []
    for request in body.requests:
        if request.agent_id is None:
            raise Unprocessable("Each request of a batch must name its agent_id.")
        given = cast("JsonObject", request.model_dump(exclude={"agent_id"}, exclude_unset=True, mode="json"))
        said_request(given, otid="")
        asked.append((request.agent_id, given))
    return json_answer(_wire(await services.store.write(_create, actor, body.callback_url, asked, services)))


def _create(
    tx: Transaction, actor: actors.Actor, callback_url: str | None, asked: list[tuple[str, JsonObject]], core: Core
) -> Batch:
    now = core.clock.now()
    for agent_id in {agent_id for agent_id, _ in asked}:
        agents.get(tx, actor, agent_id)
    batch_id = core.jobs.enqueue(tx, actor, NewJob(kind=KIND), now)
    batches.insert(tx, actor, batch_id, callback_url, now)
    items = [
        BatchItem(batch_id=batch_id, number=number, agent_id=agent_id, request=request)
        for number, (agent_id, request) in enumerate(asked)
    ]
    batches.insert_items(tx, actor, items)
    return batches.get(tx, actor, batch_id)


@router.get("/messages/batches", response_model=list[BatchShape])
async def list_batches(services: Services, actor: Actor, wanted: AskedList) -> Response:
    """Batches by time, the newest first."""
    return json_answer([_wire(batch) for batch in await services.store.read(batches.listing, actor, wanted)])


@router.get("/messages/batches/{batch_id}", response_model=BatchShape)
async def get_batch(batch_id: JobId, services: Services, actor: Actor) -> Response:
    """One batch."""
    return json_answer(_wire(await services.store.read(batches.get, actor, batch_id)))


@router.get("/messages/batches/{batch_id}/messages", response_model=BatchMessagesShape)
async def list_batch_messages(
    batch_id: JobId, services: Services, actor: Actor, wanted: AskedList, agent_id: str | None = None
) -> Response:
    """What was said in the runs of a batch, the newest first."""
    found = await services.store.read(batches.said, actor, batch_id, agent_id, wanted)
    return json_answer({"messages": [wire_stored(message) for message in found]})


@router.patch("/messages/batches/{batch_id}/cancel")
async def cancel(batch_id: JobId, services: Services, actor: Actor) -> Response:
    """Call a batch off, with the runs that are under way."""
    await cancel_batch(services, actor, batch_id)
    return json_answer(None)


def _wire(batch: Batch) -> WireObject:
    return wire_work(batch, "batch", {"requests": sum(batch.counts.values()), **batch.counts})
