"""The memory of an agent: core memory, archival memory, and the context that it makes."""

from typing import Annotated, Any, Literal, cast

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from loci.agent import updating
from loci.agent.creating import author_of
from loci.api.agent_views import wire_one
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.contexts import wire_context
from loci.api.core import Actor, Services
from loci.api.parameters import AgentId, Attached, BlockId, Cursor, Limit, Moment, PassageId, page, page_of
from loci.api.requests_agents import Body, LongText, Names
from loci.api.routes.blocks import BlockChangeIn
from loci.api.shapes import BlockShape, PassageSearchShape, PassageShape
from loci.api.shapes_agents import AgentShape, ContextShape, MemoryShape, RepositoriesShape, SecretShape
from loci.api.shapes_apart import VariablesShape
from loci.api.wire_agents import GIT_TAG
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.api.wire_values import wire_block, wire_passage
from loci.errors import NotFound
from loci.ids import new_id
from loci.memory.archive import ArchiveQuery
from loci.store import agents, archives, attachments, blocks, deployments, passages
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.store.passages import PassageFilter
from loci.types import actor as actors
from loci.types.json import JsonObject
from loci.types.memory import Block, Passage
from loci.types.messages import Trust

router = new_router("agents")


def _held(tx: Transaction, actor: actors.Actor, agent_id: str) -> list[Block]:
    agents.get(tx, actor, agent_id)
    return blocks.blocks_of_agent(tx, actor, agent_id)


def _labelled(tx: Transaction, actor: actors.Actor, agent_id: str, label: str) -> Block:
    for block in _held(tx, actor, agent_id):
        if block.label == label:
            return block
    raise NotFound(f"Agent {agent_id} has no block with the label '{label}'.")


@router.get("/agents/{agent_id}/core-memory", response_model=MemoryShape)
async def retrieve_core_memory(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """The blocks of an agent, as older clients read them."""
    agent = await services.store.read(agents.get, actor, agent_id)
    held = await services.store.read(_held, actor, agent_id)
    memory: WireObject = {
        "blocks": [wire_block(block) for block in held],
        "file_blocks": [],
        "agent_type": agent.agent_type.value,
        "git_enabled": GIT_TAG in agent.tags,
        "prompt_template": "",
    }
    return json_answer(memory)


@router.get("/agents/{agent_id}/core-memory/variables", response_model=VariablesShape)
async def retrieve_variables(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """The words that the variables of a template were filled in with when the agent was made from it."""

    def read(tx: Transaction) -> dict[str, str]:
        return deployments.variables_of(tx, actor, agents.get(tx, actor, agent_id).deployment_id or "")

    return json_answer({"variables": {**await services.store.read(read)}})


@router.get("/agents/{agent_id}/core-memory/blocks", response_model=list[BlockShape])
async def list_agent_blocks(agent_id: AgentId, services: Services, actor: Actor, wanted: Attached) -> Response:
    """The blocks of an agent, in the order of attachment."""
    held = await services.store.read(_held, actor, agent_id)
    return json_answer([wire_block(block) for block in page_of(held, wanted)])


@router.patch("/agents/{agent_id}/core-memory/blocks/attach/{block_id}", response_model=AgentShape)
async def attach_block(agent_id: AgentId, block_id: BlockId, services: Services, actor: Actor) -> Response:
    """Put a block into the prompt of an agent."""
    place, now = Attachment(agent_id=agent_id, block_id=block_id), services.clock.now()
    await services.store.write(attachments.attach, actor, author_of(actor), place, now)
    return json_answer(await wire_one(services, actor, agent_id))


@router.patch("/agents/{agent_id}/core-memory/blocks/detach/{block_id}", response_model=AgentShape)
async def detach_block(agent_id: AgentId, block_id: BlockId, services: Services, actor: Actor) -> Response:
    """Take a block off an agent; the block stays."""
    place, now = Attachment(agent_id=agent_id, block_id=block_id), services.clock.now()
    await services.store.write(attachments.detach, actor, author_of(actor), place, now)
    return json_answer(await wire_one(services, actor, agent_id))


@router.get("/agents/{agent_id}/core-memory/blocks/{block_label:path}", response_model=BlockShape)
async def retrieve_agent_block(agent_id: AgentId, block_label: str, services: Services, actor: Actor) -> Response:
    """One block of an agent, by its label."""
    return json_answer(wire_block(await services.store.read(_labelled, actor, agent_id, block_label)))


@router.patch("/agents/{agent_id}/core-memory/blocks/{block_label:path}", response_model=BlockShape)
async def modify_agent_block(
    agent_id: AgentId, block_label: str, body: BlockChangeIn, services: Services, actor: Actor
) -> Response:
    """Change a block of an agent, by its label."""

    def change(tx: Transaction) -> Block:
        block = _labelled(tx, actor, agent_id, block_label)
        return blocks.update(tx, actor, author_of(actor), body.changed(block), services.clock.now())

    return json_answer(wire_block(await services.store.write(change)))


@router.post("/agents/{agent_id}/recompile", response_model=str)
@router.post("/agents/{agent_id}/system-prompt/recompile", response_model=str)
async def recompile_agent(agent_id: AgentId, services: Services, actor: Actor, dry_run: bool = False) -> Response:
    """Compile the system prompt anew; its text. A dry run only shows it."""
    now = services.clock.now()
    text = await services.store.write(updating.recompile_now, actor, agent_id, now=now, dry_run=dry_run)
    return json_answer(text)


class ResetIn(Body):
    """How to begin anew."""

    add_default_initial_messages: bool = False


@router.patch("/agents/{agent_id}/reset-messages", response_model=AgentShape)
async def reset_messages(agent_id: AgentId, services: Services, actor: Actor, body: ResetIn | None = None) -> Response:
    """Empty the window of an agent. What was said stays in recall memory."""
    first, now = bool(body and body.add_default_initial_messages), services.clock.now()
    await services.store.write(updating.reset, actor, agent_id, with_first=first, now=now)
    return json_answer(await wire_one(services, actor, agent_id))


@router.get("/agents/{agent_id}/secrets", response_model=list[SecretShape])
async def list_secrets(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """The secrets of an agent, as its tools are given them."""
    shown = await wire_one(services, actor, agent_id, frozenset({"agent.secrets"}))
    return json_answer(shown["secrets"])


@router.get("/agents/{agent_id}/repositories", response_model=RepositoriesShape)
async def list_repositories(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """The repositories that are attached to an agent: none, but coding clients ask at each start."""
    await services.store.read(agents.get, actor, agent_id)
    return json_answer({"repositories": []})


@router.get("/agents/{agent_id}/context", response_model=ContextShape)
async def retrieve_context(
    agent_id: AgentId, services: Services, actor: Actor, conversation_id: str | None = None
) -> Response:
    """What the model is shown, part by part, with what each costs in tokens."""
    return json_answer(await wire_context(services, actor, agent_id, conversation_id))


@router.get("/agents/{agent_id}/archival-memory", response_model=list[PassageShape])
async def list_passages(  # noqa: PLR0917  one argument for each query parameter
    agent_id: AgentId,
    services: Services,
    actor: Actor,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = None,
    search: str | None = None,
    ascending: bool = True,
) -> Response:
    """The notes of an agent, by time."""
    await services.store.read(agents.get, actor, agent_id)
    wanted = page(before, after, 100 if limit is None else limit, "asc" if ascending else "desc")
    found = await services.store.read(passages.listing, actor, PassageFilter(agent_id=agent_id, search=search), wanted)
    return json_answer([wire_passage(passage) for passage in found])


class PassageIn(Body):
    """A note to keep."""

    text: Annotated[LongText, Field(min_length=1)]
    tags: Names | None = None
    metadata: dict[str, Any] | None = None
    created_at: Moment | None = None

    def note(self, archive_id: str) -> Passage:
        """Our value."""
        return Passage(
            id=new_id("passage"),
            archive_id=archive_id,
            text=self.text,
            tags=tuple(self.tags or ()),
            metadata=cast("JsonObject", self.metadata or {}),
            created_at=self.created_at,
            trust=Trust.USER,
        )


@router.post("/agents/{agent_id}/archival-memory", response_model=list[PassageShape])
async def create_passage(agent_id: AgentId, body: PassageIn, services: Services, actor: Actor) -> Response:
    """Keep a note in the archive of an agent."""

    def keep(tx: Transaction) -> list[Passage]:
        now, author = services.clock.now(), author_of(actor)
        archive = archives.archive_to_write(tx, actor, author, agent_id, now)
        return passages.insert(tx, actor, author, archive.id, [body.note(archive.id)], now)

    return json_answer([wire_passage(passage) for passage in await services.store.write(keep)])


@router.get("/agents/{agent_id}/archival-memory/search", response_model=PassageSearchShape)
async def search_passages(  # noqa: PLR0917  one argument for each query parameter
    agent_id: AgentId,
    services: Services,
    actor: Actor,
    query: Annotated[str, Query(max_length=10_000)],
    tags: Annotated[list[str] | None, Query()] = None,
    tag_match_mode: Literal["any", "all"] = "any",
    top_k: Annotated[int | None, Query(ge=1, le=1_000)] = None,
    start_datetime: Moment | None = None,
    end_datetime: Moment | None = None,
) -> Response:
    """Find notes by meaning and words, the best first."""
    wanted = ArchiveQuery(
        text=query,
        tags=tuple(tags or ()),
        match_all_tags=tag_match_mode == "all",
        since=start_datetime,
        until=end_datetime,
        limit=top_k or 10,
    )
    found = await services.archive.search(actor, agent_id, wanted)
    results: list[WireObject] = [
        {
            "id": hit.passage.id,
            "timestamp": wire_moment(hit.passage.created_at),
            "content": hit.passage.text,
            "tags": list(hit.passage.tags),
        }
        for hit in found.hits
    ]
    return json_answer({"results": results, "count": len(results)})


@router.delete("/agents/{agent_id}/archival-memory/{passage_id}")
async def delete_passage(agent_id: AgentId, passage_id: PassageId, services: Services, actor: Actor) -> Response:
    """Forget a note; the journal keeps it."""

    def forget(tx: Transaction) -> None:
        agents.get(tx, actor, agent_id)
        held = {archive.id for archive in archives.archives_of_agent(tx, actor, agent_id)}
        if passages.get(tx, actor, passage_id).archive_id not in held:
            raise NotFound(f"Agent {agent_id} has no passage {passage_id}.")
        passages.delete(tx, actor, author_of(actor), passage_id, services.clock.now())

    await services.store.write(forget)
    return json_answer(None)
