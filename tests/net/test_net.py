"""The door: nothing but the public internet, in whatever spelling, by whatever way round."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import AddressRefused, FetchFailed, TooLarge
from loci.net import Door, Resolver, is_public, site_of

PUBLIC = "93.184.216.34"
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::127.0.0.1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


def _wide(text: str) -> str:
    """The same in the wide letters of East Asian type."""
    return "".join(chr(ord(letter) + 0xFEE0) if letter != "." else "." for letter in text)


SPELLINGS = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.0.0.01",
    "127.000.000.001",
    "0177.0.0.1",
    "0177.0.0.01",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0X7F000001",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "00000000177.0.0.1",
    "0",
    "0x0",
    "00",
    "0.0",
    "127.0.0.0x1",
    "1.127.0.0.1.",
    "3232235521",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "0xa9.0xfe.0xa9.0xfe",
    _wide("127.0.0.1"),
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127\uff0e0\uff0e0\uff0e1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    _wide("localhost"),
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::]",
    "[fe80::1%25lo]",
    "[::1%25lo]",
]
URLS = [
    "ftp://public.example/",
    "file:/etc/passwd",
    "file://localhost/etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "ws://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "//127.0.0.1:{port}/",
    "/etc/passwd",
    "127.0.0.1:{port}",
    "",
    "http://",
    "http:///",
    "http://:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:word@public.example:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.example/",
    "http://public.example:{port}@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.example/",
    "http://public.example\\@127.0.0.1:{port}/",
    "http://public.example:{port}\\.127.0.0.1/",
    "http://127.0.0.1:{port}#@public.example/",
    "http://127.0.0.1:{port}?@public.example/",
    "http://127.0.0.1:{port}/\r\nHost: public.example",
    "http://127.0.0.1\t:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1 :{port}/",
    "http://127.0.0.1%00.public.example:{port}/",
    "http://127.0.0.1%2f.public.example:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://public.example:22/",
    "http://public.example:25/",
    "http://public.example:6379/",
    "http://public.example:0/",
    "http://public.example:65536/",
    "http://public.example:-1/",
    "http://public.example:8283/",
    "http://-public.example/",
    "http://public..example/",
    "http://[public.example]/",
    "http://[::1/",
    "http://[127.0.0.1]:{port}/",
    "http://*/",
    "http://public,example/",
]


@dataclass
class Listener:
    """A server on this machine that must hear nothing."""

    port: int = 0
    connections: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret")
        writer.close()


@pytest.fixture
async def listener() -> AsyncGenerator[Listener]:
    listening = Listener()
    server = await asyncio.start_server(listening.hear, "127.0.0.1", 0)
    listening.port = server.sockets[0].getsockname()[1]
    yield listening
    server.close()
    await server.wait_closed()


def names(known: Mapping[str, Sequence[str]]) -> Resolver:
    async def resolver(name: str, port: int) -> Sequence[str]:
        return known.get(name, [PUBLIC])

    return resolver


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


async def fetch(door: Door, url: str, **options):
    return await door.fetch(url, **{"limit_bytes": 1_000, "timeout_s": 5.0, **options})


def open_door(listener: Listener, **known: Sequence[str]) -> Door:
    """A door that would let requests out to the listener's port, were it on the internet."""
    return Door(ports=frozenset({80, 443, listener.port}), resolver=names(known))


async def test_the_listener_can_be_heard_at_all(listener: Listener):
    door = Door(allowed_hosts=frozenset({"127.0.0.1"}))

    assert (await fetch(door, f"http://127.0.0.1:{listener.port}/")).body == b"secret"
    assert listener.connections == 1


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_private_address_is_refused(listener: Listener, address: str):
    for scheme in ("http", "https"):
        with pytest.raises(AddressRefused):
            await fetch(open_door(listener), f"{scheme}://{literal(address)}:{listener.port}/")

    assert listener.connections == 0


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_to_a_private_address_is_refused(listener: Listener, address: str):
    door = Door(
        ports=frozenset({listener.port}),
        resolver=names({"inside.example": [address], "both.example": [PUBLIC, address]}),
    )
    for name in ("inside.example", "INSIDE.example.", "both.example"):
        with pytest.raises(AddressRefused):
            await fetch(door, f"http://{name}:{listener.port}/")

    assert listener.connections == 0


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_gets_through(listener: Listener, spelling: str):
    # The resolver knows no better than the system's: it would take any of these for this machine.
    door = Door(ports=frozenset({listener.port}), resolver=_everything_is_here)
    with pytest.raises(AddressRefused):
        await fetch(door, f"http://{spelling}:{listener.port}/")

    assert listener.connections == 0


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_gets_through_a_resolver_that_lies(listener: Listener, spelling: str):
    with pytest.raises((AddressRefused, FetchFailed)):
        await fetch(
            Door(ports=frozenset({listener.port}), resolver=_nothing_is_known), f"http://{spelling}:{listener.port}/"
        )

    assert listener.connections == 0


@pytest.mark.parametrize("url", URLS)
async def test_no_trick_of_writing_gets_through(listener: Listener, url: str):
    with pytest.raises(AddressRefused):
        await fetch(open_door(listener), url.replace("{port}", str(listener.port)))

    assert listener.connections == 0


def test_the_corpus_is_large_enough():
    assert len(PRIVATE) * 4 + len(SPELLINGS) + len(URLS) >= 300


@given(st.ip_addresses(v=4))
def test_no_address_is_more_public_wrapped_than_bare(address: IPv4Address):
    mapped = IPv6Address(0xFFFF_0000_0000 | int(address))
    translated = IPv6Address((0x64FF9B << 96) | int(address))

    assert is_public(mapped) == is_public(translated) == is_public(address)


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_not_public(address: IPv4Address | IPv6Address):
    wraps = isinstance(address, IPv6Address) and (address.ipv4_mapped or address in IPv6Network("64:ff9b::/96"))
    if is_public(address) and not wraps:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_the_public_internet_is_public(address: str):
    assert is_public(IPv6Address(address) if ":" in address else IPv4Address(address))


async def _everything_is_here(name: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def _nothing_is_known(name: str, port: int) -> Sequence[str]:
    raise OSError("unknown")


def reply(status: int, *, content: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(content))


@dataclass
class Internet:
    """What is out there: answers by name and path, and what was asked of it."""

    answers: Mapping[str, httpx2.Response] = field(default_factory=dict[str, httpx2.Response])
    asked: list[httpx2.Request] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    addresses: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict[str, Sequence[Sequence[str]]])

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self.answers[request.headers["host"] + request.url.path]

    async def look_up(self, name: str, port: int) -> Sequence[str]:
        """Answer differently each time, as a rebinding name server does."""
        self.looked_up.append(name)
        answers = self.addresses.get(name, [[PUBLIC]])
        return answers[min(self.looked_up.count(name), len(answers)) - 1]

    def door(self, **options) -> Door:
        return Door(resolver=self.look_up, transport=lambda: httpx2.MockTransport(self.answer), **options)


async def test_the_connection_goes_to_the_address_that_was_checked():
    internet = Internet(
        answers={"rebind.example/hook": reply(200, content=b"ok")},
        addresses={"rebind.example": [[PUBLIC], ["127.0.0.1"]]},
    )
    fetched = await fetch(internet.door(), "https://rebind.example/hook")

    (asked,) = internet.asked
    assert (fetched.body, fetched.url) == (b"ok", "https://rebind.example/hook")
    assert (asked.url.host, asked.headers["host"]) == (PUBLIC, "rebind.example")
    assert asked.extensions["sni_hostname"] == "rebind.example"
    assert internet.looked_up == ["rebind.example"]


async def test_a_redirect_is_looked_up_and_checked_again():
    internet = Internet(
        answers={
            "rebind.example/": reply(302, headers={"location": "/again"}),
            "rebind.example/again": reply(200, content=b"secret"),
        },
        addresses={"rebind.example": [[PUBLIC], ["127.0.0.1"]]},
    )
    with pytest.raises(AddressRefused):
        await fetch(internet.door(), "http://rebind.example/")

    assert len(internet.asked) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "//169.254.169.254/latest",
        "file:/etc/passwd",
        "file://localhost/etc/passwd",
        "http://a:b@c.example/",
    ],
)
async def test_a_redirect_to_a_private_place_is_refused(location: str):
    internet = Internet(answers={"a.example/": reply(307, headers={"location": location})})
    with pytest.raises(AddressRefused):
        await fetch(internet.door(), "http://a.example/")

    assert len(internet.asked) == 1


def _chain(length: int) -> Internet:
    hops = {f"a.example/{n}": reply(301, headers={"location": f"/{n + 1}"}) for n in range(length)}
    return Internet(answers={**hops, f"a.example/{length}": reply(200, content=b"end")})


async def test_three_redirects_are_followed_and_no_more():
    assert (await fetch(_chain(3).door(), "http://a.example/0")).body == b"end"
    with pytest.raises(FetchFailed, match="more than 3 times"):
        await fetch(_chain(4).door(), "http://a.example/0")


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_a_redirected_post_keeps_its_body_only_where_it_stays_a_post(status: int, method: str):
    internet = Internet(
        answers={
            "a.example/": reply(status, headers={"location": "/b"}),
            "a.example/b": reply(200),
        },
    )
    await fetch(
        internet.door(), "http://a.example/", method="POST", body=b"{}", headers={"Content-Type": "application/json"}
    )

    assert internet.asked[1].method == method
    assert internet.asked[1].content == (b"{}" if method == "POST" else b"")


async def test_secrets_do_not_follow_to_another_host():
    internet = Internet(
        answers={
            "a.example/": reply(302, headers={"location": "http://b.example/"}),
            "b.example/": reply(200),
        },
    )
    await fetch(internet.door(), "http://a.example/", headers={"Authorization": "Bearer x", "Accept": "image/*"})

    assert internet.asked[0].headers["authorization"] == "Bearer x"
    assert "authorization" not in internet.asked[1].headers
    assert internet.asked[1].headers["accept"] == "image/*"


async def test_an_error_of_the_server_is_an_answer():
    internet = Internet(answers={"a.example/": reply(404, content=b"gone", headers={"Content-Type": "Text/HTML; x=y"})})
    fetched = await fetch(internet.door(), "http://a.example/")

    assert (fetched.status, fetched.body, fetched.media_type) == (404, b"gone", "text/html")


async def test_the_next_address_is_tried_when_one_is_dead():
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == PUBLIC:
            raise httpx2.ConnectError("dead")
        return reply(200, content=b"alive")

    door = Door(
        resolver=names({"a.example": [PUBLIC, "8.8.8.8"], "b.example": [PUBLIC]}),
        transport=lambda: httpx2.MockTransport(answer),
    )

    assert (await fetch(door, "http://a.example/")).body == b"alive"
    with pytest.raises(FetchFailed):
        await fetch(door, "http://b.example/")


@asynccontextmanager
async def serving(answer: bytes, *, context: ssl.SSLContext | None = None, silent: bool = False) -> AsyncGenerator[int]:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if silent:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


HERE = Door(allowed_hosts=frozenset({"127.0.0.1"}))
HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 1001\r\n\r\n" + b"x" * 1_001,
        HEAD + b"\r\n" + b"x" * 100_000,
        HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"x" * 1_000_000)[:990],
    ],
    ids=["declared", "undeclared", "packed"],
)
async def test_an_answer_that_is_too_long_is_refused(answer: bytes):
    async with serving(answer) as port:
        with pytest.raises(TooLarge):
            await fetch(HERE, f"http://127.0.0.1:{port}/")


async def test_a_packed_answer_is_unpacked():
    async with serving(HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"hello")) as port:
        assert (await fetch(HERE, f"http://127.0.0.1:{port}/")).body == b"hello"


@pytest.mark.parametrize("encoding", [b"br", b"gzip"])
async def test_an_answer_packed_in_an_unknown_or_broken_way_is_a_failure(encoding: bytes):
    async with serving(HEAD + b"content-encoding: " + encoding + b"\r\n\r\nxxxx") as port:
        with pytest.raises(FetchFailed):
            await fetch(HERE, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("answer", [b"", HEAD + b"content-length: 9\r\n\r\nabc"], ids=["no head", "half a body"])
async def test_a_server_that_never_ends_is_a_failure_in_time(answer: bytes):
    async with serving(answer, silent=True) as port:
        with pytest.raises(FetchFailed, match=r"within 0\.2 seconds"):
            await fetch(HERE, f"http://127.0.0.1:{port}/?token=secret", timeout_s=0.2)


async def test_garbage_is_a_failure_that_tells_no_secrets():
    async with serving(b"nonsense\r\n\r\n") as port:
        with pytest.raises(FetchFailed) as failed:
            await fetch(HERE, f"http://127.0.0.1:{port}/?token=secret")

    assert "secret" not in str(failed.value)


async def test_a_host_is_opened_for_one_port_only(listener: Listener):
    door = Door(allowed_hosts=frozenset({f"127.0.0.1:{listener.port}"}))
    await fetch(door, f"http://127.0.0.1:{listener.port}/")
    with pytest.raises(AddressRefused):
        await fetch(door, f"http://127.0.0.1:{listener.port + 1}/")


async def test_a_name_can_be_opened_without_its_neighbours(listener: Listener):
    door = Door(allowed_hosts=frozenset({"nas.home"}), ports=frozenset({listener.port}), resolver=_everything_is_here)
    await fetch(door, f"http://NAS.home.:{listener.port}/")
    with pytest.raises(AddressRefused):
        await fetch(door, f"http://other.home:{listener.port}/")

    assert listener.connections == 1


async def test_an_address_can_be_checked_without_a_request(listener: Listener):
    with pytest.raises(AddressRefused):
        await open_door(listener).check(f"http://127.0.0.1:{listener.port}/")
    await open_door(listener).check("https://public.example/hook")

    assert listener.connections == 0


def _certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side for that name, and a client's side that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / "both.pem"
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(pem).decode())


async def test_the_certificate_is_the_names_and_not_the_addresss(tmp_path: Path):
    server, client = _certificate(tmp_path, "pinned.example")
    asked: list[str] = []
    server.set_servername_callback(lambda _socket, name, _context: asked.append(str(name)))
    door = Door(
        allowed_hosts=frozenset({"pinned.example", "other.example"}),
        resolver=_everything_is_here,
        transport=lambda: httpx2.AsyncHTTPTransport(verify=client),
    )
    async with serving(HEAD + b"content-length: 2\r\n\r\nok", context=server) as port:
        fetched = await fetch(door, f"https://pinned.example:{port}/")
        with pytest.raises(FetchFailed):
            await fetch(door, f"https://other.example:{port}/")

    assert fetched.body == b"ok"
    assert asked == ["pinned.example", "other.example"]


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://App.example:443/chat?x", "https://app.example"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://[::1:8080]/", "http://[::1:8080]"),
        ("http://box:99999/", None),
        ("ftp://box/", None),
        ("", None),
    ],
)
def test_the_site_of_an_address_is_what_browsers_call_its_origin(url: str, site: str | None) -> None:
    assert site_of(url) == site
