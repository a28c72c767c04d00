"""Archival memory: notes are found by words, meaning, tags and time, whatever becomes of the embedding model."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loci.errors import ModelFault, NotFound
from loci.ids import new_id
from loci.memory import embedding
from loci.memory.archive import ArchiveQuery, ArchiveSearch
from loci.store import archives, passages
from loci.testing.models import FixedModels
from loci.testing.stores import OTHER_ACTOR
from loci.types.memory import Archive, Passage
from tests.memory.embedders import LetterEmbedder
from tests.memory.talks import AUTHOR, ME, Study, study


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Study]:
    """Words only."""
    async with study(tmp_path) as made:
        yield made


async def own_archive(desk: Study) -> Archive:
    return await desk.store.write(archives.archive_to_write, ME, AUTHOR, desk.agent.id, desk.clock.now())


async def keep(desk: Study, *texts: str, archive: Archive | None = None, **fields: Any) -> list[Passage]:
    place = archive or await own_archive(desk)
    notes = [Passage(id=new_id("passage"), archive_id=place.id, text=text, **fields) for text in texts]
    return await desk.store.write(passages.insert, ME, AUTHOR, place.id, notes, desk.clock.now())


async def found(desk: Study, text: str = "", search: ArchiveSearch | None = None, **fields: Any) -> list[str]:
    query = ArchiveQuery(text=text, **{"limit": 50, **fields})
    page = await (search or desk.archive).search(ME, desk.agent.id, query)
    return [hit.passage.text for hit in page.hits]


async def vectors_by_model(desk: Study) -> dict[str, int]:
    rows = await desk.store.read(
        lambda tx: tx.all(
            "select name, count(*) as n from search_vectors join search_models on number = model group by name"
        )
    )
    return {str(row["name"]): int(str(row["n"])) for row in rows}


async def test_an_agent_without_an_archive_finds_nothing(desk: Study):
    assert await found(desk, "anything") == []


async def test_a_note_is_found_at_once_and_gone_at_once(desk: Study):
    (note,) = await keep(desk, "The roof was mended in May.")
    assert await found(desk, "roof") == ["The roof was mended in May."]
    await desk.store.write(passages.delete, ME, AUTHOR, note.id, desk.clock.now())
    assert await found(desk, "roof") == []
    await keep(desk, "The roof leaks again.")
    assert await found(desk, "roof") == ["The roof leaks again."]


async def test_tags_are_words_too(desk: Study):
    await keep(desk, "Repaired for 90 euros.", tags=("plumber",))

    assert await found(desk, "plumber") == ["Repaired for 90 euros."]


async def test_notes_are_chosen_by_tags_and_their_own_time(desk: Study):
    day = datetime(2024, 5, 1, tzinfo=UTC)
    for number in range(6):
        tags = ("even" if number % 2 == 0 else "odd", "all")
        await keep(desk, f"note {number}", created_at=day + timedelta(days=number), tags=tags)

    assert sorted(await found(desk, "note", tags=("even",))) == ["note 0", "note 2", "note 4"]
    assert len(await found(desk, "note", tags=("even", "odd"))) == 6
    assert await found(desk, "note", tags=("even", "odd"), match_all_tags=True) == []
    late = await found(desk, "note", tags=("odd", "all"), match_all_tags=True, since=day + timedelta(days=3))
    assert sorted(late) == ["note 3", "note 5"]
    assert await found(desk, until=day) == ["note 0"]


async def test_all_archives_of_an_agent_are_searched_and_no_other(desk: Study):
    shared, foreign = (Archive(id=new_id("archive"), name=name) for name in ("shared", "foreign"))
    for archive in (shared, foreign):
        await desk.store.write(archives.insert, ME, AUTHOR, archive, desk.clock.now())
    await keep(desk, "heron at the pond")
    await keep(desk, "heron on the roof", archive=shared)
    await keep(desk, "heron in the book", archive=foreign)
    await desk.store.write(archives.attach, ME, AUTHOR, desk.agent.id, shared.id, desk.clock.now())

    assert sorted(await found(desk, "heron")) == ["heron at the pond", "heron on the roof"]
    page = await desk.archive.search_archives(ME, [foreign], ArchiveQuery(text="heron"))
    assert [hit.passage.text for hit in page.hits] == ["heron in the book"]
    with pytest.raises(NotFound):
        await desk.archive.search(OTHER_ACTOR, desk.agent.id, ArchiveQuery(text="heron"))
    assert (await desk.archive.search_archives(OTHER_ACTOR, [foreign], ArchiveQuery(text="heron"))).hits == ()


async def test_pages_show_every_note_once(desk: Study):
    await keep(desk, *[f"leaf {number}" for number in range(23)])
    seen: list[str] = []
    while len(seen) < 23:
        seen += await found(desk, "leaf", limit=5, offset=len(seen))

    assert len(set(seen)) == 23


async def test_meaning_finds_what_words_do_not(tmp_path: Path):
    async with study(tmp_path, LetterEmbedder()) as desk:
        await keep(desk, "eeee eee", "zzz", "qqq")

        assert (await found(desk, "eeeee"))[0] == "eeee eee"


async def test_after_a_change_of_the_model_search_goes_on_and_vectors_are_made_anew(tmp_path: Path):
    old, new = LetterEmbedder("letters/a"), LetterEmbedder("letters/b", dimensions=52)
    async with study(tmp_path, old) as desk:
        await keep(desk, *[f"stone {number}" for number in range(300)])
        await desk.archive.index(ME, desk.agent.id)
        assert await vectors_by_model(desk) == {"letters/a:26": 300}
        archive = await own_archive(desk)
        changed = replace(archive, embedding="letters/b")
        await desk.store.write(archives.update, ME, AUTHOR, changed, desk.clock.now())
        later = ArchiveSearch(desk.store, FixedModels(embedder=new), desk.clock)

        new.failing = ModelFault.CONNECTION
        assert "stone 7" in await found(desk, "stone 7", search=later)
        assert await vectors_by_model(desk) == {"letters/a:26": 300}
        new.failing = None
        assert (await found(desk, "stone 7", search=later))[0] == "stone 7"
        await later.index(ME, desk.agent.id)
        assert await vectors_by_model(desk) == {"letters/b:52": 300}
        assert (await found(desk, "stone 250", search=later))[0] == "stone 250"


async def test_a_handle_that_comes_to_mean_another_model_is_seen_by_its_length(tmp_path: Path):
    async with study(tmp_path, LetterEmbedder("letters/a")) as desk:
        await keep(desk, "quartz")
        await found(desk, "quartz")
        longer = ArchiveSearch(desk.store, FixedModels(embedder=LetterEmbedder("letters/a", 52)), desk.clock)
        assert await found(desk, "quartz", search=longer) == ["quartz"]
        await longer.index(ME, desk.agent.id)

        assert await vectors_by_model(desk) == {"letters/a:52": 1}


async def test_a_text_that_the_model_refuses_blocks_no_other(tmp_path: Path):
    embedder = LetterEmbedder()
    embedder.refused = "poison"
    async with study(tmp_path, embedder) as desk:
        await keep(desk, "fine one", "poison pill", "fine two")
        await desk.archive.index(ME, desk.agent.id)

        assert await vectors_by_model(desk) == {"letters/a:26": 3}
        assert "poison pill" in await found(desk, "pill")
        assert (await found(desk, "fine two"))[0] == "fine two"


async def test_a_search_among_many_new_notes_does_not_wait_for_all_and_the_rest_goes_on(tmp_path: Path):
    embedder = LetterEmbedder()
    many = 5 * embedding.BATCH_TEXTS
    async with study(tmp_path, embedder) as desk:
        embedder.busy = lambda: desk.clock.advance(embedding.SEARCH_FILL_S)
        await keep(desk, *[f"note {number}" for number in range(many)])
        await found(desk, "aeiou")
        assert len(embedder.asked) < many
        while await vectors_by_model(desk) != {"letters/a:26": many}:
            await asyncio.sleep(0.01)


async def test_texts_are_embedded_once(tmp_path: Path):
    embedder = LetterEmbedder()
    async with study(tmp_path, embedder) as desk:
        await keep(desk, *[f"shell {number}" for number in range(embedding.BATCH_TEXTS + 10)])
        await found(desk, "shell")
        await desk.archive.index(ME, desk.agent.id)
        await keep(desk, "shell late")
        await found(desk, "shell")
        asked = [text for text in embedder.asked if text != "shell"]

    assert sorted(asked) == sorted([*(f"shell {number}" for number in range(embedding.BATCH_TEXTS + 10)), "shell late"])


async def test_a_handle_without_a_model_leaves_search_by_words(tmp_path: Path):
    async with study(tmp_path, LetterEmbedder()) as desk:
        await keep(desk, "granite")
        none = ArchiveSearch(desk.store, FixedModels(), desk.clock)
        await none.index(ME, desk.agent.id)

        assert await found(desk, "granite", search=none) == ["granite"]
