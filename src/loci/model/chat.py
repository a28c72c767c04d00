"""Our adapter for the chat-completions wire: OpenAI itself and every server that copies it.

It is the hot path of each local model, so it stays close to the bytes: see `chat_encode` and `chat_decode`. A server
that refuses something that can be done without is asked again without it, see `chat_concede`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2

from loci.errors import ModelFault
from loci.model.base import Failed, Finished, ModelEvent, ModelInfo, ModelRequest, ProviderConfig
from loci.model.chat_concede import concede
from loci.model.chat_decode import Decoder
from loci.model.chat_encode import Encoder
from loci.model.faults import failed
from loci.model.http import ERROR_BYTES_MAX, TROUBLES, Connections, read_limited, transport_failed

_DRAIN_S = 0.25


class ChatModel:
    """One model behind the wire. `timeout_s` bounds each silence of the server, and the answer as a whole."""

    def __init__(
        self,
        info: ModelInfo,
        provider: ProviderConfig,
        connections: Connections,
        *,
        encoder: Encoder,
        timeout_s: float,
    ) -> None:
        self._info = info
        self._provider = provider
        self._connections = connections
        self._encoder = encoder
        self._timeout_s = timeout_s
        self._url = f"{(provider.base_url or '').rstrip('/')}/chat/completions"
        self._headers = headers_of(provider)
        self._without: frozenset[str] = frozenset()

    @property
    def info(self) -> ModelInfo:
        """What is known about it."""
        return self._info

    async def body(self, request: ModelRequest) -> bytes:
        """What would be sent."""
        return b"".join(self._encoder.body(self._info, request, without=self._without).pieces)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ask it. Closing the iterator closes the connection."""
        without = self._without
        while True:  # each round gives up one thing more, and there are few to give up
            sent = self._encoder.body(self._info, request, without=without)
            refused: Failed | None = None
            try:
                opened = self._connections.open(self._url, sent.pieces, self._headers, timeout_s=self._timeout_s)
                async with opened as response:
                    if response.status_code < 300:
                        async with aclosing(self._answer(response, sent.call_ids)) as events:
                            async for event in events:
                                yield replace(event, sent=sent.pieces) if isinstance(event, Finished) else event
                    else:
                        refused = await self._refused(response)
            except TROUBLES as error:
                refused = transport_failed(error, self._provider.api_key)
            if refused is None:
                return
            conceded = concede(refused, sent)
            if conceded is None or conceded.what in without:
                yield refused
                return
            without |= {conceded.what}
            if conceded.lasting:
                self._without |= {conceded.what}

    async def _answer(self, response: httpx2.Response, call_ids: frozenset[str]) -> AsyncGenerator[ModelEvent]:
        clock = self._connections.clock
        deadline_s = clock.monotonic_s() + self._timeout_s
        decoder = Decoder(self._info, secret=self._provider.api_key, now=clock.now(), taken=call_ids)
        decoder.request_id = response.headers.get("x-request-id")
        broken: Failed | None = None
        try:
            async with aclosing(response.aiter_bytes()) as body:
                async for data in body:
                    for event in decoder.feed(data):
                        yield event
                    if decoder.done:
                        await _drain(body)
                        break
                    if clock.monotonic_s() > deadline_s:
                        words = f"The answer took longer than {self._timeout_s:g} seconds."
                        broken = failed(ModelFault.TIMEOUT, words)
                        break
        except TROUBLES as error:
            broken = transport_failed(error, self._provider.api_key)
        if broken is None or decoder.is_whole:
            for event in decoder.end():
                yield event
            broken = None
        yield broken or decoder.close()

    async def _refused(self, response: httpx2.Response) -> Failed:
        body = await read_limited(response, ERROR_BYTES_MAX)
        return self._connections.refused(response, body or b"", self._provider.api_key)


async def _drain(body: AsyncIterator[bytes]) -> None:
    """Read the end of a response whose last event has come, because only then the connection can be used again."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in body:
                pass
    except TimeoutError:
        pass


def headers_of(provider: ProviderConfig) -> dict[str, str]:
    """What identifies us to a provider on this wire."""
    headers = {"accept": "text/event-stream, application/json"}
    if provider.api_key:
        headers["authorization"] = f"Bearer {provider.api_key.strip()}"
        if (urlsplit(provider.base_url or "").hostname or "").endswith(".azure.com"):
            headers["api-key"] = provider.api_key.strip()
    return headers
