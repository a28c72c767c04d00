"""Scheduled messages: what clients ask for, and the work of saying them when they are due.

There is one open job for each schedule. What it says carries an otid of the schedule and the due time, so a job that is
done twice is said once. Times that passed while the server was down are made up for by one message.
"""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, cast

import orjson
from pydantic import BaseModel, Field

from loci.agent.request import RunRequest
from loci.agent.schedules import next_due
from loci.api.core import Core
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import MessageIn, MessageType, SendIn, run_request
from loci.api.wire_runs import wire_moment
from loci.clock import zone_named
from loci.errors import AwaitingApproval, BadRequest, Busy, LociError, TooLarge, Unprocessable
from loci.ids import new_id
from loci.jobs.worker import FINAL_STATUS
from loci.store import agents, jobs, schedules
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.jobs import Job, NewJob
from loci.types.json import JsonObject
from loci.types.schedules import Once, Recurring, ScheduledMessage

log = logging.getLogger(__name__)

KIND = "message.scheduled"
ATTEMPTS_MAX = 1_000
"""A database that fails for a night must not end what recurs."""
PER_AGENT_MAX = 100
ASKED_MAX_BYTES = 1_000_000
LATE_S = 60.0
"""So far in the past a time may be, as the clocks of clients differ."""
AHEAD_DAYS = 3_660
BUSY_PAUSE_S = 20.0
BUSY_PAUSE_MAX_S = 3_600.0
"""A message waits for an agent that is at work or waits for an approval; it looks again after a tenth of its delay."""
_SECONDS_MAX = 1e11
"""A time above this counts milliseconds, as JavaScript does."""


class OnceIn(BaseModel):
    """One time, in milliseconds (or seconds) since 1970."""

    type: Literal["one-time"] = "one-time"
    scheduled_at: float = Field(gt=0, lt=1e15, allow_inf_nan=False)


class RecurringIn(BaseModel):
    """Times that a cron expression means."""

    type: Literal["recurring"]
    cron_expression: str = Field(max_length=200)


class ScheduleIn(BaseModel):
    """What is to be said to an agent, and when."""

    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=100)]
    schedule: OnceIn | RecurringIn
    max_steps: float | None = Field(default=None, ge=1, le=10_000)
    callback_url: str | None = None
    include_return_message_types: list[MessageType] | None = None

    def asked(self) -> JsonObject:
        """What is kept of it. Raises Unprocessable, TooLarge."""
        if any(message.is_answer for message in self.messages):
            raise Unprocessable("A scheduled message is something said; an answer to a call is sent at once.")
        asked = cast("JsonObject", self.model_dump(exclude={"schedule"}, exclude_unset=True, mode="json"))
        if len(orjson.dumps(asked)) > ASKED_MAX_BYTES:
            raise TooLarge(f"A scheduled message has at most {ASKED_MAX_BYTES} bytes.")
        said_request(asked, otid="")
        return asked


def said_request(asked: JsonObject, *, otid: str) -> RunRequest:
    """The run that says it. Raises Unprocessable."""
    steps = asked.get("max_steps")
    body = SendIn.model_validate({**asked, "max_steps": int(steps) if isinstance(steps, int | float) else None})
    request, _ = run_request(body, tokens=False)
    # Ids that a client gave are for one time; a second message with the same one would be taken for the first.
    said = [replace(message, otid=f"{otid}:{place}") for place, message in enumerate(request.messages)]
    return replace(request, messages=tuple(said), background=True)


def rule_of(schedule: JsonObject) -> Once | Recurring:
    """When it is due. Raises BadRequest for a time outside of the calendar."""
    at = schedule.get("scheduled_at")
    if not isinstance(at, int | float):
        return Recurring(cron=str(schedule.get("cron_expression")))
    try:
        return Once(at=datetime.fromtimestamp(at / 1000 if at > _SECONDS_MAX else at, UTC))
    except (ValueError, OverflowError, OSError) as error:
        raise BadRequest("'scheduled_at' is outside of the calendar.") from error


def schedule_message(
    tx: Transaction, core: Core, actor: Actor, agent_id: str, body: ScheduleIn, now: datetime
) -> ScheduledMessage:
    """Store a schedule with its job. Raises NotFound, BadRequest."""
    zone = zone_named(agents.get(tx, actor, agent_id).timezone)
    if schedules.count(tx, actor, agent_id) >= PER_AGENT_MAX:
        raise BadRequest(f"The agent has {PER_AGENT_MAX} scheduled messages.", hint="Delete one first.")
    schedule = cast("JsonObject", body.schedule.model_dump(mode="json"))
    due = next_due(rule_of(schedule), now - timedelta(seconds=LATE_S) if "scheduled_at" in schedule else now, zone)
    if due is None or due > now + timedelta(days=AHEAD_DAYS):
        raise BadRequest("The message would never be said.", hint="Give a time within the next ten years.")
    made = ScheduledMessage(
        id=new_id("schedule"), agent_id=agent_id, asked=body.asked(), schedule=schedule, due_at=due, created_at=now
    )
    schedules.insert(tx, actor, made, now)
    core.jobs.enqueue(tx, actor, NewJob(kind=KIND, subject_id=made.id, run_at=due), now)
    return made


def unschedule(tx: Transaction, actor: Actor, agent_id: str, schedule_id: str, now: datetime) -> None:
    """Forget a schedule and its job. Raises NotFound."""
    agents.get(tx, actor, agent_id)
    schedules.get(tx, actor, agent_id, schedule_id)
    schedules.delete(tx, actor, schedule_id)
    jobs.cancel_of_subject(tx, actor, KIND, schedule_id, now)


class Saying:
    """The work of saying what is due, as a handler of jobs."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, actor: Actor, job: Job) -> datetime | None:
        """Say it if it is due; when it is due again."""
        core = self._core
        item = await core.store.read(schedules.find, actor, job.subject_id or "")
        now = core.clock.now()
        if item is None or item.due_at > now:
            return None if item is None else item.due_at
        try:
            request = said_request(item.asked, otid=f"{item.id}:{item.due_at.isoformat()}")
            await core.runs.start(actor, item.agent_id, None, request)
        except (Busy, AwaitingApproval):
            late_s = (now - item.due_at).total_seconds()
            return now + timedelta(seconds=min(max(BUSY_PAUSE_S, late_s / 10), BUSY_PAUSE_MAX_S))
        except LociError as error:
            if error.status not in FINAL_STATUS:
                raise
            log.warning("scheduled message %s was not said: %s", item.id, error)
        return await core.store.write(_move_on, actor, item, now)


def _move_on(tx: Transaction, actor: Actor, item: ScheduledMessage, now: datetime) -> datetime | None:
    """Set the next time, or forget what was said for the last time."""
    rule = rule_of(item.schedule)
    due = None
    if isinstance(rule, Recurring):
        due = next_due(rule, now, zone_named(agents.get(tx, actor, item.agent_id).timezone))
    if due is None:
        schedules.delete(tx, actor, item.id)
    else:
        schedules.move(tx, actor, item.id, due)
    return due


def wire_scheduled(item: ScheduledMessage) -> WireObject:
    """One as clients see it."""
    return {
        "id": item.id,
        "agent_id": item.agent_id,
        "message": item.asked,
        "schedule": item.schedule,
        "next_scheduled_time": wire_moment(item.due_at),
    }
