"""Texts to index terms and back to queries. PURE.

Every term carries the number of its scope (one archive, or one agent's messages): `k12xmusic`. A search so touches the
postings of one scope only, and scopes cannot learn of each other through word statistics. The prefix has no vowel, so
the Porter stemmer of FTS5 (https://sqlite.org/fts5.html#porter_tokenizer) sees the same word as without it.

Scripts without spaces between words become pairs of characters, the last one also alone.
"""

import re
import unicodedata
from dataclasses import dataclass

TERM_CHARS_MAX = 64
QUERY_TERMS_MAX = 32

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u1100-\u11ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowel signs and other marks that are parts of words but no letters to Python.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(f"([{_UNSPACED}]+)|((?:(?![{_UNSPACED}])[^\\W_]|[{_MARKS}])+)")

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being but by can could d did do does doing
    done don for from had has have having he her here hers him his how i if in into is it its just ll m me more most my
    myself no nor not now of off on once only or other our ours out over own re s same she should so some such t than
    that the their them then there these they this those through to too under until up us ve very was we were what when
    where which while who whom why will with would you your yours yourself""".split()  # noqa: SIM905  a list of so many words is easier to read like this
)


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a query. `is_prefix`: whatever begins with it counts, too."""

    text: str
    is_prefix: bool = False


def words_of(text: str) -> list[str]:
    """The terms of a text in order, repeated as often as they occur."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    found: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text).lower()):
        run = match.group(1)
        if run is None:
            found.append(match.group(2))
        else:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
            found.append(run[-1])
    return found


def index_text(number: int, words: list[str]) -> str:
    """What goes into the full-text index for these words of scope `number`: each term once."""
    return " ".join(f"k{number}x{word[:TERM_CHARS_MAX]}" for word in dict.fromkeys(words))


def query_terms(text: str) -> list[Term]:
    """The words of a query that are worth looking up: without stop words, unless there is nothing else."""
    terms: dict[str, Term] = {}
    if text.isascii():
        terms = {word: Term(word) for word in _ASCII_WORD.findall(text.lower())}
    else:
        for match in _WORD.finditer(unicodedata.normalize("NFKC", text).lower()):
            run = match.group(1)
            if run is None:
                terms[match.group(2)] = Term(match.group(2))
            elif len(run) == 1:
                terms[run] = Term(run, is_prefix=True)
            else:
                terms |= {run[at : at + 2]: Term(run[at : at + 2]) for at in range(len(run) - 1)}
    telling = [term for word, term in terms.items() if word not in STOP_WORDS]
    return (telling or list(terms.values()))[:QUERY_TERMS_MAX]


def match_expression(number: int, term: Term) -> str:
    """The FTS5 query for one term of scope `number`."""
    return f'"k{number}x{term.text[:TERM_CHARS_MAX]}"' + (" *" if term.is_prefix else "")
