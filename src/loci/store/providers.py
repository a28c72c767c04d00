"""Model providers that organisations brought, as rows."""

from collections.abc import Callable
from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import page_clause
from loci.store.rows import maybe_moment, maybe_text, maybe_time_text, text, time_text
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.providers import Provider

PROVIDERS_MAX = 50
"""Of one organisation."""

_COLUMNS = "id, name, provider_type, api_key, base_url, created_at, updated_at, last_synced_at"
_SELECT = f"select {_COLUMNS} from providers where organization_id = :organization_id"
BY_ID = _SELECT + " and id = :id"
BY_NAME = _SELECT + " and name = :name"
ALL = _SELECT + " order by created_at, id"
INSERT = f"""
insert into providers ({_COLUMNS}, organization_id, project_id, created_by, updated_by)
values (:id, :name, :provider_type, :api_key, :base_url, :now, :now, null,
    :organization_id, :project_id, :user_id, :user_id)"""
UPDATE = """
update providers set api_key = :api_key, base_url = :base_url, last_synced_at = :last_synced_at, updated_at = :now,
    updated_by = :user_id
where id = :id and organization_id = :organization_id"""
DELETE = "delete from providers where id = :id and organization_id = :organization_id"


def _from_row(row: Row) -> Provider:
    return Provider(
        id=text(row, "id"),
        name=text(row, "name"),
        provider_type=text(row, "provider_type"),
        sealed_api_key=maybe_text(row, "api_key"),
        base_url=maybe_text(row, "base_url"),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        last_synced_at=maybe_moment(row, "last_synced_at"),
    )


def _params(actor: Actor, provider: Provider, now: datetime) -> Params:
    return {
        "id": provider.id,
        "name": provider.name,
        "provider_type": provider.provider_type,
        "api_key": provider.sealed_api_key,
        "base_url": provider.base_url,
        "last_synced_at": maybe_time_text(provider.last_synced_at),
        "now": time_text(now),
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "user_id": actor.user_id,
    }


def get(tx: Transaction, actor: Actor, provider_id: str) -> Provider:
    """One provider. Raises NotFound."""
    row = tx.one(BY_ID, {"id": provider_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Provider {provider_id} not found.")
    return _from_row(row)


def all_of(tx: Transaction, actor: Actor) -> list[Provider]:
    """All providers of the organisation, the oldest first."""
    return [_from_row(row) for row in tx.all(ALL, {"organization_id": actor.organization_id})]


def listing(
    tx: Transaction, actor: Actor, page: Page, *, name: str | None = None, provider_type: str | None = None
) -> list[Provider]:
    """One page of providers. Raises NotFound for a cursor that is none."""
    chosen, params = _SELECT, dict[str, SqlValue](organization_id=actor.organization_id)
    for column, value in (("name", name), ("provider_type", provider_type)):
        if value is not None:
            chosen, params[column] = f"{chosen} and {column} = :{column}", value
    return [_from_row(row) for row in page_clause(tx, actor, page, "providers").read(tx, chosen, params)]


def insert(tx: Transaction, actor: Actor, provider: Provider, now: datetime) -> Provider:
    """Store a new provider. Raises Conflict when the name is taken, or there are too many."""
    if tx.one(BY_NAME, {"name": provider.name, "organization_id": actor.organization_id}) is not None:
        raise Conflict(f"There is a provider '{provider.name}' already.", hint="Change it, or choose another name.")
    if len(all_of(tx, actor)) >= PROVIDERS_MAX:
        raise Conflict(f"There are {PROVIDERS_MAX} providers, and there cannot be more.", hint="Delete one first.")
    tx.run(INSERT, _params(actor, provider, now))
    return get(tx, actor, provider.id)


def change(
    tx: Transaction, actor: Actor, provider_id: str, become: Callable[[Provider], Provider], now: datetime
) -> Provider:
    """Make of a provider, as it is now, something else; its name and type stay. Raises NotFound, and as `become`."""
    tx.run(UPDATE, _params(actor, become(get(tx, actor, provider_id)), now))
    return get(tx, actor, provider_id)


def delete(tx: Transaction, actor: Actor, provider_id: str) -> None:
    """Forget a provider and its keys. Raises NotFound."""
    if not tx.run(DELETE, {"id": provider_id, "organization_id": actor.organization_id}):
        raise NotFound(f"Provider {provider_id} not found.")
