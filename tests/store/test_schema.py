"""The schema: a fresh database equals a migrated one, and a newer one is left alone."""

import re
from pathlib import Path

import apsw
import pytest

from loci.errors import StoreFailure
from loci.store.base import Transaction
from loci.testing.stores import open_store


def shape(tx: Transaction) -> list[tuple[str, str, str]]:
    rows = tx.all("select type, name, coalesce(sql, '') as sql from sqlite_schema where name not like 'sqlite_%'")
    return sorted((str(row["type"]), str(row["name"]), _without_layout(str(row["sql"]))) for row in rows)


def _without_layout(sql: str) -> str:
    """The text of a statement, however its lines were broken: SQLite adds a column behind the last line break."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split()))


def as_version_1_left_it(file: Path) -> None:
    file.parent.mkdir()
    database = apsw.Connection(str(file))
    database.execute((Path(__file__).parent / "schema_0001.sql").read_text(encoding="utf-8"))
    database.execute("insert into meta (key, value) values ('schema_version', '1')")
    database.close()


async def test_a_fresh_database_equals_one_of_version_1_that_was_migrated(tmp_path: Path) -> None:
    as_version_1_left_it(tmp_path / "old" / "loci.db")
    async with open_store(tmp_path / "fresh") as fresh, open_store(tmp_path / "old") as migrated:
        expected, got = await fresh.read(shape), await migrated.read(shape)

    assert len(expected) > 30
    assert got == expected, "schema.sql was changed without a migration, or the other way round"


async def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        first = await store.read(shape)
    async with open_store(tmp_path) as store:
        assert await store.read(shape) == first


async def test_a_database_of_a_newer_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.write(lambda tx: tx.run("update meta set value = '999' where key = 'schema_version'"))

    with pytest.raises(StoreFailure, match="schema version 999"):
        async with open_store(tmp_path):
            pass


async def test_every_table_carries_its_organisation(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        tables = await store.read(
            lambda tx: [
                str(row["name"])
                for row in tx.all("select name from sqlite_schema where type = 'table' and sql not like '%fts5%'")
            ]
        )
        bare = [
            name
            for name in tables
            if not name.startswith(("sqlite_", "message_words", "passage_words", "chunk_words"))
            and "organization_id" not in await store.read(columns, name)
        ]

    # Rows that hang on a scope by its number, and the names of embedding models, which belong to nobody.
    assert sorted(bare) == ["search_models", "search_rows", "search_vectors"]


def columns(tx: Transaction, table: str) -> list[str]:
    return [str(row["name"]) for row in tx.all(f"select name from pragma_table_info('{table}')")]
