"""The work on batches of messages: each request becomes a run in the background, a few at a time.

Requests of one agent follow each other. Each carries an otid of the batch, so work that is done again after a crash
finds the runs that it began.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from loci.agent.runs import LiveRun
from loci.api.core import Core
from loci.api.scheduling import said_request
from loci.api.wire_runs import wire_moment
from loci.errors import Busy, Conflict, LociError, NotFound
from loci.jobs.worker import FINAL_STATUS
from loci.store import batches, runs
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.batches import BatchItem, BatchStatus, ItemStatus
from loci.types.jobs import Job
from loci.types.runs import status_of

KIND = "message.batch"
AT_ONCE = 2
"""So many batches are under way, for each waits for its runs while other work must go on."""
AGENTS_AT_ONCE = 4
BUSY_PAUSE_S = 2.0
BUSY_S_MAX = 3_600.0
"""So long a request waits for an agent that is at work for others."""
ITEM_STATUSES: dict[str, ItemStatus] = {"completed": "completed", "cancelled": "cancelled"}


class Batches:
    """The work, as a handler of jobs."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def __call__(self, actor: Actor, job: Job) -> datetime | None:
        """Carry out what is left of a batch."""
        core = self._core
        left = await core.store.write(batches.begin, actor, job.id)
        of_agents: dict[str, list[BatchItem]] = {}
        for item in left:
            of_agents.setdefault(item.agent_id, []).append(item)
        free = asyncio.Semaphore(AGENTS_AT_ONCE)
        # An error of one agent's is told once the others are done: none stops waiting for its runs on that account.
        work = [self._of_agent(actor, items, free) for items in of_agents.values()]
        for error in await asyncio.gather(*work, return_exceptions=True):
            if error is not None:
                raise error
        await core.store.write(self._carried_out, actor, job.id, core.clock.now())
        return None

    async def _of_agent(self, actor: Actor, items: Sequence[BatchItem], free: asyncio.Semaphore) -> None:
        async with free:
            for item in items:
                await self._one(actor, item)

    async def _one(self, actor: Actor, item: BatchItem) -> None:
        store = self._core.store
        try:
            live = await self._started(actor, item)
        except LociError as error:
            if error.status not in FINAL_STATUS:
                raise
            await store.write(batches.set_item, actor, item, "failed", error=str(error))
            return
        if not await store.write(batches.set_item, actor, item, "running", run_id=live.run.id):
            await self._stop_runs(actor, item.batch_id, item.agent_id)
            return
        ending = (await live.ended()).ending
        status = ITEM_STATUSES.get(status_of(ending.reason), "failed")
        words = None if status == "completed" else ending.words
        await store.write(batches.set_item, actor, item, status, run_id=live.run.id, error=words)

    async def _started(self, actor: Actor, item: BatchItem) -> LiveRun:
        """The run of a request, or the one that it led to before. Raises Busy when the agent does not come free."""
        core = self._core
        request = said_request(item.request, otid=f"{item.batch_id}:{item.number}")
        request = replace(request, metadata={**request.metadata, "run_type": "batch", "batch_id": item.batch_id})
        until_s = core.clock.monotonic_s() + BUSY_S_MAX
        while True:
            try:
                return await core.runs.start(actor, item.agent_id, None, request)
            except Busy:
                if core.clock.monotonic_s() >= until_s:
                    raise
                await core.clock.sleep(BUSY_PAUSE_S)

    def _carried_out(self, tx: Transaction, actor: Actor, batch_id: str, now: datetime) -> None:
        counts = batches.get(tx, actor, batch_id).counts
        self._end(tx, actor, batch_id, "completed" if counts.get("completed") or not counts else "failed", now)

    def _end(self, tx: Transaction, actor: Actor, batch_id: str, status: BatchStatus, now: datetime) -> None:
        """Store the end of a batch, and have its address told."""
        if batches.end(tx, actor, batch_id, status, now):
            told = {"job_id": batch_id, "status": status, "completed_at": wire_moment(now)}
            self._core.callbacks.ask(tx, actor, batches.get(tx, actor, batch_id).callback_url, told, now)

    async def given_up(self, actor: Actor, job: Job, error: str | None) -> None:
        """End a batch whose job was called off or has failed, with the runs that are under way."""
        core = self._core
        left = await core.store.write(self._give_up, actor, job.id, error, core.clock.now())
        for agent_id in {item.agent_id for item in left}:
            await self._stop_runs(actor, job.id, agent_id)

    def _give_up(
        self, tx: Transaction, actor: Actor, batch_id: str, error: str | None, now: datetime
    ) -> list[BatchItem]:
        left = batches.begin(tx, actor, batch_id)
        status: BatchStatus = "cancelled" if error is None else "failed"
        self._end(tx, actor, batch_id, status, now)
        batches.end_items(tx, actor, batch_id, status, error)
        return left

    async def _stop_runs(self, actor: Actor, batch_id: str, agent_id: str) -> None:
        active = await self._core.store.read(runs.active_of_agent, actor, agent_id)
        ids = [run.id for run in active if run.metadata.get("batch_id") == batch_id]
        if ids:
            with suppress(Conflict, NotFound):  # they ended by themselves, or the agent is gone
                await self._core.runs.cancel(actor, agent_id, run_ids=ids)


async def cancel_batch(core: Core, actor: Actor, batch_id: str) -> None:
    """Call a batch off, with the runs that are under way. Raises NotFound, and Conflict when it has ended."""
    batch = await core.store.read(batches.get, actor, batch_id)
    if batch.completed_at is not None or not await core.jobs.cancel(actor, batch_id):
        raise Conflict(f"Batch {batch_id} has ended.")
