"""Requests to a model by what is new in them.

A conversation's next request is the one before with a few messages more in its middle. So a request is written down
as the beginning and the end of an earlier one, its base, with what is new between them.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from loci.ids import new_id

NEW_MIN_BYTES = 4_096
NEW_SHARE = 16
"""A request is its own base when more than that, and more than a sixteenth of the base, is new in it."""
HELD_MAX_BYTES = 8_000_000
HELD_MAX_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Base:
    """An earlier request that later ones are told by."""

    id: str
    body: bytes
    made_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A request: so much of the base's beginning, what is new, so much of the base's end."""

    base: Base
    is_base: bool = False
    head_bytes: int
    tail_bytes: int
    new: bytes


def delta(base: Base, body: bytes) -> Delta:
    """`body` told by `base`, with as little new as can be."""
    shorter, told, end = min(len(base.body), len(body)), memoryview(base.body), len(base.body)
    head = _most(shorter, lambda low, high: body.startswith(told[low:high], low))
    tail = _most(shorter - head, lambda low, high: body.startswith(told[end - high : end - low], len(body) - high))
    return Delta(base=base, head_bytes=head, tail_bytes=tail, new=body[head : len(body) - tail])


def _most(limit: int, alike: Callable[[int, int], bool]) -> int:
    """Up to which place all is alike; `alike(from, to)` tells it of a stretch, each half as long as the one before."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if alike(low, middle):
            low = middle
        else:
            high = middle - 1
    return low


class Bases:
    """The newest base of each conversation, as far as they fit and are not old."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Base] = OrderedDict()
        self._held_bytes = 0

    def told(self, conversation_id: str, body: bytes, now_s: float) -> Delta:
        """`body` by the conversation's base; if it is too different, it is the base from now on."""
        held = self._held.get(conversation_id)
        if held is not None and now_s - held.made_s <= HELD_MAX_S:
            found = delta(held, body)
            if len(found.new) <= max(NEW_MIN_BYTES, len(held.body) // NEW_SHARE):
                self._held.move_to_end(conversation_id)
                return found
        base = Base(new_id("trace_base"), body, now_s)
        self._hold(conversation_id, base)
        return Delta(base=base, is_base=True, head_bytes=len(body), tail_bytes=0, new=b"")

    def forget(self) -> None:
        """Begin anew: what was to be kept may not have been."""
        self._held.clear()
        self._held_bytes = 0

    def _hold(self, conversation_id: str, base: Base) -> None:
        before = self._held.pop(conversation_id, None)
        self._held_bytes += len(base.body) - (0 if before is None else len(before.body))
        self._held[conversation_id] = base
        while self._held_bytes > HELD_MAX_BYTES:
            self._held_bytes -= len(self._held.popitem(last=False)[1].body)
