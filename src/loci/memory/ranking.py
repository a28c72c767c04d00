"""Mixing two scores into one order. Pure.

Each list of scores is scaled to 0…1 over the candidates and they are added, half and half. On long recorded
conversations this found more than reciprocal rank fusion or either list alone (see docs/decisions/0006).
"""

from collections.abc import Sequence
from dataclasses import dataclass

WORDS_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A candidate with its two raw scores; `likeness` is None where there is no vector."""

    key: int
    words: float
    likeness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate with its mixed score, 0…1, and the scaled parts of it."""

    key: int
    score: float
    words: float
    likeness: float


def fuse(candidates: Sequence[Scored], *, words_share: float = WORDS_SHARE) -> list[Ranked]:
    """The candidates, best first; of equal ones the newer (larger key) first. Without vectors, words decide alone."""
    words = _scaled([item.words for item in candidates])
    known = [item.likeness for item in candidates if item.likeness is not None]
    floor = min(known, default=0.0)
    likeness = _scaled([floor if item.likeness is None else item.likeness for item in candidates]) if known else None
    share = words_share if likeness is not None else 1.0
    ranked = [
        Ranked(
            key=item.key,
            score=share * words[number] + (1 - share) * (likeness[number] if likeness else 0.0),
            words=words[number],
            likeness=likeness[number] if likeness else 0.0,
        )
        for number, item in enumerate(candidates)
    ]
    return sorted(ranked, key=lambda item: (-item.score, -item.key))


def _scaled(values: Sequence[float]) -> list[float]:
    least, most = min(values, default=0.0), max(values, default=0.0)
    if most <= least:
        return [1.0 if most > 0 else 0.0 for _ in values]
    return [(value - least) / (most - least) for value in values]
