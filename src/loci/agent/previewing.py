"""Showing what a message would send to the model, without sending or storing anything.

The run is opened as any other, in a transaction that is rolled back, with caches of its own.
"""

from dataclasses import replace
from datetime import datetime

from loci.agent import context
from loci.agent.opening import Repeated, open_run
from loci.agent.request import RunRequest, request_json
from loci.agent.tracing import body_of
from loci.agent.turn import Caches, Kit, Turn
from loci.errors import BadRequest, LociError
from loci.ids import new_id
from loci.store import conversations
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.runs import Run


class _Seen(LociError):
    """Rolls the transaction back."""

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn


async def preview(kit: Kit, actor: Actor, agent_id: str, conversation_id: str | None, asked: RunRequest) -> bytes:
    """The body of the first request to the provider, in JSON.

    Raises what sending would raise, and BadRequest for answers to calls, whose tools would have to run first.
    """
    if asked.approvals or not asked.messages:
        raise BadRequest("Only messages can be shown: answers to calls have their tools run before the model is asked.")
    now = kit.clock.now()
    run = Run(
        id=new_id("run"),
        agent_id=agent_id,
        conversation_id=conversation_id or conversations.default_id(agent_id),
        status="running",
        request=request_json(asked),
        created_at=now,
    )
    try:
        await kit.store.write(_open, replace(kit, caches=Caches()), actor, run, asked, now)
    except _Seen as seen:
        turn = seen.turn
        model = await kit.models.model(actor, turn.handle)
        return await body_of(model, context.build(turn.bundle, turn.window, turn.request))
    raise BadRequest("This message was sent before.")


def _open(tx: Transaction, kit: Kit, actor: Actor, run: Run, asked: RunRequest, now: datetime) -> None:
    turn = open_run(tx, kit, actor, run, asked, now)
    if not isinstance(turn, Repeated):
        raise _Seen(turn)
