"""Agents for clients that speak OpenAI's chat completions: `model` is the id or the name of an agent.

An agent remembers by itself, so only the newest user message of a request is taken; the rest of its list is what the
client believes was said. The agent's own tools run on the server and are not told.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field
from starlette.responses import Response

from loci.agent.runs import LiveRun
from loci.api.answers import heard, json_answer, start
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.errors import KEPT, error_answer
from loci.api.parameters import AgentId
from loci.api.requests_agents import LIST_MAX, Body, LongText, Name
from loci.api.sse import EventStream, frame
from loci.api.wire_events import RunTeller, Telling
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import ContentIn, MessageIn, SendIn
from loci.errors import Conflict, LociError, ModelFailure, NotFound, Unprocessable
from loci.ids import is_id
from loci.store import agents
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.events import RunEnded
from loci.types.paging import Page
from loci.types.runs import Ending, StopReason

router = new_router("chat completions")

_FINISH = {StopReason.MAX_TOKENS_EXCEEDED: "length", StopReason.MAX_STEPS: "length"}


class PartIn(Body):
    """A part of a message."""

    type: str = "text"
    text: LongText | None = None
    image_url: dict[str, Any] | None = None


class TurnIn(Body):
    """A message of the client's list."""

    role: str
    content: LongText | Annotated[list[PartIn], Field(max_length=LIST_MAX)] | None = None


class StreamOptionsIn(Body):
    """How to stream."""

    include_usage: bool | None = None


class CompletionIn(Body):
    """A request for a completion; what only a model could heed is ignored."""

    model: Name
    messages: Annotated[list[TurnIn], Field(min_length=1, max_length=100_000)]
    stream: bool | None = False
    stream_options: StreamOptionsIn | None = None


@router.post("/chat/completions")
async def create_chat_completion(body: CompletionIn, services: Services, actor: Actor) -> Response:
    """Say the newest user message to the agent that `model` names, and get its answer in OpenAI's shape."""
    try:
        agent_id = await services.store.read(_agent_id, actor, body.model)
        return await _completed(services, actor, agent_id, body)
    except LociError as error:
        return _refused(error)


@router.post("/voice-beta/{agent_id}/chat/completions", deprecated=True)
async def create_voice_completion(agent_id: AgentId, body: CompletionIn, services: Services, actor: Actor) -> Response:
    """The same for the agent in the path."""
    try:
        return await _completed(services, actor, agent_id, body)
    except LociError as error:
        return _refused(error)


def _agent_id(tx: Transaction, actor: actors.Actor, model: str) -> str:
    if is_id(model, "agent"):
        return agents.get(tx, actor, model).id
    found = agents.listing(tx, actor, AgentFilter(name=model, show_hidden=True), Page(limit_rows=2))
    if not found:
        raise NotFound(f"There is no agent '{model}'.", hint="Set 'model' to the id or the name of an agent.")
    if len(found) > 1:
        raise Conflict(f"Several agents are called '{model}'.", hint="Set 'model' to the id of one of them.")
    return found[0].id


async def _completed(core: Core, actor: actors.Actor, agent_id: str, body: CompletionIn) -> Response:
    streaming = body.stream is True
    asked = SendIn(messages=[_newest(body.messages)])
    live = await start(core, actor, agent_id, None, asked, tokens=streaming)
    telling = Telling(tokens=streaming, thinks_in_calls=live.thinks_in_calls)
    teller = RunTeller(live.run.id, telling, core.clock.now)
    created = int(core.clock.now().timestamp())
    if streaming:
        usage = body.stream_options is not None and body.stream_options.include_usage is True
        return EventStream(_chunks(live, teller, body.model, created, usage=usage), core.clock, None)
    told, end = await heard(live, teller.tell)
    if end.ending.error_type is not None:
        return error_answer(end.ending.status_code, _failure(end.ending), KEPT)
    said = "\n".join(filter(None, map(_text, told)))
    message: WireObject = {"role": "assistant", "content": said, "refusal": None}
    choice: WireObject = {"index": 0, "message": message, "finish_reason": _finish(end.ending), "logprobs": None}
    head = _head(live, body.model, created, "chat.completion")
    return json_answer({**head, "choices": [choice], "usage": _usage(end)})


def _newest(given: list[TurnIn]) -> MessageIn:
    """The newest user message, as one for the agent. Raises Unprocessable."""
    turn = next((item for item in reversed(given) if item.role == "user"), None)
    if turn is None or not turn.content:
        raise Unprocessable("There is no message of role 'user' with content among 'messages'.")
    if isinstance(turn.content, str):
        return MessageIn(role="user", content=turn.content)
    parts = [
        ContentIn(type="image", source={"type": "url", **part.image_url})
        if part.image_url is not None
        else ContentIn(type=part.type, text=part.text)
        for part in turn.content
    ]
    return MessageIn(role="user", content=parts)


async def _chunks(live: LiveRun, teller: RunTeller, model: str, created: int, *, usage: bool) -> AsyncGenerator[bytes]:
    head = _head(live, model, created, "chat.completion.chunk")

    def chunk(delta: WireObject, finish: str | None = None) -> bytes:
        choice: WireObject = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return frame(orjson.dumps({**head, "choices": [choice]}))

    yield chunk({"role": "assistant", "content": ""})
    async with aclosing(live.follow()) as events:
        async for batch in events:
            for event in batch:
                if not isinstance(event, RunEnded):
                    for text in filter(None, map(_text, teller.tell(event))):
                        yield chunk({"content": text})
                elif event.ending.error_type is not None:
                    yield frame(orjson.dumps(_failure(event.ending)))
                else:
                    yield chunk({}, _finish(event.ending))
                    if usage:
                        yield frame(orjson.dumps({**head, "choices": [], "usage": _usage(event)}))


def _text(item: WireObject) -> str:
    return str(item["content"]) if item["message_type"] == "assistant_message" else ""


def _head(live: LiveRun, model: str, created: int, kind: Literal["chat.completion", "chat.completion.chunk"]) -> Any:  # noqa: ANN401  the head of a wire object
    return {"id": f"chatcmpl-{live.run.id[-36:]}", "object": kind, "created": created, "model": model}


def _finish(ending: Ending) -> str:
    return _FINISH.get(ending.reason, "stop")


def _usage(event: RunEnded) -> WireObject:
    usage = event.usage
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def _failure(ending: Ending) -> WireObject:
    return {"error": {"message": ending.words, "type": ending.error_type, "param": None, "code": ending.error_type}}


def _refused(error: LociError) -> Response:
    status = error.http_status if isinstance(error, ModelFailure) else error.status
    kind = "invalid_request_error" if status < 500 else "server_error"
    code = "model_not_found" if status == 404 else None
    fault = {"message": str(error), "type": kind, "param": "model" if status == 404 else None, "code": code}
    return json_answer({"error": fault}, status)
