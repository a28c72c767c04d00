"""Organisations, their users and keys, for the operator of the server alone."""

from dataclasses import asdict, replace
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import ONLY_OPERATOR, Services
from loci.api.parameters import UUID, Cursor, Limit, Moment, page
from loci.api.requests_agents import NAME_MAX_CHARS, Body, Name
from loci.api.shapes_admin import KeyShape, OrganizationShape, UserShape
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.errors import NotFound
from loci.ids import new_id
from loci.store import keys, organizations
from loci.store.base import Transaction
from loci.store.keys import KeyFilter
from loci.tools.registry import ensure_builtins
from loci.types.actor import Actor
from loci.types.keys import ApiKey, Organization, User
from loci.types.memory import SYSTEM
from loci.types.paging import Page

router = new_router("admin", dependencies=[ONLY_OPERATOR])

Called = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]
UserName = Annotated[str, Field(pattern=f"^user-{UUID}$")]
OrganizationName = Annotated[str, Field(pattern=f"^org-{UUID}$")]
UserId = Annotated[str, Query(pattern=f"^user-{UUID}$", description="Id of the user.")]
OrganizationId = Annotated[str, Query(pattern=f"^org-{UUID}$", description="Id of the organisation.")]
KeyId = Annotated[str, Path(pattern=f"^key-{UUID}$", description="Id of the key.")]


class OrganizationIn(Body):
    """What an organisation is or becomes."""

    name: Called | None = None
    privileged_tools: bool | None = None


class UserIn(Body):
    """A user to be there."""

    name: Name
    organization_id: OrganizationName


class UserChangeIn(Body):
    """What a user becomes."""

    id: UserName
    name: Name | None = None


class KeyIn(Body):
    """A key to be there. Without `user_id` it is one of the organisation's first user, who is made if need be."""

    name: Called
    organization_id: OrganizationName
    user_id: UserName | None = None
    expires_at: Moment | None = None


def wire_organization(organization: Organization) -> WireObject:
    """An organisation as the wire has it."""
    return {**asdict(organization), "created_at": wire_moment(organization.created_at)}


def wire_user(user: User, *, is_deleted: bool = False) -> WireObject:
    """A user as the wire has it."""
    moments = {"created_at": wire_moment(user.created_at), "updated_at": wire_moment(user.updated_at)}
    return {**asdict(user), **moments, "is_deleted": is_deleted}


def wire_key(key: ApiKey, text: str | None = None) -> WireObject:
    """A key as it is shown; `text` is the key itself."""
    shown = ("id", "organization_id", "user_id", "name", "begins")
    moments = ("created_at", "last_used_at", "expires_at", "revoked_at")
    told: WireObject = {name: getattr(key, name) for name in shown}
    return told | {"key": text} | {name: wire_moment(getattr(key, name)) for name in moments}


@router.get("/admin/orgs", response_model=list[OrganizationShape])
async def list_organizations(
    services: Services, after: Cursor = None, limit: Limit = None, name: Name | None = None
) -> Response:
    """Organisations, oldest first."""
    found = await services.store.read(organizations.listing, page(None, after, limit, "asc"), name=name)
    return json_answer([wire_organization(item) for item in found])


@router.post("/admin/orgs", response_model=OrganizationShape)
async def create_organization(body: OrganizationIn, services: Services) -> Response:
    """Make an organisation, with the tools that come with the server."""
    now = services.clock.now()
    wanted = Organization(
        id=new_id("org"),
        name=body.name or "organization",
        privileged_tools=body.privileged_tools or False,
        created_at=now,
    )

    def make(tx: Transaction) -> None:
        organizations.insert(tx, wanted, now)
        ensure_builtins(tx, Actor(organization_id=wanted.id), SYSTEM, services.builtins, now)

    await services.store.write(make)
    return json_answer(wire_organization(wanted))


@router.patch("/admin/orgs", response_model=OrganizationShape)
async def update_organization(org_id: OrganizationId, body: OrganizationIn, services: Services) -> Response:
    """Change an organisation; what is not named stays."""

    def change(tx: Transaction) -> Organization:
        current = organizations.get(tx, org_id)
        privileged = current.privileged_tools if body.privileged_tools is None else body.privileged_tools
        changed = replace(current, name=body.name or current.name, privileged_tools=privileged)
        organizations.update(tx, changed)
        return changed

    changed = await services.store.write(change)
    await services.brought.changed(Actor(organization_id=org_id))  # whose addresses it may reach may be others now
    return json_answer(wire_organization(changed))


@router.delete("/admin/orgs", response_model=OrganizationShape)
async def delete_organization(org_id: OrganizationId, services: Services) -> Response:
    """Delete an organisation that has no agents, blocks, archives and folders any more, with all else that is its."""
    deleted = await services.store.write(organizations.delete, org_id)
    services.keyring.forget()
    await services.brought.changed(Actor(organization_id=org_id))
    return json_answer(wire_organization(deleted))


@router.get("/admin/users", response_model=list[UserShape])
async def list_users(
    services: Services, after: Cursor = None, limit: Limit = None, org_id: OrganizationId | None = None
) -> Response:
    """Users, oldest first."""
    chosen = page(None, after, limit, "asc")
    found = await services.store.read(organizations.users, chosen, organization_id=org_id)
    return json_answer([wire_user(user) for user in found])


@router.post("/admin/users", response_model=UserShape)
async def create_user(body: UserIn, services: Services) -> Response:
    """Make a user of an organisation."""

    def make(tx: Transaction) -> User:
        user = User(id=new_id("user"), organization_id=body.organization_id, name=body.name)
        organizations.insert_user(tx, user, services.clock.now())
        return organizations.get_user(tx, user.id)

    return json_answer(wire_user(await services.store.write(make)))


@router.put("/admin/users", response_model=UserShape)
async def update_user(body: UserChangeIn, services: Services) -> Response:
    """Call a user something else."""

    def change(tx: Transaction) -> User:
        user = organizations.get_user(tx, body.id)
        if body.name is not None:
            organizations.rename_user(tx, user.id, body.name, services.clock.now())
        return organizations.get_user(tx, user.id)

    return json_answer(wire_user(await services.store.write(change)))


@router.delete("/admin/users", response_model=UserShape)
async def delete_user(user_id: UserId, services: Services) -> Response:
    """Delete a user with its keys. What was made in its name stays."""
    deleted = await services.store.write(organizations.delete_user, user_id)
    services.keyring.forget()
    return json_answer(wire_user(deleted, is_deleted=True))


@router.get("/admin/keys", response_model=list[KeyShape])
async def list_keys(
    services: Services, after: Cursor = None, limit: Limit = None, org_id: OrganizationId | None = None
) -> Response:
    """Keys of users, oldest first, the revoked ones too."""
    if org_id is not None:
        await services.store.read(organizations.get, org_id)
    chosen = KeyFilter(organization_id=org_id)
    found = await services.store.read(keys.listing, chosen, page(None, after, limit, "asc"))
    return json_answer([wire_key(key) for key in found])


@router.post("/admin/keys", response_model=KeyShape)
async def create_key(body: KeyIn, services: Services) -> Response:
    """Make a key. The answer is the only one that holds it."""

    def make(tx: Transaction) -> tuple[ApiKey, str]:
        user = _holder(tx, services, body)
        wanted = ApiKey(
            id="",
            organization_id=user.organization_id,
            user_id=user.id,
            name=body.name,
            begins="",
            expires_at=body.expires_at,
        )
        return services.keyring.make(tx, wanted)

    key, text = await services.store.write(make)
    return json_answer(wire_key(key, text))


def _holder(tx: Transaction, services: Services, body: KeyIn) -> User:
    """Whose key it shall be. Raises NotFound, also for a user of another organisation."""
    organization = organizations.get(tx, body.organization_id)
    if body.user_id is not None:
        user = organizations.get_user(tx, body.user_id)
        if user.organization_id != organization.id:
            raise NotFound(f"There is no user {user.id} in organisation '{organization.name}'.")
        return user
    first = organizations.users(tx, Page(limit_rows=1), organization_id=organization.id)
    if first:
        return first[0]
    user = User(id=new_id("user"), organization_id=organization.id, name=organization.name)
    organizations.insert_user(tx, user, services.clock.now())
    return user


@router.delete("/admin/keys/{key_id}", response_model=KeyShape)
async def revoke_key(key_id: KeyId, services: Services) -> Response:
    """Make a key worth nothing, at once, with all limited keys of its user."""
    revoked = await services.store.write(keys.revoke, key_id, services.clock.now())
    services.keyring.forget()
    return json_answer(wire_key(revoked))
