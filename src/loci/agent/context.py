"""The context: exactly what the model is shown, and what each part of it costs. Pure.

Order is stable, slow, volatile: system prompt, memory blocks, then messages, which only ever grow at the end; so
provider prompt caches hit from turn to turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from loci.agent.window import Bundle, Window
from loci.model.base import ModelRequest, ToolChoice
from loci.types.agents import ModelSettings
from loci.types.json import JsonObject
from loci.types.messages import ApprovalAnswer, Image, Message, Reasoning, Text, ToolCall, ToolResult
from loci.types.tools import ToolSchema

IMAGE_BYTES = 6_000
"""What a picture counts for in an estimate, in bytes of text: about 1,500 tokens, a middling price of the providers."""
MESSAGE_BYTES = 16
"""Framing of a message on the wire."""

Estimate = Callable[[int], int]
"""Bytes of text to tokens, calibrated for one model by the usage that it reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The tools offered for one call of the model."""

    tools: tuple[ToolSchema, ...]
    choice: ToolChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Estimated tokens of each part of the context."""

    system: int
    tools: int
    messages: int

    @property
    def total(self) -> int:
        """All parts together."""
        return self.system + self.tools + self.messages


def build(  # noqa: PLR0913  the parts of a context
    window: Window,
    offer: Offer,
    settings: ModelSettings,
    *,
    system: str | None = None,
    response_format: JsonObject | None = None,
    stable_count: int = 0,
) -> ModelRequest:
    """The request for the next step."""
    return ModelRequest(
        system=window.system.text if system is None else system,
        messages=window.messages,
        tools=offer.tools,
        tool_choice=offer.choice,
        settings=settings,
        response_format=response_format,
        stable_count=stable_count,
    )


def bill(window: Window, bundle: Bundle, estimate: Estimate) -> Bill:
    """What the context costs, by part, estimated."""
    return Bill(
        system=estimate(len(window.system.text.encode())),
        tools=estimate(sum(map(schema_bytes, bundle.schemas))),
        messages=estimate(messages_bytes(window.messages)),
    )


def messages_bytes(messages: Sequence[Message]) -> int:
    """How many bytes of text the messages are for a model."""
    return sum(map(message_bytes, messages))


def message_bytes(message: Message) -> int:
    """How many bytes of text one message is for a model."""
    total = MESSAGE_BYTES
    for part in message.parts:
        match part:
            case Text():
                total += len(part.text.encode())
            case Reasoning():
                total += len(part.text.encode()) if part.native else 0
            case ToolCall():
                total += len(part.name) + len(part.arguments.encode())
            case ToolResult():
                total += len(part.text.encode()) + MESSAGE_BYTES
            case Image():
                total += IMAGE_BYTES
            case ApprovalAnswer():
                pass
    return total


def schema_bytes(schema: ToolSchema) -> int:
    """How many bytes of text a tool's schema is for a model."""
    return len(schema.name) + len(schema.description.encode()) + len(orjson.dumps(schema.parameters))
