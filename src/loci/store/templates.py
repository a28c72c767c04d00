"""Templates of agents as rows: a working copy that changes, and numbered versions that never do."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from loci.errors import Conflict, NotFound
from loci.ids import new_id
from loci.store import journal
from loci.store.base import Params, SqlValue, Transaction
from loci.store.page import like_pattern
from loci.store.rows import Record, dump, integer, load_object, maybe_text, text, time_text, within
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Author, JournalEntry, Subject

INSERT = """
insert into templates (id, organization_id, project_id, name, description, file, created_at, updated_at, created_by)
values (:id, :organization_id, :project_id, :name, :description, :file, :now, :now, :user_id)"""
UPDATE = """
update templates set name = :name, description = :description, file = coalesce(:file, file), updated_at = :now
where id = :id and organization_id = :organization_id"""
DELETE = "update templates set deleted_at = :now where id = :id and organization_id = :organization_id"
WORKING = "select id, 0 as number, file from templates where id = :id and organization_id = :organization_id"
SAVE = """
insert into template_versions (id, organization_id, project_id, template_id, number, file, message, created_at,
    created_by)
select :version_id, organization_id, project_id, id, :number, file, :message, :now, :user_id from templates
where id = :id and organization_id = :organization_id"""
VERSIONS = """
select id, number, file, message, created_at from template_versions
where template_id = :id and organization_id = :organization_id"""

LATEST, CURRENT = "latest", ("current", "dev")
"""Words for the newest version, and for the working copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template: `latest` is the number of its newest version."""

    id: str
    name: str
    project_id: str | None = None
    description: str | None = None
    latest: int = 0
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFilter:
    """Which templates of a project to list. None means any; `part` is in the name."""

    project_id: str | None
    id: str | None = None
    name: str | None = None
    part: str = ""
    version: int | None = None
    """Only those that have it."""
    order_by: Literal["updated_at", "created_at"] = "updated_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A state of a template: an agent file. Number 0 is the working copy."""

    id: str
    number: int
    file: JsonObject


_LATEST = "(select coalesce(max(v.number), 0) from template_versions v where v.template_id = t.id)"
_ROWS = Record(
    Template, "templates", "t", missing="There is no template {}.", is_put_away=True, found={"latest": _LATEST}
)
LISTED = f"""{_ROWS.select}
and coalesce(t.project_id, '') = :project and t.id = coalesce(:id, t.id) and t.name = coalesce(:name, t.name)
and lower(t.name) like lower(:part) escape '!' and (:version is null
    or :version in (select v.number from template_versions v where v.template_id = t.id)) order by """
BY_NAME = _ROWS.select + " and t.name = :name and coalesce(t.project_id, '') = :project"


def _find(tx: Transaction, actor: Actor, project_id: str | None, name: str) -> Template | None:
    return _ROWS.one(tx, BY_NAME, within(actor, name=name, project=project_id or ""))


def get(tx: Transaction, actor: Actor, project_id: str | None, name: str) -> Template:
    """One template by its name. Raises NotFound."""
    found = _find(tx, actor, project_id, name)
    if found is None:
        raise NotFound(f"There is no template '{name}'.")
    return found


def listing(tx: Transaction, actor: Actor, chosen: TemplateFilter, rows: tuple[int, int]) -> list[Template]:
    """Templates, the newest first; `rows` are how many, and from which on."""
    wanted = within(actor, project=chosen.project_id or "", id=chosen.id, name=chosen.name)
    part = like_pattern(chosen.part)
    params = {**wanted, "part": part, "version": chosen.version, "limit": rows[0], "offset": rows[1]}
    return _ROWS.all(tx, f"{LISTED} t.{chosen.order_by} desc, t.id limit :limit offset :offset", params)


def insert(
    tx: Transaction, actor: Actor, author: Author, template: Template, file: JsonObject, now: datetime
) -> Template:
    """Store a new template with its first version. Raises Conflict for a name that is taken."""
    _refuse_taken(tx, actor, template)
    tx.run(INSERT, {**_params(actor, template, now, file), "project_id": template.project_id, "user_id": actor.user_id})
    _note(tx, actor, author, template, now, action="create")
    return save(tx, actor, author, template, None, now)


def update(tx: Transaction, actor: Actor, author: Author, template: Template, now: datetime) -> None:
    """Store another name and description. Raises Conflict for a name that is taken."""
    _refuse_taken(tx, actor, template)
    tx.run(UPDATE, _params(actor, template, now))
    _note(tx, actor, author, template, now, action="rename")


def set_file(
    tx: Transaction, actor: Actor, author: Author, template: Template, file: JsonObject, now: datetime
) -> None:
    """Have another working copy; the journal keeps what it was."""
    before: JsonObject = {"file": version(tx, actor, template, CURRENT[0]).file}
    tx.run(UPDATE, _params(actor, template, now, file))
    _note(tx, actor, author, template, now, action="update", before=before)


def _refuse_taken(tx: Transaction, actor: Actor, template: Template) -> None:
    other = _find(tx, actor, template.project_id, template.name)
    if other is not None and other.id != template.id:
        raise Conflict(f"There is a template '{template.name}' already.", hint="Choose another name.")


def _params(actor: Actor, template: Template, now: datetime, file: JsonObject | None = None) -> Params:
    named = within(actor, id=template.id, name=template.name, description=template.description)
    return {**named, "file": None if file is None else dump(file), "now": time_text(now)}


def delete(tx: Transaction, actor: Actor, author: Author, template: Template, now: datetime) -> None:
    """Put a template away with its versions. What was made from it stays, and so do the rows."""
    tx.run(DELETE, {"id": template.id, "organization_id": actor.organization_id, "now": time_text(now)})
    _note(tx, actor, author, template, now, action="delete")


def save(
    tx: Transaction, actor: Actor, author: Author, template: Template, message: str | None, now: datetime
) -> Template:
    """Make the working copy the newest version."""
    saved = replace(template, latest=template.latest + 1, updated_at=now)
    params, user_id = _params(actor, saved, now), actor.user_id
    made: Params = {"version_id": new_id("template"), "number": saved.latest, "message": message, "user_id": user_id}
    tx.run(SAVE, {**params, **made})
    tx.run(UPDATE, params)
    _note(tx, actor, author, saved, now, action="save")
    return saved


def save_changes(tx: Transaction, actor: Actor, author: Author, template: Template, now: datetime) -> Template:
    """Save the working copy if it is not what the newest version is."""
    if version(tx, actor, template, CURRENT[0]).file == version(tx, actor, template, LATEST).file:
        return template
    return save(tx, actor, author, template, "Saved before it was replaced.", now)


def version(tx: Transaction, actor: Actor, template: Template, wanted: str) -> Version:
    """A state of a template by number or by one of the words for it. Raises NotFound."""
    params: dict[str, SqlValue] = {"id": template.id, "organization_id": actor.organization_id}
    if wanted in CURRENT:
        row = tx.one(WORKING, params)
    else:
        number = str(template.latest) if wanted == LATEST else wanted
        params["number"] = int(number) if number.isdecimal() and len(number) < 10 else -1
        row = tx.one(VERSIONS + " and number = :number", params)
    if row is None:
        raise NotFound(f"Template '{template.name}' has no version {wanted}.", hint=f"The newest is {template.latest}.")
    return Version(id=text(row, "id"), number=integer(row, "number"), file=load_object(row["file"]))


def versions(tx: Transaction, actor: Actor, template: Template, rows: tuple[int, int]) -> list[dict[str, JsonValue]]:
    """What is known of the versions, the newest first."""
    params = within(actor, id=template.id, limit=rows[0], offset=rows[1])
    return [
        {
            "version": str(row["number"]),
            "created_at": text(row, "created_at"),
            "message": maybe_text(row, "message") or "",
        }
        for row in tx.all(VERSIONS + " order by number desc limit :limit offset :offset", params)
    ]


def _note(  # noqa: PLR0913  one entry
    tx: Transaction,
    actor: Actor,
    author: Author,
    template: Template,
    now: datetime,
    *,
    action: str,
    before: JsonObject | None = None,
) -> None:
    state: JsonObject = {"name": template.name, "description": template.description, "latest": template.latest}
    entry = JournalEntry(
        subject=Subject.TEMPLATE, subject_id=template.id, action=action, before=before, after=state, author=author
    )
    journal.record(tx, actor, [entry], now)
