"""Loci without a server: the public client on an application that runs in this process.

    from loci import Loci

    client = Loci()                       # data in ~/.loci; Loci(":memory:") keeps nothing
    agent = client.agents.create(model="scripted/default", memory_blocks=[{"label": "human", "value": "Ada"}])
    client.agents.messages.create(agent.id, input="Hello")

`Loci` is `letta_client.Letta` with everything it can do; only the way to the server is another one: requests go through
memory to the same application that `loci server` serves, so nothing behaves differently.
"""

import asyncio
import atexit
import contextlib
import logging
import queue
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx  # noqa: TID251  the transport of the public client; nothing goes out through it
from letta_client import Letta

from loci.app import build
from loci.config import Settings, load
from loci.errors import StoreFailure
from loci.store.base import MEMORY
from loci.store.owner import owned

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]  # ASGI messages have no narrower common type

_BASE_URL = "http://localhost:8283"
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_PIECES_MAX = 256
_PIECES_FREED = 32


class Loci(Letta):
    """The client and its own server in one. Close it, or use it in a `with` block, to end its work in order.

    What was answered is durable either way. A run that is under way when it closes is taken up when the data is opened
    the next time.

    Args:
        database: A path, `:memory:` for a database that is gone afterwards, or None for the configured one.
        settings: Settings to use instead of those of `config.toml` and the environment.
        options: Those of `letta_client.Letta`, such as `max_retries`.

    Raises DataInUse if another process has the data open, and other LociErrors if it cannot be opened.
    """

    def __init__(
        self,
        database: str | Path | None = None,
        *,
        settings: Settings | None = None,
        http_client: httpx.Client | None = None,
        **options: Any,  # noqa: ANN401  the public client names and checks them
    ) -> None:
        if http_client is None:  # else this is a copy (`with_options`), which shares the server of the original
            chosen = _with_database(settings or load(), database)
            options.setdefault("api_key", chosen.api_key or "embedded")
            options["base_url"] = _BASE_URL
            http_client = _InMemory(_Server(chosen))
        super().__init__(http_client=http_client, **options)


def _with_database(settings: Settings, database: str | Path | None) -> Settings:
    if database is None:
        return settings
    url = f"sqlite://{MEMORY}" if str(database) == MEMORY else f"sqlite:///{Path(database).expanduser().absolute()}"
    return replace(settings, database_url=url)


class _InMemory(httpx.Client):
    """An HTTP client with a server of its own, which is closed with it, or when nobody holds it any more."""

    def __init__(self, server: "_Server") -> None:
        super().__init__(transport=_Transport(server), base_url=_BASE_URL)
        self._finish = weakref.finalize(self, server.close)
        # A process that ends has no threads left to close with, and need not: what was answered is on the disk.
        self._finish.atexit = False

    def close(self) -> None:
        """End the server's work and close the database."""
        super().close()
        self._finish()


class _Server:
    """The application on an event loop in a thread of its own. Raises what keeps the application from starting."""

    def __init__(self, settings: Settings) -> None:
        self.app = build(settings)
        self._database_url = settings.database_url
        self.loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._calls: set[asyncio.Task[None]] = set()
        self._ready = False
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="loci-embedded", daemon=True)
        self._thread.start()
        try:
            problem = self._started.get(timeout=_START_TIMEOUT_S)
        except queue.Empty:
            problem = StoreFailure("Loci did not start in time.")
        if problem is not None:
            self.close()
            raise problem

    def call(self, request: httpx.Request) -> "_Pieces":
        """Let the application answer a request. Raises ConnectError once this is closed."""
        pieces, body = _Pieces(self.loop), request.read()
        if self._closed:
            raise httpx.ConnectError("This client is closed.", request=request)
        self.loop.call_soon_threadsafe(self._begin, request, body, pieces)
        return pieces

    def close(self) -> None:
        """Break off what is being answered, then shut the application down."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(RuntimeError):  # it never started, and its loop is closed
            self.loop.call_soon_threadsafe(self._stop.set)
        if threading.current_thread() is not self._thread:  # a finaliser may run anywhere
            self._thread.join(_STOP_TIMEOUT_S)

    def _begin(self, request: httpx.Request, body: bytes, pieces: "_Pieces") -> None:
        if self._stop.is_set():
            pieces.fail(httpx.ConnectError("This client is closed.", request=request))
            return
        task = self.loop.create_task(self._answer(request, body, pieces))
        self._calls.add(task)
        task.add_done_callback(self._answered)

    async def _answer(self, request: httpx.Request, body: bytes, pieces: "_Pieces") -> None:
        try:
            await self.app(_scope(request), pieces.receiver(body), pieces.put)
        except BaseException as error:
            pieces.fail(error)
            raise

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # the reader has it, and the application has written it to the log

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            problem = runner.run(self._outcome())
        if problem is not None and self._ready:
            log.error("Loci did not close in order", exc_info=problem)
        self._started.put(problem)

    async def _outcome(self) -> BaseException | None:
        living = asyncio.ensure_future(self._live())
        await asyncio.wait([living])
        return living.exception()

    async def _live(self) -> None:
        with owned(self._database_url):
            async with self.app.router.lifespan_context(self.app):
                self._ready = True
                self._started.put(None)
                await self._stop.wait()
                calls = list(self._calls)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)


class _Pieces:
    """The pieces of one answer, from the application's loop to the thread that reads them: only so many may wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: queue.SimpleQueue[Message | BaseException] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(_PIECES_MAX)
        self._gone = asyncio.Event()
        self._taken = 0

    def receiver(self, body: bytes) -> Callable[[], Awaitable[Message]]:
        """What the application reads: the request, and that the reader went away once it did."""
        unread = [body]

        async def receive() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        return receive

    async def put(self, message: Message) -> None:
        """Pass a piece on, when there is room."""
        await self._room.acquire()
        if not self._gone.is_set():
            self._queue.put(message)

    def fail(self, error: BaseException) -> None:
        """Tell the reader that no more will come."""
        self._queue.put(error)

    def take(self) -> Message:
        """The next piece. Raises ReadError if the application broke off, and ConnectError if it did not begin."""
        piece = self._queue.get()
        if isinstance(piece, httpx.HTTPError):
            raise piece
        if isinstance(piece, BaseException):
            raise httpx.ReadError(f"The answer broke off: {piece or type(piece).__name__}") from piece
        self._taken += 1
        if self._taken % _PIECES_FREED == 0:
            self._tell(self._make_room, _PIECES_FREED)
        return piece

    def abandon(self) -> None:
        """Read no more."""
        self._tell(self._abandon)

    def _abandon(self) -> None:
        self._gone.set()
        self._make_room(_PIECES_MAX)

    def _make_room(self, count: int) -> None:
        for _ in range(count):
            self._room.release()

    def _tell(self, action: Callable[..., None], *arguments: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self._loop.call_soon_threadsafe(action, *arguments)


_answers: "weakref.WeakSet[httpx.Response]" = weakref.WeakSet()


@atexit.register
def _close_answers() -> None:
    """Close the answers that nobody read to the end.

    Else their generators do it while the interpreter takes its modules apart, and Python 3.13.0 ends with a
    segmentation fault in `timedelta`, by which httpx measures what it closes.
    """
    for answer in list(_answers):
        answer.close()


class _Transport(httpx.BaseTransport):
    """httpx requests as ASGI calls on another thread; answers are passed on piece by piece, so streams stream."""

    def __init__(self, server: _Server) -> None:
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Call the application and wait for the head of its answer."""
        pieces = self._server.call(request)
        try:
            start = pieces.take()
        except BaseException:
            pieces.abandon()
            raise
        headers = cast("list[tuple[bytes, bytes]]", start["headers"])
        answer = httpx.Response(int(start["status"]), headers=headers, stream=_Body(pieces))
        _answers.add(answer)
        return answer


class _Body(httpx.SyncByteStream):
    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        more = True
        while more:
            piece = self._pieces.take()
            more = bool(piece.get("more_body"))
            yield cast("bytes", piece.get("body", b""))

    def close(self) -> None:
        self._pieces.abandon()


def _scope(request: httpx.Request) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
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
        "state": {},
    }
