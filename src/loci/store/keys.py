"""Keys as rows. A key has more randomness than anybody can guess through, so one round of SHA-256 hides it well."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from loci.errors import NotFound
from loci.store.base import SqlValue, Transaction
from loci.store.rows import Codec, Record, dump, load_objects, time_text
from loci.types.actor import Actor
from loci.types.keys import Access, ApiKey, Grant
from loci.types.paging import Page

INSERT = """
insert into api_keys (id, organization_id, user_id, name, begins, hash, hostname, grants, created_at, expires_at)
values (:id, :organization_id, :user_id, :name, :begins, :hash, :hostname, :grants, :created_at, :expires_at)"""
TOUCH = "update api_keys set last_used_at = :now where id = :id"
REVOKE = "update api_keys set revoked_at = coalesce(revoked_at, :now) where id = :id"
DELETE_LIMITED_OF_HOLDER = """
delete from api_keys
where grants is not null and user_id = (select user_id from api_keys where id = :id and grants is null)"""
DELETE_LIMITED = """
delete from api_keys
where (id = :id or hash = :hash) and organization_id = :organization_id and grants is not null"""

PURGE_LIMITED = "delete from api_keys where grants is not null and expires_at < :before"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFilter:
    """Which keys a list shows: those of an organisation, limited ones or full ones, those for an agent."""

    organization_id: str | None = None
    limited: bool = False
    agent_id: str | None = None
    valid_at: datetime | None = None


def _grants(value: SqlValue) -> tuple[Grant, ...] | None:
    if value is None:
        return None
    return tuple(
        Grant(agent_id=str(item["agent_id"]), access=cast("tuple[Access, ...]", tuple(item["access"])))
        for item in cast("list[dict[str, list[str]]]", load_objects(value))
    )


def _dumped(grants: tuple[Grant, ...] | None) -> str | None:
    return None if grants is None else dump([{"agent_id": it.agent_id, "access": list(it.access)} for it in grants])


_ROWS = Record(ApiKey, "api_keys", "k", missing="There is no key {}.", special={"grants": Codec(_grants, _dumped)})
_ALL = f"select {_ROWS.columns} from api_keys k"


def insert(tx: Transaction, new: ApiKey, hashed: str) -> None:
    """Store a key under its hash."""
    tx.run(INSERT, {**_ROWS.params(Actor(organization_id=new.organization_id), new), "hash": hashed})


def by_hash(tx: Transaction, hashed: str) -> ApiKey | None:
    """The key with this hash, whatever became of it."""
    return _ROWS.one(tx, _ALL + " where hash = :hash", {"hash": hashed})


def get(tx: Transaction, key_id: str) -> ApiKey:
    """One key. Raises NotFound."""
    found = _ROWS.one(tx, _ALL + " where id = :id", {"id": key_id})
    if found is None:
        raise NotFound(f"There is no key {key_id}.")
    return found


def listing(tx: Transaction, chosen: KeyFilter, page: Page, *, skipped_rows: int = 0) -> list[ApiKey]:
    """Keys in order of creation, after that of the page's cursor."""
    where = f"grants is {'not null' if chosen.limited else 'null'} and id > :after"
    params: dict[str, SqlValue] = {"after": page.after or "", "limit_rows": page.limit_rows, "skipped": skipped_rows}
    if chosen.organization_id is not None:
        where += " and organization_id = :organization_id"
        params["organization_id"] = chosen.organization_id
    if chosen.valid_at is not None:
        where += " and revoked_at is null and expires_at > :valid_at"
        params["valid_at"] = time_text(chosen.valid_at)
    if chosen.agent_id is not None:
        where += " and grants like :agent_id"  # an id has no letters that mean something there
        params["agent_id"] = f'%"{chosen.agent_id}"%'
    return _ROWS.all(tx, f"{_ALL} where {where} order by id limit :limit_rows offset :skipped", params)


def touch(tx: Transaction, key_id: str, now: datetime) -> None:
    """Note that a key was used."""
    tx.run(TOUCH, {"id": key_id, "now": time_text(now)})


def revoke(tx: Transaction, key_id: str, now: datetime) -> ApiKey:
    """Make a key worth nothing, and forget the limited ones of its user: it may have made them. Raises NotFound."""
    tx.run(REVOKE, {"id": key_id, "now": time_text(now)})
    tx.run(DELETE_LIMITED_OF_HOLDER, {"id": key_id})
    return get(tx, key_id)


def delete_limited(tx: Transaction, actor: Actor, key_id: str, hashed: str) -> None:
    """Forget a limited key, found by its id or its hash. Raises NotFound."""
    if not tx.run(DELETE_LIMITED, {"id": key_id, "hash": hashed, "organization_id": actor.organization_id}):
        raise NotFound("There is no such token.")


def purge_limited(tx: Transaction, before: datetime) -> None:
    """Forget limited keys that expired before this time."""
    tx.run(PURGE_LIMITED, {"before": time_text(before)})
