"""Settings of sandboxes as rows: one for each kind and organisation, and the environment variables of each."""

from datetime import datetime

from loci.errors import Conflict
from loci.store.base import Transaction
from loci.store.rows import Record, within
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.sandboxes import SandboxConfig, SandboxKind, SandboxVariable

_CONFIGS = Record(SandboxConfig, "sandbox_configs", "c", missing="Sandbox configuration {} not found.")
CONFIG_BY_KIND = _CONFIGS.select + " and c.kind = :kind"
PUT_CONFIG = f"""{_CONFIGS.insertion}
on conflict (organization_id, kind) do update
set config = excluded.config, updated_at = excluded.updated_at, updated_by = excluded.updated_by"""
DELETE_VARIABLES = "delete from sandbox_variables where config_id = :config_id and organization_id = :organization_id"
_VARIABLES = Record(SandboxVariable, "sandbox_variables", "v", missing="Sandbox variable {} not found.")
SAME_NAME = _VARIABLES.select + " and v.config_id = :config_id and v.name = :name and v.id != :id"
PUT_VARIABLE = f"""{_VARIABLES.insertion}
on conflict (id) do update set name = excluded.name, sealed = excluded.sealed, description = excluded.description,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by"""
VARIABLES_OF_KIND = f"""
select {_VARIABLES.columns} from sandbox_variables v join sandbox_configs c on c.id = v.config_id
where c.kind = :kind and c.organization_id = :organization_id order by v.created_at, v.id"""

get, variable, delete_variable = _CONFIGS.get, _VARIABLES.get, _VARIABLES.delete


def by_kind(tx: Transaction, actor: Actor, kind: SandboxKind) -> SandboxConfig | None:
    """The organisation's configuration of a kind, if it has one."""
    return _CONFIGS.one(tx, CONFIG_BY_KIND, within(actor, kind=kind))


def listing(tx: Transaction, actor: Actor, page: Page, kind: SandboxKind | None = None) -> list[SandboxConfig]:
    """One page of configurations. Raises NotFound for a cursor that is none."""
    return _CONFIGS.page(tx, actor, _CONFIGS.where(actor).equal("c.", kind=kind), page)


def put(tx: Transaction, actor: Actor, config: SandboxConfig, now: datetime) -> SandboxConfig:
    """Store a configuration; there is one of each kind, so an older one takes the new values and keeps its id."""
    tx.run(PUT_CONFIG, _CONFIGS.params(actor, _CONFIGS.changed(actor, _CONFIGS.begun(actor, config, now), now)))
    return by_kind(tx, actor, config.kind) or config


def delete(tx: Transaction, actor: Actor, config_id: str) -> None:
    """Forget a configuration and its variables. Raises NotFound."""
    _CONFIGS.delete(tx, actor, config_id)
    tx.run(DELETE_VARIABLES, within(actor, config_id=config_id))


def variables(tx: Transaction, actor: Actor, config_id: str, page: Page) -> list[SandboxVariable]:
    """One page of the variables of a configuration. Raises NotFound."""
    get(tx, actor, config_id)
    return _VARIABLES.page(tx, actor, _VARIABLES.where(actor).equal("v.", config_id=config_id), page)


def variables_of_kind(tx: Transaction, actor: Actor, kind: SandboxKind) -> list[SandboxVariable]:
    """What tools are given that run in a sandbox of this kind."""
    return _VARIABLES.all(tx, VARIABLES_OF_KIND, within(actor, kind=kind))


def put_variable(tx: Transaction, actor: Actor, given: SandboxVariable, now: datetime) -> SandboxVariable:
    """Store a variable, new or changed. Raises NotFound, and Conflict for a name that is taken."""
    get(tx, actor, given.config_id)
    if tx.one(SAME_NAME, within(actor, id=given.id, config_id=given.config_id, name=given.name)):
        raise Conflict(f"There is a variable '{given.name}' already.", hint="Change that one, or delete it.")
    tx.run(PUT_VARIABLE, _VARIABLES.params(actor, _VARIABLES.changed(actor, _VARIABLES.begun(actor, given, now), now)))
    return variable(tx, actor, given.id)
