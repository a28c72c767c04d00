"""Conversations: further threads of an agent, each with its own messages in its window."""

from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from loci.agent.forking import fork
from loci.agent.updating import recompile_now
from loci.api.answers import json_answer, send
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.message_pages import MessagePage
from loci.api.parameters import ConversationId, NewestFirst
from loci.api.routes.messages import AskedPage, AskedView, CompactIn, compacted, page_of_thread
from loci.api.routes.runs import StreamIn, told_again
from loci.api.threads import thread_of
from loci.api.wire_conversations import wire_conversation
from loci.api.wire_messages import View, WireObject
from loci.api.wire_requests import SendIn
from loci.errors import BadRequest, NotAvailable, NotFound
from loci.ids import new_id
from loci.store import agents, conversations, messages, runs
from loci.store.base import Transaction
from loci.store.conversations import ConversationChange
from loci.store.runs import RunFilter
from loci.types import actor as actors
from loci.types.agents import Conversation
from loci.types.paging import Page

router = new_router("conversations")


class ConversationIn(BaseModel):
    """A new conversation, or what to change of one."""

    summary: str | None = None
    model: str | None = None
    model_settings: dict[str, Any] | None = None
    isolated_block_labels: list[str] | None = None
    hidden: bool | None = None


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
    """Begin another thread of an agent."""
    wanted = body or ConversationIn()
    if wanted.isolated_block_labels:
        raise NotAvailable("Blocks that belong to one conversation alone cannot be made yet.")
    conversation = Conversation(
        id=new_id("conv"),
        agent_id=agent_id,
        is_default=False,
        summary=wanted.summary,
        model=wanted.model,
        model_settings=wanted.model_settings,
        hidden=wanted.hidden,
        created_at=services.clock.now(),
        updated_at=services.clock.now(),
        created_by=actor.user_id,
    )
    await services.store.write(_create, actor, conversation)
    return json_answer(wire_conversation(conversation, []))


def _create(tx: Transaction, actor: actors.Actor, conversation: Conversation) -> None:
    agents.get(tx, actor, conversation.agent_id)
    conversations.insert(tx, actor, conversation)


@router.get("/conversations")
async def list_conversations(
    services: Services,
    actor: Actor,
    page: NewestFirst,
    agent_id: str | None = None,
    summary_search: str | None = None,
) -> Response:
    """Conversations by time, the newest first."""
    found = await services.store.read(conversations.listing, actor, agent_id, summary_search, page)
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
async def update_conversation(conversation_id: str, body: ConversationIn, services: Services, actor: Actor) -> Response:
    """Change what a person may set of a conversation."""
    return json_answer(await services.store.write(_update, actor, conversation_id, body, services))


def _update(tx: Transaction, actor: actors.Actor, conversation_id: str, body: ConversationIn, core: Core) -> WireObject:
    change = ConversationChange(
        summary=body.summary, model=body.model, model_settings=body.model_settings, hidden=body.hidden
    )
    conversations.update(tx, actor, conversation_id, change, core.clock.now())
    return _shown(tx, actor, conversation_id, None)


@router.delete("/conversations/{conversation_id}")
async def delete_conversation(conversation_id: ConversationId, services: Services, actor: Actor) -> Response:
    """Forget a conversation with its messages."""
    await services.store.write(conversations.delete, actor, conversation_id)
    return json_answer(None)


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
    found = thread_of(tx, actor, conversation_id, agent_id)
    return page_of_thread(tx, actor, found.id, page, view)


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
