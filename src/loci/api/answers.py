"""How a request that has an agent work is answered: whole, as a stream, or at once with the run that does the work.

This is the hot path of the server: read the request, start the run, tell what it says.
"""

from contextlib import aclosing
from dataclasses import replace

import orjson
from starlette.responses import Response

from loci.agent.request import ApprovalReply
from loci.agent.runs import LiveRun
from loci.api.core import Core
from loci.api.errors import KEPT, error_answer
from loci.api.sse import EventStream, Pings, Tell, told
from loci.api.wire_events import RunTeller, Telling, wire_answer
from loci.api.wire_messages import WireObject
from loci.api.wire_requests import OldAnswer, SendIn, run_request, telling_of, view_of
from loci.errors import BadRequest
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
    run = live.run
    if not streaming:
        said, end = await heard(live, RunTeller(run.id, Telling(view=view_of(run)), services.clock.now).tell)
        return wire_failed(end.ending) if end.ending.error_type is not None else json_answer(wire_answer(end, said))
    pings = Pings(run_id=run.id, interval_s=services.settings.ping_interval_s) if body.include_pings else None
    if run.background:
        return EventStream(services.streams.follow(actor, run), services.clock, pings)
    teller = RunTeller(run.id, telling_of(run, thinks_in_calls=live.thinks_in_calls), services.clock.now)
    return EventStream(told(live, teller.tell), services.clock, pings)


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


async def heard(live: LiveRun, tell: Tell) -> tuple[list[WireObject], RunEnded]:
    """All that a run tells before its end, and the end. Raises GivenUp when the server stops before that."""
    items: list[WireObject] = []
    async with aclosing(live.follow()) as events:
        async for batch in events:
            for event in batch:
                if isinstance(event, RunEnded):
                    return items, event
                items += tell(event)
    return items, await live.ended()


def wire_failed(ending: Ending) -> Response:
    """The answer when a run failed: trouble with the model in one shape, anything else in the other."""
    kind = ending.error_type or "error"
    if kind.startswith("llm_"):
        message = ending.message or "The run failed."
        body: JsonObject = {"error": {"type": kind, "message": message, "detail": ending.detail}}
    else:
        body = {"detail": ending.words}
    return error_answer(ending.status_code, body, KEPT)
