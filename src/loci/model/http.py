"""One HTTP client for all providers that speak plain HTTP: opened on first use, connections kept alive.

Whatever the network does comes out as a model fault: as a `Failed` event for a stream, as ModelFailure for a question.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

import httpx2
import orjson

from loci.clock import Clock
from loci.errors import ModelFailure, ModelFault
from loci.model.base import Failed
from loci.model.faults import Trouble, failed, failed_from, masked
from loci.types.json import JsonObject, JsonValue

REPLY_BYTES_MAX = 20_000_000
ERROR_BYTES_MAX = 100_000
TROUBLES = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError)
"""What the client raises when a server or the way to it misbehaves."""

# Each connection at rest is looked at with every request, so only as many rest as are soon used again.
_LIMITS = httpx2.Limits(max_connections=1_000, max_keepalive_connections=20, keepalive_expiry=30.0)
_HERE = ("all://127.0.0.1", "all://localhost", "all://[::1]")


class Connections:
    """The shared client. `connect_timeout_s` holds for each try to reach a server; `transport` carries all requests."""

    def __init__(
        self, *, clock: Clock, connect_timeout_s: float, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None

    @property
    def client(self) -> httpx2.AsyncClient:
        """The client, opened now if it was not yet (that costs 20 ms, so nobody pays for it at the start)."""
        if self._client is None:
            # A proxy from the environment is for the outside, never for a model server on this machine.
            self._client = httpx2.AsyncClient(
                limits=_LIMITS,
                headers={"user-agent": f"loci/{version('loci-agents')}", "accept-encoding": "identity"},
                mounts=dict.fromkeys(_HERE),
                transport=self._transport,
            )
        return self._client

    def timeouts(self, timeout_s: float) -> httpx2.Timeout:
        """Silence of the server for at most `timeout_s`, and less than that to reach it."""
        return httpx2.Timeout(timeout_s, connect=min(self._connect_timeout_s, timeout_s))

    @asynccontextmanager
    async def open(
        self,
        url: str,
        body: Sequence[bytes] | None,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
    ) -> AsyncGenerator[httpx2.Response]:
        """Send a request (POST when there is a body, piece by piece) and leave the response to be read."""
        spelt = {name.encode(): value.encode("utf-8", "replace") for name, value in headers.items()}
        if body is not None:
            spelt[b"content-type"] = b"application/json"
            spelt[b"content-length"] = b"%d" % sum(map(len, body))
        request = self.client.stream(
            "GET" if body is None else "POST",
            url,
            content=None if body is None else _sent(body),
            headers=spelt,
            timeout=self.timeouts(timeout_s),
        )
        async with request as response:
            yield response

    async def ask(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        body: JsonObject | None = None,
        secret: str | None = None,
    ) -> JsonValue:
        """One question, answered with JSON. Raises ModelFailure."""
        data = None if body is None else [orjson.dumps(body)]
        try:
            async with self.open(url, data, headers, timeout_s=timeout_s) as response:
                answer = await read_limited(response, REPLY_BYTES_MAX)
        except TROUBLES as error:
            raise failure(transport_failed(error, secret)) from error
        if answer is None:
            raise ModelFailure(ModelFault.BAD_REPLY, f"{url} answered more than {REPLY_BYTES_MAX:,} bytes.")
        if response.status_code >= 300:
            raise failure(self.refused(response, answer, secret))
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise ModelFailure(ModelFault.BAD_REPLY, f"{url} did not answer with JSON.") from error

    def refused(self, response: httpx2.Response, body: bytes, secret: str | None) -> Failed:
        """The event for a response whose status says no."""
        trouble = Trouble(status=response.status_code, body=body, headers=dict(response.headers))
        return failed_from(trouble, secret=secret, now=self.clock.now())

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


async def _sent(pieces: Sequence[bytes]) -> AsyncGenerator[bytes]:
    for piece in pieces:
        yield piece


async def read_limited(response: httpx2.Response, limit_bytes: int) -> bytes | None:
    """The whole body; None if there is more than the limit."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit_bytes:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def transport_failed(error: Exception, secret: str | None) -> Failed:
    """The event for an error of the client: no connection, no answer in time, an answer cut off."""
    words = str(error) or type(error).__name__
    match error:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return failed(ModelFault.CONNECTION, f"No connection in time: {words}", secret=secret)
        case httpx2.TimeoutException():
            return failed(ModelFault.TIMEOUT, f"No answer in time: {words}", secret=secret)
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
            return failed(ModelFault.BAD_REQUEST, f"The address of the provider cannot be used: {words}", secret=secret)
        case httpx2.DecodingError():
            return failed(ModelFault.BAD_REPLY, words, secret=secret)
        case _:
            return failed(ModelFault.CONNECTION, words, secret=secret)


def failure(event: Failed) -> ModelFailure:
    """The same trouble as an exception, for what is no stream."""
    return ModelFailure(event.fault, event.message, detail=masked(event.detail))
