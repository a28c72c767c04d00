"""The part of a long text that a search was about. Pure."""

import re

from loci.store.terms import STOP_WORDS, words_of

_BEFORE_SHARE = 0.25


def excerpt(text: str, query: str, limit_chars: int) -> str:
    """The text, or at most about `limit_chars` of it from where most words of the query stand, with a note of that."""
    if len(text) <= limit_chars:
        return text
    start = max(0, min(_densest(text, query, limit_chars), len(text) - limit_chars))
    shown = text[start : start + limit_chars]
    begins, ends = "…" if start else "", "…" if start + limit_chars < len(text) else ""
    return f"{begins}{shown}{ends} [characters {start + 1}–{start + len(shown)} of {len(text)}]"


def _densest(text: str, query: str, limit_chars: int) -> int:
    """Where to begin so that as many different words of the query as possible are shown."""
    words = [word for word in dict.fromkeys(words_of(query)) if word not in STOP_WORDS]
    if not words:
        return 0
    found = [
        (match.start(), match.group().lower())
        for match in re.finditer("|".join(map(re.escape, words)), text, re.IGNORECASE)
    ]
    best, most = 0, 0
    first = 0
    for last, (at, _) in enumerate(found):
        while at - found[first][0] > limit_chars * (1 - _BEFORE_SHARE):
            first += 1
        different = len({word for _, word in found[first : last + 1]})
        if different > most:
            best, most = found[first][0], different
    return best - int(limit_chars * _BEFORE_SHARE) if most else 0
