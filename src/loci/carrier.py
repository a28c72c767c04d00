"""What carries requests to MCP servers, and to the authorization servers they name: each through the guarded door.

The address is looked up and checked for every request, and the connection goes to the address that was checked; the
answer is read up to a limit, and its last bad status is kept to explain a failure with.
"""

from collections.abc import AsyncIterator

import httpx2

from loci.net import ATTEMPTS_MAX, Door, tls_context

MESSAGE_MAX_BYTES = 8_000_000
HOSTS_MAX = 8


class Carrier(httpx2.AsyncBaseTransport):
    """A transport for one session. Connections are kept for each host that it talks to."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._hosts: dict[str, httpx2.AsyncHTTPTransport] = {}
        self.bad_status: int | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request. Raises AddressRefused, FetchFailed, and what httpx2 raises."""
        addresses = (await self._door.addresses(str(request.url)))[:ATTEMPTS_MAX]
        inner = self._host(request.url)
        for attempt, address in enumerate(addresses, start=1):
            try:
                response = await inner.handle_async_request(_pinned(request, address))
            except httpx2.ConnectError:
                if attempt == len(addresses):
                    raise
                continue
            if response.status_code >= 400:
                self.bad_status = response.status_code
            return _bounded(response)
        raise httpx2.ConnectError("no address", request=request)

    def _host(self, url: httpx2.URL) -> httpx2.AsyncHTTPTransport:
        """Connections of one name only: two names may share an address, and yet not a secret."""
        place = f"{url.scheme}://{url.netloc.decode('ascii')}"
        if place not in self._hosts:
            if len(self._hosts) >= HOSTS_MAX:
                raise httpx2.ConnectError(f"one session talks to at most {HOSTS_MAX} hosts")
            self._hosts[place] = httpx2.AsyncHTTPTransport(verify=tls_context(), trust_env=False)
        return self._hosts[place]

    async def aclose(self) -> None:
        """Let go of all connections."""
        for host in self._hosts.values():
            await host.aclose()


def _pinned(request: httpx2.Request, address: str) -> httpx2.Request:
    headers = httpx2.Headers(request.headers)
    headers["accept-encoding"] = "identity"  # a small packet may hold a huge body
    name = request.url.raw_host.decode("ascii").removesuffix(".")
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=address, fragment=None),
        headers=headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": name},
    )


def _bounded(response: httpx2.Response) -> httpx2.Response:
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise httpx2.RemoteProtocolError("the answer is packed, which was not asked for")
    if response.headers.get("content-type", "").lower().startswith("text/event-stream"):
        return response  # it goes on for as long as the session; each event has its own limit
    stream = response.stream
    if not isinstance(stream, httpx2.AsyncByteStream):
        return response
    return httpx2.Response(
        response.status_code, headers=response.headers, stream=_Bounded(stream), extensions=response.extensions
    )


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in self._stream:
            received += len(chunk)
            if received > MESSAGE_MAX_BYTES:
                raise httpx2.ReadError(f"the answer has more than {MESSAGE_MAX_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
