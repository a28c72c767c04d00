"""The library's answer in our shapes: pieces while it streams, then the whole with usage and the reason to stop."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from pydantic_ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.usage import RequestUsage

from loci.errors import ModelFault
from loci.model.base import Finished, ModelEvent, ReasoningDelta, TextDelta, ToolCallDelta
from loci.model.faults import failed
from loci.model.library_parts import arguments_text, incoming
from loci.model.library_wire import Dialect
from loci.types.messages import Part, ToolCall
from loci.types.usage import Usage

Finish: TypeAlias = Literal["stop", "tool_calls", "length", "content_filter"]


def pieces(event: ModelResponseStreamEvent) -> Iterator[ModelEvent]:
    """Turn one event of the library into what a listener hears of it."""
    match event:
        case PartStartEvent(index=index, part=TextPart(content=text)) if text:
            yield TextDelta(index, text)
        case PartStartEvent(index=index, part=ThinkingPart(content=text)) if text:
            yield ReasoningDelta(index, text)
        case PartStartEvent(index=index, part=ToolCallPart() as call):
            yield ToolCallDelta(index, arguments_text(call.args), call.tool_call_id, call.tool_name)
        case PartDeltaEvent(index=index, delta=TextPartDelta(content_delta=text)) if text:
            yield TextDelta(index, text)
        case PartDeltaEvent(index=index, delta=ThinkingPartDelta(content_delta=text)) if text:
            yield ReasoningDelta(index, text)
        case PartDeltaEvent(index=index, delta=ToolCallPartDelta(args_delta=arguments)) if arguments:
            yield ToolCallDelta(index, arguments_text(arguments))
        case _:
            pass


def ending(response: ModelResponse, dialect: Dialect) -> Iterator[ModelEvent]:
    """Close the answer: one Finished, or one Failed when the provider stopped without an answer."""
    parts: list[Part] = []
    for index, given in enumerate(response.parts):
        part = incoming(given, dialect)
        if part is None:
            continue
        if isinstance(part, ToolCall) and isinstance(given, ToolCallPart) and given.args in (None, ""):
            yield ToolCallDelta(index, part.arguments)
        parts.append(part)
    details = response.provider_details or {}
    reason = details.get("refusal") or details.get("finish_reason")
    match response.finish_reason:
        case "stop" | "tool_call" if not parts:
            yield failed(ModelFault.BAD_REPLY, "The answer was empty.")
        case "stop" | "tool_call":
            has_calls = any(isinstance(part, ToolCall) for part in parts)
            yield _finished(response, parts, dialect, "tool_calls" if has_calls else "stop")
        case "length":
            yield _finished(response, parts, dialect, "length")
        case "content_filter" if parts:
            yield _finished(response, parts, dialect, "content_filter")
        case "content_filter":
            yield failed(ModelFault.REFUSED, f"The answer was withheld ({reason}).")
        case None:
            yield failed(ModelFault.CONNECTION, "The stream ended without a finish reason.")
        case "error":
            yield failed(ModelFault.BAD_REPLY, f"The provider ended the answer with '{reason}'.")


def usage_of(usage: RequestUsage, dialect: Dialect) -> Usage:
    """Read the token counts. Cached and written tokens are part of the prompt's, reasoning of the answer's."""
    if usage.unmeasured_requests:
        return Usage()
    reasoning = usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0)
    reasoning = reasoning or usage.details.get("thoughts_tokens", 0)
    return Usage(
        prompt_tokens=usage.input_tokens,
        completion_tokens=usage.output_tokens,
        cached_input_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens
        if dialect.system == "anthropic"
        else usage.cache_write_tokens or None,
        reasoning_tokens=reasoning if dialect.system != "anthropic" else reasoning or None,
    )


def _finished(response: ModelResponse, parts: Sequence[Part], dialect: Dialect, finish: Finish) -> Finished:
    return Finished(
        parts=tuple(parts),
        usage=usage_of(response.usage, dialect),
        finish=finish,
        model=response.model_name,
        request_id=response.provider_response_id,
    )
