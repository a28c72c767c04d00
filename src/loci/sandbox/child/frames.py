"""What goes over the socket of one call: a length, then JSON; and for the answer the raw bytes that it announces.

This package runs under the interpreter of the sandbox: standard library only, and nothing of ours from outside.
"""

import json
import socket
import struct
from typing import Literal, TypeAlias, TypedDict

Means: TypeAlias = Literal["namespaces", "landlock", "none"]
"""How a call is walled in: its own namespaces; Landlock and seccomp alone (also inside bubblewrap); not at all."""

Ended: TypeAlias = Literal["done", "time", "memory", "processes", "disk", "result", "walls", "cancelled"]
"""Why a call ended: by itself, at a limit, or because the walls could not be put up."""

HEADER = struct.Struct("!I")
REQUEST_MAX_BYTES = 16_000_000


class Bounds(TypedDict):
    """What a call may use."""

    wall_s: float
    cpu_s: int
    memory_bytes: int
    processes: int
    files: int
    file_bytes: int
    disk_bytes: int
    output_bytes: int
    result_bytes: int


class Program(TypedDict):
    """What to run. `function`: call it with `args`. `script`: run the lines; the last expression is the result."""

    kind: Literal["function", "script"]
    language: Literal["python", "javascript", "typescript"]
    source: str
    name: str
    args: dict[str, object]
    order: list[str]
    """The names of the arguments as JavaScript takes them."""
    agent_state: dict[str, object] | None


class Request(TypedDict):
    """One call."""

    means: Means
    read: list[str]
    """Paths that may be read, besides the system's own."""
    tmp: str | None
    """A folder for its files; None in namespaces, which have their own."""
    bounds: Bounds
    network: bool
    env: dict[str, str]
    node: list[str]
    """The command that runs JavaScript; empty without Node."""
    program: Program


class Report(TypedDict):
    """How a call ended. The bytes of result, stdout and stderr follow in this order."""

    ended: Ended
    exit_code: int
    detail: str
    sizes: list[int]
    dropped: list[int]


def write(connection: socket.socket, document: object, *blobs: bytes) -> None:
    """Send a document, and bytes behind it."""
    body = json.dumps(document).encode()
    connection.sendall(HEADER.pack(len(body)) + body + b"".join(blobs))


def read_request(connection: socket.socket) -> Request:
    """The one request of a call. Raises EOFError, ValueError."""
    (size,) = HEADER.unpack(exactly(connection, HEADER.size))
    if size > REQUEST_MAX_BYTES:
        raise ValueError("the request is too large")
    request: Request = json.loads(exactly(connection, size))
    return request


def exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises EOFError."""
    parts: list[bytes] = []
    while size:
        part = connection.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
