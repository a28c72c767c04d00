"""Streams that outlive their connection: what a background run tells is numbered, stored, and told again on request.

A recorder takes down each background run. While one batch is being committed the next one gathers, and an event is
passed on only after it is stored; so whoever reads the store and then waits for news misses nothing and hears nothing
twice. When a run is resumed after a crash, its recorder first tells what was stored but not told, and numbers on.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from datetime import timedelta
from math import inf

from loci.agent.runs import LiveRun
from loci.api.recording import Numbered, Recording, is_last, settle
from loci.api.sse import frame
from loci.clock import Clock
from loci.errors import BadRequest, Gone, LociError
from loci.store import run_events, runs
from loci.store.base import Store
from loci.types.actor import Actor
from loci.types.runs import Run

BATCH_ROWS = 100
BATCH_ROWS_MAX = 1_000
POLL_S = 0.1
POLL_S_MIN = 0.02
POLL_S_MAX = 5.0
PURGE_EVERY_S_MAX = 3_600.0


class Streams:
    """The recordings of this process, and the way to what they hold."""

    def __init__(self, store: Store, clock: Clock, *, retention_s: float) -> None:
        self._store = store
        self._clock = clock
        self._retention_s = retention_s
        self._recordings: dict[str, Recording] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to drop old streams, now and from time to time."""
        self._begin(self._purge_now_and_then())

    async def close(self) -> None:
        """Stop. What was passed on is stored; what was not is told when somebody asks again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def observe(self, actor: Actor, live: LiveRun) -> None:
        """Record this run if it is a background run. To be called before its first event."""
        if live.run.background:
            self._recordings[live.run.id] = recording = Recording(actor)
            self._begin(self._record(live, recording))

    async def _record(self, live: LiveRun, recording: Recording) -> None:
        run = live.run
        try:
            await recording.take_down(live, self._store, self._clock.now)
        except LociError:
            # The run is not hurt by that. `settle` makes up for what is missing once the store takes it.
            return
        finally:
            self._recordings.pop(run.id, None)
            recording.close()

    async def check(self, actor: Actor, run_id: str) -> Run:
        """The run whose stream is wanted. Raises NotFound, BadRequest when nothing is recorded of it, and Gone."""
        run = await self._store.read(runs.get, actor, run_id)
        if not run.background:
            raise BadRequest(f"Run {run_id} was not started in the background, so it has no stream to take up again.")
        if run.completed_at is not None and run.completed_at < self._clock.now() - timedelta(seconds=self._retention_s):
            raise Gone(f"The stream of run {run_id} has expired; its messages can still be listed.")
        return run

    async def follow(
        self, actor: Actor, run: Run, starting_after: int = 0, *, batch_rows: int = BATCH_ROWS, poll_s: float = POLL_S
    ) -> AsyncGenerator[bytes]:
        """All that the stream of a run told after that number, and then what it tells, as writes. See `check`."""
        seq_id = starting_after
        while True:
            recording = self._recordings.get(run.id)
            news = None if recording is None else recording.news
            new = await self._told_after(actor, run.id, seq_id, max(1, min(batch_rows, BATCH_ROWS_MAX)))
            if new:
                yield b"".join([frame(body) for _, body in new])
                seq_id = new[-1][0]
                if is_last(new[-1][1]):
                    return
            elif news is not None:
                await news.wait()
            elif await self._last_number(actor, run, poll_s) <= seq_id:
                return

    async def _told_after(self, actor: Actor, run_id: str, seq_id: int, limit_rows: int) -> list[Numbered]:
        recording = self._recordings.get(run_id)
        fresh = None if recording is None else recording.after(seq_id)
        if fresh is not None:
            return fresh[:limit_rows]
        found = await self._store.read(run_events.after, actor, run_id, seq_id, limit_rows)
        return [(number, body.encode()) for number, body in found]

    async def _last_number(self, actor: Actor, run: Run, poll_s: float) -> float:
        """The last number of a stream that nobody records. Waits a little, and says it has none yet, when the run
        goes on: it will be resumed.
        """
        last = await self._store.write(settle, actor, run.id)
        if last is not None:
            return last
        await self._clock.sleep(max(POLL_S_MIN, min(poll_s, POLL_S_MAX)))
        return inf

    async def purge(self) -> int:
        """Drop what has expired; how many events that were."""
        return await self._store.write(run_events.purge, self._clock.now() - timedelta(seconds=self._retention_s))

    async def _purge_now_and_then(self) -> None:
        while True:
            await self.purge()
            await self._clock.sleep(min(self._retention_s / 2, PURGE_EVERY_S_MAX))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
