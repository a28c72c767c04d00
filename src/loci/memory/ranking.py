"""Mixing two scores into one order. Pure.

By words a candidate has the share of the query that it holds; likeness is scaled to 0…1 over the candidates, for
cosines of different models lie in different places. So where few words of the query stand anywhere, words have little
to say, and likeness decides (see docs/decisions/0006).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loci.store.search import Candidate

WORDS_SHARE = 2 / 3
"""A text seldom holds more than half of a query, so this makes both about equally heavy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate with its mixed score, 0…1, and its place in each list (from 1; None if it is not in it)."""

    seq: int
    score: float
    words_rank: int | None
    likeness_rank: int | None


def fuse(candidates: Sequence[Candidate], *, words_share: float = WORDS_SHARE) -> list[Ranked]:
    """The candidates, best first; of equal ones the newer (larger seq) first. Without vectors, words decide alone."""
    known = [item.likeness for item in candidates if item.likeness is not None]
    floor = min(known, default=0.0)
    most = max([1.0, *(item.words for item in candidates)])
    likeness = _scaled([floor if item.likeness is None else item.likeness for item in candidates])
    share = words_share if known else 1.0
    by_words = _ranks({item.seq: item.words for item in candidates if item.words > 0})
    by_likeness = _ranks({item.seq: item.likeness for item in candidates if item.likeness is not None})
    ranked = [
        Ranked(
            seq=item.seq,
            score=share * item.words / most + (1 - share) * likeness[number],
            words_rank=by_words.get(item.seq),
            likeness_rank=by_likeness.get(item.seq),
        )
        for number, item in enumerate(candidates)
    ]
    return sorted(ranked, key=lambda item: (-item.score, -item.seq))


def _scaled(values: Sequence[float]) -> list[float]:
    least, most = min(values, default=0.0), max(values, default=0.0)
    if most <= least:
        return [1.0 if most > 0 else 0.0 for _ in values]
    return [(value - least) / (most - least) for value in values]


def _ranks(scores: dict[int, float]) -> dict[int, int]:
    order = sorted(scores, key=lambda key: (-scores[key], -key))
    return {key: place for place, key in enumerate(order, 1)}
