"""Identities: whom agents work for, under the key by which the systems around them know somebody."""

from dataclasses import replace
from typing import Annotated, Any, Literal, cast

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.agent_views import wire_agents
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import AgentId, BlockId, IdentityId, Included, NewestFirst
from loci.api.requests_agents import LIST_MAX, NAME_MAX_CHARS, Body, LongText, Name, Names
from loci.api.shapes import BlockShape, IdentityShape
from loci.api.shapes_agents import AgentShape
from loci.api.wire_values import wire_block, wire_identity
from loci.ids import new_id
from loci.store import agents, blocks, identities
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.store.blocks import BlockFilter
from loci.store.identities import AttachedTo, HolderKind, IdentityFilter, Link
from loci.types import actor as actors
from loci.types.identities import Identity, IdentityType
from loci.types.json import JsonObject

router = new_router("identities")

Key = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]
Text = Annotated[str | None, Query(max_length=NAME_MAX_CHARS)]


class PropertyIn(Body):
    """Something that is known of an identity."""

    key: Key
    value: LongText | bool | int | float | dict[str, Any]
    type: Literal["string", "number", "boolean", "json"]


Properties = Annotated[list[PropertyIn], Field(max_length=LIST_MAX)]


class IdentityFields(Body):
    """What an identity may be given, when it is made and later."""

    agent_ids: Names | None = None
    block_ids: Names | None = None
    properties: Properties | None = None

    def links(self, identity_id: str) -> list[Link]:
        """What the identity is to be attached to."""
        named: list[tuple[HolderKind, list[str]]] = [("agent", self.agent_ids or []), ("block", self.block_ids or [])]
        return [Link(identity_id=identity_id, kind=kind, holder_id=holder) for kind, ids in named for holder in ids]


class IdentityIn(IdentityFields):
    """An identity to be there."""

    identifier_key: Key
    name: Name
    identity_type: IdentityType
    project_id: Name | None = None


class IdentityChangeIn(IdentityFields):
    """What an identity shall become; what is not named stays, and what it is attached to stays as well."""

    identifier_key: Key | None = None
    name: Name | None = None
    identity_type: IdentityType | None = None


def _merged(old: tuple[JsonObject, ...], new: list[PropertyIn] | None) -> tuple[JsonObject, ...]:
    """Properties with others put in the place of those with the same key."""
    given = {item.key: cast("JsonObject", item.model_dump()) for item in new or ()}
    return tuple(({str(item["key"]): item for item in old} | given).values())


def _attach_all(tx: Transaction, actor: actors.Actor, services: Services, links: list[Link]) -> None:
    for link in links:
        identities.attach(tx, actor, author_of(actor), link, services.clock.now())


def _make(tx: Transaction, actor: actors.Actor, services: Services, body: IdentityIn) -> Identity:
    identity = Identity(
        id=new_id("identity"),
        identifier_key=body.identifier_key,
        name=body.name,
        identity_type=body.identity_type,
        project_id=body.project_id,
        properties=_merged((), body.properties),
    )
    identities.insert(tx, actor, identity, services.clock.now())
    _attach_all(tx, actor, services, body.links(identity.id))
    return identities.get(tx, actor, identity.id)


def _become(tx: Transaction, actor: actors.Actor, services: Services, current: Identity, body: IdentityIn) -> Identity:
    """The identity as a PUT says: a list that is named is all there is."""
    properties = current.properties if body.properties is None else _merged((), body.properties)
    changed = replace(current, name=body.name, identity_type=body.identity_type, properties=properties)
    now = services.clock.now()
    identities.update(tx, actor, changed, now)
    named: list[tuple[HolderKind, tuple[str, ...], list[str] | None]] = [
        ("agent", current.agent_ids, body.agent_ids),
        ("block", current.block_ids, body.block_ids),
    ]
    for kind, held, wanted in named:
        for holder_id in held if wanted is not None else ():
            if holder_id not in (wanted or ()):
                link = Link(identity_id=current.id, kind=kind, holder_id=holder_id)
                identities.detach(tx, actor, author_of(actor), link, now)
    _attach_all(tx, actor, services, body.links(current.id))
    return identities.get(tx, actor, current.id)


@router.get("/identities", response_model=list[IdentityShape])
async def list_identities(  # noqa: PLR0917  one argument for each query parameter
    services: Services,
    actor: Actor,
    page: NewestFirst,
    name: Text = None,
    project_id: Text = None,
    identifier_key: Text = None,
    identity_type: IdentityType | None = None,
) -> Response:
    """Identities, the newest first unless asked otherwise. `name` looks for a part of the name."""
    chosen = IdentityFilter(
        name_search=name, project_id=project_id, identifier_key=identifier_key, identity_type=identity_type
    )
    found = await services.store.read(identities.listing, actor, chosen, page)
    return json_answer([wire_identity(identity) for identity in found])


@router.post("/identities", response_model=IdentityShape)
async def create_identity(body: IdentityIn, services: Services, actor: Actor) -> Response:
    """Make an identity."""
    return json_answer(wire_identity(await services.store.write(_make, actor, services, body)))


@router.put("/identities", response_model=IdentityShape)
async def upsert_identity(body: IdentityIn, services: Services, actor: Actor) -> Response:
    """Change the identity with this key, or make it. Lists that are named replace those that were."""

    def put(tx: Transaction) -> Identity:
        current = identities.by_key(tx, actor, body.identifier_key)
        if current is None:
            return _make(tx, actor, services, body)
        return _become(tx, actor, services, current, body)

    return json_answer(wire_identity(await services.store.write(put)))


@router.get("/identities/count", response_model=int)
async def count_identities(services: Services, actor: Actor) -> Response:
    """How many identities there are."""
    return json_answer(await services.store.read(identities.count, actor))


@router.get("/identities/{identity_id}", response_model=IdentityShape)
async def retrieve_identity(identity_id: IdentityId, services: Services, actor: Actor) -> Response:
    """One identity."""
    return json_answer(wire_identity(await services.store.read(identities.get, actor, identity_id)))


@router.patch("/identities/{identity_id}", response_model=IdentityShape)
async def modify_identity(
    identity_id: IdentityId, body: IdentityChangeIn, services: Services, actor: Actor
) -> Response:
    """Change an identity. Agents, blocks and properties that are named come to those that are there."""

    def change(tx: Transaction) -> Identity:
        current = identities.get(tx, actor, identity_id)
        changed = replace(
            current,
            identifier_key=body.identifier_key or current.identifier_key,
            name=current.name if body.name is None else body.name,
            identity_type=body.identity_type or current.identity_type,
            properties=_merged(current.properties, body.properties),
        )
        identities.update(tx, actor, changed, services.clock.now())
        _attach_all(tx, actor, services, body.links(identity_id))
        return identities.get(tx, actor, identity_id)

    return json_answer(wire_identity(await services.store.write(change)))


@router.delete("/identities/{identity_id}")
async def delete_identity(identity_id: IdentityId, services: Services, actor: Actor) -> Response:
    """Forget an identity. The agents and blocks that it was attached to stay."""
    now = services.clock.now()
    await services.store.write(identities.delete, actor, author_of(actor), identity_id, now)
    return json_answer(None)


@router.put("/identities/{identity_id}/properties")
async def upsert_properties(
    identity_id: IdentityId, properties: Properties, services: Services, actor: Actor
) -> Response:
    """Say what is known of an identity; these are all of its properties then."""

    def put(tx: Transaction) -> None:
        current = identities.get(tx, actor, identity_id)
        identities.update(tx, actor, replace(current, properties=_merged((), properties)), services.clock.now())

    await services.store.write(put)
    return json_answer(None)


@router.get("/identities/{identity_id}/agents", response_model=list[AgentShape])
async def list_identity_agents(
    identity_id: IdentityId, services: Services, actor: Actor, page: NewestFirst, included: Included
) -> Response:
    """The agents that an identity is attached to."""
    await services.store.read(identities.get, actor, identity_id)
    chosen = AgentFilter(attached_to=AttachedTo(identity_id=identity_id), show_hidden=True)
    found = await services.store.read(agents.listing, actor, chosen, page)
    return json_answer(await wire_agents(services, actor, found, included))


@router.get("/identities/{identity_id}/blocks", response_model=list[BlockShape])
async def list_identity_blocks(
    identity_id: IdentityId, services: Services, actor: Actor, page: NewestFirst
) -> Response:
    """The blocks that an identity is attached to."""
    await services.store.read(identities.get, actor, identity_id)
    chosen = BlockFilter(attached_to=AttachedTo(identity_id=identity_id), include_hidden=True)
    found = await services.store.read(blocks.listing, actor, chosen, page)
    return json_answer([wire_block(block) for block in found])


@router.patch("/agents/{agent_id}/identities/attach/{identity_id}")
async def attach_to_agent(agent_id: AgentId, identity_id: IdentityId, services: Services, actor: Actor) -> Response:
    """Say that an agent works for somebody."""
    link, now = Link(identity_id=identity_id, kind="agent", holder_id=agent_id), services.clock.now()
    await services.store.write(identities.attach, actor, author_of(actor), link, now)
    return json_answer(None)


@router.patch("/agents/{agent_id}/identities/detach/{identity_id}")
async def detach_from_agent(agent_id: AgentId, identity_id: IdentityId, services: Services, actor: Actor) -> Response:
    """Take an identity off an agent."""
    link, now = Link(identity_id=identity_id, kind="agent", holder_id=agent_id), services.clock.now()
    await services.store.write(identities.detach, actor, author_of(actor), link, now)
    return json_answer(None)


@router.patch("/blocks/{block_id}/identities/attach/{identity_id}", response_model=BlockShape)
async def attach_to_block(block_id: BlockId, identity_id: IdentityId, services: Services, actor: Actor) -> Response:
    """Say that a block is about somebody."""
    link, now = Link(identity_id=identity_id, kind="block", holder_id=block_id), services.clock.now()
    await services.store.write(identities.attach, actor, author_of(actor), link, now)
    return json_answer(wire_block(await services.store.read(blocks.get, actor, block_id)))


@router.patch("/blocks/{block_id}/identities/detach/{identity_id}", response_model=BlockShape)
async def detach_from_block(block_id: BlockId, identity_id: IdentityId, services: Services, actor: Actor) -> Response:
    """Take an identity off a block."""
    link, now = Link(identity_id=identity_id, kind="block", holder_id=block_id), services.clock.now()
    await services.store.write(identities.detach, actor, author_of(actor), link, now)
    return json_answer(wire_block(await services.store.read(blocks.get, actor, block_id)))
