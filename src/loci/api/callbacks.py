"""Tells an address that a client gave that its run or batch has ended. A user named it, so only the door goes there.

The transaction that stores the end asks for the call, so neither is lost without the other.
"""

from collections.abc import Mapping
from datetime import datetime

import orjson

from loci.api.wire_runs import wire_moment
from loci.errors import FetchFailed
from loci.jobs.worker import Jobs
from loci.net import Door
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.jobs import Job, NewJob
from loci.types.json import JsonObject
from loci.types.runs import Run

KIND = "callback"
ATTEMPTS_MAX = 6
"""With the pauses between them, about a minute."""
TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 10_000
_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


class Callbacks:
    """Asks for calls in the transaction of what has ended, and makes them as a handler of jobs."""

    def __init__(self, door: Door, jobs: Jobs) -> None:
        self._door = door
        self._jobs = jobs

    def run_ended(self, tx: Transaction, actor: Actor, run: Run, now: datetime) -> None:
        """Have the address that a run names told of its end."""
        told: JsonObject = {
            "run_id": run.id,
            "status": run.status,
            "completed_at": wire_moment(run.completed_at),
            "metadata": {"stop_reason": run.stop_reason, "error_type": run.error and run.error.get("error_type")},
        }
        self.ask(tx, actor, run.callback_url, told, now)

    def ask(self, tx: Transaction, actor: Actor, url: str | None, told: JsonObject, now: datetime) -> None:
        """Have an address told this, if there is one."""
        if url:
            self._jobs.enqueue(tx, actor, NewJob(kind=KIND, payload={"url": url, "told": told}), now)

    async def __call__(self, actor: Actor, job: Job) -> None:  # noqa: ARG002  every handler is told whose work it is
        """Call once. What the address refuses it has heard; where it fails for now, the job is tried again."""
        answer = await self._door.fetch(
            str(job.payload["url"]),
            method="POST",
            headers=_HEADERS,
            body=orjson.dumps(job.payload["told"]),
            limit_bytes=ANSWER_LIMIT_BYTES,
            timeout_s=TIMEOUT_S,
        )
        if answer.status >= 500:
            raise FetchFailed(f"The address answered with {answer.status}.")
