"""Doing background work: what was asked for in a transaction is done at least once, also after a crash.

    jobs.register("file.parse", parse)                        # at the start, by the composition root
    jobs.enqueue(tx, actor, NewJob(kind="file.parse", subject_id=file_id), now)     # in the data's own transaction

A handler may be interrupted anywhere and called again, so it looks first what is left to do. It returns nothing, or
the time at which the same job is due again. A failure is tried again after a growing pause; one of the 4xx kind is
final, as another try cannot mend it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from loci.clock import Clock
from loci.errors import LociError, StoreFailure
from loci.store import jobs
from loci.store.base import Store, Transaction
from loci.types.actor import Actor
from loci.types.jobs import Job, NewJob

log = logging.getLogger(__name__)

AT_ONCE = 8
"""So many jobs of a kind, unless it says otherwise."""
LEASE_S = 60.0
POLL_S = 5.0
"""How soon work that another process asked for is seen."""
ATTEMPTS_MAX = 8
PAUSE_FIRST_S = 2.0
PAUSE_MAX_S = 600.0
KEPT_DAYS = 7
"""How long ended jobs can be looked at."""
ERROR_MAX_CHARS = 2_000
FINAL_STATUS = range(400, 500)

JobHandler: TypeAlias = Callable[[Actor, Job], Awaitable[datetime | None]]
GivenUp: TypeAlias = Callable[[Actor, Job, str | None], Awaitable[None]]
"""Told that nobody goes on with a job, with the error that ended it; None when it was called off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    handler: JobHandler
    attempts_max: int
    given_up: GivenUp | None
    at_once: int
    under_way: set[str] = field(default_factory=set[str])


class Jobs:
    """The background work of this process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kinds: dict[str, _Work] = {}
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None

    def register(
        self,
        kind: str,
        handler: JobHandler,
        *,
        attempts_max: int = ATTEMPTS_MAX,
        given_up: GivenUp | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        """Say who does work of a kind, and how many jobs of it at once. Once per kind, before `start`."""
        if kind in self._kinds:
            raise ValueError(f"the kind {kind!r} has a handler")
        self._kinds[kind] = _Work(handler=handler, attempts_max=attempts_max, given_up=given_up, at_once=at_once)

    def enqueue(self, tx: Transaction, actor: Actor, new: NewJob, now: datetime) -> str:
        """Ask for work within a transaction; the job's id. It begins once the transaction is durable."""
        self.wake(tx)
        return jobs.enqueue(tx, actor, new, now)

    def wake(self, tx: Transaction) -> None:
        """See to what a transaction asks for by other ways, once it is durable."""
        tx.after_commit(self._wake.set)

    async def start(self) -> None:
        """Take up what a former process left, and begin to work."""
        now = self._clock.now()
        await self._store.write(jobs.release)
        await self._store.write(jobs.purge, now - timedelta(days=KEPT_DAYS))
        self._loop = asyncio.create_task(self._work(), name="jobs")

    async def close(self) -> None:
        """Stop; what is unfinished is done after the next start."""
        doing = [self._loop] if self._loop else []
        self._loop = None
        doing += self._tasks.values()
        for task in doing:
            task.cancel()
        await asyncio.gather(*doing, return_exceptions=True)

    async def cancel(self, actor: Actor, job_id: str) -> bool:
        """Call a job off, under way or not. False when it has ended before; raises NotFound."""
        job = await self._store.read(jobs.get, actor, job_id)
        cancelled = await self._store.write(jobs.cancel, actor, job_id, self._clock.now())
        task = self._tasks.get(job_id)
        if cancelled and task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if cancelled:
            await self._give_up(actor, job, None)
        return cancelled

    async def settled(self, job_id: str) -> None:
        """Wait until this process has done with a job what it can, and how it ended is stored."""
        if (task := self._tasks.get(job_id)) is not None:
            await asyncio.wait({task})

    async def run_due(self) -> int:
        """Do all that is due and wait for its end; how many attempts that took. For tests and one-off commands."""
        count = 0
        while True:
            started = await self._begin(await self._due())
            count += started
            if not started and not self._tasks:
                return count
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            pause_s = POLL_S
            try:
                due = await self._due()
                if await self._begin(due) == 0:
                    pause_s = self._pause_s(due)
            except StoreFailure as failure:
                log.warning("background work waits for the database: %s", failure)
            with suppress(TimeoutError):
                # Real time, whatever the clock says: a clock that tests move would make this loop spin. Not wait_for:
                # before Python 3.12 it swallows a cancellation that comes together with the event.
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()

    async def _due(self) -> datetime | None:
        """When the next job is due that this process can do."""
        room = self._room()
        return await self._store.read(jobs.next_due, list(room)) if room else None

    def _room(self) -> dict[str, int]:
        """How many more jobs of each kind may begin; kinds that may not are left out."""
        room = {kind: work.at_once - len(work.under_way) for kind, work in self._kinds.items()}
        return {kind: free for kind, free in room.items() if free > 0}

    def _pause_s(self, due: datetime | None) -> float:
        return POLL_S if due is None else min(POLL_S, max(0.01, (due - self._clock.now()).total_seconds()))

    async def _begin(self, due: datetime | None) -> int:
        """Claim what is due and set it going; how many jobs."""
        now = self._clock.now()
        if due is None or due > now:
            return 0
        count, until = 0, now + timedelta(seconds=LEASE_S)
        while room := self._room():
            # No more than the fullest kind has room for, so that no kind gets more than it may have.
            free = min(room.values())
            claimed = await self._store.write(jobs.claim, list(room), free, now, until)
            for actor, job in claimed:
                self._kinds[job.kind].under_way.add(job.id)
                self._tasks[job.id] = task = asyncio.create_task(self._do(actor, job), name=job.id)
                task.add_done_callback(partial(self._done, job))
            count += len(claimed)
            if len(claimed) < free:
                break
        return count

    def _done(self, job: Job, task: asyncio.Task[None]) -> None:
        self._tasks.pop(job.id, None)
        self._kinds[job.kind].under_way.discard(job.id)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the end of job %s is not stored, so it is done again: %s", job.id, error)
        self._wake.set()

    async def _do(self, actor: Actor, job: Job) -> None:
        work = self._kinds[job.kind]
        if job.attempts > work.attempts_max:
            await self._end(actor, job, "it was interrupted each time", final=True)
            return
        try:
            again_at = await self._leased(job, asyncio.ensure_future(work.handler(actor, job)))
        except LociError as error:
            final = error.status in FINAL_STATUS or job.attempts >= work.attempts_max
            log.warning("job %s (%s), attempt %d: %s", job.id, job.kind, job.attempts, error)
            await self._end(actor, job, str(error), final=final)
        except Exception as error:
            log.exception("job %s (%s), attempt %d, broke", job.id, job.kind, job.attempts)
            final = job.attempts >= work.attempts_max
            await self._end(actor, job, f"{type(error).__name__}: {error}", final=final)
        else:
            now, status = self._clock.now(), "completed" if again_at is None else "pending"
            await self._store.write(jobs.end, job.id, status, now, run_at=again_at)

    async def _leased(self, job: Job, work: asyncio.Future[datetime | None]) -> datetime | None:
        """Wait for the work and keep its lease alive. A job that was called off meanwhile is cancelled."""
        try:
            while True:
                done, _ = await asyncio.wait({work}, timeout=LEASE_S / 3)
                if done:
                    return work.result()
                until = self._clock.now() + timedelta(seconds=LEASE_S)
                if not await self._store.write(jobs.renew, job.id, until):
                    raise asyncio.CancelledError
        finally:
            work.cancel()
            # Also when it is done: it may have failed in the moment in which it was called off.
            await asyncio.gather(work, return_exceptions=True)

    async def _give_up(self, actor: Actor, job: Job, error: str | None) -> None:
        work = self._kinds.get(job.kind)
        if work is not None and work.given_up is not None:
            await work.given_up(actor, job, error)

    async def _end(self, actor: Actor, job: Job, error: str, *, final: bool) -> None:
        if final:
            await self._give_up(actor, job, error[:ERROR_MAX_CHARS])
        now = self._clock.now()
        pause_s = min(PAUSE_FIRST_S * 2.0 ** (job.attempts - 1), PAUSE_MAX_S)
        await self._store.write(
            jobs.end,
            job.id,
            "failed" if final else "pending",
            now,
            error=error[:ERROR_MAX_CHARS],
            run_at=None if final else now + timedelta(seconds=pause_s),
        )
