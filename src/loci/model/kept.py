"""A cache for facts derived from things that have an id: bounded in size, free of bookkeeping on a hit.

Two generations: what is asked for lives in the young one; when that is full it becomes the old one, and what was not
asked for since the turn before is forgotten. So a hit costs one look-up, and the bound holds.
"""

from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, up to about `limit` in weight (bytes, or entries when each weighs 1)."""

    __slots__ = ("_half", "_old", "_weight", "young")

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._weight = 0
        self._old: dict[str, Value] = {}
        self.young: dict[str, Value] = {}
        """For a loop that cannot afford a call: a hit in here needs nothing more."""

    def get(self, key: str, weight: int = 1) -> Value | None:
        """The value, or None. One that was getting old is kept on, counted with `weight`."""
        value = self.young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value, weight)
        return value

    def put(self, key: str, value: Value, weight: int = 1) -> None:
        """Keep the value. One that alone would fill a generation is not kept."""
        if weight > self._half:
            return
        if self._weight + weight > self._half:
            self._old, self.young, self._weight = self.young, {}, 0
        self.young[key] = value
        self._weight += weight

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
