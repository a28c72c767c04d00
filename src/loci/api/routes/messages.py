"""Messages of an agent: said, listed, cancelled, compacted."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.responses import Response

from loci.agent.kinds import SEND_MESSAGE
from loci.api.answers import json_answer, send, start
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.message_edits import EditIn, edited
from loci.api.message_pages import MessagePage, wire_page
from loci.api.parameters import AgentId, Cursor, Limit, MessageId, Order
from loci.api.requests_agents import CompactionIn
from loci.api.threads import MAIN_THREAD
from loci.api.wire_messages import View, WireObject, wire_list
from loci.api.wire_requests import MessageType, SendIn
from loci.api.wire_runs import wire_run
from loci.store import agents, approvals, conversations, messages
from loci.store.base import Transaction
from loci.store.messages import MessageFilter
from loci.types import actor as actors
from loci.types.agents import Conversation

router = new_router("messages")

DEFAULT_ROWS = 100


def asked_page(
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = None,
    order: Order | None = None,
    group_id: str | None = None,
    include_err: bool | None = None,
) -> MessagePage:
    """The page of messages that the query of a request asks for."""
    return MessagePage(
        order=order,
        before=before,
        after=after,
        limit_rows=DEFAULT_ROWS if limit is None else limit,
        group_id=group_id,
        failed=include_err is not False,
    )


def asked_view(
    use_assistant_message: bool = True,
    assistant_message_tool_name: str = SEND_MESSAGE,
    assistant_message_tool_kwarg: str = "message",
    include_return_message_types: Annotated[list[MessageType] | None, Query()] = None,
) -> View:
    """How the query of a request wants messages shown."""
    return View(
        use_assistant_message=use_assistant_message,
        speaking_tool=assistant_message_tool_name,
        speaking_argument=assistant_message_tool_kwarg,
        types=frozenset(include_return_message_types) if include_return_message_types else None,
    )


AskedPage = Annotated[MessagePage, Depends(asked_page)]
AskedView = Annotated[View, Depends(asked_view)]


class CancelIn(BaseModel):
    """Which runs to cancel; all of them when it names none."""

    run_ids: list[str] | None = None


class CompactIn(BaseModel):
    """How to compact; as the agent's settings say when it says nothing."""

    compaction_settings: CompactionIn | None = None


@router.post("/agents/{agent_id}/messages")
async def send_message(agent_id: AgentId, body: SendIn, services: Services, actor: Actor) -> Response:
    """Say something to an agent and get its answer: whole, or as a stream with `streaming`."""
    return await send(services, actor, agent_id, None, body, streaming=body.streaming is True)


@router.post("/agents/{agent_id}/messages/stream")
async def stream_message(agent_id: AgentId, body: SendIn, services: Services, actor: Actor) -> Response:
    """Say something to an agent and get its answer as a stream."""
    return await send(services, actor, agent_id, None, body, streaming=True)


@router.post("/agents/{agent_id}/messages/async")
async def begin_message(agent_id: AgentId, body: SendIn, services: Services, actor: Actor) -> Response:
    """Say something to an agent and get the run that works on it at once."""
    if body.callback_url is not None:
        await services.door.check(body.callback_url)
    behind = body.model_copy(update={"background": True})
    live = await start(services, actor, agent_id, None, behind, tokens=False)
    return json_answer(wire_run(live.run))


@router.get("/agents/{agent_id}/messages")
async def list_messages(
    agent_id: AgentId,
    services: Services,
    actor: Actor,
    page: AskedPage,
    view: AskedView,
    conversation_id: str | None = None,
) -> Response:
    """Messages of the agent's main thread, or of the conversation named."""
    return json_answer(await services.store.read(_of_agent, actor, agent_id, conversation_id, page, view))


def _of_agent(
    tx: Transaction, actor: actors.Actor, agent_id: str, conversation_id: str | None, page: MessagePage, view: View
) -> list[WireObject]:
    named = None if conversation_id == MAIN_THREAD else conversation_id
    if conversation_id is None and page.group_id is not None:
        agents.get(tx, actor, agent_id)
        return wire_page(tx, actor, MessageFilter(agent_id=agent_id), page, view)
    head = conversations.head(tx, actor, named or conversations.default_id(agent_id), agent_id)
    return page_of_thread(tx, actor, conversations.from_row(head), page, view)


def page_of_thread(
    tx: Transaction, actor: actors.Actor, conversation: Conversation, page: MessagePage, view: View
) -> list[WireObject]:
    """One page of a conversation, with what it inherited."""
    inherited = () if conversation.is_default else conversation.prefix
    chosen = MessageFilter(conversation_id=conversation.id, only_ids=inherited)
    return wire_page(tx, actor, chosen, page, view)


@router.patch("/agents/{agent_id}/messages/{message_id}", deprecated=True)
async def modify_message(
    agent_id: AgentId, message_id: MessageId, body: EditIn, services: Services, actor: Actor
) -> Response:
    """Change what a message of an agent says. What it said before stays in the journal, and can be brought back."""
    return await edited(services, actor, [agent_id], message_id, body)


@router.post("/agents/{agent_id}/messages/cancel")
async def cancel_messages(
    agent_id: AgentId, services: Services, actor: Actor, body: CancelIn | None = None
) -> dict[str, str]:
    """End the agent's runs, or those named."""
    await services.store.read(agents.get, actor, agent_id)
    return await services.runs.cancel(actor, agent_id, run_ids=body.run_ids if body else None)


@router.post("/agents/{agent_id}/summarize")
async def summarize_messages(
    agent_id: AgentId, services: Services, actor: Actor, body: CompactIn | None = None
) -> Response:
    """Compact the agent's main thread now."""
    return await compacted(services, actor, agent_id, None, body)


async def compacted(
    core: Core, actor: actors.Actor, agent_id: str, conversation_id: str | None, body: CompactIn | None
) -> Response:
    """Compact a thread and tell what came of it."""
    settings = body.compaction_settings if body else None
    chosen = None if settings is None else settings.settings()
    report = await core.runs.compact(actor, agent_id, conversation_id, chosen)
    return json_answer(
        {
            "summary": report.summary,
            "num_messages_before": report.messages_before,
            "num_messages_after": report.messages_after,
        }
    )


@router.get("/messages")
async def list_all_messages(
    services: Services,
    actor: Actor,
    page: AskedPage,
    view: AskedView,
    conversation_id: str | None = None,
) -> Response:
    """Messages of all agents, or of the conversation named."""
    chosen = MessageFilter(conversation_id=conversation_id)
    return json_answer(await services.store.read(wire_page, actor, chosen, page, view))


@router.get("/messages/{message_id}")
async def get_message(message_id: MessageId, services: Services, actor: Actor) -> Response:
    """All that one stored message says, as a list."""
    return json_answer(await services.store.read(_one, actor, message_id))


def _one(tx: Transaction, actor: actors.Actor, message_id: str) -> list[WireObject]:
    message = messages.get(tx, actor, message_id)
    asked = approvals.asked(tx, actor, [message.run_id]) if message.run_id and message.tool_calls else ()
    return wire_list([message], View(), asked)
