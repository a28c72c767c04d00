"""Batches of messages as values: many requests, for one or many agents, carried out in the background."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from loci.types.json import JsonObject

BatchStatus: TypeAlias = Literal["created", "running", "completed", "failed", "cancelled"]
ItemStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch. It has the id of the job that works on it; `counts` says how many of its items are in which state."""

    id: str
    status: BatchStatus
    callback_url: str | None
    created_at: datetime
    completed_at: datetime | None
    created_by: str | None
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One request of a batch, and the run that it led to."""

    batch_id: str
    number: int
    agent_id: str
    request: JsonObject
    status: ItemStatus = "pending"
    run_id: str | None = None
    error: str | None = None
