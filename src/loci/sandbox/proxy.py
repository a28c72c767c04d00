"""The way out for a program that was granted the network: an HTTP proxy through the guarded door.

It listens inside the network namespace of the call, where nothing else is, and connects from outside of it: to
addresses that the door has checked: to this machine and private networks only where the operator names the host.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2

from loci.errors import LociError
from loci.net import Door

HEAD_MAX_BYTES = 65_536
CONNECT_TIMEOUT_S = 15.0
CONNECTIONS_MAX = 32
_REFUSED = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}"
_HOP = frozenset({b"proxy-connection", b"proxy-authorization", b"connection", b"keep-alive"})


@asynccontextmanager
async def proxying(listening: socket.socket, door: Door) -> AsyncGenerator[None]:
    """Serve the connections of one call for the time of the block."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(tasks) >= CONNECTIONS_MAX:
            writer.close()
            return
        tasks.add(task)
        try:
            await _serve(reader, writer, door)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            return
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, sock=listening, limit=HEAD_MAX_BYTES)
    try:
        yield
    finally:
        server.close()
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: Door) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    method, target, _ = first.decode("latin-1").split(" ", 2)
    tunnel = method == "CONNECT"
    try:
        url = httpx2.URL(f"https://{target}" if tunnel else target)
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await door.addresses(str(url))
        far_reader, far_writer = await _connect(addresses[0], port)
    except (LociError, httpx2.InvalidURL, OSError, TimeoutError) as error:
        words = str(error) or type(error).__name__
        writer.write(_REFUSED.format(len(words.encode()), words).encode())
        await writer.drain()
        return
    try:
        if tunnel:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            # One request for each connection: what comes after its body would go to the same, checked, place.
            lines = [line for line in rest.split(b"\r\n") if line and line.partition(b":")[0].lower() not in _HOP]
            path = url.raw_path.decode("latin-1")
            start = f"{method} {path} HTTP/1.1\r\nConnection: close\r\n".encode("latin-1")
            far_writer.write(start + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
        await _both_ways((reader, far_writer), (far_reader, writer))
    finally:
        far_writer.close()


async def _connect(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        return await asyncio.open_connection(address, port)


async def _both_ways(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    await asyncio.gather(*(_pour(reader, writer) for reader, writer in ways))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
