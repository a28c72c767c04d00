"""The smart HTTP protocol of git as far as this server speaks it itself: packet lines, and the two ends of a push.

What is fetched, git's own `upload-pack` works out; see `gitprotocol-http` and `gitprotocol-pack` of its documentation.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from loci.errors import BadRequest, TooLarge

FLUSH = b"0000"
SIDEBAND_MAX_BYTES = 65_515
COMMANDS_MAX = 1_000
CAPABILITIES = "report-status side-band-64k ofs-delta push-options object-format=sha1 agent=loci"
BRANCH = "refs/heads/main"

_COMMAND = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{40}) ([^\0\n]{1,1000})(?:\0([^\n]*))?\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One ref that a push asks to move."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What a client pushes. Without commands it only asks whether it may."""

    commands: tuple[Command, ...] = ()
    capabilities: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    pack: bytes = b""


def packet(data: bytes) -> bytes:
    """One packet line."""
    return f"{len(data) + 4:04x}".encode() + data


def announced(service: str) -> bytes:
    """How each answer to `info/refs` begins."""
    return packet(f"# service={service}\n".encode()) + FLUSH


def refs_for_push(head: str) -> bytes:
    """The refs that can be pushed to: one."""
    return announced("git-receive-pack") + packet(f"{head} {BRANCH}\0{CAPABILITIES}\n".encode()) + FLUSH


def inflated(data: bytes, limit_bytes: int) -> bytes:
    """A body that was sent compressed. Raises BadRequest, TooLarge."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, limit_bytes)
    except zlib.error as error:
        raise BadRequest("The body is not the gzip that its header says.") from error
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise TooLarge(f"Unpacked, the body is cut off or larger than {limit_bytes} bytes.")
    return found


def read_push(body: bytes) -> PushRequest:
    """The body of a push. Raises BadRequest for what is none."""
    lines, rest = _section(body)
    if not lines:
        return PushRequest()
    commands: list[Command] = []
    capabilities = b""
    for line in lines:
        match = _COMMAND.fullmatch(line)
        if match is None:
            raise BadRequest("This is no push that git sends.")
        old, new, ref, offered = match.groups()
        commands.append(Command(old=old.decode(), new=new.decode(), ref=ref.decode("utf-8", "replace")))
        capabilities = offered or capabilities
    known = frozenset(capabilities.decode("utf-8", "replace").split())
    options: list[bytes] = []
    if "push-options" in known:
        options, rest = _section(rest)
    texts = tuple(option.decode("utf-8", "replace").strip() for option in options)
    return PushRequest(commands=tuple(commands), capabilities=known, options=texts, pack=rest)


def _section(body: bytes) -> tuple[list[bytes], bytes]:
    """The packet lines up to the next flush, and what follows it."""
    lines: list[bytes] = []
    at = 0
    while True:
        length_text = body[at : at + 4]
        if not re.fullmatch(rb"[0-9a-f]{4}", length_text) or len(lines) > COMMANDS_MAX:
            raise BadRequest("This is no push that git sends.")
        length = int(length_text, 16)
        if length == 0:
            return lines, body[at + 4 :]
        if length < 4 or at + length > len(body):
            raise BadRequest("The push is cut off.")
        lines.append(body[at + 4 : at + length])
        at += length


def report(request: PushRequest, results: Sequence[tuple[str, str | None]], said: Sequence[str]) -> bytes:
    """The answer to a push: for each ref None or why not, and lines for the person."""
    body = packet(b"unpack ok\n")
    for ref, fault in results:
        body += packet(f"ok {ref}\n".encode() if fault is None else f"ng {ref} {fault}\n".encode())
    body += FLUSH
    if "side-band-64k" not in request.capabilities:
        return body
    words = "".join(f"{line}\n" for line in said).encode()
    return _on_band(2, words) + _on_band(1, body) + FLUSH


def _on_band(band: int, data: bytes) -> bytes:
    parts = [data[at : at + SIDEBAND_MAX_BYTES] for at in range(0, len(data), SIDEBAND_MAX_BYTES)]
    return b"".join(packet(bytes([band]) + part) for part in parts)
