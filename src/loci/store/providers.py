"""Model providers that organisations brought, as rows."""

from collections.abc import Callable
from datetime import datetime

from loci.errors import Conflict
from loci.store.base import Params, Transaction
from loci.store.rows import Record, time_text, within
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.providers import Provider

PROVIDERS_MAX = 50
"""Of one organisation."""

_ROWS = Record(Provider, "providers", "p", missing="Provider {} not found.", found={"sealed_api_key": "p.api_key"})
BY_NAME = _ROWS.select + " and p.name = :name"
ALL = _ROWS.select + " order by p.created_at, p.id"
INSERT = """
insert into providers (id, name, provider_type, api_key, base_url, created_at, updated_at, last_synced_at,
    organization_id, project_id, created_by, updated_by)
values (:id, :name, :provider_type, :api_key, :base_url, :now, :now, null,
    :organization_id, :project_id, :user_id, :user_id)"""
UPDATE = """
update providers set api_key = :api_key, base_url = :base_url, last_synced_at = :last_synced_at, updated_at = :now,
    updated_by = :user_id
where id = :id and organization_id = :organization_id"""

get, delete = _ROWS.get, _ROWS.delete


def _params(actor: Actor, provider: Provider, now: datetime) -> Params:
    columns = {**_ROWS.params(actor, provider), "api_key": provider.sealed_api_key}
    return {**columns, "now": time_text(now), "user_id": actor.user_id}


def all_of(tx: Transaction, actor: Actor) -> list[Provider]:
    """All providers of the organisation, the oldest first."""
    return _ROWS.all(tx, ALL, within(actor))


def listing(
    tx: Transaction, actor: Actor, page: Page, *, name: str | None = None, provider_type: str | None = None
) -> list[Provider]:
    """One page of providers. Raises NotFound for a cursor that is none."""
    return _ROWS.page(tx, actor, _ROWS.where(actor).equal("p.", name=name, provider_type=provider_type), page)


def insert(tx: Transaction, actor: Actor, provider: Provider, now: datetime) -> Provider:
    """Store a new provider. Raises Conflict when the name is taken, or there are too many."""
    if tx.one(BY_NAME, within(actor, name=provider.name)) is not None:
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
