"""Pages of a list: what is next to a cursor, in the order of the list, in both directions."""

from pathlib import Path

import pytest

from loci.agent.creating import author_of
from loci.clock import FakeClock
from loci.errors import NotFound
from loci.ids import new_id
from loci.store import blocks
from loci.store.base import Store
from loci.store.blocks import BlockFilter
from loci.testing.stores import open_store
from loci.types.actor import Actor
from loci.types.memory import Block
from loci.types.paging import Page

ACTOR = Actor()


async def shelf(store: Store, count: int) -> list[str]:
    clock, made = FakeClock(), []
    for number in range(count):
        block = Block(id=new_id("block"), label=f"b{number}", value="")
        made.append((await store.write(blocks.insert, ACTOR, author_of(ACTOR), block, clock.now())).id)
        clock.advance(number % 2)  # every second one has the same time as the one before it
    return made


async def ids(store: Store, page: Page) -> list[str]:
    return [block.id for block in await store.read(blocks.listing, ACTOR, BlockFilter(), page)]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 3, 10])
async def test_turning_pages_either_way_meets_every_item_once(tmp_path: Path, rows: int, *, ascending: bool) -> None:
    async with open_store(tmp_path) as store:
        made = await shelf(store, 7)
        whole = made if ascending else made[::-1]
        forward: list[str] = []
        while page := await ids(
            store, Page(limit_rows=rows, after=forward[-1] if forward else None, ascending=ascending)
        ):
            forward += page
        backward = [whole[-1]]
        while page := await ids(store, Page(limit_rows=rows, before=backward[0], ascending=ascending)):
            backward = page + backward

    assert forward == whole
    assert backward == whole


async def test_what_stands_between_two_cursors_is_shown_from_the_first_on(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        made = await shelf(store, 6)
        between = await ids(store, Page(limit_rows=2, after=made[0], before=made[5], ascending=True))

    assert between == made[1:3]


async def test_an_unknown_cursor_is_named(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        with pytest.raises(NotFound, match="block-nowhere"):
            await ids(store, Page(after="block-nowhere"))
