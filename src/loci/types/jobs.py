"""Background work as values: what is to be done once, later or again, whatever happens to this process."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from loci.types.json import EMPTY, JsonObject

JobStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """Work to be done. Of one kind there is at most one open job for a subject: a second one joins the first."""

    kind: str
    subject_id: str | None = None
    """What it is about, for example a file's id. None: every such job is its own."""
    payload: JsonObject = field(default_factory=lambda: EMPTY)
    run_at: datetime | None = None
    """When it is due; None is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work as it is stored."""

    id: str
    kind: str
    subject_id: str | None
    payload: JsonObject
    status: JobStatus
    attempts: int
    """How often it was begun since it was last asked for."""
    run_at: datetime
    error: str | None
    created_at: datetime
    completed_at: datetime | None
    created_by: str | None = None
