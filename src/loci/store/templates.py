"""Templates of agents as rows: a working copy that changes, and numbered versions that never do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.ids import new_id
from loci.store import journal
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import like_pattern
from loci.store.rows import dump, integer, load_object, maybe_text, moment, text, time_text
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Author, JournalEntry, Subject

COLUMNS = """t.id, t.project_id, t.name, t.description, t.updated_at,
    (select coalesce(max(v.number), 0) from template_versions v where v.template_id = t.id) as latest"""
LIVE = f"select {COLUMNS} from templates t where t.organization_id = :organization_id and t.deleted_at is null"
BY_NAME = LIVE + " and t.name = :name and coalesce(t.project_id, '') = :project"
INSERT = """
insert into templates (id, organization_id, project_id, name, description, file, created_at, updated_at, created_by)
values (:id, :organization_id, :project_id, :name, :description, '{}', :now, :now, :user_id)"""
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
class Version:
    """A state of a template: an agent file. Number 0 is the working copy."""

    id: str
    number: int
    file: JsonObject


def _template(row: Row) -> Template:
    return Template(
        id=text(row, "id"),
        name=text(row, "name"),
        project_id=maybe_text(row, "project_id"),
        description=maybe_text(row, "description"),
        latest=integer(row, "latest"),
        updated_at=moment(row, "updated_at"),
    )


def _find(tx: Transaction, actor: Actor, project_id: str | None, name: str) -> Template | None:
    params: Params = {"name": name, "project": project_id or "", "organization_id": actor.organization_id}
    row = tx.one(BY_NAME, params)
    return None if row is None else _template(row)


def get(tx: Transaction, actor: Actor, project_id: str | None, name: str) -> Template:
    """One template by its name. Raises NotFound."""
    found = _find(tx, actor, project_id, name)
    if found is None:
        raise NotFound(f"There is no template '{name}'.")
    return found


def listing(
    tx: Transaction, actor: Actor, tests: Sequence[tuple[str, str | None]], order: str, rows: tuple[int, int]
) -> list[Template]:
    """Templates by column and value, those with `name` in part; `rows` are how many, and from which on."""
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id, "limit": rows[0], "offset": rows[1]}
    sql = LIVE
    for number, (column, value) in enumerate(tests):
        if value is not None:
            like = column == "name"
            sql += f" and lower(t.name) like lower(:v{number}) escape '!'" if like else f" and {column} = :v{number}"
            params[f"v{number}"] = like_pattern(value) if like else value
    found = tx.all(f"{sql} order by t.{order} desc, t.id limit :limit offset :offset", params)
    return [_template(row) for row in found]


def put(  # noqa: PLR0913  one change
    tx: Transaction,
    actor: Actor,
    author: Author,
    template: Template,
    now: datetime,
    *,
    action: str,
    file: JsonObject | None = None,
) -> Template:
    """Store a template as it is from now on, and `file` as its working copy. Raises Conflict for a taken name."""
    other = _find(tx, actor, template.project_id, template.name)
    if other is not None and other.id != template.id:
        raise Conflict(f"There is a template '{template.name}' already.", hint="Choose another name.")
    params: Params = {
        "id": template.id,
        "organization_id": actor.organization_id,
        "project_id": template.project_id,
        "user_id": actor.user_id,
        "name": template.name,
        "description": template.description,
        "file": None if file is None else dump(file),
        "now": time_text(now),
    }
    before: JsonObject | None = None
    if action == "create":
        tx.run(INSERT, params)
    elif action == "update":
        before = {"file": version(tx, actor, template, CURRENT[0]).file}
    tx.run(UPDATE, params)
    _note(tx, actor, author, template, now, action=action, before=before)
    return replace(template, updated_at=now)


def create(
    tx: Transaction, actor: Actor, author: Author, template: Template, file: JsonObject, now: datetime
) -> Template:
    """Store a new template with its first version. Raises Conflict for a name that is taken."""
    return save(tx, actor, author, put(tx, actor, author, template, now, action="create", file=file), None, now)


def delete(tx: Transaction, actor: Actor, author: Author, template: Template, now: datetime) -> None:
    """Put a template away with its versions. What was made from it stays, and so do the rows."""
    tx.run(DELETE, {"id": template.id, "organization_id": actor.organization_id, "now": time_text(now)})
    _note(tx, actor, author, template, now, action="delete", before=None)


def save(
    tx: Transaction, actor: Actor, author: Author, template: Template, message: str | None, now: datetime
) -> Template:
    """Make the working copy the newest version."""
    saved = replace(template, latest=template.latest + 1, updated_at=now)
    params: Params = {
        "version_id": new_id("template"),
        "id": template.id,
        "organization_id": actor.organization_id,
        "number": saved.latest,
        "message": message,
        "now": time_text(now),
        "user_id": actor.user_id,
    }
    tx.run(SAVE, params)
    return put(tx, actor, author, saved, now, action="save")


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
    params: Params = {
        "id": template.id,
        "organization_id": actor.organization_id,
        "limit": rows[0],
        "offset": rows[1],
    }
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
    before: JsonObject | None,
) -> None:
    state: JsonObject = {"name": template.name, "description": template.description, "latest": template.latest}
    entry = JournalEntry(
        subject=Subject.TEMPLATE, subject_id=template.id, action=action, before=before, after=state, author=author
    )
    journal.record(tx, actor, [entry], now)
