"""The SQLite driver: durable before it is said, one commit for many writers, and one failure that is nobody else's."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from loci.errors import Conflict, StoreFailure
from loci.store.base import MEMORY, Transaction
from loci.store.sqlite import SQLiteStore
from loci.testing.stores import open_store


def put(tx: Transaction, key: str, value: str = "1") -> str:
    tx.run("insert into meta (key, value) values (:key, :value)", {"key": key, "value": value})
    return key


def get(tx: Transaction, key: str) -> str | None:
    row = tx.one("select value from meta where key = :key", {"key": key})
    return None if row is None else str(row["value"])


async def test_what_is_written_is_there_for_every_reader_at_once(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        for number in range(50):
            await store.write(put, f"key {number}")
            assert await store.read(get, f"key {number}") == "1"


async def test_a_verb_that_fails_leaves_nothing_and_harms_nobody(tmp_path: Path) -> None:
    def half(tx: Transaction) -> None:
        put(tx, "half")
        raise ValueError("no")

    async with open_store(tmp_path) as store:
        results = await asyncio.gather(
            *(store.write(put, f"good {number}") for number in range(20)),
            store.write(half),
            *(store.write(put, f"also good {number}") for number in range(20)),
            return_exceptions=True,
        )
        assert [type(result) for result in results if isinstance(result, Exception)] == [ValueError]
        assert await store.read(get, "half") is None
        assert await store.read(get, "also good 19") == "1"


async def test_writers_at_once_share_commits(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "loci.db", durability="normal")
    await store.open()
    await asyncio.gather(*(store.write(put, f"key {number}") for number in range(200)))
    shared = store.commits
    for number in range(20):
        await store.write(put, f"alone {number}")
    alone = store.commits - shared
    await store.close()

    assert shared < 100, "200 transactions at once"
    assert alone == 20, "a lone writer waits for nobody"


async def test_what_was_acknowledged_is_in_the_file_when_another_process_looks(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.write(put, "seen", "from outside")
        with closing(sqlite3.connect(tmp_path / "loci.db")) as other:
            assert other.execute("select value from meta where key = 'seen'").fetchone() == ("from outside",)


async def test_actions_run_after_the_commit_and_not_without_it(tmp_path: Path) -> None:
    done: list[str] = []

    def good(tx: Transaction) -> None:
        tx.after_commit(lambda: done.append("good"))

    def bad(tx: Transaction) -> None:
        tx.after_commit(lambda: done.append("bad"))
        raise ValueError("no")

    async with open_store(tmp_path) as store:
        await store.write(good)
        with pytest.raises(ValueError, match="no"):
            await store.write(bad)

    assert done == ["good"]


async def test_a_clash_is_a_conflict_and_a_fault_is_a_store_failure(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.write(put, "once")
        with pytest.raises(Conflict):
            await store.write(put, "once")
        with pytest.raises(StoreFailure):
            await store.write(lambda tx: tx.run("insert into nowhere values (1)"))
        with pytest.raises(StoreFailure):
            await store.read(lambda tx: tx.run("delete from meta"))
        assert await store.read(get, "once") == "1"


async def test_a_caller_that_goes_away_does_not_undo_what_it_handed_over(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        task = asyncio.ensure_future(store.write(put, "handed over"))
        await asyncio.sleep(0)
        task.cancel()
        await store.write(put, "after")
        assert await store.read(get, "handed over") == "1"


async def test_closing_waits_for_what_was_accepted(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "loci.db")
    await store.open()
    tasks = [asyncio.ensure_future(store.write(put, f"key {number}")) for number in range(100)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)

    with closing(sqlite3.connect(tmp_path / "loci.db")) as other:
        assert other.execute("select count(*) from meta where key like 'key %'").fetchone() == (100,)


async def test_in_memory_means_gone_afterwards() -> None:
    store = SQLiteStore(MEMORY)
    await store.open()
    await store.write(put, "here")
    assert await store.read(get, "here") == "1"
    await store.close()
