"""What search holds in memory of one scope: a few numbers for each text, and the signs of its vectors.

A shelf is derived: it is read from the rows in one go (100,000 texts take about 25 ms), brought up to date by the rows
that came since, and thinned when the generation of the scope says that rows went. It is never changed in place, so
searches on several threads may share it.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from loci.store import vectors
from loci.store.base import Transaction
from loci.store.scopes import Scope

Indexes: TypeAlias = NDArray[np.int64]

SHELF_ROWS = """
select group_concat(seq) as seqs, group_concat(role) as roles, group_concat(thread) as threads,
    group_concat(words) as words, group_concat(at_us) as at_us
from (select seq, role, thread, words, at_us from search_rows where scope = :scope and seq > :seq order by seq)"""
SHELF_SEQS = """
select group_concat(seq) as seq from (select seq from search_rows where scope = :scope order by seq)"""

_COLUMNS = ("seqs", "roles", "threads", "words", "at_us")

EXACT_TEXTS_MAX = 3_000
"""Up to so many vectors are fetched and compared exactly; above, signs choose which ones to fetch."""
ROWS_HELD_MAX = 1_000_000
_FEW = 20
_SPREAD_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Columns over the texts of a scope, in order of `seqs`. `codes` cover the first texts, as far as they go."""

    generation: int
    seqs: Indexes
    roles: Indexes
    threads: Indexes
    words: Indexes
    words_mean: float = 1.0
    """At least 1."""
    at_us: Indexes
    before: Indexes
    """For each text the index of the one before it in its thread, -1 for none."""
    after: Indexes
    """The same for the one after it."""
    table: Indexes
    """Index by seq, counted from the first: looking up beats searching. Empty where seqs lie far apart."""
    model: int | None = None
    code_seqs: Indexes
    codes: NDArray[np.uint64]

    @property
    def size(self) -> int:
        """How many texts there are."""
        return len(self.seqs)

    def indexes_of(self, seqs: Indexes) -> Indexes:
        """Where these texts stand; those that are not there are left out."""
        at, there = self.places_of(seqs)
        return at[there]

    def places_of(self, seqs: Indexes) -> tuple[Indexes, NDArray[np.bool_]]:
        """Where each of these texts stands, and whether it is there at all."""
        if self.size == 0:
            return np.zeros(len(seqs), np.int64), np.zeros(len(seqs), np.bool_)
        if len(self.table):
            at = self.table[np.clip(seqs - self.seqs[0], 0, len(self.table) - 1)]
        else:
            at = np.minimum(np.searchsorted(self.seqs, seqs), self.size - 1)
        return at, self.seqs[at] == seqs


def _empty(generation: int) -> Shelf:
    nothing = np.empty(0, np.int64)
    return Shelf(
        generation=generation,
        seqs=nothing,
        roles=nothing,
        threads=nothing,
        words=nothing,
        at_us=nothing,
        before=nothing,
        after=nothing,
        table=nothing,
        code_seqs=nothing,
        codes=np.empty((0, 0), np.uint64),
    )


class Shelves:
    """The shelves that were used last, by scope. Safe for use from several threads."""

    def __init__(self, rows_max: int = ROWS_HELD_MAX) -> None:
        self._rows_max = rows_max
        self._held: OrderedDict[tuple[str, str], Shelf] = OrderedDict()
        self._lock = threading.Lock()

    def current(self, tx: Transaction, scope: Scope, dimensions: int | None) -> Shelf:
        """The shelf of a scope as of this transaction. Signs are held only with `dimensions` and for many texts."""
        name = (scope.key.kind.value, scope.key.id)
        with self._lock:
            held = self._held.get(name)
        shelf = _bring_up_to_date(tx, scope, held or _empty(scope.generation))
        if dimensions is not None and shelf.size > EXACT_TEXTS_MAX:
            shelf = _bring_up_codes(tx, scope, shelf, dimensions)
        if shelf is not held:
            self._keep(name, shelf)
        return shelf

    def _keep(self, name: tuple[str, str], shelf: Shelf) -> None:
        with self._lock:
            self._held[name] = shelf
            self._held.move_to_end(name)
            rows = sum(other.size for other in self._held.values())
            while rows > self._rows_max and len(self._held) > 1:
                rows -= self._held.popitem(last=False)[1].size


def _bring_up_to_date(tx: Transaction, scope: Scope, shelf: Shelf) -> Shelf:
    if shelf.generation < scope.generation:
        shelf = _thin(tx, scope, shelf)
    last = int(shelf.seqs[-1]) if shelf.size else 0
    row = tx.one(SHELF_ROWS, {"scope": scope.number, "seq": last})
    if row is None or row["seqs"] is None:
        return shelf
    columns = {name: np.concatenate((getattr(shelf, name), read_numbers(row[name]))) for name in _COLUMNS}
    threads = columns["threads"]
    before = _append_neighbours(shelf, threads) if len(threads) - shelf.size <= _FEW else _neighbours(threads)
    return _of_columns(shelf, columns, before)


def _thin(tx: Transaction, scope: Scope, shelf: Shelf) -> Shelf:
    """Drop what is gone. A text that was changed keeps its seq, so texts that were indexed anew are read again."""
    row = tx.one(SHELF_SEQS, {"scope": scope.number})
    there = read_numbers(row["seq"] if row is not None else None)
    keep = np.isin(shelf.seqs, there, assume_unique=True)
    known = scope.vectors_through_seq if scope.model is not None and scope.model == shelf.model else 0
    coded = np.isin(shelf.code_seqs, there, assume_unique=True) & (shelf.code_seqs <= known)
    columns = {name: getattr(shelf, name)[keep] for name in _COLUMNS}
    shelf = replace(shelf, generation=scope.generation, code_seqs=shelf.code_seqs[coded], codes=shelf.codes[coded])
    return _of_columns(shelf, columns, _neighbours(columns["threads"]))


def _of_columns(shelf: Shelf, columns: dict[str, Indexes], before: Indexes) -> Shelf:
    """The shelf with these columns instead of its own, and what follows from them."""
    mean = float(columns["words"].mean()) if len(columns["words"]) else 0.0
    table, after = _table(columns["seqs"]), _mirrored(before)
    return replace(shelf, **columns, words_mean=max(1.0, mean), table=table, before=before, after=after)


def _bring_up_codes(tx: Transaction, scope: Scope, shelf: Shelf, dimensions: int) -> Shelf:
    words = -(-dimensions // 64)
    if shelf.model != scope.model or shelf.codes.shape[1] != words:
        empty = np.empty((0, words), np.uint64)
        shelf = replace(shelf, model=scope.model, code_seqs=np.empty(0, np.int64), codes=empty)
    last = int(shelf.code_seqs[-1]) if len(shelf.code_seqs) else 0
    if last >= scope.vectors_through_seq:
        return shelf
    seqs, codes = vectors.fetch_codes(tx, scope, dimensions, last)
    if len(seqs) == 0:
        return shelf
    # By column, for a search goes down one column after the other.
    joined = np.asfortranarray(np.concatenate((shelf.codes, codes)))
    return replace(shelf, code_seqs=np.concatenate((shelf.code_seqs, seqs)), codes=joined)


def _neighbours(threads: Indexes) -> Indexes:
    """For each row the nearest one before it with the same thread, -1 for none."""
    before = np.full(len(threads), -1, np.int64)
    order = np.argsort(threads, kind="stable")
    same = threads[order][1:] == threads[order][:-1]
    before[order[1:][same]] = order[:-1][same]
    return before


def _table(seqs: Indexes) -> Indexes:
    """The table of a shelf: 0 where no text stands, which the comparison with `seqs` then tells apart."""
    if len(seqs) == 0 or seqs[-1] - seqs[0] >= _SPREAD_MAX * len(seqs):
        return np.empty(0, np.int64)
    table = np.zeros(int(seqs[-1] - seqs[0]) + 1, np.int64)
    table[seqs - seqs[0]] = np.arange(len(seqs))
    return table


def _mirrored(before: Indexes) -> Indexes:
    after = np.full(len(before), -1, np.int64)
    later = np.flatnonzero(before >= 0)
    after[before[later]] = later
    return after


def _append_neighbours(shelf: Shelf, threads: Indexes) -> Indexes:
    """The same when only a few rows were added to a shelf: sorting a long one again would be most of a search."""
    before = np.concatenate((shelf.before, np.full(len(threads) - shelf.size, -1, np.int64)))
    for at in range(shelf.size, len(threads)):
        same = np.flatnonzero(threads[:at] == threads[at])
        if len(same):
            before[at] = same[-1]
    return before


def read_numbers(joined: object) -> Indexes:
    """What `group_concat` put together; the cheapest way to get a long column out of SQLite."""
    return np.fromstring(joined, dtype=np.int64, sep=",") if isinstance(joined, str) else np.empty(0, np.int64)
