"""A fake Gemini: `POST /v1beta/models/{model}:streamGenerateContent?alt=sse`. It sends calls whole, never in pieces."""

import json
from collections.abc import Iterator

from loci.testing.fake_provider import (
    Answer,
    CallTool,
    FakeProvider,
    Received,
    Redacted,
    Refusal,
    Say,
    Spoken,
    Think,
    in_pieces,
    sse,
)
from loci.types.json import JsonObject, JsonValue

_STOPS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_KINDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class FakeGemini(FakeProvider):
    """Plays the Gemini API."""

    def frames(self, answer: Answer, request: Received) -> Iterator[str]:
        model = request.path.rpartition("/")[2].partition(":")[0]
        frame: JsonObject = {"modelVersion": model, "responseId": "resp_fake"}
        for part in answer.parts:
            for piece in _pieces(part, answer.piece_chars):
                content: JsonObject = {"role": "model", "parts": [piece]}
                yield sse({**frame, "candidates": [{"content": content, "index": 0}]})
        usage: dict[str, JsonValue] = {
            "promptTokenCount": answer.prompt_tokens,
            "candidatesTokenCount": answer.completion_tokens - answer.reasoning_tokens,
            "totalTokenCount": answer.prompt_tokens + answer.completion_tokens,
        }
        if answer.cached_tokens:
            usage["cachedContentTokenCount"] = answer.cached_tokens
        if answer.reasoning_tokens:
            usage["thoughtsTokenCount"] = answer.reasoning_tokens
        ending: JsonObject = {"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0}
        finish: JsonObject = {**ending, "finishReason": _STOPS[answer.stop]}
        yield sse({**frame, "candidates": [finish], "usageMetadata": usage})

    def error_frame(self, message: str) -> str:
        return sse({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}})

    def error_body(self, refusal: Refusal) -> JsonValue:
        status = refusal.kind or _KINDS.get(refusal.status, "UNKNOWN")
        return {"error": {"code": refusal.status, "message": refusal.message, "status": status}}


def _pieces(part: Spoken, piece_chars: int) -> Iterator[JsonObject]:
    match part:
        case Say(text, signature):
            yield from _signed_last([{"text": piece} for piece in in_pieces(text, piece_chars)], signature)
        case Think(text, signature):
            thoughts: list[JsonObject] = [{"text": piece, "thought": True} for piece in in_pieces(text, piece_chars)]
            yield from _signed_last(thoughts, signature)
        case CallTool(call_id, name, arguments, signature):
            call: JsonObject = {"id": call_id, "name": name, "args": json.loads(arguments)}
            yield from _signed_last([{"functionCall": call}], signature)
        case Redacted():
            raise ValueError("Gemini has no redacted thoughts.")


def _signed_last(pieces: list[JsonObject], signature: str | None) -> Iterator[JsonObject]:
    yield from pieces[:-1]
    if pieces:
        yield {**pieces[-1], "thoughtSignature": signature} if signature else pieces[-1]
