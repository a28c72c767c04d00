"""Tells an address that a client gave when its run has ended. It comes from a user, so only the door goes there."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import orjson

from loci.api.wire_runs import wire_moment
from loci.clock import Clock
from loci.errors import LociError
from loci.net import Door
from loci.types.actor import Actor
from loci.types.events import RunEnded
from loci.types.json import JsonObject
from loci.types.runs import Run, status_of

TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 10_000
PAUSES_S = (1.0, 5.0, 25.0)
"""Waits before the second and the later attempts."""
_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


class EndingRun(Protocol):
    """A run that will end."""

    @property
    def run(self) -> Run:
        """What is stored of it."""
        ...

    async def ended(self) -> RunEnded:
        """Its last event, when it comes."""
        ...


class Callbacks:
    """Waits for the ends of runs that somebody wants to hear of."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, actor: Actor, live: EndingRun) -> None:  # noqa: ARG002  every observer of runs is told whose they are
        """Wait for this run if it names an address."""
        if live.run.callback_url:
            task = asyncio.get_running_loop().create_task(self._call(live, live.run.callback_url))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop waiting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, live: EndingRun, url: str) -> None:
        end = await live.ended()
        told: JsonObject = {
            "run_id": end.run_id,
            "status": status_of(end.ending.reason),
            "completed_at": wire_moment(self._clock.now()),
            "metadata": {"stop_reason": end.ending.reason.value, "error_type": end.ending.error_type},
        }
        await tell(self._door, self._clock, url, told)


async def tell(door: Door, clock: Clock, url: str, told: JsonObject) -> None:
    """Post this to an address that a client gave, again after a pause where it fails for now."""
    body = orjson.dumps(told)
    for pause_s in (*PAUSES_S, None):
        if await _taken(door, url, body) or pause_s is None:
            return
        await clock.sleep(pause_s)


async def _taken(door: Door, url: str, body: bytes) -> bool:
    """Whether the address took it, or never will."""
    try:
        answer = await door.fetch(
            url, method="POST", headers=_HEADERS, body=body, limit_bytes=ANSWER_LIMIT_BYTES, timeout_s=TIMEOUT_S
        )
    except LociError as error:
        return error.status < 500
    return answer.status < 500
