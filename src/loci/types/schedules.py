"""Messages that are to be said to an agent later, as values."""

from dataclasses import dataclass
from datetime import datetime

from loci.types.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """At one time."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """At each time that a cron expression of five fields means in the agent's timezone."""

    cron: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledMessage:
    """What is said to an agent, and when next. `asked` and `schedule` are as the client sent them."""

    id: str
    agent_id: str
    asked: JsonObject
    schedule: JsonObject
    due_at: datetime
    created_at: datetime | None = None
