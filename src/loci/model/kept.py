"""A cache for facts derived from things that have an id: bounded in size, free of bookkeeping on a hit.

Two generations: what is asked for lives in the young one; when that is full it becomes the old one, and what was not
asked for since the turn before is forgotten. So a hit costs one look-up, and the bound holds.
"""

from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """Values by key, up to about `limit` in weight (bytes, or entries when each weighs 1)."""

    __slots__ = ("_half", "_old", "_old_weights", "_weight", "_weights", "_young")

    def __init__(self, limit: int) -> None:
        self._half = max(limit // 2, 1)
        self._weight = 0
        self._weights: dict[str, int] = {}
        self._old: dict[str, Value] = {}
        self._old_weights: dict[str, int] = {}
        self._young: dict[str, Value] = {}

    def get(self, key: str) -> Value | None:
        """The value, or None. One that was getting old is young again."""
        value = self._young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value, self._old_weights[key])
        return value

    def put(self, key: str, value: Value, weight: int = 1) -> None:
        """Keep the value. One that alone would fill a generation is not kept."""
        if weight > self._half:
            return
        self._weight -= self._weights.get(key, 0)
        if self._weight + weight > self._half:
            self._old, self._old_weights = self._young, self._weights
            self._young, self._weights, self._weight = {}, {}, 0
        self._young[key] = value
        self._weights[key] = weight
        self._weight += weight

    @property
    def weight(self) -> int:
        """What everything kept weighs together; what is in both generations counts twice."""
        return self._weight + sum(self._old_weights.values())

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
