"""Server-sent events as the Letta V1 API frames them.

Each object is one `data:` line; an error is also named by an `event:` line, because the SDKs raise on that; the last
line is `[DONE]`. What is ready at the same time is written at once but never merged. A client that goes away ends only
its own stream: the run goes on.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from loci.agent.runs import LiveRun
from loci.api.wire_events import wire_failure, wire_ping
from loci.api.wire_messages import WireObject
from loci.clock import Clock
from loci.errors import LociError
from loci.types.events import Event

Tell: TypeAlias = Callable[[Event], Iterable[WireObject]]

DONE = b"data: [DONE]\n\n"
_ERROR_BEGINS = b'{"message_type":"error_message"'
_HEADERS = [
    # Exactly this, without a charset: clients compare it.
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def frame(body: bytes) -> bytes:
    """An encoded object as one event."""
    if body.startswith(_ERROR_BEGINS):
        return b"event: error\ndata: " + body + b"\n\n"
    return b"data: " + body + b"\n\n"


def frames(items: Iterable[WireObject]) -> bytes:
    """Objects as one write."""
    return b"".join([frame(orjson.dumps(item)) for item in items])


async def told(live: LiveRun, tell: Tell) -> AsyncGenerator[bytes]:
    """The writes that tell a run."""
    async with aclosing(live.follow()) as events:
        async for batch in events:
            items = [item for event in batch for item in tell(event)]
            if items:
                yield frames(items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pings:
    """Signs of life: one at the start, then one after each `interval_s` of silence."""

    run_id: str
    interval_s: float


class EventStream(Response):
    """Sends what `source` yields, each piece whole events, and closes it when the client goes away."""

    def __init__(self, source: AsyncGenerator[bytes], clock: Clock, pings: Pings | None) -> None:
        super().__init__()
        self.raw_headers = list(_HEADERS)
        self._source = source
        self._clock = clock
        self._pings = pings
        self._last_sent_s = 0.0
        self._ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  the shape of ASGI
        """Serve one request."""
        sending = asyncio.ensure_future(self._send_all(send))
        beside = [asyncio.ensure_future(_until_disconnected(receive))]
        if self._pings is not None:
            beside.append(asyncio.ensure_future(self._ping(send, self._pings)))
        try:
            await asyncio.wait([sending, *beside], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *beside):
                task.cancel()
            outcomes = await asyncio.gather(sending, *beside, return_exceptions=True)
            await self._source.aclose()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if self._pings is not None:
            await self._send(send, frames([wire_ping(self._pings.run_id, self._clock.now())]))
        try:
            async for piece in self._source:
                await self._send(send, piece)
        except LociError as error:
            # The status is long sent, so what went wrong is told in the stream itself.
            await self._send(send, frames(wire_failure(error, self._pings.run_id if self._pings else "")))
        self._ended = True
        await send(_body(DONE, more=False))

    async def _send(self, send: Send, piece: bytes) -> None:
        self._last_sent_s = self._clock.monotonic_s()
        await send(_body(piece, more=True))

    async def _ping(self, send: Send, pings: Pings) -> None:
        self._last_sent_s = self._clock.monotonic_s()
        while not self._ended:
            silent_s = self._clock.monotonic_s() - self._last_sent_s
            if silent_s >= pings.interval_s:
                await self._send(send, frames([wire_ping(pings.run_id, self._clock.now())]))
                silent_s = 0.0
            await self._clock.sleep(pings.interval_s - silent_s)


def _body(piece: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": more}


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
