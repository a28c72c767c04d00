"""Search in one scope: what is found is exactly what is there, however it came and went."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loci.clock import FakeClock
from loci.ids import new_id
from loci.store import archives, passages, scopes, search, shelf, vectors
from loci.store.base import Store, Transaction
from loci.store.scopes import Scope, ScopeKey, ScopeKind
from loci.store.search import Found, Wanted
from loci.store.shelf import EXACT_TEXTS_MAX, Shelves
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.memory import Archive, Passage
from tests.memory.talks import AUTHOR, ME

DIMENSIONS = 70
MODEL = "test:70"


@dataclass(slots=True)
class Library:
    """One archive, searched through shelves that live as long as it does."""

    store: Store
    archive: Archive
    clock: FakeClock
    shelves: Shelves = field(default_factory=Shelves)

    async def keep(self, *texts: str, tags: tuple[str, ...] = ()) -> list[Passage]:
        new = [Passage(id=new_id("passage"), archive_id="", text=text, tags=tags) for text in texts]
        return await self.store.write(passages.insert, ME, AUTHOR, self.archive.id, new, self.clock.now())

    async def forget(self, passage: Passage) -> None:
        await self.store.write(passages.delete, ME, AUTHOR, passage.id, self.clock.now())

    async def fill(self, kept: Sequence[Passage], rows: np.ndarray, model: str = MODEL) -> None:
        def verb(tx: Transaction) -> None:
            scope = self.scope(tx)
            number = vectors.use_model(tx, scope, model)
            vectors.fill(tx, scope, number, [(p.seq, row.tolist()) for p, row in zip(kept, rows, strict=True)])

        await self.store.write(verb)

    def scope(self, tx: Transaction) -> Scope:
        return scopes.find_or_create(tx, ME, ScopeKey(ScopeKind.ARCHIVE, self.archive.id))

    async def find(self, wanted: Wanted, count: int = 100, shelves: Shelves | None = None) -> Found:
        def verb(tx: Transaction) -> Found:
            scope = scopes.find(tx, ME, ScopeKey(ScopeKind.ARCHIVE, self.archive.id))
            if scope is None:
                return Found(candidates=[], total=0)
            return search.candidates(tx, shelves or self.shelves, scope, wanted, count)

        return await self.store.read(verb)

    async def seqs(self, text: str, **filters: object) -> list[int]:
        found = await self.find(Wanted(text=text, **filters))  # pyright: ignore[reportArgumentType]  fields of Wanted
        return sorted(item.seq for item in found.candidates)


async def open_library(store: Store) -> Library:
    clock = FakeClock()
    archive = Archive(id=new_id("archive"), name="Notes")
    await store.write(archives.insert, ME, AUTHOR, archive, clock.now())
    return Library(store, archive, clock)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_store(tmp_path) as store:
        yield await open_library(store)


def unit_rows(count: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


WORDS = ("amber", "birch", "cedar", "delta", "ember")
OPERATIONS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(lambda words: ("keep", " ".join(words))),
        st.integers(0, 30).map(lambda number: ("forget", number)),
        st.sampled_from(WORDS).map(lambda word: ("look", word)),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(OPERATIONS)
async def test_what_is_held_in_memory_never_differs_from_what_is_stored(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, str | int]]
):
    async with open_store(tmp_path_factory.mktemp("search")) as store:
        library = await open_library(store)
        kept: list[Passage] = []
        for operation, value in operations:
            if operation == "keep":
                kept += await library.keep(str(value))
            elif operation == "forget" and kept:
                await library.forget(kept.pop(int(value) % len(kept)))
            elif operation == "look":
                assert await library.seqs(str(value)) == [p.seq for p in kept if str(value) in p.text.split()]
        warm = await library.find(Wanted(text=" ".join(WORDS)))
        cold = await library.find(Wanted(text=" ".join(WORDS)), shelves=Shelves())

    assert sorted(item.seq for item in warm.candidates) == [passage.seq for passage in kept]
    assert {item.seq: item.words for item in warm.candidates} == {item.seq: item.words for item in cold.candidates}
    assert warm.total == len(kept)


async def test_rare_words_count_more_and_a_text_with_all_of_them_most(library: Library):
    await library.keep(*["common words everywhere"] * 8, *["something else entirely"] * 12)
    rare, both = await library.keep("a rare thing", "a rare thing in common words")
    found = await library.find(Wanted(text="rare common"))
    scores = {item.seq: item.words for item in found.candidates}

    assert (
        scores[both.seq]
        > scores[rare.seq]
        > max(score for seq, score in scores.items() if seq not in {rare.seq, both.seq})
    )
    assert found.total == 10


async def test_words_that_stand_nowhere_lower_what_the_others_are_worth(library: Library):
    (kept,) = await library.keep("the lighthouse is white")

    async def worth(text: str) -> float:
        return next(item.words for item in (await library.find(Wanted(text=text))).candidates if item.seq == kept.seq)

    assert await worth("lighthouse") == pytest.approx(1.0, abs=0.01)
    assert await worth("lighthouse zeppelin walrus") < 0.5


async def test_tags_are_any_or_all(library: Library):
    (one,) = await library.keep("note", tags=("a",))
    (both,) = await library.keep("note", tags=("a", "b"))
    await library.keep("note", tags=("ab",))

    assert await library.seqs("note", tags=("a", "b")) == [one.seq, both.seq]
    assert await library.seqs("note", tags=("a", "b"), match_all_tags=True) == [both.seq]
    assert await library.seqs("", tags=("b",)) == [both.seq]
    assert await library.seqs("note", tags=("c",)) == []


async def test_without_a_query_the_newest_come(library: Library):
    kept = await library.keep(*[f"note {number}" for number in range(10)])
    found = await library.find(Wanted(text=""), count=3)

    assert sorted(item.seq for item in found.candidates) == [passage.seq for passage in kept[-3:]]
    assert found.total == 10


async def test_vectors_find_what_words_do_not(library: Library):
    kept = await library.keep(*[f"text {number}" for number in range(50)])
    rows = unit_rows(50, seed=1)
    await library.fill(kept, rows)
    found = await library.find(Wanted(text="unheard", vector=rows[17], vector_model=MODEL), count=5)
    best = max(found.candidates, key=lambda item: item.likeness or 0)

    assert best.seq == kept[17].seq
    assert best.likeness == pytest.approx(1.0, abs=0.01)
    exact = np.argsort(-(rows @ rows[17]))[:5]
    assert {item.seq for item in found.candidates} == {kept[at].seq for at in exact}


async def test_vectors_of_another_model_are_never_compared_with(library: Library):
    kept = await library.keep("one", "two")
    rows = unit_rows(2, seed=2)
    await library.fill(kept, rows)
    for name in ("other:70", ""):
        found = await library.find(Wanted(text="one", vector=rows[1], vector_model=name))
        assert [(item.seq, item.likeness) for item in found.candidates] == [(kept[0].seq, None)]

    await library.fill(kept[:1], rows[:1], model="other:70")
    found = await library.find(Wanted(text="", vector=rows[1], vector_model="other:70"))
    assert [item.seq for item in found.candidates if item.likeness is not None] == [kept[0].seq]


async def test_in_a_large_archive_signs_choose_and_vectors_decide(library: Library):
    count = EXACT_TEXTS_MAX + 500
    texts = [f"number{number} {'even' if number % 2 == 0 else 'odd'}" for number in range(count)]
    kept = [passage for start in range(0, count, 500) for passage in await library.keep(*texts[start : start + 500])]
    rows = unit_rows(count, seed=3)
    await library.fill(kept[:-10], rows[:-10])
    right = 0
    for query in unit_rows(20, seed=4):
        found = await library.find(Wanted(text="", vector=query, vector_model=MODEL), count=10)
        exact = {kept[at].seq for at in np.argsort(-(rows[:-10] @ query))[:10]}
        right += len(exact & {item.seq for item in found.candidates})
    assert right >= 160  # of 200; texts of pure noise are the hardest case

    gone = kept[int(np.argmax(rows[:-10] @ rows[5]))]
    assert gone is kept[5]
    await library.forget(gone)
    await library.fill(kept[-10:], rows[-10:])
    found = await library.find(Wanted(text="number5", vector=rows[5], vector_model=MODEL), count=10)
    assert gone.seq not in {item.seq for item in found.candidates}
    late = await library.find(Wanted(text="", vector=rows[-1], vector_model=MODEL), count=1)
    assert [item.seq for item in late.candidates] == [kept[-1].seq]


async def test_a_common_word_is_bounded_and_a_rare_one_beside_it_is_still_found(library: Library):
    count = search.POSTINGS_MAX + 50
    for start in range(0, count, 1_000):
        await library.keep(*["every"] * min(1_000, count - start))
    (rare,) = await library.keep("every needle")
    found = await library.find(Wanted(text="every needle"), count=1)

    assert [item.seq for item in found.candidates] == [rare.seq]


async def test_the_shelves_hold_a_bounded_number_of_rows(tmp_path: Path):
    shelves = Shelves(rows_max=15)
    async with open_store(tmp_path) as store:
        libraries = [await open_library(store) for _ in range(4)]
        for library in libraries:
            library.shelves = shelves
            await library.keep(*["word"] * 10)
            assert len(await library.seqs("word")) == 10
        assert len(await libraries[0].seqs("word")) == 10

    assert sum(held.size for held in shelves._held.values()) <= 15


async def test_a_scope_of_another_organisation_does_not_exist(library: Library):
    await library.keep("secret")
    key = ScopeKey(ScopeKind.ARCHIVE, library.archive.id)

    assert await library.store.read(scopes.find, OTHER_ACTOR, key) is None


async def test_a_reader_of_the_past_is_told_nothing_that_is_not_there_for_it(library: Library):
    """Searches on two threads share a shelf, and one may have begun before the other's last change."""
    kept = await library.keep("word", "word")
    begun, go_on = threading.Event(), threading.Event()

    def slow_reader(tx: Transaction) -> set[int]:
        scope = library.scope(tx)
        begun.set()
        assert go_on.wait(10)
        found = search.candidates(tx, library.shelves, scope, Wanted(text="word"), 9)
        return {item.seq for item in found.candidates}

    reading = asyncio.create_task(library.store.read(slow_reader))
    await asyncio.to_thread(begun.wait, 10)
    await library.forget(kept[0])
    late = await library.keep("word")
    assert await library.seqs("word") == [kept[1].seq, late[0].seq]
    go_on.set()

    assert kept[1].seq in await reading
    assert late[0].seq not in await reading
    assert await library.seqs("word") == [kept[1].seq, late[0].seq]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=64))
def test_a_vector_survives_being_stored_in_bytes(values: list[float]):
    scale, packed = vectors.quantise(values)
    back = np.frombuffer(packed, dtype=np.int8).astype(np.float32) * scale

    assert np.abs(back - np.asarray(values, dtype=np.float32)).max() <= max(map(abs, values)) / 127 + 1e-6


@given(st.integers(0, 400), st.integers(1, 300), st.integers(1, 90), st.booleans(), st.integers(0, 9))
def test_the_smallest_are_those_that_sorting_finds(size: int, count: int, most: int, is_sorted: bool, seed: int):
    distance = np.random.default_rng(seed).integers(0, most, size, dtype=np.uint16)
    if is_sorted:  # then a sample of every so many says least
        distance.sort()
    smallest = sorted(range(size), key=lambda at: (distance[at], -at))[:count]

    assert sorted(search._smallest(distance, count).tolist()) == sorted(smallest)


@pytest.mark.parametrize("columns", [2, 4, 5])
def test_half_of_the_signs_choose_well_enough_among_very_many(columns: int):
    chance = np.random.default_rng(columns)
    codes = np.asfortranarray(chance.integers(0, 1 << 63, (150_000, columns), np.uint64))
    query = chance.integers(0, 1 << 63, columns, np.uint64)
    bits = columns * 64
    near = chance.choice(len(codes), 100, replace=False)
    for at in near:  # up to a quarter of the signs are others; chance alone gives half
        flipped = np.zeros(bits, np.uint8)
        flipped[chance.choice(bits, bits // 4, replace=False)] = 1
        codes[at] = query ^ np.packbits(flipped).view(np.uint64)

    found = search._nearest(codes, query, 1_000)

    assert (len(found), len(set(found.tolist()))) == (1_000, 1_000)
    assert np.isin(near, found).mean() >= 0.98


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(0, 40))
def test_neighbours_are_the_same_whether_read_at_once_or_in_pieces(threads: list[int], cut: int):
    whole = np.asarray(threads, dtype=np.int64)
    first = shelf._neighbours(whole[:cut])
    held = shelf._empty(0)
    pieces = shelf._append_neighbours(
        shelf.replace(held, seqs=np.arange(len(first)), before=first, threads=whole[:cut]), whole
    )

    assert pieces.tolist() == shelf._neighbours(whole).tolist()
    assert shelf._mirrored(pieces).tolist() == [
        next((later for later in range(at + 1, len(threads)) if threads[later] == threads[at]), -1)
        for at in range(len(threads))
    ]


@given(st.sets(st.integers(1, 60), min_size=1, max_size=20), st.lists(st.integers(-5, 70), max_size=20))
def test_texts_are_looked_up_alike_with_and_without_a_table(there: set[int], asked: list[int]):
    seqs = np.asarray(sorted(there), dtype=np.int64)
    plain = shelf.replace(shelf._empty(0), seqs=seqs)
    tabled = shelf.replace(plain, table=shelf._table(seqs))
    wanted = np.asarray(asked, dtype=np.int64)

    assert plain.indexes_of(wanted).tolist() == tabled.indexes_of(wanted).tolist()
    assert seqs[plain.indexes_of(wanted)].tolist() == [seq for seq in asked if seq in there]
