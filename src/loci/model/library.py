"""OpenAI Responses, Anthropic and Google Gemini, spoken through pydantic-ai's `direct` API.

Nothing of the library leaves these `library*` modules: a request goes in as our `ModelRequest`, and our events come
out. A provider's package is imported when its first model is asked, in a thread, because that takes a second or more.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType
from typing import cast

import httpx2
from pydantic_ai.direct import model_request_stream

from loci.errors import LociError
from loci.model.base import Finished, ModelEvent, ModelInfo, ModelRequest, ProviderConfig
from loci.model.kept import Kept
from loci.model.library_decode import ending, pieces
from loci.model.library_encode import Fetched, encode, is_left_to_provider
from loci.model.library_faults import TROUBLES, failure
from loci.model.library_wire import Wire
from loci.model.pictures import Picture, recognised
from loci.model.tokens import with_cost
from loci.net import Door, tls_context
from loci.types.messages import Image

_MODULES = {
    "anthropic": "loci.model.library_anthropic",
    "responses": "loci.model.library_responses",
    "google": "loci.model.library_google",
}
_CONNECT_S = 10.0
_LIMITS = httpx2.Limits(max_connections=1_000, max_keepalive_connections=50)
_HERE = ("all://127.0.0.1", "all://localhost", "all://[::1]")
"""Reached without the proxy of the environment."""
_PICTURE_BYTES = 20_000_000
_PICTURE_S = 20.0
_PICTURES_KEPT_BYTES = 100_000_000

_opened: ContextVar[list[httpx2.Response] | None] = ContextVar("opened", default=None)
"""Collects the responses of the request that is being opened in this context."""
_shown: ContextVar[list[bytes] | None] = ContextVar("shown", default=None)
"""Takes the body of the request that is only to be shown in this context."""

_Build = Callable[[ModelInfo, ProviderConfig, httpx2.AsyncClient], Wire]


class _NotSent(httpx2.RequestError):
    """The request was only wanted for its body."""


class LibraryModel:
    """One model of a provider whose wire is responses, anthropic or google. Holds one HTTP client, opened on first use.

    `timeout_s` is the longest silence of the provider. `door` fetches pictures for a provider that takes no addresses,
    `transport` carries the requests to the provider itself.
    """

    def __init__(
        self,
        info: ModelInfo,
        provider: ProviderConfig,
        *,
        timeout_s: float,
        door: Door | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._info = info
        self._provider = provider
        self._timeout = httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s), pool=_CONNECT_S)
        self._door = door or Door()
        self._transport = transport
        self._http: httpx2.AsyncClient | None = None
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._pictures: Kept[Picture | str] = Kept(_PICTURES_KEPT_BYTES)

    @property
    def info(self) -> ModelInfo:
        """What is known about the model."""
        return self._info

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ask the model. Yields pieces, then one Finished or Failed. Closing the iterator closes the connection."""
        wire = await self._open()
        pictures = await self._look_up(request, wire)
        call = encode(request, wire.dialect, pictures)
        opened: list[httpx2.Response] = []
        _opened.set(opened)
        try:
            async with model_request_stream(
                wire.client,
                call.messages,
                model_settings=wire.settings(request),
                model_request_parameters=call.parameters,
                instrument=False,
            ) as answer:
                async for event in answer:
                    for piece in pieces(event):
                        yield piece
            for last in ending(answer.get(), wire.dialect):
                yield replace(last, usage=with_cost(self._info, last.usage)) if isinstance(last, Finished) else last
        except (*TROUBLES, *wire.troubles) as error:
            yield failure(error, secret=self._provider.api_key)
        finally:
            # The packages leave a response that was not read to its end to the garbage collector.
            for response in opened:
                await response.aclose()

    async def body(self, request: ModelRequest) -> bytes:
        """What would be sent: the library makes the request, and it is stopped before it leaves."""
        shown: list[bytes] = []
        token = _shown.set(shown)
        try:
            async for _ in self.stream(request):
                pass
        finally:
            _shown.reset(token)
        return shown[0] if shown else b"{}"

    async def aclose(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def _open(self) -> Wire:
        async with self._opening:
            if self._wire is None:
                module = await asyncio.to_thread(_load, self._provider.wire)
                build = cast("_Build", module.build)
                hooks = {"request": [_only_shown, self._keep_connect_short], "response": [_note_opened]}
                self._http = httpx2.AsyncClient(
                    verify=tls_context(),
                    timeout=self._timeout,
                    limits=_LIMITS,
                    event_hooks=hooks,
                    mounts=dict.fromkeys(_HERE),
                    transport=self._transport,
                )
                self._wire = build(self._info, self._provider, self._http)
            return self._wire

    async def _keep_connect_short(self, request: httpx2.Request) -> None:
        # Google's package sets one number for all phases, and so would wait for a dead host as long as for an answer.
        timeout = cast("Mapping[str, float | None]", request.extensions.get("timeout", {}))
        request.extensions = {**request.extensions, "timeout": {**timeout, "connect": self._timeout.connect}}

    async def _look_up(self, request: ModelRequest, wire: Wire) -> Fetched:
        """Fetch the pictures given by address if the provider will not; each once, so that a history stays the same."""
        wanted = {
            part.url
            for message in request.messages
            for part in message.parts
            if isinstance(part, Image) and part.data is None and part.url and not part.url.startswith("data:")
            if wire.dialect.image_types and not is_left_to_provider(part, wire.dialect)
        }
        return dict(zip(wanted, await asyncio.gather(*map(self._picture, wanted)), strict=True))

    async def _picture(self, url: str) -> Picture | str:
        picture = self._pictures.get(url)
        if picture is None:
            picture = await self._fetch(url)
            self._pictures.put(url, picture, len(picture.data) if isinstance(picture, Picture) else len(picture))
        return picture

    async def _fetch(self, url: str) -> Picture | str:
        try:
            fetched = await self._door.fetch(url, limit_bytes=_PICTURE_BYTES, timeout_s=_PICTURE_S)
        except LociError as error:
            return error.message.removesuffix(".")
        return recognised(fetched.body) or "the address holds no picture"


async def _only_shown(request: httpx2.Request) -> None:
    shown = _shown.get()
    if shown is not None:
        shown.append(await request.aread())
        raise _NotSent("The request was only to be shown.", request=request)


async def _note_opened(response: httpx2.Response) -> None:
    opened = _opened.get()
    if opened is not None:
        opened.append(response)


def _load(wire: str) -> ModuleType:
    """Import the provider's module, so that nobody pays for the packages of the others."""
    return importlib.import_module(_MODULES[wire])
