"""Prefixed ids that look like the Letta V1 API's (`agent-<uuid4>`) and sort by the time they were made.

The first 48 bits hold milliseconds since 1970 as in UUIDv7 (RFC 9562, section 5.7), but version and variant say 4,
because clients check for that.
"""

import os
import re
import threading
import time
import uuid

_PATTERN = re.compile(r"^[a-z_]+(?:-env)?-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
_SEQUENCE_BITS = 12
_RANDOM_BITS = 62
_RANDOM_BYTES = 8
_POOL_BYTES = 4_096
_lock = threading.Lock()
_last = [0]
_pool = bytearray()
"""Random bytes of the system, each used once: asking for a few thousand costs as much as asking for eight."""
os.register_at_fork(after_in_child=_pool.clear)


def new_id(prefix: str) -> str:
    """A fresh id; ids made later in this process sort after it (up to 4096 a millisecond, then time runs ahead)."""
    return f"{prefix}-{new_uuid()}"


def new_uuid() -> str:
    """A fresh time-ordered uuid with version 4 and the RFC variant."""
    with _lock:
        tick = max(_last[0] + 1, (time.time_ns() // 1_000_000) << _SEQUENCE_BITS)
        _last[0] = tick
        if not _pool:
            _pool.extend(os.urandom(_POOL_BYTES))
        random = int.from_bytes(_pool[-_RANDOM_BYTES:])
        del _pool[-_RANDOM_BYTES:]
    value = (tick >> _SEQUENCE_BITS) << 80
    value |= 0x4 << 76
    value |= (tick & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & ((1 << _RANDOM_BITS) - 1)
    return str(uuid.UUID(int=value))


def is_id(text: str, *prefixes: str) -> bool:
    """Whether the text has the form of an id, and one of the prefixes if any are given."""
    if not _PATTERN.match(text):
        return False
    return not prefixes or any(text.startswith(prefix + "-") and len(text) == len(prefix) + 37 for prefix in prefixes)


def part_otid(message_id: str, index: int) -> str:
    """The offline threading id of one part of a stored message: its uuid with the last two digits replaced."""
    return f"{message_id[-36:-2]}{index % 256:02x}"
