"""The context: exactly what the model is shown, and what each part of it costs. Pure.

Order is stable, slow, volatile: system prompt with memory, then messages, which only ever grow at the end; so provider
prompt caches hit from turn to turn.
"""

from dataclasses import dataclass

from loci.agent.window import Bundle, Window
from loci.model.base import ModelRequest, ToolChoice
from loci.model.tokens import Ratio, estimate, text_bytes
from loci.types.agents import ModelSettings
from loci.types.json import JsonObject
from loci.types.tools import ToolSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one call of the model may do: the tools it is shown, and whether it must use one."""

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


def build(
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


def size_bytes(window: Window, bundle: Bundle) -> int:
    """How long the whole context is, in bytes of text."""
    return text_bytes(window.system.text) + bundle.schemas_bytes + window.messages_bytes


def tokens_now(window: Window, bundle: Bundle, ratio: Ratio, *, counted_tokens: int, counted_bytes: int) -> int:
    """How full the window is: what the provider counted last, and an estimate of what came since."""
    if counted_tokens:
        return counted_tokens + estimate(window.messages_bytes - counted_bytes, ratio)
    return bill(window, bundle, ratio).total


def bill(window: Window, bundle: Bundle, ratio: Ratio) -> Bill:
    """What the context costs, by part, estimated."""
    return Bill(
        system=estimate(text_bytes(window.system.text), ratio),
        tools=estimate(bundle.schemas_bytes, ratio),
        messages=estimate(window.messages_bytes, ratio),
    )
