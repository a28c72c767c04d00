"""Editing one stored message, as the older clients of the Letta V1 API do: what it says, or what was thought."""

from collections.abc import Collection
from typing import Literal, TypeAlias

from pydantic import BaseModel
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.answers import json_answer
from loci.api.core import Core
from loci.api.wire_messages import wire_messages
from loci.api.wire_requests import Content, parts_of
from loci.errors import Unprocessable
from loci.memory.rewording import Edit, NewWords, edit
from loci.types import actor as actors
from loci.types.messages import Reasoning, Role

MessageType: TypeAlias = Literal["system_message", "user_message", "reasoning_message", "assistant_message"]


class EditIn(BaseModel):
    """What a message shall say from now on: `content`, or for a reasoning message `reasoning`."""

    message_type: MessageType | None = None
    content: Content | None = None
    reasoning: str | None = None

    def edit(self) -> Edit:
        """What is asked for. Raises Unprocessable."""
        if self.message_type == "reasoning_message" or (self.message_type is None and self.content is None):
            if not self.reasoning:
                raise Unprocessable("Give the new text as 'reasoning'.")
            return Reasoning(self.reasoning)
        role = None if self.message_type is None else Role(self.message_type.removesuffix("_message"))
        return NewWords(parts_of(self.content or (), role or Role.USER), role)


async def edited(
    core: Core, actor: actors.Actor, agent_ids: Collection[str], message_id: str, body: EditIn
) -> Response:
    """Have a message of one of these agents say something else, and show it."""
    new, author = body.edit(), author_of(actor)
    message = await core.store.write(edit, actor, author, (message_id, agent_ids), new, core.clock.now())
    shown = "reasoning_message" if isinstance(new, Reasoning) else f"{message.role.value}_message"
    return json_answer(next(item for item in wire_messages(message) if item["message_type"] == shown))
