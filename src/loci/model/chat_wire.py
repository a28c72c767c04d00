"""What comes in on the chat-completions wire: loosely held shapes, because every server has its own idea of them."""

from collections.abc import Mapping
from typing import Any, TypedDict

from loci.types.json import JsonObject, JsonValue
from loci.types.usage import Usage


class WireFunction(TypedDict, total=False):
    """What is called."""

    name: str | None
    arguments: Any


class WireCallPiece(TypedDict, total=False):
    """A piece of a call, or all of it."""

    index: int | None
    id: str | None
    function: WireFunction | None
    extra_content: JsonValue


class WireDelta(TypedDict, total=False):
    """What is new in a chunk; a whole message has the same fields."""

    content: Any
    refusal: str | None
    reasoning_content: str | None
    reasoning: Any
    reasoning_details: list[dict[str, Any]] | None
    tool_calls: list[WireCallPiece] | None


class WireChoice(TypedDict, total=False):
    """One of the answers; we ask for one."""

    index: int
    delta: WireDelta | None
    message: WireDelta | None
    finish_reason: str | None


class WireChunk(TypedDict, total=False):
    """A `chat.completion.chunk`, a `chat.completion`, or an error."""

    object: str
    choices: list[WireChoice] | None
    usage: JsonObject | None
    model: str | None
    error: JsonValue


def usage_of(usage: JsonObject | None) -> Usage:
    """The token counts, wherever this server put them. What is not a number counts as not said."""
    if not isinstance(usage, Mapping):
        return Usage()
    cached = _inner(usage, "prompt_tokens_details", "cached_tokens")
    cost = usage.get("cost")
    return Usage(
        prompt_tokens=_count(usage.get("prompt_tokens")) or 0,
        completion_tokens=_count(usage.get("completion_tokens")) or 0,
        cached_input_tokens=_count(usage.get("prompt_cache_hit_tokens")) if cached is None else cached,
        cache_write_tokens=_inner(usage, "prompt_tokens_details", "cache_write_tokens"),
        reasoning_tokens=_inner(usage, "completion_tokens_details", "reasoning_tokens"),
        cost_usd=float(cost) if isinstance(cost, int | float) else 0.0,
    )


def _inner(usage: JsonObject, key: str, name: str) -> int | None:
    details = usage.get(key)
    return _count(details.get(name)) if isinstance(details, dict) else None


def _count(value: JsonValue) -> int | None:
    return int(value) if isinstance(value, int | float) and value >= 0 else None


def merge_details(known: list[dict[str, Any]], pieces: list[dict[str, Any]]) -> None:
    """Join pieces of `reasoning_details` (OpenRouter): texts of one index grow, the rest is taken as it comes."""
    for piece in pieces:
        last = next((old for old in known if old.get("index") == piece.get("index") is not None), None)
        if last is None or last.get("type") != piece.get("type"):
            known.append(dict(piece))
            continue
        for key, value in piece.items():
            if key in ("text", "summary", "data") and isinstance(value, str):
                last[key] = (last.get(key) or "") + value
            elif value is not None:
                last[key] = value
