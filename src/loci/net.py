"""The one guarded door for outgoing requests to addresses that come from users: callbacks, pictures, pages.

A name is looked up, every address found is checked, and the connection goes to exactly such an address, so a name that
answers differently the second time (DNS rebinding) wins nothing; TLS still asks for the name. Refused is all that is
not the public internet, in every spelling, unless the operator named the host. Each redirect is a new request with the
same checks.

Requests to providers that the operator configured do not come through here.
"""

import asyncio
import functools
import ipaddress
import re
import ssl
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

import httpx2

from loci.errors import AddressForeign, AddressRefused, FetchFailed, TooLarge
from loci.types.keys import TRUST_HINT

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up a name and a port; gives addresses as text."""

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS = frozenset({80, 443, 8080, 8443})
REDIRECTS_MAX = 3
ATTEMPTS_MAX = 3

_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of Alibaba
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's platform service, the one public address that means the machine itself
        "169.254.0.0/16",  # link-local, and most metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and the metadata service of Oracle
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo, ORCHID and other special purposes
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps any IPv4 address
        "3fff::/20",
    )
)
"""Not public internet, from the IANA special-purpose registries (RFC 6890)."""
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052; real on networks that speak IPv6 only

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS_KEPT = frozenset({"accept", "content-type", "user-agent"})
"""What may follow a redirect to another host; secrets may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A response, read to its end. `url` is where it came from in the end; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """One request of a chain of redirects."""

    url: str
    method: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to connect: the name stays for TLS and the Host header."""

    url: httpx2.URL
    addresses: Sequence[str]


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The certificates to trust, read once: reading them costs tens of milliseconds."""
    return httpx2.create_ssl_context()


async def look_up(name: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, proto=6)  # TCP
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _transport() -> httpx2.AsyncBaseTransport:
    return httpx2.AsyncHTTPTransport(verify=tls_context(), trust_env=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Lets requests out to the public internet only.

    `allowed_hosts`: private hosts that the operator opened, as `name` or `name:port` (addresses count as names).
    `ports`: where requests may go at all, except on those hosts.
    """

    allowed_hosts: frozenset[str] = frozenset()
    ports: frozenset[int] = PORTS
    hint: str | None = None
    """What the operator can do about an address that is refused."""
    wider: "Door | None" = None
    """The way of those whom the operator trusts: what can be reached there is refused here for want of trust alone."""
    resolver: Resolver = field(default=look_up)
    transport: Callable[[], httpx2.AsyncBaseTransport] = field(default=_transport)
    """What carries a request to an address that was checked; made anew for each fetch."""

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit_bytes: int,
        timeout_s: float,
    ) -> Fetched:
        """Send one request and read the answer, whatever its status. `timeout_s` is for all of it.

        Raises AddressRefused before anything is sent, TooLarge when the answer is longer than the limit, and
        FetchFailed when there is none.
        """
        given = {name.lower(): value for name, value in (headers or {}).items()}
        ask = _Ask(url=url, method=method.upper(), headers=given, body=body)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(ask, limit_bytes)
        except TimeoutError as error:
            raise FetchFailed(f"{_shown(url)} did not answer within {timeout_s:g} seconds.") from error
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as error:
            raise FetchFailed(f"{_shown(url)} could not be reached: {type(error).__name__}.") from error

    async def check(self, url: str) -> None:
        """Say whether a request may go there, without sending it. Raises AddressRefused, or FetchFailed."""
        await self._target(url)

    async def addresses(self, url: str) -> Sequence[str]:
        """Where a request to the URL may connect to, for whoever carries it itself. Raises as `check` does."""
        return (await self._target(url)).addresses

    async def _follow(self, ask: _Ask, limit_bytes: int) -> Fetched:
        # A fresh client each time: no cookies, no proxy of the environment, no connection that outlives its check.
        async with httpx2.AsyncClient(transport=self.transport(), timeout=None) as client:
            for _ in range(REDIRECTS_MAX + 1):
                target = await self._target(ask.url)
                fetched = await _send(client, ask, target, limit_bytes)
                location = fetched.headers.get("location")
                if fetched.status not in _REDIRECTS or location is None:
                    return fetched
                ask = _redirected(ask, target.url, fetched.status, location)
        raise FetchFailed(f"{_shown(ask.url)} was redirected more than {REDIRECTS_MAX} times.")

    async def _target(self, text: str) -> _Target:
        try:
            return await self._admitted(text)
        except AddressRefused as error:
            raise await self._refusal(text, error.message) from error

    async def _refusal(self, text: str, message: str) -> AddressRefused:
        if self.wider is not None:
            with suppress(AddressRefused, FetchFailed):
                await self.wider.check(text)
                return AddressForeign(message, hint=TRUST_HINT)
        return AddressRefused(message, hint=self.hint)

    async def _admitted(self, text: str) -> _Target:
        url = parsed(text)
        host, port = url.raw_host.decode("ascii").lower(), url.port
        if port is None:
            port = 443 if url.scheme == "https" else 80
        name = host.removesuffix(".")
        allowed = name in self.allowed_hosts or f"{name}:{port}" in self.allowed_hosts
        if not allowed and port not in self.ports:
            raise AddressRefused(f"Port {port} is not open for requests.")
        literal = _literal(name)
        if literal is None and not allowed and (name == "localhost" or name.endswith(".localhost")):
            raise AddressRefused(f"'{name}' is this machine.")
        addresses = [str(literal)] if literal is not None else await self._resolved(name, port)
        if allowed:
            return _Target(url, addresses)
        return _Target(url, [_public(address, name) for address in addresses])

    async def _resolved(self, name: str, port: int) -> Sequence[str]:
        try:
            addresses = await self.resolver(name, port)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(f"'{name}' could not be looked up.") from error
        if not addresses:
            raise FetchFailed(f"'{name}' has no address.")
        return addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The ways out for addresses that organisations choose: those that the operator trusts may go further."""

    trusted: Door
    others: Door

    def of(self, *, trusted: bool) -> Door:
        """The way out for an organisation."""
        return self.trusted if trusted else self.others


def is_public(address: Address) -> bool:
    """Whether the address is public internet, whichever way it is wrapped."""
    match address:
        case ipaddress.IPv4Address():
            return not any(address in network for network in _REFUSED if network.version == 4)
        case ipaddress.IPv6Address():
            inner = _unwrapped(address)
            if inner is not address:
                return is_public(inner)
            if address not in _PUBLIC_IPV6:
                return False
            return not any(address in network for network in _REFUSED if network.version == 6)


def _unwrapped(address: ipaddress.IPv6Address) -> Address:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address


def _public(text: str, name: str) -> str:
    """Give the address back if it is public. One private address among several condemns the name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise AddressRefused(f"'{name}' leads to '{text}', which is no plain address.") from error
    if not is_public(address):
        raise AddressRefused(f"'{name}' leads to {address}, which is not on the public internet.")
    return str(address)


def parsed(text: str) -> httpx2.URL:
    """The address of something on the web. Raises AddressRefused for what is none."""
    if any(character <= " " or character in "\\\x7f" for character in text):
        raise AddressRefused("The address holds a space, a backslash or a control character.")
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError, TypeError) as error:
        raise AddressRefused("The address is not a valid URL.") from error
    if url.scheme not in ("http", "https"):
        raise AddressRefused("Only http and https addresses can be reached.")
    if url.userinfo:
        raise AddressRefused("The address holds credentials; send them as a header.")
    if not url.host:
        raise AddressRefused("The address names no host.")
    return url


def site_of(url: str) -> str | None:
    """Scheme, name and port of an address, as browsers write it in Origin; None if there is none in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}" + ("" if usual else f":{port}")


def _literal(host: str) -> Address | None:
    """Read a host that is an address. None for a name; an unusual spelling of an address is refused."""
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError as error:
            raise AddressRefused("The host is no valid IPv6 address.") from error
    # Programs read `127.1`, `0x7f000001` and `017700000001` as addresses too (inet_aton), so nothing that ends in a
    # number is a name.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return ipaddress.IPv4Address(host)
        except ValueError as error:
            raise AddressRefused("The host is an address in an unusual spelling.") from error
    if not _NAME.fullmatch(host):
        raise AddressRefused("The host is no valid name.")
    return None


def _redirected(ask: _Ask, url: httpx2.URL, status: int, location: str) -> _Ask:
    try:
        onward = url.join(location)
    except (httpx2.InvalidURL, ValueError) as error:
        raise AddressRefused("The redirect leads to no valid address.") from error
    becomes_get = status == 303 or (status in (301, 302) and ask.method == "POST")
    headers = dict(ask.headers)
    if (onward.scheme, onward.host, onward.port) != (url.scheme, url.host, url.port):
        headers = {name: value for name, value in headers.items() if name in _HEADERS_KEPT}
    if becomes_get:
        headers.pop("content-type", None)
    return _Ask(
        url=str(onward),
        method="GET" if becomes_get and ask.method != "HEAD" else ask.method,
        headers=headers,
        body=None if becomes_get else ask.body,
    )


async def _send(client: httpx2.AsyncClient, ask: _Ask, target: _Target, limit_bytes: int) -> Fetched:
    """Send the request to the checked addresses in turn, until one takes the connection."""
    name = target.url.raw_host.decode("ascii").removesuffix(".")
    for attempt, address in enumerate(target.addresses[:ATTEMPTS_MAX], start=1):
        request = client.build_request(
            ask.method,
            target.url.copy_with(host=address, fragment=None),
            content=ask.body,
            headers={**ask.headers, "host": target.url.netloc.decode("ascii"), "accept-encoding": "identity"},
            extensions={"sni_hostname": name},
        )
        try:
            response = await client.send(request, stream=True)
        except httpx2.ConnectError:
            if attempt == min(len(target.addresses), ATTEMPTS_MAX):
                raise
            continue
        try:
            return await _read(response, str(target.url), limit_bytes)
        finally:
            await response.aclose()
    raise FetchFailed(f"'{name}' has no address.")


async def _read(response: httpx2.Response, url: str, limit_bytes: int) -> Fetched:
    headers = {name.lower(): value for name, value in response.headers.items()}
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit_bytes:
        raise TooLarge(f"{_shown(url)} holds {declared} bytes; {limit_bytes} can be read.")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit_bytes:
            raise TooLarge(f"{_shown(url)} holds more than {limit_bytes} bytes.")
    plain = _unpacked(bytes(body), headers.get("content-encoding", "identity").strip().lower(), limit_bytes)
    return Fetched(url=url, status=response.status_code, headers=headers, body=plain)


def _unpacked(body: bytes, encoding: str, limit_bytes: int) -> bytes:
    """Unpack what a server packed unasked. A small packet may hold a huge body, so the limit holds here too."""
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise FetchFailed(f"The answer is packed as '{encoding}', which was not asked for.")
    try:
        plain = zlib.decompressobj(wbits=47).decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise FetchFailed("The answer is packed, and broken.") from error
    if len(plain) > limit_bytes:
        raise TooLarge(f"The answer holds more than {limit_bytes} bytes once unpacked.")
    return plain


def _shown(url: str) -> str:
    """Name the address without its query, which may hold secrets."""
    return url.partition("?")[0][:200]
