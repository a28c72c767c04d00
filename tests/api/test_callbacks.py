"""Whoever left an address hears of the end of the run, once, and in spite of a short failure."""

from collections.abc import Sequence
from typing import Any

import httpx2
import orjson

from loci.api.callbacks import Callbacks
from loci.clock import FakeClock
from loci.net import Door
from loci.types.actor import Actor
from loci.types.events import RunEnded
from loci.types.runs import StopReason
from tests.api.said import AT, RUN, ended
from tests.api.stored import a_run

URL = "https://hooks.example.com/done"


class EndedRun:
    def __init__(self, url: str | None = URL, end: RunEnded | None = None) -> None:
        self.run = a_run(callback_url=url)
        self._end = end or ended()

    async def ended(self) -> RunEnded:
        return self._end


async def look_up(name: str, port: int) -> Sequence[str]:
    return ["192.0.1.7"]


async def called(run: EndedRun, *statuses: int) -> tuple[list[Any], FakeClock]:
    """What the address was sent, when it answers with these statuses."""
    heard: list[Any] = []
    answers = list(statuses)

    def answer(request: httpx2.Request) -> httpx2.Response:
        heard.append(orjson.loads(request.content))
        return httpx2.Response(answers.pop(0), stream=httpx2.ByteStream(b""))

    clock = FakeClock(AT)
    callbacks = Callbacks(Door(resolver=look_up, transport=lambda: httpx2.MockTransport(answer)), clock)
    callbacks.observe(Actor(), run)
    for task in list(callbacks._tasks):
        await task
    return heard, clock


async def test_the_end_of_a_run_is_told_to_its_address():
    (heard,), clock = await called(EndedRun(), 200)
    assert heard == {
        "run_id": RUN,
        "status": "completed",
        "completed_at": "2026-05-04T03:02:01.654321Z",
        "metadata": {"stop_reason": "end_turn", "error_type": None},
    }
    assert clock.slept_s == []


async def test_a_failure_is_told_as_one():
    (heard,), _ = await called(EndedRun(end=ended(StopReason.LLM_API_ERROR, error_type="llm_timeout")), 204)
    assert (heard["status"], heard["metadata"]["error_type"]) == ("failed", "llm_timeout")


async def test_an_address_that_is_down_is_tried_again_for_a_while():
    heard, clock = await called(EndedRun(), 503, 500, 200)
    assert len(heard) == 3
    assert clock.slept_s == [1.0, 5.0]
    heard, _ = await called(EndedRun(), 500, 500, 500, 500)
    assert len(heard) == 4


async def test_an_address_that_refuses_is_left_alone():
    assert len((await called(EndedRun(), 404))[0]) == 1
    assert (await called(EndedRun("http://127.0.0.1/steal"), 200))[0] == []
    assert (await called(EndedRun(None), 200))[0] == []
