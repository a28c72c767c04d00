"""Organisations and their users as rows. Only the operator of the server may ask for these, so there is no actor."""

from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.store.base import Row, Transaction
from loci.store.rows import flag, integer, moment, text, time_text
from loci.types.actor import DEFAULT_ORGANIZATION, DEFAULT_USER
from loci.types.keys import Organization, User
from loci.types.paging import Page

ORGANIZATIONS = "select organization_id, name, privileged_tools, created_at from organizations"
USERS = "select id, organization_id, name, created_at, updated_at from users"
INSERT = """
insert into organizations (organization_id, name, privileged_tools, created_at)
values (:id, :name, :privileged_tools, :now) on conflict (organization_id) do nothing"""
INSERT_USER = """
insert into users (id, organization_id, name, created_at, updated_at) values (:id, :organization_id, :name, :now, :now)
on conflict (id) do nothing"""
UPDATE = "update organizations set name = :name, privileged_tools = :privileged_tools where organization_id = :id"
UPDATE_USER = "update users set name = :name, updated_at = :now where id = :id"
OWNED = (
    ("agents", "agents where organization_id = :id and deleted_at is null"),
    ("blocks", "blocks where organization_id = :id and deleted_at is null"),
    ("archives", "archives where organization_id = :id"),
    ("folders", "folders where organization_id = :id"),
)
"""What an organisation must not have any more when it is deleted: its name, and where it is."""
OTHERS = """users tools identities mcp_servers mcp_grants sandbox_configs sandbox_variables
providers projects templates deployments agent_groups message_batches jobs
agents blocks file_pieces passage_tags search_scopes trace_bases"""
"""What is deleted with an organisation; the third line holds what nobody sees any more."""


def organization_from_row(row: Row) -> Organization:
    """A stored one."""
    return Organization(
        id=text(row, "organization_id"),
        name=text(row, "name"),
        privileged_tools=flag(row, "privileged_tools"),
        created_at=moment(row, "created_at"),
    )


def user_from_row(row: Row) -> User:
    """A stored one."""
    return User(
        id=text(row, "id"),
        organization_id=text(row, "organization_id"),
        name=text(row, "name"),
        created_at=moment(row, "created_at"),
        updated_at=moment(row, "updated_at"),
    )


def insert(tx: Transaction, new: Organization, now: datetime) -> None:
    """Store an organisation, unless it is there."""
    privileged = int(new.privileged_tools)
    tx.run(INSERT, {"id": new.id, "name": new.name, "privileged_tools": privileged, "now": time_text(now)})


def insert_user(tx: Transaction, new: User, now: datetime) -> None:
    """Store a user, unless it is there. Raises NotFound for an organisation that is not."""
    get(tx, new.organization_id)
    params = {"id": new.id, "organization_id": new.organization_id, "name": new.name, "now": time_text(now)}
    tx.run(INSERT_USER, params)


def ensure_first(tx: Transaction, now: datetime) -> list[Organization]:
    """Make the organisation and the user that everything belongs to without further keys; all organisations."""
    insert(tx, Organization(id=DEFAULT_ORGANIZATION, name="default"), now)
    insert_user(tx, User(id=DEFAULT_USER, organization_id=DEFAULT_ORGANIZATION, name="default"), now)
    return [organization_from_row(row) for row in tx.all(ORGANIZATIONS)]


def listing(tx: Transaction, page: Page, *, name: str | None = None) -> list[Organization]:
    """Organisations in order of creation, after that of the page's cursor; with `name`, those called so."""
    where = " where organization_id > :after" + (" and name = :name" if name is not None else "")
    params = {"after": page.after or "", "limit_rows": page.limit_rows, "name": name}
    rows = tx.all(f"{ORGANIZATIONS}{where} order by organization_id limit :limit_rows", params)
    return [organization_from_row(row) for row in rows]


def users(tx: Transaction, page: Page, *, organization_id: str | None = None) -> list[User]:
    """Users in order of creation, after that of the page's cursor; with `organization_id`, those of one."""
    where = " where id > :after" + (" and organization_id = :organization_id" if organization_id is not None else "")
    params = {"after": page.after or "", "limit_rows": page.limit_rows, "organization_id": organization_id}
    return [user_from_row(row) for row in tx.all(f"{USERS}{where} order by id limit :limit_rows", params)]


def get(tx: Transaction, organization_id: str) -> Organization:
    """One organisation. Raises NotFound."""
    row = tx.one(f"{ORGANIZATIONS} where organization_id = :id", {"id": organization_id})
    if row is None:
        raise NotFound(f"There is no organisation {organization_id}.")
    return organization_from_row(row)


def trusts(tx: Transaction, organization_id: str) -> bool:
    """Whether the operator trusts an organisation with the machine: its own, and those that it marked so."""
    if organization_id == DEFAULT_ORGANIZATION:
        return True
    row = tx.one(f"{ORGANIZATIONS} where organization_id = :id", {"id": organization_id})
    return row is not None and flag(row, "privileged_tools")


def get_user(tx: Transaction, user_id: str) -> User:
    """One user. Raises NotFound."""
    row = tx.one(f"{USERS} where id = :id", {"id": user_id})
    if row is None:
        raise NotFound(f"There is no user {user_id}.")
    return user_from_row(row)


def update(tx: Transaction, changed: Organization) -> None:
    """Store what became of an organisation."""
    privileged = int(changed.privileged_tools)
    tx.run(UPDATE, {"id": changed.id, "name": changed.name, "privileged_tools": privileged})


def rename_user(tx: Transaction, user_id: str, name: str, now: datetime) -> None:
    """Call a user something else."""
    tx.run(UPDATE_USER, {"id": user_id, "name": name, "now": time_text(now)})


def delete(tx: Transaction, organization_id: str) -> Organization:
    """Forget an organisation that has nothing; its journal alone stays. Raises NotFound and Conflict."""
    found = get(tx, organization_id)
    if organization_id == DEFAULT_ORGANIZATION:
        raise Conflict("The first organisation stays: it is that of the server's operator.")
    params = {"id": organization_id}
    counts = {name: tx.one(f"select count(*) as n from {where}", params) for name, where in OWNED}
    owned = [f"{name} ({integer(row, 'n')})" for name, row in counts.items() if row and integer(row, "n")]
    if owned:
        raise Conflict(
            f"Organisation '{found.name}' still has {', '.join(owned)}.",
            hint="Delete those first, with a key of that organisation.",
        )
    for table in OTHERS.split():
        tx.run(f"delete from {table} where organization_id = :id", params)
    tx.run("delete from organizations where organization_id = :id", params)
    return found


def delete_user(tx: Transaction, user_id: str) -> User:
    """Forget a user with its keys; what it made stays. Raises NotFound and Conflict."""
    found = get_user(tx, user_id)
    if user_id == DEFAULT_USER:
        raise Conflict("The first user stays: requests with the operator's key are made in its name.")
    tx.run("delete from users where id = :id", {"id": user_id})
    return found
