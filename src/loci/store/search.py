"""Finding texts in one scope by words and by vector: candidates with both raw scores; `loci.memory.ranking` mixes them.

Words: FTS5 only answers which texts hold a term, as one list of numbers for each; weighing is a few array operations,
so the score is exact over the whole scope and costs no more for common words (at 100,000 texts 3 ms, p95; `bm25()` of
FTS5: 18 ms). A term counts by how rare it is in the scope and less in longer texts (BM25, Robertson and Zaragoza 2009,
doi:10.1561/1500000019). In talk, the turns next to a text lend it part of their words.

Vectors: signs choose, whole vectors decide (see `shelf`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loci.store import scopes, vectors
from loci.store.base import Transaction
from loci.store.scopes import ROLE_NUMBERS, WORDS, Scope, ScopeKey, ScopeKind, microseconds, thread_number
from loci.store.shelf import Indexes, Shelf, Shelves, read_numbers
from loci.store.terms import Term, match_expression, query_terms
from loci.types.actor import Actor
from loci.types.messages import Role

TAGGED = """
select group_concat(passage_seq) as seq from passage_tags where archive_id = :archive_id and tag = :tag"""

POSTINGS_MAX = 20_000
"""A word that more texts hold than this says little: only the newest of them count."""
COUNT_MIN = 60
NEAR_MIN, RESCORED_MIN = 1_000, 256
"""So many texts the signs alone choose, and so many of these are fetched."""
NEIGHBOUR_WEIGHT = 0.3

_SAMPLED = 64
_BLOCK_ROWS = 65_536
_HALVED_MIN, _LOOKED_AT = 128, 32
"""So many times the texts wanted there must be for half of the signs to choose, and so many times they choose."""
_SATURATION = 1.2
_LENGTH_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for in a scope. None or empty means any."""

    text: str
    vector: NDArray[np.float32] | None = None
    """Of unit length, by `vector_model`; passed over if the texts have vectors of another model."""
    vector_model: str = ""
    roles: tuple[Role, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    thread: str | None = None
    before_seq: int | None = None
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    by_words: bool = True
    """False: by the vector alone, where there is one to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A text that may be the answer.

    `words` says how much of the query it holds, rare words counting more: 0 for none, about 1 for all. So it can be
    compared across scopes. `likeness` is a cosine, None without a vector.
    """

    seq: int
    words: float
    likeness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Candidates without order. `total`: how many texts hold one of the words, but at least as many as are here."""

    candidates: list[Candidate]
    total: int


def among(tx: Transaction, actor: Actor, shelves: Shelves, asked: Mapping[ScopeKey, Wanted], count: int) -> Found:
    """The candidates for the `count` best texts of several scopes, with what to look for in each."""
    there = [(scope, wanted) for key, wanted in asked.items() if (scope := scopes.find(tx, actor, key)) is not None]
    found = [candidates(tx, shelves, scope, wanted, max(COUNT_MIN, count)) for scope, wanted in there]
    return Found(
        candidates=[item for part in found for item in part.candidates], total=sum(part.total for part in found)
    )


def candidates(tx: Transaction, shelves: Shelves, scope: Scope, wanted: Wanted, count: int) -> Found:
    """The `count` best texts by words and the `count` best by vector, together. Filters apply before."""
    query = wanted.vector if _is_comparable(tx, scope, wanted) else None
    dimensions = None if query is None else len(query)
    shelf = shelves.current(tx, scope, dimensions)
    allowed = _allowed(tx, scope, shelf, wanted)
    if shelf.size == 0:
        return Found(candidates=[], total=0)
    terms = query_terms(wanted.text) if wanted.by_words or query is None else []
    matching, by_words = _word_scores(tx, scope, shelf, terms)
    if allowed is not None:
        matching, by_words = matching[allowed[matching]], by_words[allowed[matching]]
    total = len(matching)
    best = matching[_largest(by_words, count)]
    likeness: dict[int, float] = {}
    chosen = best
    if query is not None:
        at, cosines = _likeness(tx, scope, shelf, _Dense(query, allowed, best, count))
        likeness = dict(zip(at.tolist(), cosines.tolist(), strict=True))
        chosen = np.union1d(best, at[_largest(cosines, count)])
    elif not terms:
        total = shelf.size if allowed is None else int(np.count_nonzero(allowed))
        chosen = _newest(allowed, shelf.size, count)
    words = _looked_up(matching, by_words, chosen)
    found = [
        Candidate(seq=int(shelf.seqs[at]), words=float(score), likeness=likeness.get(int(at)))
        for at, score in zip(chosen, words, strict=True)
    ]
    return Found(candidates=found, total=max(total, len(found)))


def _is_comparable(tx: Transaction, scope: Scope, wanted: Wanted) -> bool:
    if wanted.vector is None or scope.model is None:
        return False
    return vectors.model_number(tx, wanted.vector_model) == scope.model


def _newest(allowed: NDArray[np.bool_] | None, size: int, count: int) -> Indexes:
    if allowed is None:
        return np.arange(max(0, size - count), size, dtype=np.int64)
    return np.flatnonzero(allowed)[-count:]


def _allowed(tx: Transaction, scope: Scope, shelf: Shelf, wanted: Wanted) -> NDArray[np.bool_] | None:
    parts: list[NDArray[np.bool_]] = []
    if wanted.roles:
        parts.append(np.isin(shelf.roles, [ROLE_NUMBERS[role] for role in wanted.roles]))
    if wanted.thread is not None:
        parts.append(shelf.threads == thread_number(wanted.thread))
    if wanted.since is not None:
        parts.append(shelf.at_us >= microseconds(wanted.since))
    if wanted.until is not None:
        parts.append(shelf.at_us <= microseconds(wanted.until))
    if wanted.before_seq is not None:
        parts.append(shelf.seqs < wanted.before_seq)
    if wanted.tags:
        parts.append(_tagged(tx, scope, shelf, wanted))
    return np.logical_and.reduce(parts) if parts else None


def _tagged(tx: Transaction, scope: Scope, shelf: Shelf, wanted: Wanted) -> NDArray[np.bool_]:
    having = np.zeros(shelf.size, np.int64)
    tags = set(wanted.tags)
    for tag in tags:
        row = tx.one(TAGGED, {"archive_id": scope.key.id, "tag": tag})
        having[shelf.indexes_of(read_numbers(row["seq"] if row else None))] += 1
    return having >= (len(tags) if wanted.match_all_tags else 1)


def _word_scores(
    tx: Transaction, scope: Scope, shelf: Shelf, terms: Sequence[Term]
) -> tuple[Indexes, NDArray[np.float64]]:
    """Which texts hold any of the words, rising, and how well. Nothing is done for the many that hold none."""
    if not terms:
        return np.empty(0, np.int64), np.empty(0)
    holding = [shelf.indexes_of(_postings(tx, scope, term)) for term in terms]
    rarities = [float(np.log1p((shelf.size - len(at) + 0.5) / (len(at) + 0.5))) for at in holding]
    scratch = np.zeros(shelf.size if scope.key.kind is ScopeKind.AGENT else 0)
    found: list[Indexes] = []
    scores: list[NDArray[np.float64]] = []
    for there, rarity in zip(holding, rarities, strict=True):
        at, times = there, np.ones(len(there))
        if scope.key.kind is ScopeKind.AGENT:
            at, times = _with_neighbours(there, shelf, scratch)
        length = 1.0 - _LENGTH_SHARE + _LENGTH_SHARE * np.minimum(shelf.words[at] / shelf.words_mean, 10.0)
        found.append(at)
        scores.append(rarity / sum(rarities) * times * (_SATURATION + 1) / (times + _SATURATION * length))
    at, score = np.concatenate(found), np.concatenate(scores)
    order = np.argsort(at, kind="stable")  # rising pieces, which that joins faster than others sort
    at = at[order]
    first = np.flatnonzero(np.diff(at, prepend=-1))
    return at[first], np.add.reduceat(score[order], first) if len(first) else score


def _looked_up(texts: Indexes, scores: NDArray[np.float64], wanted: Indexes) -> NDArray[np.float64]:
    """The scores of these texts; 0 for those that have none. `texts` rise."""
    if len(texts) == 0:
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(texts, wanted), len(texts) - 1)
    return np.where(texts[at] == wanted, scores[at], 0.0)


def _with_neighbours(at: Indexes, shelf: Shelf, scratch: NDArray[np.float64]) -> tuple[Indexes, NDArray[np.float64]]:
    """The turns that hold a word and those next to them: (indexes, how often each counts as holding it).

    `scratch` is all zeros over the shelf, before and after; it spares sorting the indexes to find the doubles.
    """
    scratch[at] = 1.0
    touched = [at]
    for beside in (shelf.before[at], shelf.after[at]):
        there = beside[beside >= 0]
        touched.append(there[scratch[there] == 0.0])
        scratch[there] += NEIGHBOUR_WEIGHT
    wider = np.concatenate(touched)
    times = scratch[wider]
    scratch[wider] = 0.0
    return wider, times


def _postings(tx: Transaction, scope: Scope, term: Term) -> Indexes:
    table = WORDS[scope.key.kind]
    sql = f"""
select group_concat(seq) as seq from (
    select rowid as seq from {table} where {table} match :match order by rowid desc limit :limit)"""
    row = tx.one(sql, {"match": match_expression(scope.number, term), "limit": POSTINGS_MAX})
    return read_numbers(row["seq"] if row else None)[::-1]  # rising, which is faster to look up


@dataclass(frozen=True, slots=True)
class _Dense:
    query: NDArray[np.float32]
    allowed: NDArray[np.bool_] | None
    also: Indexes
    count: int


def _likeness(tx: Transaction, scope: Scope, shelf: Shelf, dense: _Dense) -> tuple[Indexes, NDArray[np.float32]]:
    """Cosines of the texts that may be most like the query, and of those in `also`: (indexes, cosines)."""
    seqs = None
    if len(shelf.code_seqs):
        seqs = np.union1d(_nearest_codes(shelf, dense), shelf.seqs[dense.also])
    fetched = vectors.fetch(tx, scope, len(dense.query), seqs)
    at, there = shelf.places_of(fetched.seqs)
    if dense.allowed is not None:
        there &= dense.allowed[at]
    return at[there], fetched.compare(dense.query)[there]


def _nearest_codes(shelf: Shelf, dense: _Dense) -> Indexes:
    seqs, codes = shelf.code_seqs, shelf.codes
    if dense.allowed is not None:
        at, allowed = shelf.places_of(seqs)
        allowed &= dense.allowed[at]
        seqs, codes = seqs[allowed], codes[allowed]
    query = vectors.sign_codes(dense.query[np.newaxis, :])[0]
    near = _nearest(codes, query, max(NEAR_MIN, 4 * dense.count))
    # Held against the query's own numbers, not only its signs, the signs tell better which ones to fetch.
    signs = np.unpackbits(np.ascontiguousarray(codes[near]).view(np.uint8), axis=1, count=len(dense.query))
    promise = np.vecdot(signs.astype(np.float32), dense.query)
    return seqs[near[_largest(promise, max(RESCORED_MIN, 2 * dense.count))]]


def _nearest(codes: NDArray[np.uint64], query: NDArray[np.uint64], count: int) -> Indexes:
    """The indexes of the `count` codes with the fewest other signs than the query, without order.

    Among very many, half of the signs tell which ones to look at whole: that reads half of the memory, and at a million
    texts no search found less by it.
    """
    columns = codes.shape[1]
    half = columns // 2
    if columns < 2 or len(codes) < _HALVED_MIN * count:
        return _smallest(_distances(codes, query, range(columns)), count)
    distance = _distances(codes, query, range(half))
    within = np.cumsum(np.bincount(distance[::_SAMPLED]))
    near = np.flatnonzero(distance <= np.searchsorted(within, _LOOKED_AT * count / _SAMPLED))
    whole = distance[near]
    for column in range(half, columns):
        whole += np.bitwise_count(codes[:, column][near] ^ query[column])
    return near[_smallest(whole, count)]


def _distances(codes: NDArray[np.uint64], query: NDArray[np.uint64], columns: range) -> NDArray[np.uint16]:
    """How many signs of these columns differ, for each code."""
    distance = np.zeros(len(codes), np.uint16)
    for start in range(0, len(codes), _BLOCK_ROWS):  # what is between stays in the processor's cache
        block = distance[start : start + _BLOCK_ROWS]
        for column in columns:
            block += np.bitwise_count(codes[start : start + _BLOCK_ROWS, column] ^ query[column])
    return distance


def _smallest(distance: NDArray[np.uint16], count: int) -> Indexes:
    """The indexes of the `count` smallest, without order; the later of those that are equal.

    Distances are few different numbers, so that one is found by counting, and a sample tells how far it is worth it.
    """
    within = np.cumsum(np.bincount(distance[::_SAMPLED]))
    near = np.flatnonzero(distance <= np.searchsorted(within, 2 * count / _SAMPLED + 8))
    if len(near) < count:
        near = np.arange(len(distance))
    within = np.cumsum(np.bincount(distance[near]))
    far, last = distance[near], np.searchsorted(within, count)
    nearer, border = near[far < last], near[far == last]
    # What is said again and again is equally near, however much of it there is.
    return np.concatenate((nearer, border[max(0, len(nearer) + len(border) - count) :]))


def _largest(scores: NDArray[np.float64] | NDArray[np.float32], count: int) -> Indexes:
    """The indexes of the `count` largest, without order."""
    if len(scores) <= count:
        return np.arange(len(scores), dtype=np.int64)
    return np.argpartition(scores, len(scores) - count)[-count:]
