"""The smart HTTP protocol of git as far as this server speaks it itself: packet lines, and the two ends of a push.

What is fetched, git's own `upload-pack` works out; see `gitprotocol-http` and `gitprotocol-pack` of its documentation.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from loci.errors import BadRequest, TooLarge
from loci.memfs.objects import BRANCH

FLUSH = b"0000"
SIDEBAND_MAX_BYTES = 65_000
LINES_MAX = 1_000

_CAPABILITIES = "report-status side-band-64k ofs-delta push-options object-format=sha1 agent=loci"
_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]{1,1000})(?:\0([^\n]*))?\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What a client pushes: refs with their old and new commits. Without any it only asks whether it may."""

    commands: tuple[tuple[str, str, str], ...] = ()
    capabilities: frozenset[str] = frozenset()
    options: frozenset[str] = frozenset()
    pack: bytes = b""


def packet(data: bytes) -> bytes:
    """One packet line."""
    return f"{len(data) + 4:04x}".encode() + data


def announced(service: str) -> bytes:
    """How each answer to `info/refs` begins."""
    return packet(f"# service={service}\n".encode()) + FLUSH


def refs_for_push(head: str) -> bytes:
    """The refs that can be pushed to: one."""
    return announced("git-receive-pack") + packet(f"{head} {BRANCH}\0{_CAPABILITIES}\n".encode()) + FLUSH


def inflated(data: bytes, limit_bytes: int) -> bytes:
    """A body that was sent compressed. Raises BadRequest, TooLarge."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, limit_bytes)
    except zlib.error as error:
        raise BadRequest("The body is not the gzip that its header says.") from error
    if not unpacker.eof:
        raise TooLarge(f"Unpacked, the body is cut off or larger than {limit_bytes} bytes.")
    return found


def read_push(body: bytes) -> PushRequest:
    """The body of a push. Raises BadRequest for what is none."""
    lines, rest = _section(body)
    commands: list[tuple[str, str, str]] = []
    offered = b""
    for line in lines:
        match = _COMMAND.fullmatch(line)
        if match is None:
            raise BadRequest("This is no push that git sends.")
        commands.append((match[3].decode("utf-8", "replace"), match[1].decode(), match[2].decode()))
        offered = match[4] or offered
    capabilities = frozenset(offered.decode("utf-8", "replace").split())
    options: list[bytes] = []
    if "push-options" in capabilities:
        options, rest = _section(rest)
    texts = frozenset(option.decode("utf-8", "replace").strip() for option in options)
    return PushRequest(commands=tuple(commands), capabilities=capabilities, options=texts, pack=rest)


def _section(body: bytes) -> tuple[list[bytes], bytes]:
    """The packet lines up to the next flush, and what follows it."""
    lines: list[bytes] = []
    at = 0
    while re.fullmatch(rb"[0-9a-f]{4}", body[at : at + 4]) and len(lines) <= LINES_MAX:
        length = int(body[at : at + 4], 16)
        if length == 0:
            return lines, body[at + 4 :]
        if length < 4 or at + length > len(body):
            break
        lines.append(body[at + 4 : at + length])
        at += length
    raise BadRequest("This is no push that git sends, or it is cut off.")


def report(request: PushRequest, results: Sequence[tuple[str, str | None]], said: Sequence[str]) -> bytes:
    """The answer to a push: for each ref None or why not, and lines for the person."""
    lines = ["unpack ok\n", *(f"ok {ref}\n" if fault is None else f"ng {ref} {fault}\n" for ref, fault in results)]
    body = b"".join(packet(line.encode()) for line in lines) + FLUSH
    if "side-band-64k" not in request.capabilities:
        return body
    words = "".join(f"{line}\n" for line in said).encode()
    return _on_band(2, words) + _on_band(1, body) + FLUSH


def _on_band(band: int, data: bytes) -> bytes:
    parts = (data[at : at + SIDEBAND_MAX_BYTES] for at in range(0, len(data), SIDEBAND_MAX_BYTES))
    return b"".join(packet(bytes([band]) + part) for part in parts)
