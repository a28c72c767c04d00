"""Forking a conversation: a new thread that begins with what the other one has in its window.

No message is copied: the fork's window begins with the ids of those that it inherits (docs/decisions/0004-window.md).
Its prompt is its own, compiled with its first message.
"""

from datetime import datetime

from loci.agent.apart import create_thread
from loci.errors import BadRequest
from loci.ids import new_id
from loci.store import isolated, messages
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.messages import Message, Role


def fork(
    tx: Transaction,
    actor: Actor,
    source: Conversation,
    *,
    now: datetime,
    through_message_id: str | None = None,
    hidden: bool | None = None,
) -> Conversation:
    """Begin a thread with the window of another one, up to a message of it (None: all).

    Calls that have no result yet stay behind: they are answered in the conversation that they belong to. Raises
    BadRequest when the message is not in the window.
    """
    talk = [message for message in messages.window(tx, actor, source) if message.role is not Role.SYSTEM]
    if through_message_id is not None:
        places = [place for place, message in enumerate(talk) if message.id == through_message_id]
        if not places:
            raise BadRequest(
                f"Message {through_message_id} is not in the window of this conversation.",
                hint="A fork ends with a message of 'in_context_message_ids'.",
            )
        talk = talk[: places[0] + 1]
    made = Conversation(
        id=new_id("conv"),
        agent_id=source.agent_id,
        is_default=False,
        prefix=tuple(message.id for message in _answered(talk)),
        summary=source.summary,
        model=source.model,
        description=source.description,
        model_settings=source.model_settings,
        window_tokens=source.window_tokens,
        hidden=hidden,
        created_at=now,
    )
    return create_thread(tx, actor, made, isolated.of_thread(tx, actor, source.id), now)


def _answered(talk: list[Message]) -> list[Message]:
    """The messages up to the last call that has no result, which is left out with what follows."""
    for place in range(len(talk) - 1, -1, -1):
        message = talk[place]
        if message.role is Role.TOOL:
            return talk
        if message.role is Role.ASSISTANT:
            return talk[:place] if message.tool_calls else talk
    return talk
