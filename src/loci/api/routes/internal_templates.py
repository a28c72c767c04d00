"""Things that belong to a deployment of a template, made, listed and deleted one by one by those who deploy."""

from contextlib import suppress
from dataclasses import asdict, replace
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field
from starlette.responses import Response

from loci.agent import creating, grouping
from loci.agent.creating import author_of
from loci.api.agent_views import wire_one
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.requests_agents import LIST_MAX, AgentIn, BlockIn, Body, Name
from loci.api.routes.agents import forget_agent, sealed_secrets
from loci.api.routes.groups import GroupIn
from loci.api.shapes import BlockShape
from loci.api.shapes_agents import AgentShape, GroupShape
from loci.api.shapes_apart import DeploymentDeletedShape, DeploymentShape
from loci.api.wire_groups import wire_group
from loci.api.wire_messages import WireObject
from loci.api.wire_values import wire_block
from loci.errors import NotFound
from loci.ids import new_id
from loci.store import blocks, deployments
from loci.store.base import Transaction
from loci.store.deployments import Origin
from loci.types import actor as actors
from loci.types.actor import DEFAULT_PROJECT
from loci.types.groups import Group

router = new_router("internal")


class OriginIn(Body):
    """What something is made from, and its place there."""

    template_id: Name
    base_template_id: Name
    deployment_id: Name
    entity_id: Name

    def origin(self) -> Origin:
        """Our value."""
        return Origin(
            template_id=self.template_id,
            base_template_id=self.base_template_id,
            deployment_id=self.deployment_id,
            entity_id=self.entity_id,
        )


class DeployedAgentIn(OriginIn, AgentIn):  # pyright: ignore[reportIncompatibleVariableOverride]  here they must be
    """An agent of a deployment."""


class DeployedBlockIn(OriginIn, BlockIn):
    """A block of a deployment."""


class DeployedGroupIn(GroupIn):
    """A group of a deployment."""

    template_id: Name
    base_template_id: Name
    deployment_id: Name


DeploymentId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,200}$", description="Id of the deployment.")]
Blocks = Annotated[list[DeployedBlockIn], Field(max_length=LIST_MAX)]


@router.post("/_internal_templates/agents", response_model=AgentShape)
async def create_deployed_agent(body: DeployedAgentIn, services: Services, actor: Actor) -> Response:
    """Make an agent that belongs to a deployment."""
    made_of = body.new_agent(sealed_secrets(services, actor, body) or {})
    wanted = replace(made_of, deployment_id=body.deployment_id, entity_id=body.entity_id)
    made = await creating.create(services.kit, actor, wanted)
    return json_answer(await wire_one(services, actor, made.agent.id))


@router.post("/_internal_templates/blocks", response_model=BlockShape)
async def create_deployed_block(body: DeployedBlockIn, services: Services, actor: Actor) -> Response:
    """Make a block that belongs to a deployment."""
    return json_answer((await _made(services, actor, [body]))[0])


@router.post("/_internal_templates/blocks/batch", response_model=list[BlockShape])
async def create_deployed_blocks(body: Blocks, services: Services, actor: Actor) -> Response:
    """Make several blocks, all or none."""
    return json_answer(await _made(services, actor, body))


async def _made(core: Core, actor: actors.Actor, wanted: list[DeployedBlockIn]) -> list[WireObject]:
    now = core.clock.now()

    def put(tx: Transaction) -> list[WireObject]:
        shown: list[WireObject] = []
        for item in wanted:
            block = blocks.insert(tx, actor, author_of(actor), item.new_block().block(), now)
            deployments.add_block(tx, actor, block.id, item.origin())
            shown.append(wire_block(block) | asdict(item.origin()))
        return shown

    return await core.store.write(put)


@router.post("/_internal_templates/groups", response_model=GroupShape)
async def create_deployed_group(body: DeployedGroupIn, services: Services, actor: Actor) -> Response:
    """Make a group that belongs to a deployment."""
    group = replace(
        body.changed(Group(id=new_id("group"))),
        template_id=body.template_id,
        base_template_id=body.base_template_id,
        deployment_id=body.deployment_id,
    )
    return json_answer(wire_group(await services.store.write(grouping.create, actor, group, services.clock.now())))


@router.get("/_internal_templates/deployment/{deployment_id}", response_model=DeploymentShape)
async def list_deployment(
    deployment_id: DeploymentId,
    services: Services,
    actor: Actor,
    entity_types: Annotated[list[str] | None, Query(max_length=10)] = None,
) -> Response:
    """What belongs to a deployment."""
    found = await services.store.read(deployments.entities, actor, deployment_id)
    chosen = [item for item in found if entity_types is None or item.type in entity_types]
    shown = [asdict(item) | {"project_id": item.project_id or DEFAULT_PROJECT} for item in chosen]
    message = f"{len(shown)} entities belong to deployment {deployment_id}."
    return json_answer(
        {"entities": shown, "total_count": len(shown), "deployment_id": deployment_id, "message": message}
    )


@router.delete("/_internal_templates/deployment/{deployment_id}", response_model=DeploymentDeletedShape)
async def delete_deployment(deployment_id: DeploymentId, services: Services, actor: Actor) -> Response:
    """Delete the blocks, agents and groups of a deployment. The journal keeps what they were."""
    found = await services.store.read(deployments.entities, actor, deployment_id)
    deleted: WireObject = {
        f"deleted_{kind}s": [item.id for item in found if item.type == kind] for kind in ("block", "agent", "group")
    }
    for agent_id in [item.id for item in found if item.type == "agent"]:
        with suppress(NotFound):  # it went with another, or somebody was faster
            await forget_agent(services, actor, agent_id)
    now = services.clock.now()

    def clear(tx: Transaction) -> None:
        for item in deployments.entities(tx, actor, deployment_id):
            if item.type == "group":
                grouping.delete(tx, actor, item.id, now)
            elif item.type == "block":
                blocks.delete(tx, actor, author_of(actor), item.id, now)
        deployments.delete(tx, actor, deployment_id)

    await services.store.write(clear)
    return json_answer(deleted | {"message": f"What belonged to deployment {deployment_id} is deleted."})
