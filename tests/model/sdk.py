"""The providers' own packages as judges of what we send and of what our fakes say."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pydantic
from anthropic.types.beta import BetaRawMessageStreamEvent
from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming
from google.genai import types as google
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic_core import SchemaValidator

ANTHROPIC_EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(BetaRawMessageStreamEvent)
OPENAI_EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)
GOOGLE_PARTS: dict[str, Any] = {
    "contents": list[google.Content],
    "systemInstruction": google.Content,
    "tools": list[google.Tool],
    "toolConfig": google.ToolConfig,
    "generationConfig": google.GenerationConfig,
}


def must_suit_anthropic(body: Any) -> None:
    """The package's request type takes the body and knows every key in it."""
    _must_suit(MessageCreateParamsStreaming, body)


def must_suit_openai(body: Any) -> None:
    """The same for the Responses API."""
    _must_suit(ResponseCreateParamsStreaming, body)


def must_suit_gemini(body: Any) -> None:
    """The package's models take the body; they forbid unknown keys."""
    assert set(body) <= set(GOOGLE_PARTS)
    for key, value in body.items():
        pydantic.TypeAdapter(GOOGLE_PARTS[key]).validate_python(value)


def _must_suit(kind: Any, body: Any) -> None:
    assert _validator(kind).validate_python(body) == body


@cache
def _validator(kind: Any) -> SchemaValidator:
    """Validate lists at once; by itself pydantic checks an Iterable only as it is read."""
    return SchemaValidator(_eager(pydantic.TypeAdapter(kind).core_schema))


def _eager(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_eager(inner) for inner in schema]
    if isinstance(schema, tuple):
        return tuple(_eager(inner) for inner in schema)
    if not isinstance(schema, dict):
        return schema
    walked = {key: _eager(inner) for key, inner in schema.items()}
    return {**walked, "type": "list"} if walked.get("type") == "generator" else walked


def events(frames: Iterator[str]) -> Iterator[Any]:
    """The JSON of server-sent events."""
    for frame in frames:
        (data,) = [line.removeprefix("data: ") for line in frame.splitlines() if line.startswith("data: ")]
        yield json.loads(data)
