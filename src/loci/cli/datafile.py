"""What a data file says about itself, read beside whoever has it open, and without changing anything."""

import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import apsw

from loci.errors import StoreFailure
from loci.store.schema import migration_texts
from loci.types.providers import Provider

SCHEMA_VERSION = "select value from meta where key = 'schema_version'"
COUNTS = """
select (select count(*) from agents where deleted_at is null), (select count(*) from messages),
       (select count(*) from passages)
"""
UNFINISHED_RUNS = "select count(*) from runs where completed_at is null"
PROVIDERS = """
select organization_id, id, name, provider_type, api_key, base_url from providers order by id"""
BLOCKS_OVER_LIMIT = """
select b.label, b.id, length(b.value), b.limit_chars, group_concat(a.name, ', ')
from blocks b left join agent_blocks ab on ab.block_id = b.id left join agents a on a.id = ab.agent_id
where length(b.value) > b.limit_chars and b.deleted_at is null
group by b.id order by b.id
"""


class _Connection(Protocol):
    """The part of apsw.Connection that is needed here, with types that a checker can follow."""

    def execute(self, statements: str) -> Iterable[Sequence[object]]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LongBlock:
    """A block whose text is longer than its limit."""

    label: str
    id: str
    used_chars: int
    limit_chars: int
    agents: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """What is known of a file. `faults` are the complaints of SQLite's quick check."""

    size_bytes: int
    free_bytes: int
    is_private: bool
    schema_version: int
    newest_version: int
    agents: int
    messages: int
    passages: int
    unfinished_runs: int
    long_blocks: tuple[LongBlock, ...]
    providers: tuple[tuple[str, Provider], ...]
    """Those that organisations (the ids) brought, if the schema is of this version."""
    faults: tuple[str, ...]


def newest_version() -> int:
    """The schema version that this Loci writes."""
    migrations = migration_texts("sqlite")
    return migrations[-1][0] if migrations else 1


def read_data_file(file: Path) -> DataFile:
    """Look into it. Raises StoreFailure if that is no database of ours."""
    try:
        connection = cast("_Connection", apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE))
        try:
            connection.execute("pragma query_only = on")
            return _read(file, connection)
        finally:
            connection.close()
    except apsw.Error as error:
        raise StoreFailure(f"{file} cannot be read: {error}", hint="Restore it from a backup.") from error


def _read(file: Path, connection: _Connection) -> DataFile:
    faults = [str(row[0]) for row in _rows(connection, "pragma quick_check(10)")]
    agents, messages, passages = next(_rows(connection, COUNTS))
    version = _number(next(_rows(connection, SCHEMA_VERSION))[0])
    return DataFile(
        size_bytes=sum(each.stat().st_size for each in _parts(file)),
        free_bytes=shutil.disk_usage(file.parent).free,
        is_private=not any(_others_read(each) for each in _parts(file)) or not _others_read(file.parent),
        schema_version=version,
        newest_version=newest_version(),
        agents=_number(agents),
        messages=_number(messages),
        passages=_number(passages),
        unfinished_runs=_number(next(_rows(connection, UNFINISHED_RUNS))[0]),
        long_blocks=tuple(
            LongBlock(str(label), str(block_id), _number(used), _number(limit), str(names or ""))
            for label, block_id, used, limit, names in _rows(connection, BLOCKS_OVER_LIMIT)
        ),
        providers=tuple(_providers(connection)) if version == newest_version() else (),
        faults=() if faults == ["ok"] else tuple(faults),
    )


def _providers(connection: _Connection) -> Iterator[tuple[str, Provider]]:
    for organization_id, provider_id, name, kind, key, url in _rows(connection, PROVIDERS):
        provider = Provider(
            id=str(provider_id),
            name=str(name),
            provider_type=str(kind),
            sealed_api_key=cast("str | None", key),
            base_url=cast("str | None", url),
        )
        yield str(organization_id), provider


def _rows(connection: _Connection, sql: str) -> Iterator[Sequence[object]]:
    return iter(connection.execute(sql))


def _number(value: object) -> int:
    return int(str(value))


def _parts(file: Path) -> list[Path]:
    """The file itself and the journal beside it."""
    return [each for each in (file, file.with_name(file.name + "-wal")) if each.exists()]


def _others_read(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IXOTH if path.is_dir() else stat.S_IROTH))
