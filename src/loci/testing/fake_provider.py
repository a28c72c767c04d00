"""What the fake providers share: scripted answers, recorded requests, and a server on a free port.

A fake speaks a provider's real wire, streaming included, and says only what its script says. The script is the same
for all of them, so one test can ask every provider for the same answer.
"""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import uvicorn

from loci.types.json import JsonObject, JsonValue

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Say:
    """Words. `signature` goes along where the wire has a place for it."""

    text: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Think:
    """Thoughts, signed or sealed with `signature`."""

    text: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Redacted:
    """Thoughts that the provider hides; only Anthropic has them."""

    data: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """A tool call."""

    id: str
    name: str
    arguments: str
    signature: str | None = None


Spoken: TypeAlias = Say | Think | Redacted | CallTool
Stop: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A streamed answer. Texts and arguments come in pieces of `piece_chars`.

    `breaks`: after so many frames the connection is cut, or an error is reported, or nothing more comes.
    """

    parts: Sequence[Spoken] = ()
    stop: Stop = "stop"
    prompt_tokens: int = 100
    completion_tokens: int = 20
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    piece_chars: int = 8
    breaks: Literal["cut", "error", "silence", "garbage"] | None = None
    breaks_after: int = 3
    verbatim: Sequence[str] | None = None
    """The stream word for word, in place of all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is an HTTP error. `body` None: what the provider itself would say with that status."""

    status: int
    message: str = "The provider says no."
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: JsonValue = None
    kind: str | None = None
    """The provider's own word for the kind of error."""


Scripted: TypeAlias = Answer | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came in."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: JsonObject


class FakeProvider(ABC):
    """An ASGI app that plays a script.

    `received` holds the requests, `asked` is set by the first of them, `abandoned` when a client hangs up.
    """

    def __init__(self, *script: Scripted) -> None:
        self.script: list[Scripted] = list(script)
        self.received: list[Received] = []
        self.asked = asyncio.Event()
        self.abandoned = asyncio.Event()

    @abstractmethod
    def frames(self, answer: Answer, request: Received) -> Iterator[str]:
        """Spell the answer as the wire's events."""

    @abstractmethod
    def error_frame(self, message: str) -> str:
        """Spell an error inside a stream."""

    @abstractmethod
    def error_body(self, refusal: Refusal) -> JsonValue:
        """Spell an error in place of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await _received(scope, receive)
        self.received.append(request)
        self.asked.set()
        scripted = self.script.pop(0) if self.script else Refusal(status=500, message="The script is at its end.")
        match scripted:
            case Refusal():
                body = scripted.body if scripted.body is not None else self.error_body(scripted)
                await _send_json(send, scripted.status, body, scripted.headers)
            case Answer():
                await self._stream(scripted, request, receive, send)

    async def _stream(self, answer: Answer, request: Received, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream"), (b"request-id", b"req_fake")],
            },
        )
        for number, frame in enumerate(self.frames(answer, request) if answer.verbatim is None else answer.verbatim):
            if answer.breaks is not None and number == answer.breaks_after:
                await self._break_off(answer, receive, send)
                return
            await _send_chunk(send, frame)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _break_off(self, answer: Answer, receive: Receive, send: Send) -> None:
        match answer.breaks:
            case "cut":
                raise ConnectionAbortedError("cut, as the script says")
            case "error":
                await _send_chunk(send, self.error_frame("The provider broke down."))
            case "garbage":
                await _send_chunk(send, "data: {{{ not json\n\n")
            case "silence" | None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.abandoned.set()
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def in_pieces(text: str, piece_chars: int) -> Iterator[str]:
    """Cut a text into pieces."""
    for start in range(0, len(text), piece_chars):
        yield text[start : start + piece_chars]


def sse(data: JsonValue, event: str | None = None) -> str:
    """Spell one server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"


@asynccontextmanager
async def served(app: App) -> AsyncGenerator[str]:
    """Serve the app on a free port of this machine, in this event loop. Yields its address."""
    # Named as TCP, or asyncio would not turn off the delay of small packets.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(cast("Any", app), log_config=None, log_level="critical", lifespan="off", ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Its own `serve` takes over the signals, and 0.2 seconds to stop.
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        state = server.server_state
        for listening in server.servers:
            listening.close()
        for connection in list(state.connections):
            connection.shutdown()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _received(scope: Scope, receive: Receive) -> Received:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    path, query = str(scope["path"]), scope["query_string"].decode()
    return Received(path=path, query=query, headers=headers, body=json.loads(body) if body else {})


async def _send_json(send: Send, status: int, body: JsonValue, headers: Mapping[str, str]) -> None:
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    content_type = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [content_type, *given]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def _send_chunk(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
