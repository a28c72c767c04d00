"""Creating and migrating the schema. A fresh database gets `schema.sql` at once; an older one the numbered migrations.

A test builds a database both ways and compares them, so `schema.sql` and the migrations cannot drift apart.
"""

import re
from importlib import resources

from loci.errors import StoreFailure
from loci.store.base import Transaction

_TOKENS = {
    "sqlite": {"serial": "integer primary key autoincrement", "blob": "blob"},
    "postgres": {"serial": "bigint generated always as identity primary key", "blob": "bytea"},
}
_VERSION_KEY = "schema_version"


def schema_texts(dialect: str) -> list[str]:
    """The statements that make a fresh database."""
    folder = resources.files("loci.store")
    shared = (folder / "schema.sql").read_text(encoding="utf-8")
    own = (folder / f"schema_{dialect}.sql").read_text(encoding="utf-8")
    return _statements(shared + "\n" + own, dialect)


def migration_texts(dialect: str) -> list[tuple[int, list[str]]]:
    """All migrations in order: (version that it leads to, statements)."""
    folder = resources.files("loci.store") / "migrations"
    found: list[tuple[int, list[str]]] = []
    # There is no folder as long as there is no migration: version control and wheels keep no empty ones.
    for file in folder.iterdir() if folder.is_dir() else ():
        match = re.match(r"^(\d{4})_[a-z0-9_]+(?:\.(sqlite|postgres))?\.sql$", file.name)
        if match and match.group(2) in (None, dialect):
            found.append((int(match.group(1)), _statements(file.read_text(encoding="utf-8"), dialect)))
    return sorted(found, key=lambda item: item[0])


def migrate(tx: Transaction) -> int:
    """Bring the database to the newest schema and return its version. Raises StoreFailure if it is newer than us."""
    migrations = migration_texts(tx.dialect)
    newest = migrations[-1][0] if migrations else 1
    current = _current_version(tx)
    if current > newest:
        raise StoreFailure(
            f"The database has schema version {current}, but this Loci knows only {newest}.",
            hint="Start the newer Loci that wrote it; going back is not possible without a backup.",
        )
    if current == newest:
        return newest
    _atomically(tx, current, migrations, newest)
    return newest


def _atomically(tx: Transaction, current: int, migrations: list[tuple[int, list[str]]], newest: int) -> None:
    tx.run("begin immediate" if tx.dialect == "sqlite" else "begin")
    try:
        if current == 0:
            for statement in schema_texts(tx.dialect):
                tx.run(statement)
        for version, statements in migrations:
            if 0 < current < version:
                for statement in statements:
                    tx.run(statement)
        tx.run(
            """insert into meta (key, value) values (:key, :value)
            on conflict (key) do update set value = excluded.value""",
            {"key": _VERSION_KEY, "value": str(newest)},
        )
    except BaseException:
        tx.run("rollback")
        raise
    tx.run("commit")


def _current_version(tx: Transaction) -> int:
    if tx.dialect == "sqlite":
        exists = tx.one("select 1 as there from sqlite_schema where type = 'table' and name = 'meta'")
    else:
        exists = tx.one("select 1 as there from information_schema.tables where table_name = 'meta'")
    if exists is None:
        return 0
    row = tx.one("select value from meta where key = :key", {"key": _VERSION_KEY})
    return int(str(row["value"])) if row else 0


def _statements(text: str, dialect: str) -> list[str]:
    for token, replacement in _TOKENS[dialect].items():
        text = text.replace("{{" + token + "}}", replacement)
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [statement.strip() for statement in bare.split(";") if statement.strip()]
