"""Conversations: further threads of an agent, each with its own messages in its window."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field
from starlette.responses import Response

from loci.agent.apart import blocks_named, create_thread
from loci.agent.creating import NewAgent, author_of, planned, put
from loci.agent.forking import fork
from loci.agent.settings import merged
from loci.agent.updating import recompile_now
from loci.api.answers import json_answer, send
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.message_pages import MessagePage
from loci.api.parameters import ConversationId, NewestFirst
from loci.api.requests_agents import INTEGER_MAX, Body, LongText, Name, Names
from loci.api.routes.agents import forget_agent
from loci.api.routes.messages import AskedPage, AskedView, CompactIn, compacted, page_of_thread
from loci.api.routes.runs import StreamIn, told_again
from loci.api.threads import thread_of
from loci.api.wire_conversations import wire_conversation
from loci.api.wire_messages import View, WireObject
from loci.api.wire_requests import SendIn
from loci.errors import BadRequest, NotFound
from loci.ids import new_id
from loci.store import agents, conversations, messages, runs
from loci.store.base import Transaction
from loci.store.conversations import ConversationChange, ConversationFilter
from loci.store.runs import RunFilter
from loci.types import actor as actors
from loci.types.agents import Conversation, ModelSettings
from loci.types.json import JsonObject
from loci.types.paging import Page

router = new_router("conversations")

ArchiveStatus = Literal["unarchived", "archived", "all"]
ConversationOrder = Literal["created_at", "last_run_completion", "last_message_at"]


class ConversationIn(Body):
    """A new conversation, or what to change of one. A null takes away what was set."""

    summary: LongText | None = None
    description: LongText | None = None
    model: Name | None = None
    model_settings: dict[str, Any] | None = None
    context_window_limit: Annotated[int, Field(ge=1, le=INTEGER_MAX)] | None = None
    isolated_block_labels: Names | None = None
    hidden: bool | None = None
    archived: bool | None = None


class CompactThreadIn(CompactIn):
    """How to compact, and which agent is meant by the main thread."""

    agent_id: str | None = None


class CancelThreadIn(BaseModel):
    """Which agent is meant by the main thread."""

    agent_id: str | None = None


@router.post("/conversations")
async def create_conversation(
    services: Services, actor: Actor, agent_id: str, body: ConversationIn | None = None
) -> Response:
    """Begin another thread of an agent, with copies of some of its blocks for itself if asked for."""
    wanted = body or ConversationIn()
    settings = _checked(wanted)
    now = services.clock.now()
    conversation = Conversation(
        id=new_id("conv"),
        agent_id=agent_id,
        is_default=False,
        summary=wanted.summary,
        description=wanted.description,
        model=wanted.model,
        model_settings=settings,
        window_tokens=wanted.context_window_limit,
        hidden=wanted.hidden,
        created_at=now,
    )
    made = await services.store.write(_create, actor, conversation, wanted.isolated_block_labels or (), now)
    return json_answer(wire_conversation(made, []))


EPHEMERAL = "Ephemeral conversation"


class EphemeralIn(ConversationIn):
    """A conversation without an agent that lasts: what an agent would bring."""

    system: LongText = ""


@router.post("/conversations/ephemeral")
async def create_ephemeral_conversation(body: EphemeralIn, services: Services, actor: Actor) -> Response:
    """Begin a conversation with no memory but its own: a hidden agent without blocks and tools stands behind it."""
    if body.model is not None:
        await services.models.model(actor, body.model)
    wanted = NewAgent(
        name=EPHEMERAL,
        system=body.system,
        model=body.model,
        model_settings=merged(ModelSettings(), body.model_settings or {}),
        context_window_tokens=body.context_window_limit,
        include_base_tools=False,
        first_messages=(),
        hidden=True,
        metadata={"ephemeral": True},
    )
    agent = await planned(services.kit, actor, wanted)
    now = services.clock.now()
    thread = Conversation(
        id=new_id("conv"),
        agent_id=agent.id,
        is_default=False,
        summary=body.summary,
        description=body.description,
        model=agent.model,
        hidden=body.hidden,
        created_at=now,
    )

    def made(tx: Transaction) -> Conversation:
        put(tx, actor, author_of(actor), wanted, agent)
        return create_thread(tx, actor, thread, (), now)

    return json_answer({**wire_conversation(await services.store.write(made), []), "agent_id": None})


def _checked(body: ConversationIn) -> JsonObject | None:
    """The settings of the model, if a model can be asked with them. Raises Unprocessable."""
    settings = cast("JsonObject | None", body.model_settings)
    if settings is not None:
        merged(ModelSettings(), settings)
    return settings


def _create(
    tx: Transaction, actor: actors.Actor, conversation: Conversation, labels: Sequence[str], now: datetime
) -> Conversation:
    agents.get(tx, actor, conversation.agent_id)
    copied = blocks_named(tx, actor, conversation.agent_id, labels)
    return create_thread(tx, actor, conversation, copied, now)


@router.get("/conversations")
async def list_conversations(
    services: Services,
    actor: Actor,
    page: NewestFirst,
    agent_id: str | None = None,
    *,
    summary_search: str | None = None,
    archive_status: ArchiveStatus = "unarchived",
    order_by: ConversationOrder = "created_at",
) -> Response:
    """Conversations by time, the newest first."""
    chosen = ConversationFilter(
        agent_id=agent_id,
        search=summary_search,
        archived=None if archive_status == "all" else archive_status == "archived",
        by_use=order_by != "created_at",
    )
    found = await services.store.read(conversations.listing, actor, chosen, page)
    return json_answer([wire_conversation(conversation, None) for conversation in found])


@router.get("/conversations/{conversation_id}")
async def get_conversation(
    conversation_id: ConversationId, services: Services, actor: Actor, agent_id: str | None = None
) -> Response:
    """One conversation, with the ids of the messages in its window."""
    return json_answer(await services.store.read(_shown, actor, conversation_id, agent_id))


def _shown(tx: Transaction, actor: actors.Actor, conversation_id: str, agent_id: str | None) -> WireObject:
    conversation = thread_of(tx, actor, conversation_id, agent_id)
    return wire_conversation(conversation, conversations.window_ids(tx, actor, conversation))


@router.patch("/conversations/{conversation_id}")
async def update_conversation(
    conversation_id: ConversationId, body: ConversationIn, services: Services, actor: Actor, agent_id: str | None = None
) -> Response:
    """Change what a person may set of a conversation."""
    found = await services.store.read(thread_of, actor, conversation_id, agent_id)
    return json_answer(await services.store.write(_update, actor, found.id, body, services))


def _update(tx: Transaction, actor: actors.Actor, conversation_id: str, body: ConversationIn, core: Core) -> WireObject:
    given, now = body.model_fields_set, core.clock.now()
    change = ConversationChange()
    if "summary" in given:
        change["summary"] = body.summary
    if "description" in given:
        change["description"] = body.description
    if "model" in given:
        change["model"] = body.model
    if "model_settings" in given:
        change["model_settings"] = _checked(body)
    if "context_window_limit" in given:
        change["window_tokens"] = body.context_window_limit
    if body.hidden is not None:
        change["hidden"] = body.hidden
    if body.archived is not None:
        change["archived_at"] = now if body.archived else None
    conversations.update(tx, actor, conversation_id, change, now)
    return _shown(tx, actor, conversation_id, None)


@router.delete("/conversations/{conversation_id}")
async def delete_conversation(conversation_id: ConversationId, services: Services, actor: Actor) -> Response:
    """Put a conversation away: no list and no search shows it, and nothing that was said in it is lost. With the last
    one of a hidden agent that stands behind ephemeral conversations, that agent is forgotten.
    """
    agent_id = await services.store.write(_put_away, actor, conversation_id, services.clock.now())
    if agent_id is not None:
        await forget_agent(services, actor, agent_id)
    return json_answer(None)


def _put_away(tx: Transaction, actor: actors.Actor, conversation_id: str, now: datetime) -> str | None:
    agent = agents.get(tx, actor, conversations.get(tx, actor, conversation_id).agent_id)
    conversations.delete(tx, actor, conversation_id, now)
    made_for_it = agent.hidden and agent.metadata.get("ephemeral") is True and agent.name == EPHEMERAL
    return agent.id if made_for_it and not conversations.count_open(tx, actor, agent.id) else None


@router.post("/conversations/{conversation_id}/restore")
async def restore_conversation(conversation_id: ConversationId, services: Services, actor: Actor) -> Response:
    """Bring back a conversation that was deleted."""
    return json_answer(
        wire_conversation(await services.store.write(conversations.restore, actor, conversation_id), None)
    )


@router.post("/conversations/{conversation_id}/fork")
async def fork_conversation(
    conversation_id: ConversationId,
    services: Services,
    actor: Actor,
    agent_id: str | None = None,
    message_id: str | None = None,
    hidden: bool | None = None,
) -> Response:
    """Begin another thread with what is in the window of this one, up to a message of it."""
    chosen = (conversation_id, agent_id, message_id, hidden)
    return json_answer(await services.store.write(_fork, actor, chosen, services))


def _fork(
    tx: Transaction, actor: actors.Actor, chosen: tuple[str, str | None, str | None, bool | None], core: Core
) -> WireObject:
    conversation_id, agent_id, message_id, hidden = chosen
    source = thread_of(tx, actor, conversation_id, agent_id)
    made = fork(tx, actor, source, now=core.clock.now(), through_message_id=message_id, hidden=hidden)
    return wire_conversation(made, list(made.prefix))


@router.post("/conversations/{conversation_id}/recompile", response_model=str)
async def recompile_conversation(
    conversation_id: ConversationId,
    services: Services,
    actor: Actor,
    agent_id: str | None = None,
    dry_run: bool = False,
) -> Response:
    """Compile the prompt of a conversation anew; its text. A dry run changes nothing."""
    found = await services.store.read(thread_of, actor, conversation_id, agent_id)
    text = await services.store.write(
        recompile_now, actor, found.agent_id, found.id, now=services.clock.now(), dry_run=dry_run
    )
    return json_answer(text)


@router.get("/conversations/{conversation_id}/messages")
async def list_conversation_messages(
    conversation_id: ConversationId,
    services: Services,
    actor: Actor,
    page: AskedPage,
    view: AskedView,
    agent_id: str | None = None,
) -> Response:
    """Messages of a conversation."""
    return json_answer(await services.store.read(_messages, actor, conversation_id, agent_id, page, view))


def _messages(
    tx: Transaction, actor: actors.Actor, conversation_id: str, agent_id: str | None, page: MessagePage, view: View
) -> list[WireObject]:
    return page_of_thread(tx, actor, thread_of(tx, actor, conversation_id, agent_id), page, view)


@router.post("/conversations/{conversation_id}/messages")
async def send_conversation_message(conversation_id: str, body: SendIn, services: Services, actor: Actor) -> Response:
    """Say something in a conversation; the answer is a stream unless `streaming` is false."""
    found = await services.store.read(thread_of, actor, conversation_id, body.agent_id)
    return await send(services, actor, found.agent_id, found.id, body, streaming=body.streaming is not False)


@router.post("/conversations/{conversation_id}/stream")
async def stream_conversation(
    conversation_id: ConversationId, services: Services, actor: Actor, body: StreamIn | None = None
) -> Response:
    """Tell the stream of the run that is active here again, or of the run that took in a message, known by its otid."""
    wanted = body or StreamIn()
    run_id = wanted.run_id or await services.store.read(_run_of, actor, conversation_id, wanted)
    return await told_again(services, actor, run_id, wanted)


def _run_of(tx: Transaction, actor: actors.Actor, conversation_id: str, wanted: StreamIn) -> str:
    found = thread_of(tx, actor, conversation_id, wanted.agent_id)
    if wanted.otid is not None:
        message = messages.by_otid(tx, found.id, wanted.otid)
        if message is None or message.run_id is None:
            raise NotFound(f"No run took in a message with the otid '{wanted.otid}'.")
        return message.run_id
    if found.busy_run_id is not None:
        return found.busy_run_id
    chosen = RunFilter(conversation_id=found.id, background=True)
    latest = runs.listing(tx, actor, chosen, Page(limit_rows=1))
    if not latest:
        raise BadRequest("No run is active in this conversation.")
    return latest[0].id


@router.post("/conversations/{conversation_id}/cancel")
async def cancel_conversation(
    conversation_id: ConversationId,
    services: Services,
    actor: Actor,
    agent_id: str | None = None,
    body: CancelThreadIn | None = None,
) -> dict[str, str]:
    """End the run that is active in a conversation."""
    found = await services.store.read(thread_of, actor, conversation_id, agent_id or (body.agent_id if body else None))
    return await services.runs.cancel(actor, found.agent_id, conversation_id=found.id)


@router.post("/conversations/{conversation_id}/compact")
async def compact_conversation(
    conversation_id: ConversationId, services: Services, actor: Actor, body: CompactThreadIn | None = None
) -> Response:
    """Compact a conversation now."""
    found = await services.store.read(thread_of, actor, conversation_id, body.agent_id if body else None)
    return await compacted(services, actor, found.agent_id, found.id, body)
