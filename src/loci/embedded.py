"""Loci without a server: the public client on an application that runs in this process.

    from loci import Loci

    client = Loci()                       # data in ~/.loci; Loci(":memory:") keeps nothing
    agent = client.agents.create(model="scripted/default", memory_blocks=[{"label": "human", "value": "Ada"}])
    client.agents.messages.create(agent.id, input="Hello")

`Loci` is `letta_client.Letta` with everything it can do; only the way to the server is another one: requests go through
memory to the same application that `loci server` serves, so nothing behaves differently.
"""

import asyncio
import queue
import threading
from collections.abc import Coroutine, Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

import httpx
from letta_client import Letta

from loci.app import build
from loci.config import Settings, load
from loci.store.base import MEMORY

T = TypeVar("T")
Message = MutableMapping[str, Any]  # ASGI messages have no narrower common type

_START_TIMEOUT_S = 30.0
_BASE_URL = "http://localhost:8283"
_CHUNKS_MAX = 1_000


class Loci(Letta):
    """The client and its own server in one. Close it, or use it in a `with` block, to finish writing.

    Args:
        database: A path, `:memory:` for a database that is gone afterwards, or None for the configured one.
        settings: Settings to use instead of those of `config.toml` and the environment.
    """

    def __init__(self, database: str | Path | None = None, *, settings: Settings | None = None) -> None:
        chosen = settings or load()
        if database is not None:
            url = f"sqlite://{MEMORY}" if str(database) == MEMORY else f"sqlite:///{Path(database).absolute()}"
            chosen = replace(chosen, database_url=url)
        self._server = _InProcess(chosen)
        http = httpx.Client(transport=_Transport(self._server), base_url=_BASE_URL, timeout=None)  # noqa: S113  in process
        super().__init__(base_url=_BASE_URL, api_key=chosen.api_key or "embedded", http_client=http)

    def close(self) -> None:
        """Finish what is under way and close the database."""
        super().close()
        self._server.close()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        self.close()


class _InProcess:
    """The application on an event loop in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loci-embedded", daemon=True)
        self._thread.start()
        self.app = build(settings)
        self._stop = asyncio.Event()
        self._ready: queue.Queue[BaseException | None] = queue.Queue()
        self._lifespan = asyncio.run_coroutine_threadsafe(self._live(), self._loop)
        problem = self._ready.get(timeout=_START_TIMEOUT_S)
        if problem is not None:
            raise problem

    async def _live(self) -> None:
        try:
            async with self.app.router.lifespan_context(self.app):
                self._ready.put(None)
                await self._stop.wait()
        except BaseException as error:
            self._ready.put(error)
            raise

    def submit(self, work: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        """Run on the application's loop."""
        return cast("asyncio.Future[T]", asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        """Shut the application down."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._lifespan.result(timeout=_START_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class _Transport(httpx.BaseTransport):
    """httpx requests as ASGI calls on another thread; answers are passed on piece by piece, so streams stream."""

    def __init__(self, server: _InProcess) -> None:
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Call the application."""
        body = request.read()
        pieces: queue.Queue[Message | BaseException] = queue.Queue(_CHUNKS_MAX)
        gone = threading.Event()
        self._server.submit(_call(self._server, request, body, pieces, gone))
        start = _next(pieces)
        headers = cast("list[tuple[bytes, bytes]]", start["headers"])
        return httpx.Response(int(start["status"]), headers=headers, stream=_Body(pieces, gone))


class _Body(httpx.SyncByteStream):
    def __init__(self, pieces: "queue.Queue[Message | BaseException]", gone: threading.Event) -> None:
        self._pieces = pieces
        self._gone = gone

    def __iter__(self) -> Iterator[bytes]:
        more = True
        while more:
            piece = _next(self._pieces)
            more = bool(piece.get("more_body"))
            yield cast("bytes", piece.get("body", b""))

    def close(self) -> None:
        self._gone.set()


def _next(pieces: "queue.Queue[Message | BaseException]") -> Message:
    piece = pieces.get()
    if isinstance(piece, BaseException):
        raise httpx.ReadError(str(piece)) from piece
    return piece


async def _call(
    server: _InProcess,
    request: httpx.Request,
    body: bytes,
    pieces: "queue.Queue[Message | BaseException]",
    gone: threading.Event,
) -> None:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        while not gone.is_set():
            await asyncio.sleep(0.1)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        while not gone.is_set():
            try:
                pieces.put_nowait(message)
            except queue.Full:
                await asyncio.sleep(0.01)
            else:
                return

    try:
        await server.app(_scope(request), receive, send)
    except BaseException as error:
        await send(cast("Message", error))
        raise


def _scope(request: httpx.Request) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 8283),
    }
