"""Second names of routes, under which some clients ask: the same handlers, the same answers."""

from dataclasses import replace

from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.routes.agent_memory import modify_agent_block
from loci.api.routes.agents import Chosen
from loci.api.routes.blocks import create_block, delete_block, list_block_agents, list_blocks
from loci.api.routes.runs import list_runs
from loci.api.shapes import BlockShape, DeletedBlockShape
from loci.api.shapes_agents import AgentShape
from loci.store import agents

router = new_router("internal")


@router.get("/_internal_agents/count", response_model=int)
async def count_all_agents(services: Services, actor: Actor, chosen: Chosen, exclude_hidden: bool = True) -> Response:
    """How many agents there are, the hidden ones too if they are wanted."""
    chosen = replace(chosen, show_hidden=chosen.show_hidden or not exclude_hidden)
    return json_answer(await services.store.read(agents.count, actor, chosen))


router.patch("/_internal_agents/{agent_id}/core-memory/blocks/{block_label:path}", response_model=BlockShape)(
    modify_agent_block
)
router.get("/_internal_blocks", response_model=list[BlockShape])(list_blocks)
router.post("/_internal_blocks", response_model=BlockShape)(create_block)
router.delete("/_internal_blocks/{block_id}", response_model=DeletedBlockShape)(delete_block)
router.get("/_internal_blocks/{block_id}/agents", response_model=list[AgentShape])(list_block_agents)
router.get("/_internal_runs")(list_runs)
