"""Editing one stored message, as the older clients of the Letta V1 API do: what it says, or what was thought."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import orjson
from pydantic import BaseModel
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.agent.kinds import SEND_MESSAGE
from loci.api.answers import json_answer
from loci.api.core import Core
from loci.api.wire_messages import wire_messages
from loci.api.wire_requests import Content, parts_of
from loci.errors import BadRequest, NotFound, Unprocessable
from loci.memory.rewording import reword
from loci.store import messages
from loci.store.base import Transaction
from loci.store.rows import load_object
from loci.types import actor as actors
from loci.types.messages import Kind, Message, Part, Reasoning, Role, Text, ToolCall

MessageType: TypeAlias = Literal["system_message", "user_message", "reasoning_message", "assistant_message"]

_TYPES: dict[Role, MessageType] = {
    Role.SYSTEM: "system_message",
    Role.USER: "user_message",
    Role.ASSISTANT: "assistant_message",
}


class EditIn(BaseModel):
    """What a message shall say from now on: `content`, or for a reasoning message `reasoning`."""

    message_type: MessageType | None = None
    content: Content | None = None
    reasoning: str | None = None


async def edited(core: Core, actor: actors.Actor, agent_id: str, message_id: str, edit: EditIn) -> Response:
    """Have a message of an agent say something else, and show it."""
    now = core.clock.now()

    def change(tx: Transaction) -> Message:
        message = messages.get(tx, actor, message_id)
        if message.agent_id != agent_id:
            raise NotFound(f"Agent {agent_id} has no message {message_id}.")
        changed = replace(message, parts=_parts(message, edit))
        reword(tx, actor, author_of(actor), changed, now)
        return changed

    message = await core.store.write(change)
    wanted = _wanted(message, edit)
    return json_answer(next(item for item in wire_messages(message) if item["message_type"] == wanted))


def _wanted(message: Message, edit: EditIn) -> MessageType | None:
    if edit.message_type is not None:
        return edit.message_type
    return "reasoning_message" if edit.content is None else _TYPES.get(message.role)


def _parts(message: Message, edit: EditIn) -> tuple[Part, ...]:
    """What the message will be made of. Raises BadRequest for one that cannot be edited this way."""
    if message.kind is Kind.SYSTEM_PROMPT:
        raise BadRequest(
            "The system prompt is compiled from the agent's instructions and its blocks.", hint="Change those instead."
        )
    if message.kind is not Kind.PLAIN or message.role not in _TYPES:
        raise BadRequest("Only what was said or thought can be edited: no summaries, tool results, or approvals.")
    wanted = _wanted(message, edit)
    if wanted == "reasoning_message":
        if not edit.reasoning:
            raise Unprocessable("Give the new text as 'reasoning'.")
        return _in_place(message, Reasoning(edit.reasoning))
    if wanted != _TYPES[message.role]:
        raise BadRequest(f"Message {message.id} is no {wanted} but a {_TYPES[message.role]}.")
    parts = parts_of(edit.content or (), message.role)
    if message.role is not Role.ASSISTANT:
        return parts
    if not all(isinstance(part, Text) for part in parts):
        raise Unprocessable("What an agent says is made of texts alone.")
    return _said(message, "\n".join(part.text for part in parts if isinstance(part, Text)))


def _said(message: Message, words: str) -> tuple[Part, ...]:
    """The message with these words instead of its own, which older kinds of agents say by calling a tool."""
    if message.text:
        return _in_place(message, Text(words))
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolCall) and part.name == SEND_MESSAGE:
            arguments = orjson.dumps({**_arguments(part), "message": words}).decode()
            call = replace(part, arguments=arguments, signature=None, provider=None)
            return (*message.parts[:number], call, *message.parts[number + 1 :])
    raise BadRequest(f"In message {message.id} the agent says nothing that could be edited.")


def _arguments(call: ToolCall) -> dict[str, object]:
    try:
        return dict(load_object(call.arguments))
    except orjson.JSONDecodeError:
        return {}


def _in_place(message: Message, new: Text | Reasoning) -> tuple[Part, ...]:
    """The parts with `new` where the first text of its kind stood, and the others of that kind gone.

    The new text has no signature: those of a provider hold for the text that it wrote.
    """
    old: Sequence[Part] = [
        part
        for part in message.parts
        if isinstance(part, Text | Reasoning)
        and type(part) is type(new)
        and part.text
        and (isinstance(part, Text) or part.native)
    ]
    if not old:
        raise BadRequest(f"Message {message.id} has no thoughts of its own that could be edited.")
    return tuple(new if part is old[0] else part for part in message.parts if part is old[0] or part not in old)
