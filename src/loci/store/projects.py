"""Projects: names under which agents and templates are kept apart. What names none belongs to the default one."""

import re
from dataclasses import dataclass
from datetime import datetime

from loci.errors import BadRequest, Conflict, NotFound
from loci.ids import new_uuid
from loci.store.base import Params, Row, Transaction
from loci.store.rows import text, time_text
from loci.types.actor import DEFAULT_PROJECT, Actor

ALL = "select id, name, slug from projects where organization_id = :organization_id"
NAMED = ALL + " and (id = :named or slug = :named) order by slug"
INSERT = """
insert into projects (id, organization_id, project_id, name, slug, created_at)
values (:id, :organization_id, :id, :name, :slug, :now) on conflict (organization_id, slug) do nothing"""
DELETE = "delete from projects where id = :id and organization_id = :organization_id"
USERS = """
select id from agents where project_id = :id and organization_id = :organization_id union all
select id from templates where project_id = :id and organization_id = :organization_id and deleted_at is null limit 1"""


@dataclass(frozen=True, slots=True)
class Project:
    """A project; `slug` is its name in addresses."""

    id: str
    name: str
    slug: str


DEFAULT = Project(DEFAULT_PROJECT, "Default", "default")


def listing(tx: Transaction, actor: Actor) -> list[Project]:
    """All projects, the default one first."""
    return [DEFAULT, *map(_project, tx.all(ALL + " order by slug", {"organization_id": actor.organization_id}))]


def _project(row: Row) -> Project:
    return Project(text(row, "id"), text(row, "name"), text(row, "slug"))


def find(tx: Transaction, actor: Actor, named: str) -> Project:
    """A project by its id or slug. Raises NotFound."""
    if named in (DEFAULT.id, DEFAULT.slug):
        return DEFAULT
    row = tx.one(NAMED, {"named": named, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"There is no project {named}.")
    return _project(row)


def insert(tx: Transaction, actor: Actor, name: str, now: datetime) -> Project:
    """Store a new project. Raises Conflict for a name that is taken."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"
    project = Project(new_uuid(), name, slug)
    params: Params = {"id": project.id, "organization_id": actor.organization_id, "name": name, "slug": slug}
    if slug == DEFAULT.slug or not tx.run(INSERT, {**params, "now": time_text(now)}):
        raise Conflict(f"There is a project '{slug}' already.")
    return project


def delete(tx: Transaction, actor: Actor, project_id: str) -> None:
    """Delete a project that nothing belongs to. Raises NotFound, BadRequest for the default one, and Conflict."""
    params: Params = {"id": find(tx, actor, project_id).id, "organization_id": actor.organization_id}
    if params["id"] == DEFAULT.id:
        raise BadRequest("The default project stays.")
    used = tx.one(USERS, params)
    if used is not None:
        raise Conflict(f"{used['id']} belongs to the project.", hint="Delete or move first what belongs to it.")
    tx.run(DELETE, params)
