"""Blocks: core memory on its own, to be held by any number of agents."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Query
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.agent_views import wire_agents
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import BlockId, Included, NewestFirst, Number, OldestFirst, People
from loci.api.requests_agents import BlockFields, BlockIn, Count, Label, LongText
from loci.api.shapes import BlockShape, DeletedBlockShape
from loci.api.shapes_agents import AgentShape
from loci.api.wire_values import wire_block
from loci.store import agents, blocks
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.store.blocks import BlockFilter
from loci.types.memory import Block

router = new_router("blocks")


class BlockChangeIn(BlockFields):
    """What a block shall become; what is not named stays."""

    label: Label | None = None
    value: LongText | None = None

    def changed(self, block: Block) -> Block:
        """The block with what is named."""
        given: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "label",
                "value",
                "description",
                "read_only",
                "hidden",
                "metadata",
                "template_name",
                "is_template",
                "project_id",
            )
            if name in self.model_fields_set and (getattr(self, name) is not None or name in ("description", "hidden"))
        }
        if self.limit is not None:
            given["limit_chars"] = self.limit
        if self.tags is not None:
            given["tags"] = tuple(self.tags)
        return replace(block, **given)


def _filter(  # noqa: PLR0917  one argument for each query parameter
    attached_to: People,
    label: str | None = None,
    templates_only: bool = False,
    name: str | None = None,
    project_id: str | None = None,
    read_only: bool | None = None,
    label_search: str | None = None,
    description_search: str | None = None,
    value_search: str | None = None,
    tags: Annotated[list[str] | None, Query()] = None,
    match_all_tags: bool = False,
    show_hidden_blocks: bool = False,
    connected_to_agents_count_gt: Number | None = None,
    connected_to_agents_count_lt: Number | None = None,
    connected_to_agents_count_eq: Annotated[list[Count] | None, Query(max_length=100)] = None,
) -> BlockFilter:
    return BlockFilter(
        label=label,
        templates_only=templates_only,
        template_name=name,
        project_id=project_id,
        read_only=read_only,
        label_search=label_search,
        description_search=description_search,
        value_search=value_search,
        tags=tuple(tags or ()),
        match_all_tags=match_all_tags,
        include_hidden=show_hidden_blocks,
        connected_to_agents_count_gt=connected_to_agents_count_gt,
        connected_to_agents_count_lt=connected_to_agents_count_lt,
        connected_to_agents_count_eq=tuple(connected_to_agents_count_eq or ()),
        attached_to=attached_to,
    )


Chosen = Annotated[BlockFilter, Depends(_filter)]


@router.get("/blocks", response_model=list[BlockShape])
async def list_blocks(services: Services, actor: Actor, page: OldestFirst, chosen: Chosen) -> Response:
    """Blocks, the oldest first unless asked otherwise."""
    found = await services.store.read(blocks.listing, actor, chosen, page)
    return json_answer([wire_block(block) for block in found])


@router.post("/blocks", response_model=BlockShape)
async def create_block(body: BlockIn, services: Services, actor: Actor) -> Response:
    """Make a block; it is attached to nobody."""
    block = body.new_block().block()
    now = services.clock.now()
    return json_answer(wire_block(await services.store.write(blocks.insert, actor, author_of(actor), block, now)))


@router.get("/blocks/count", response_model=int)
async def count_blocks(services: Services, actor: Actor, chosen: Chosen) -> Response:
    """How many blocks there are."""
    return json_answer(await services.store.read(blocks.count, actor, chosen))


@router.get("/blocks/{block_id}", response_model=BlockShape)
async def retrieve_block(block_id: BlockId, services: Services, actor: Actor) -> Response:
    """One block."""
    return json_answer(wire_block(await services.store.read(blocks.get, actor, block_id)))


@router.patch("/blocks/{block_id}", response_model=BlockShape)
async def modify_block(block_id: BlockId, body: BlockChangeIn, services: Services, actor: Actor) -> Response:
    """Change a block. Every agent that holds it sees the change from its next step on."""

    def change(tx: Transaction) -> Block:
        block = blocks.get(tx, actor, block_id)
        return blocks.update(tx, actor, author_of(actor), body.changed(block), services.clock.now())

    return json_answer(wire_block(await services.store.write(change)))


@router.delete("/blocks/{block_id}", response_model=DeletedBlockShape)
async def delete_block(block_id: BlockId, services: Services, actor: Actor) -> Response:
    """Delete a block and take it off every agent; who held it."""
    now = services.clock.now()
    holders = await services.store.write(blocks.delete, actor, author_of(actor), block_id, now)
    return json_answer({"message": f"Block id={block_id} successfully deleted", "detached_from": list(holders)})


@router.get("/blocks/{block_id}/agents", response_model=list[AgentShape])
async def list_block_agents(
    block_id: BlockId, services: Services, actor: Actor, page: NewestFirst, included: Included
) -> Response:
    """The agents that hold a block."""
    await services.store.read(blocks.get, actor, block_id)
    chosen = AgentFilter(block_id=block_id, show_hidden=True)
    found = await services.store.read(agents.listing, actor, chosen, page)
    return json_answer(await wire_agents(services, actor, found, included))
