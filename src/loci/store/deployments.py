"""Deployments: what was made together from one template, found again by the id of the deployment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from loci.store.base import Transaction
from loci.store.rows import dump, load_object, text, time_text, within
from loci.types.actor import Actor

INSERT = """
insert into deployments (id, organization_id, project_id, template_id, variables, created_at, created_by)
values (:id, :organization_id, :project_id, :template_id, :variables, :created_at, :created_by)"""
SET_VARIABLES = "update deployments set variables = :variables where id = :id and organization_id = :organization_id"
DELETE = "delete from deployments where id = :id and organization_id = :organization_id"
BY_ID = "select variables from deployments where id = :id and organization_id = :organization_id"
INSERT_BLOCK = """
insert into deployment_blocks (block_id, organization_id, project_id, deployment_id, template_id, base_template_id,
    entity_id)
values (:block_id, :organization_id, :project_id, :deployment_id, :template_id, :base_template_id, :entity_id)"""
BLOCKS = """
select b.id, 'block' as type, b.label as name, b.description, d.entity_id, b.project_id
from deployment_blocks d join blocks b on b.id = d.block_id
where d.deployment_id = :id and d.organization_id = :organization_id and b.deleted_at is null order by b.id"""
AGENTS = """
select a.id, 'agent' as type, a.name, a.description, a.entity_id, a.project_id from agents a
where a.deployment_id = :id and a.organization_id = :organization_id and a.deleted_at is null order by a.id"""
GROUPS = """
select g.id, 'group' as type, null as name, g.description, null as entity_id, g.project_id from agent_groups g
where g.deployment_id = :id and g.organization_id = :organization_id order by g.id"""
OF_TEMPLATE = """
select id from deployments where template_id = :id and organization_id = :organization_id order by id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something comes from: the version of a template and the template, the deployment, its place in there."""

    template_id: str
    base_template_id: str
    deployment_id: str
    entity_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Something that belongs to a deployment."""

    id: str
    type: str
    name: str | None
    description: str | None
    entity_id: str | None
    project_id: str | None


def insert(
    tx: Transaction, actor: Actor, deployment_id: str, template_id: str, variables: Mapping[str, str], now: datetime
) -> None:
    """Note a deployment of a template, and with which words its variables were filled in."""
    made = within(actor, id=deployment_id, template_id=template_id, variables=dump(variables))
    tx.run(INSERT, {**made, "created_at": time_text(now), "created_by": actor.user_id})


def set_variables(tx: Transaction, actor: Actor, deployment_id: str, variables: Mapping[str, str]) -> None:
    """Note other words."""
    tx.run(SET_VARIABLES, within(actor, id=deployment_id, variables=dump(variables)))


def delete(tx: Transaction, actor: Actor, deployment_id: str) -> None:
    """Forget a deployment that nothing belongs to any more."""
    tx.run(DELETE, {"id": deployment_id, "organization_id": actor.organization_id})


def variables_of(tx: Transaction, actor: Actor, deployment_id: str) -> dict[str, str]:
    """The words that variables were filled in with; none for what is no deployment of a template."""
    row = tx.one(BY_ID, {"id": deployment_id, "organization_id": actor.organization_id})
    return {} if row is None else {key: str(value) for key, value in load_object(row["variables"]).items()}


def of_template(tx: Transaction, actor: Actor, template_id: str) -> list[str]:
    """The deployments of a template, oldest first."""
    rows = tx.all(OF_TEMPLATE, {"id": template_id, "organization_id": actor.organization_id})
    return [text(row, "id") for row in rows]


def add_block(tx: Transaction, actor: Actor, block_id: str, origin: Origin) -> None:
    """Note that a block belongs to a deployment."""
    tx.run(INSERT_BLOCK, {**within(actor, block_id=block_id), **asdict(origin)})


def entities(tx: Transaction, actor: Actor, deployment_id: str) -> list[Entity]:
    """What belongs to a deployment: its blocks, its agents, and its groups."""
    key = within(actor, id=deployment_id)
    return [Entity(**cast("dict[str, Any]", row)) for sql in (BLOCKS, AGENTS, GROUPS) for row in tx.all(sql, key)]
