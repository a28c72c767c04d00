"""How a request that has an agent work is answered: whole, as a stream, or at once with the run that does the work.

This is the hot path of the server: read the request, start the run, tell what it says.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import orjson
from starlette.responses import Response

from loci.agent.request import ApprovalReply
from loci.agent.runs import LiveRun
from loci.api.core import Core
from loci.api.errors import KEPT, error_answer
from loci.api.sse import EventStream, Pings, told
from loci.api.wire_events import RunTeller, Telling, wire_answer
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import OldAnswer, SendIn, run_request, telling_of, view_of
from loci.errors import BadRequest, GivenUp
from loci.store import approvals, conversations
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.events import RunEnded
from loci.types.json import JsonObject, JsonValue
from loci.types.runs import Ending

JSON = "application/json"


def json_answer(value: JsonValue, status: int = 200) -> Response:
    """An answer that needs no checking: it was made from our own types."""
    return Response(orjson.dumps(value), status, media_type=JSON)


async def send(
    services: Core,
    actor: Actor,
    agent_id: str,
    conversation_id: str | None,
    body: SendIn,
    *,
    streaming: bool,
) -> Response:
    """Have the agent work and tell what comes of it. The run goes on when the client does not stay."""
    live = await start(services, actor, agent_id, conversation_id, body, tokens=streaming and body.stream_tokens)
    if not streaming:
        return await _whole(live, services.clock.now)
    run = live.run
    pings = Pings(run_id=run.id, interval_s=services.settings.ping_interval_s) if body.include_pings else None
    if run.background:
        return EventStream(services.streams.follow(actor, run), services.clock, pings)
    teller = RunTeller(run.id, telling_of(run, thinks_in_calls=live.thinks_in_calls), services.clock.now)
    return EventStream(told(live.follow(), teller), services.clock, pings)


async def start(
    services: Core,
    actor: Actor,
    agent_id: str,
    conversation_id: str | None,
    body: SendIn,
    *,
    tokens: bool,
) -> LiveRun:
    """Start the run that a request asks for."""
    request, old = run_request(body, tokens=tokens)
    if old is not None:
        place = conversation_id or conversations.default_id(agent_id)
        answers = await services.store.read(_looked_up, actor, place, old)
        request = replace(request, approvals=(*request.approvals, *answers))
    return await services.runs.start(actor, agent_id, conversation_id, request)


def _looked_up(tx: Transaction, actor: Actor, conversation_id: str, old: OldAnswer) -> list[ApprovalReply]:
    """A decision without call ids holds for all calls that wait."""
    waiting = approvals.of_conversation(tx, actor, conversation_id, pending_only=True)
    meant = [item for item in waiting if old.message_id in {None, item.message_id}]
    if not meant:
        raise BadRequest("No tool call is waiting for approval here.")
    return [ApprovalReply(call_id=item.call_id, approve=old.approve, reason=old.reason) for item in meant]


async def _whole(live: LiveRun, now: Callable[[], datetime]) -> Response:
    """Wait for the run to end and answer with all it said."""
    teller = RunTeller(live.run.id, Telling(view=view_of(live.run)), now)
    messages: list[WireObject] = []
    async for batch in live.follow():
        for event in batch:
            if isinstance(event, RunEnded):
                failed = event.ending.error_type is not None
                return wire_failed(event.ending) if failed else json_answer(wire_answer(event, messages))
            messages += teller.tell(event)
    raise GivenUp(live.run.id)


def wire_failed(ending: Ending) -> Response:
    """The answer when a run failed: trouble with the model in one shape, anything else in the other."""
    kind = ending.error_type or "error"
    message, detail = ending.message or "The run failed.", ending.detail or ""
    if kind.startswith("llm_"):
        body: JsonObject = {"error": {"type": kind, "message": message, "detail": ending.detail}}
    else:
        body = {"detail": detail if detail.startswith(message) else f"{message} {detail}".rstrip()}
    return error_answer(ending.status_code, body, KEPT)
