"""Settings of sandboxes as rows: one for each kind and organisation, and the environment variables of each."""

from datetime import datetime
from typing import cast

from loci.errors import Conflict, NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import page_clause
from loci.store.rows import dump, load_object, maybe_moment, maybe_text, text, time_text
from loci.types.actor import Actor
from loci.types.paging import Page
from loci.types.sandboxes import SandboxConfig, SandboxKind, SandboxVariable

_STAMPS = "created_at, updated_at, created_by, updated_by"
CONFIG_COLUMNS = f"id, kind, config, {_STAMPS}"
VARIABLE_COLUMNS = f"id, config_id, name, sealed, description, {_STAMPS}"

_CONFIGS = f"select {CONFIG_COLUMNS} from sandbox_configs where organization_id = :organization_id"
CONFIG_BY_ID = _CONFIGS + " and id = :id"
CONFIG_BY_KIND = _CONFIGS + " and kind = :kind"
PUT_CONFIG = f"""
insert into sandbox_configs (organization_id, project_id, {CONFIG_COLUMNS})
values (:organization_id, :project_id, :id, :kind, :config, :now, :now, :user_id, :user_id)
on conflict (organization_id, kind) do update
set config = excluded.config, updated_at = excluded.updated_at, updated_by = excluded.updated_by"""
DELETE_CONFIG = "delete from sandbox_configs where id = :id and organization_id = :organization_id"
DELETE_VARIABLES = "delete from sandbox_variables where config_id = :id and organization_id = :organization_id"

_VARIABLES = f"select {VARIABLE_COLUMNS} from sandbox_variables where organization_id = :organization_id"
VARIABLE_BY_ID = _VARIABLES + " and id = :id"
VARIABLES_OF = _VARIABLES + " and config_id = :config_id"
SAME_NAME = _VARIABLES + " and config_id = :config_id and name = :name and id != :id"
PUT_VARIABLE = f"""
insert into sandbox_variables (organization_id, project_id, {VARIABLE_COLUMNS})
values (:organization_id, :project_id, :id, :config_id, :name, :sealed, :description, :now, :now, :user_id, :user_id)
on conflict (id) do update set name = excluded.name, sealed = excluded.sealed, description = excluded.description,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by"""
DELETE_VARIABLE = "delete from sandbox_variables where id = :id and organization_id = :organization_id"
VARIABLES_OF_KIND = f"""
select {", ".join(f"v.{name}" for name in VARIABLE_COLUMNS.split(", "))}
from sandbox_variables v join sandbox_configs c on c.id = v.config_id
where c.kind = :kind and c.organization_id = :organization_id order by v.created_at, v.id"""


def config_from_row(row: Row) -> SandboxConfig:
    """A stored configuration."""
    return SandboxConfig(
        id=text(row, "id"),
        kind=cast("SandboxKind", text(row, "kind")),
        config=load_object(row["config"]),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
        updated_by=maybe_text(row, "updated_by"),
    )


def variable_from_row(row: Row) -> SandboxVariable:
    """A stored variable, its value still sealed."""
    return SandboxVariable(
        id=text(row, "id"),
        config_id=text(row, "config_id"),
        name=text(row, "name"),
        sealed=text(row, "sealed"),
        description=maybe_text(row, "description"),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
        updated_by=maybe_text(row, "updated_by"),
    )


def get(tx: Transaction, actor: Actor, config_id: str) -> SandboxConfig:
    """One configuration. Raises NotFound."""
    row = tx.one(CONFIG_BY_ID, {"id": config_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Sandbox configuration {config_id} not found.")
    return config_from_row(row)


def by_kind(tx: Transaction, actor: Actor, kind: SandboxKind) -> SandboxConfig | None:
    """The organisation's configuration of a kind, if it has one."""
    row = tx.one(CONFIG_BY_KIND, {"kind": kind, "organization_id": actor.organization_id})
    return None if row is None else config_from_row(row)


def listing(tx: Transaction, actor: Actor, page: Page, kind: SandboxKind | None = None) -> list[SandboxConfig]:
    """One page of configurations. Raises NotFound for a cursor that is none."""
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    chosen = _CONFIGS
    if kind is not None:
        chosen, params["kind"] = CONFIG_BY_KIND, kind
    clause = page_clause(tx, actor, page, "sandbox_configs")
    return [config_from_row(row) for row in clause.read(tx, chosen, params)]


def put(tx: Transaction, actor: Actor, config: SandboxConfig, now: datetime) -> SandboxConfig:
    """Store a configuration; there is one of each kind, so an older one takes the new values and keeps its id."""
    tx.run(PUT_CONFIG, {"id": config.id, "kind": config.kind, "config": dump(config.config), **_stamp(actor, now)})
    return by_kind(tx, actor, config.kind) or config


def delete(tx: Transaction, actor: Actor, config_id: str) -> None:
    """Forget a configuration and its variables. Raises NotFound."""
    params: Params = {"id": config_id, "organization_id": actor.organization_id}
    if not tx.run(DELETE_CONFIG, params):
        raise NotFound(f"Sandbox configuration {config_id} not found.")
    tx.run(DELETE_VARIABLES, params)


def variable(tx: Transaction, actor: Actor, variable_id: str) -> SandboxVariable:
    """One variable. Raises NotFound."""
    row = tx.one(VARIABLE_BY_ID, {"id": variable_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Sandbox variable {variable_id} not found.")
    return variable_from_row(row)


def variables(tx: Transaction, actor: Actor, config_id: str, page: Page) -> list[SandboxVariable]:
    """One page of the variables of a configuration. Raises NotFound."""
    get(tx, actor, config_id)
    params: Params = {"config_id": config_id, "organization_id": actor.organization_id}
    clause = page_clause(tx, actor, page, "sandbox_variables")
    return [variable_from_row(row) for row in clause.read(tx, VARIABLES_OF, params)]


def variables_of_kind(tx: Transaction, actor: Actor, kind: SandboxKind) -> list[SandboxVariable]:
    """What tools are given that run in a sandbox of this kind."""
    rows = tx.all(VARIABLES_OF_KIND, {"kind": kind, "organization_id": actor.organization_id})
    return [variable_from_row(row) for row in rows]


def put_variable(tx: Transaction, actor: Actor, given: SandboxVariable, now: datetime) -> SandboxVariable:
    """Store a variable, new or changed. Raises NotFound, and Conflict for a name that is taken."""
    get(tx, actor, given.config_id)
    params: dict[str, SqlValue] = {
        "id": given.id,
        "config_id": given.config_id,
        "name": given.name,
        "organization_id": actor.organization_id,
    }
    if tx.one(SAME_NAME, params):
        raise Conflict(f"There is a variable '{given.name}' already.", hint="Change that one, or delete it.")
    tx.run(PUT_VARIABLE, {**params, "sealed": given.sealed, "description": given.description, **_stamp(actor, now)})
    return variable(tx, actor, given.id)


def delete_variable(tx: Transaction, actor: Actor, variable_id: str) -> None:
    """Forget a variable. Raises NotFound."""
    if not tx.run(DELETE_VARIABLE, {"id": variable_id, "organization_id": actor.organization_id}):
        raise NotFound(f"Sandbox variable {variable_id} not found.")


def _stamp(actor: Actor, now: datetime) -> dict[str, SqlValue]:
    return {
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "user_id": actor.user_id,
        "now": time_text(now),
    }
