# ruff: noqa: E501  frames are shown as they are
"""The bytes of a stream, what is written together, and what happens when either side goes away."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from inline_snapshot import snapshot

from loci.api.sse import DONE, EventStream, Pings, frames, told
from loci.api.wire_events import RunTeller, Telling
from loci.clock import FakeClock
from loci.errors import StoreFailure
from loci.types.runs import StopReason
from tests.api.said import AT, RUN, delta, ended, said
from tests.api.stored import HandMadeRun, a_run


class HeldClock(FakeClock):
    """Sleepers wait until the test lets the time pass."""

    def __init__(self) -> None:
        super().__init__(AT)
        self.sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, delay_s: float) -> None:
        waiting = asyncio.Event()
        self.sleepers.append((self.monotonic_s() + delay_s, waiting))
        await waiting.wait()

    async def pass_time(self, delay_s: float) -> None:
        self.advance(delay_s)
        for until, waiting in self.sleepers:
            if until <= self.monotonic_s():
                waiting.set()
        self.sleepers = [sleeper for sleeper in self.sleepers if not sleeper[1].is_set()]
        await settle()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Browser:
    """The other side of the connection."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._gone = asyncio.Event()

    @property
    def writes(self) -> list[bytes]:
        return [message["body"] for message in self.sent if message["type"] == "http.response.body"]

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def leave(self) -> None:
        self._gone.set()

    async def open(self, stream: EventStream) -> None:
        await stream({"type": "http"}, self.receive, self.send)


def stream_of(live: HandMadeRun, clock: FakeClock, *, pings: bool = False, tokens: bool = False) -> EventStream:
    teller = RunTeller(RUN, Telling(tokens=tokens), clock.now)
    return EventStream(told(live, teller.tell), clock, Pings(run_id=RUN, interval_s=20) if pings else None)


async def test_the_bytes_of_a_short_run():
    live, browser = HandMadeRun(a_run()), Browser()
    live.say(said(1, "Hi."), ended())
    await browser.open(stream_of(live, FakeClock(AT)))
    assert browser.sent[0] == snapshot(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/event-stream"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ],
        }
    )
    assert b"".join(browser.writes) == snapshot(
        b'data: {"id":"message-00000000-0000-4000-8000-000000000001","date":"2026-05-04T03:02:01.654321+00:00","name":null,"message_type":"assistant_message","otid":"00000000-0000-4000-8000-000000000000","sender_id":null,"step_id":"step-00000000-0000-4000-8000-000000000001","is_err":null,"seq_id":null,"run_id":"run-00000000-0000-4000-8000-00000000aaaa","content":"Hi."}\n\ndata: {"message_type":"stop_reason","stop_reason":"end_turn"}\n\ndata: {"message_type":"usage_statistics","completion_tokens":7,"prompt_tokens":100,"total_tokens":107,"step_count":1,"run_ids":["run-00000000-0000-4000-8000-00000000aaaa"],"cached_input_tokens":null,"cache_write_tokens":null,"reasoning_tokens":null,"context_tokens":107}\n\ndata: [DONE]\n\n'
    )
    assert browser.sent[-1] == {"type": "http.response.body", "body": DONE, "more_body": False}


async def test_an_error_is_named_by_an_event_line():
    live, browser = HandMadeRun(a_run()), Browser()
    live.say(ended(StopReason.LLM_API_ERROR, error_type="llm_timeout", message="No answer.", detail="60 s"))
    await browser.open(stream_of(live, FakeClock(AT)))
    assert b"".join(browser.writes).decode().split("\n") == snapshot(
        [
            'data: {"message_type":"stop_reason","stop_reason":"llm_api_error"}',
            "",
            "event: error",
            'data: {"message_type":"error_message","run_id":"run-00000000-0000-4000-8000-00000000aaaa","error_type":"llm_timeout","message":"No answer.","detail":"60 s","seq_id":null}',
            "",
            "data: [DONE]",
            "",
            "",
        ]
    )


async def test_what_is_ready_together_is_one_write_and_still_several_events():
    live, browser = HandMadeRun(a_run()), Browser()
    live.say(delta(1, "a"), delta(1, "b"), delta(1, "c"))
    serving = asyncio.ensure_future(browser.open(stream_of(live, FakeClock(AT), tokens=True)))
    await settle()
    assert [write.count(b"data: ") for write in browser.writes] == [3]
    live.say(delta(1, "d"))
    live.say(said(1, "abcd", streamed=True), ended())
    await serving
    assert [write.count(b"data: ") for write in browser.writes] == [3, 3, 1]


async def test_pings_come_first_and_after_silence_only():
    clock, live, browser = HeldClock(), HandMadeRun(a_run()), Browser()
    serving = asyncio.ensure_future(browser.open(stream_of(live, clock, pings=True)))
    await settle()
    assert [b'"ping"' in write and RUN.encode() in write for write in browser.writes] == [True]
    await clock.pass_time(15)
    live.say(said(1, "Hi."))
    await settle()
    await clock.pass_time(15)  # 15 s after the last event: no silence yet
    assert len(browser.writes) == 2
    await clock.pass_time(5)
    assert len(browser.writes) == 3
    await clock.pass_time(20)
    assert [b'"ping"' in write for write in browser.writes] == [True, False, True, True]
    live.say(ended())
    await serving


async def test_a_client_that_leaves_ends_its_stream_and_nothing_else():
    closed = asyncio.Event()

    async def source() -> AsyncGenerator[bytes]:
        try:
            yield b"data: {}\n\n"
            await asyncio.Event().wait()
        finally:
            closed.set()

    browser = Browser()
    serving = asyncio.ensure_future(browser.open(EventStream(source(), HeldClock(), Pings(run_id=RUN, interval_s=20))))
    await settle()
    browser.leave()
    await serving
    assert closed.is_set()
    assert browser.sent[-1]["more_body"]


async def test_a_stream_that_breaks_says_so():
    async def source() -> AsyncGenerator[bytes]:
        yield frames([{"message_type": "assistant_message"}])
        raise StoreFailure

    browser = Browser()
    await browser.open(EventStream(source(), HeldClock(), Pings(run_id=RUN, interval_s=20)))
    text = b"".join(browser.writes).decode()
    assert '{"message_type":"stop_reason","stop_reason":"error"}' in text
    assert 'event: error\ndata: {"message_type":"error_message"' in text
    assert text.endswith("data: [DONE]\n\n")
