"""Scheduled messages of an agent."""

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import DEFAULT_ROWS, UUID, AgentId, Cursor, Limit
from loci.api.scheduling import ScheduleIn, schedule_message, unschedule, wire_scheduled
from loci.api.shapes_apart import ScheduledShape, ScheduleMadeShape, SchedulesShape, SuccessShape
from loci.store import agents, schedules
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.paging import PAGE_MAX_ROWS, Page
from loci.types.schedules import ScheduledMessage

router = new_router("agents")

ScheduleId = Annotated[str, Path(pattern=f"^schedule-{UUID}$", description="Id of the scheduled message.")]


@router.post("/agents/{agent_id}/schedule", status_code=201, response_model=ScheduleMadeShape)
async def schedule(agent_id: AgentId, body: ScheduleIn, services: Services, actor: Actor) -> Response:
    """Have something said to an agent later, once or again and again."""
    if body.callback_url is not None:
        await services.door.check(body.callback_url)
    now = services.clock.now()
    made = await services.store.write(schedule_message, services, actor, agent_id, body, now)
    return json_answer({"id": made.id, "next_scheduled_at": wire_scheduled(made)["next_scheduled_time"]}, 201)


@router.get("/agents/{agent_id}/schedule", response_model=SchedulesShape)
async def list_scheduled(
    agent_id: AgentId, services: Services, actor: Actor, after: Cursor = None, limit: Limit = None
) -> Response:
    """What is to be said to an agent, oldest first."""
    rows = min(DEFAULT_ROWS if limit is None else max(1, limit), PAGE_MAX_ROWS - 1)
    found = await services.store.read(_listed, actor, agent_id, Page(after=after, limit_rows=rows + 1, ascending=True))
    return json_answer(
        {"scheduled_messages": [wire_scheduled(item) for item in found[:rows]], "has_next_page": len(found) > rows}
    )


def _listed(tx: Transaction, actor: actors.Actor, agent_id: str, page: Page) -> list[ScheduledMessage]:
    agents.get(tx, actor, agent_id)
    return schedules.of_agent(tx, actor, agent_id, page)


@router.get("/agents/{agent_id}/schedule/{scheduled_message_id}", response_model=ScheduledShape)
async def retrieve_scheduled(
    agent_id: AgentId, scheduled_message_id: ScheduleId, services: Services, actor: Actor
) -> Response:
    """One scheduled message. It is gone once it has been said for the last time."""
    return json_answer(wire_scheduled(await services.store.read(schedules.get, actor, agent_id, scheduled_message_id)))


@router.delete("/agents/{agent_id}/schedule/{scheduled_message_id}", response_model=SuccessShape)
async def delete_scheduled(
    agent_id: AgentId, scheduled_message_id: ScheduleId, services: Services, actor: Actor
) -> Response:
    """Call a scheduled message off."""
    await services.store.write(unschedule, actor, agent_id, scheduled_message_id, services.clock.now())
    return json_answer({"success": True})
