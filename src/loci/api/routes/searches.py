"""Searching what was said, by words and by meaning, with one agent or with all; and asking a model one thing."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Body as FromBody
from pydantic import BaseModel, Field
from starlette.responses import Response

from loci.agent.asking import ask
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import AgentId, Moment
from loci.api.requests_agents import Body, LongText, Name
from loci.api.wire_events import wire_usage
from loci.api.wire_messages import WireObject, wire_time
from loci.api.wire_stored import wire_stored
from loci.memory.recall import RecallHit, RecallQuery
from loci.store import agents
from loci.store.agents import AgentFilter
from loci.types import actor as actors
from loci.types.messages import Role

router = new_router("messages")

SearchMode = Literal["vector", "fts", "hybrid"]
SpokenRole = Literal["user", "assistant", "tool", "function", "system"]
SEARCHED = (Role.USER, Role.ASSISTANT)


class MessageSearchIn(BaseModel):
    """What to look for. Without a query the newest messages are found."""

    query: LongText | None = None
    search_mode: SearchMode = "hybrid"
    agent_id: Name | None = None
    conversation_id: Name | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    start_date: Moment | None = None
    end_date: Moment | None = None


class ScoredSearchIn(MessageSearchIn):
    """The same, of speakers that are named."""

    roles: Annotated[list[SpokenRole], Field(max_length=5)] | None = None
    project_id: Name | None = None
    template_id: Name | None = None


class SearchHitShape(BaseModel):
    """A message that was found."""

    embedded_text: str
    message: dict[str, Any]
    fts_rank: int | None
    vector_rank: int | None
    rrf_score: float


class FoundShape(BaseModel):
    """A message that was found, as it was said."""

    message_type: Literal["user_message", "assistant_message"]
    content: str
    message_id: str
    agent_id: str
    conversation_id: str
    created_at: str


@router.post("/agents/messages/search", response_model=list[SearchHitShape])
async def search_messages_scored(
    body: Annotated[ScoredSearchIn, FromBody()], services: Services, actor: Actor
) -> Response:
    """Messages of all agents, or of one, the best first, each with how well it fits (0 to 1)."""
    roles = (
        SEARCHED if body.roles is None else tuple(Role("tool" if role == "function" else role) for role in body.roles)
    )
    chosen = AgentFilter(project_id=body.project_id, template_id=body.template_id)
    return json_answer([_scored(hit) for hit in await _search(services, actor, body, roles, chosen)])


@router.post("/messages/search", response_model=list[FoundShape])
async def search_messages(body: Annotated[MessageSearchIn, FromBody()], services: Services, actor: Actor) -> Response:
    """Messages of all agents, or of one, the best first."""
    return json_answer([_found(hit) for hit in await _search(services, actor, body, SEARCHED, AgentFilter())])


async def _search(
    core: Core, actor: actors.Actor, body: MessageSearchIn, roles: tuple[Role, ...], chosen: AgentFilter
) -> tuple[RecallHit, ...]:
    query = RecallQuery(
        text=body.query or "",
        roles=roles,
        since=body.start_date,
        until=body.end_date,
        conversation_id=body.conversation_id,
        limit=body.limit,
        by_words=body.search_mode != "vector",
        by_meaning=body.search_mode != "fts",
    )
    if body.agent_id is not None:
        await core.store.read(agents.get, actor, body.agent_id)
        chosen = replace(chosen, ids=(body.agent_id,))
    return (await core.recall.search_all(actor, query, chosen)).hits


def _scored(hit: RecallHit) -> WireObject:
    return {
        "embedded_text": hit.text,
        "message": wire_stored(hit.message),
        "fts_rank": hit.words_rank,
        "vector_rank": hit.likeness_rank,
        "rrf_score": hit.score,
    }


def _found(hit: RecallHit) -> WireObject:
    message = hit.message
    return {
        "message_type": f"{message.role.value}_message",
        "content": hit.text,
        "message_id": message.id,
        "agent_id": message.agent_id,
        "conversation_id": message.conversation_id,
        "created_at": wire_time(message.created_at),
    }


class WarmIn(Body):
    """What will be searched."""

    collection: Name = "messages"


class WarmedShape(BaseModel):
    """That the search is ready."""

    collection: str
    status: str
    warmed: bool


@router.post("/_internal_search/cache-warm", response_model=WarmedShape)
async def warm_search(services: Services, actor: Actor, body: WarmIn | None = None) -> Response:
    """Index what was said since the last search, so that the next one does not wait for it."""
    await services.recall.search_all(actor, RecallQuery(limit=1, by_meaning=False), AgentFilter())
    return json_answer({"collection": (body or WarmIn()).collection, "status": "ready", "warmed": True})


class GenerateIn(Body):
    """A question to the model of an agent."""

    prompt: Annotated[LongText, Field(min_length=1)]
    system_prompt: LongText | None = None
    override_model: Name | None = None
    response_schema: dict[str, Any] | None = None


class GeneratedShape(BaseModel):
    """What the model said."""

    content: str
    model: str
    usage: dict[str, Any]


@router.post("/agents/{agent_id}/generate", response_model=GeneratedShape)
async def generate(
    agent_id: AgentId, body: Annotated[GenerateIn, FromBody()], services: Services, actor: Actor
) -> Response:
    """Ask the agent's model, or another one, without the agent: nothing is remembered and no tool is offered."""
    agent = await services.store.read(agents.get, actor, agent_id)
    schema = body.response_schema
    wanted = None if schema is None else {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    answer = await ask(
        services.kit,
        actor,
        body.prompt,
        system=body.system_prompt or "",
        handle=body.override_model or agent.model,
        response_format=wanted,
    )
    usage: WireObject = {**wire_usage(answer.usage, "", 1, None), "run_ids": []}
    return json_answer({"content": answer.text, "model": answer.handle, "usage": usage})
