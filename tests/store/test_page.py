"""Pages of any list: the same rows in the same order, whatever the size of the page and wherever it begins."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import NotFound
from loci.ids import new_id
from loci.store import blocks
from loci.store.base import Store
from loci.store.blocks import BlockFilter
from loci.store.page import like_pattern
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.actor import Actor
from loci.types.memory import ActorKind, Author, Block
from loci.types.paging import Page

ME = Actor()
AUTHOR = Author(kind=ActorKind.USER, id=ME.user_id)
START = datetime(2026, 3, 1, tzinfo=UTC)
ANY = BlockFilter()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
async def ids(store: Store) -> list[str]:
    """Seven blocks, oldest first; three of them made in the same instant."""
    made: list[str] = []
    for seconds in (0, 1, 2, 2, 2, 3, 4):
        block = Block(id=new_id("block"), label=f"b{len(made)}", value="")
        await store.write(blocks.insert, ME, AUTHOR, block, START + timedelta(seconds=seconds))
        made.append(block.id)
    return made


async def page(store: Store, **wanted: Any) -> list[str]:
    listed = await store.read(blocks.listing, ME, ANY, Page(**wanted))
    return [block.id for block in listed]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("ascending", [True, False])
async def test_turning_pages_shows_every_row_once_in_order(store: Store, ids: list[str], size: int, ascending: bool):
    seen: list[str] = []
    while True:
        rows = await page(store, limit_rows=size, ascending=ascending, after=seen[-1] if seen else None)
        if not rows:
            break
        seen += rows

    assert seen == (ids if ascending else ids[::-1])


async def test_before_is_the_mirror_of_after(store: Store, ids: list[str]):
    assert await page(store, before=ids[3], ascending=True) == ids[:3]
    assert await page(store, before=ids[3], ascending=False) == ids[:3:-1]
    assert await page(store, after=ids[1], before=ids[5], ascending=True) == ids[2:5]


async def test_a_cursor_that_is_no_row_is_refused(store: Store, ids: list[str]):
    with pytest.raises(NotFound, match="nothing comes after it"):
        await page(store, after=new_id("block"))
    with pytest.raises(NotFound):
        await store.read(blocks.listing, OTHER_ACTOR, ANY, Page(after=ids[0]))


async def test_a_limit_is_at_least_one_row(store: Store, ids: list[str]):
    assert await page(store, limit_rows=0, ascending=True) == ids[:1]


@given(st.text(alphabet="aA%_!é", max_size=5), st.text(alphabet="aA%_!é", max_size=8))
async def test_a_pattern_takes_every_character_literally(
    tmp_path_factory: pytest.TempPathFactory, part: str, text: str
):
    async with open_store(tmp_path_factory.mktemp("like")) as store:
        row = await store.read(
            lambda tx: tx.one(
                "select lower(:text) like lower(:pattern) escape '!' as hit",
                {"text": text, "pattern": like_pattern(part)},
            )
        )

    assert row is not None
    assert bool(row["hit"]) == (part.replace("A", "a") in text.replace("A", "a"))
