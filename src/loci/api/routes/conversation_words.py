"""What a conversation is about: finding conversations by their summaries, and having a model put one into words."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Body as FromBody
from pydantic import BaseModel, Field
from starlette.responses import Response

from loci.agent.asking import ask
from loci.agent.prompts import summary_prompt
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import ConversationId
from loci.api.requests_agents import LIST_MAX, Body, LongText, Name
from loci.api.threads import thread_of
from loci.api.wire_conversations import wire_conversation
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import Content
from loci.errors import BadRequest, NotFound
from loci.store import agents, conversations, messages
from loci.store.base import Transaction
from loci.store.conversations import ConversationFilter
from loci.store.terms import words_of
from loci.types import actor as actors
from loci.types.agents import Conversation
from loci.types.messages import Message, Role
from loci.types.paging import PAGE_MAX_ROWS, Page

router = new_router("conversations")

LOOKED_THROUGH_MAX = 1_000
"""A search looks through so many conversations, those used last first."""
TRANSCRIPT_MAX_CHARS = 50_000


class ConversationSearchIn(Body):
    """What to look for in summaries and descriptions."""

    query: Annotated[LongText, Field(min_length=1)]
    agent_id: Name | None = None
    search_mode: Literal["vector", "fts", "hybrid"] | None = None
    search_target: Literal["summary", "description"] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class ConversationHitShape(BaseModel):
    """A conversation that was found, and the share of the words looked for that its text has."""

    embedded_text: str
    conversation: dict[str, Any]
    rrf_score: float


class SaidIn(Body):
    """Something that was said."""

    role: Name = "user"
    content: Content | None = None


class SummarizeIn(Body):
    """How to put a conversation into words. Without messages what is in its window is meant."""

    prompt: LongText | None = None
    messages: Annotated[list[SaidIn], Field(max_length=LIST_MAX)] | None = None
    model: Name | None = None
    agent_id: Name | None = None


class SummaryShape(BaseModel):
    """What the model made of it."""

    summary: str


@router.post("/conversations/search", response_model=list[ConversationHitShape])
async def search_conversations(
    body: Annotated[ConversationSearchIn, FromBody()], services: Services, actor: Actor
) -> Response:
    """Conversations by the words of what they are about, the best first."""
    found = await services.store.read(_search, actor, body)
    return json_answer(found)


def _search(tx: Transaction, actor: actors.Actor, body: ConversationSearchIn) -> list[WireObject]:
    wanted = set(words_of(body.query))
    chosen = ConversationFilter(agent_id=body.agent_id, archived=None, by_use=True)
    hits: list[tuple[float, str, Conversation]] = []
    for conversation in _looked_through(tx, actor, chosen):
        about = " ".join(part for part in (conversation.summary, conversation.description) if part)
        shared = len(wanted & set(words_of(about)))
        if shared:
            hits.append((shared / len(wanted), about, conversation))
    hits.sort(key=lambda hit: -hit[0])
    return [
        {"embedded_text": about, "conversation": wire_conversation(conversation, None), "rrf_score": score}
        for score, about, conversation in hits[: body.limit]
    ]


def _looked_through(tx: Transaction, actor: actors.Actor, chosen: ConversationFilter) -> list[Conversation]:
    found: list[Conversation] = []
    while len(found) < LOOKED_THROUGH_MAX:
        after = found[-1].id if found else None
        page = conversations.listing(tx, actor, chosen, Page(limit_rows=PAGE_MAX_ROWS, after=after))
        found += page
        if len(page) < PAGE_MAX_ROWS:
            break
    return found[:LOOKED_THROUGH_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What is to be summarised, and the model of the agent."""

    transcript: str
    handle: str


@router.post("/conversations/{conversation_id}/summarize", response_model=SummaryShape)
async def summarize_conversation(
    conversation_id: ConversationId, services: Services, actor: Actor, body: SummarizeIn | None = None
) -> Response:
    """Have a model say what a conversation is about, for example as a title. Nothing is stored."""
    wanted = body or SummarizeIn()
    about = await services.store.read(_about, actor, conversation_id, wanted)
    if not about.transcript:
        raise BadRequest("Nothing was said here yet.")
    handle = await _known(services, actor, wanted.model) or about.handle
    system = wanted.prompt or summary_prompt("all")
    answer = await ask(services.kit, actor, about.transcript, system=system, handle=handle)
    return json_answer({"summary": answer.text.strip()})


async def _known(core: Core, actor: actors.Actor, handle: str | None) -> str | None:
    """The model that the client would like, if there is one of that name: clients name those of their own hosts."""
    try:
        return None if handle is None else (await core.models.model(actor, handle)).info.handle
    except NotFound:
        return None


def _about(tx: Transaction, actor: actors.Actor, conversation_id: str, wanted: SummarizeIn) -> _About:
    thread = thread_of(tx, actor, conversation_id, wanted.agent_id)
    handle = thread.model or agents.get(tx, actor, thread.agent_id).model
    if wanted.messages is not None:
        lines = [f"{said.role}: {_words(said.content)}" for said in wanted.messages if _words(said.content)]
    else:
        lines = [f"{said.role.value}: {said.text}" for said in messages.window(tx, actor, thread) if _is_talk(said)]
    return _About(transcript="\n".join(lines)[-TRANSCRIPT_MAX_CHARS:], handle=handle)


def _words(content: Content | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text for part in content if part.text)


def _is_talk(message: Message) -> bool:
    return message.role in {Role.USER, Role.ASSISTANT} and bool(message.text.strip())
