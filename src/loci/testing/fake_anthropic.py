"""A fake Anthropic: `POST /v1/messages`, streaming, as documented for the Messages API (version 2023-06-01)."""

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

_STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class FakeAnthropic(FakeProvider):
    """Plays Anthropic."""

    def frames(self, answer: Answer, request: Received) -> Iterator[str]:
        usage: dict[str, JsonValue] = {
            "input_tokens": answer.prompt_tokens - answer.cached_tokens - answer.cache_write_tokens,
            "cache_read_input_tokens": answer.cached_tokens,
            "cache_creation_input_tokens": answer.cache_write_tokens,
        }
        message: JsonObject = {
            "id": "msg_fake",
            "type": "message",
            "role": "assistant",
            "model": request.body.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage, "output_tokens": 1},
        }
        yield _event({"type": "message_start", "message": message})
        yield _event({"type": "ping"})
        for index, part in enumerate(answer.parts):
            yield from _block(index, part, answer.piece_chars)
        ending: JsonObject = {"stop_reason": _STOPS[answer.stop], "stop_sequence": None}
        total: JsonObject = {**usage, "output_tokens": answer.completion_tokens}
        yield _event({"type": "message_delta", "delta": ending, "usage": total})
        yield _event({"type": "message_stop"})

    def error_frame(self, message: str) -> str:
        return _event({"type": "error", "error": {"type": "overloaded_error", "message": message}})

    def error_body(self, refusal: Refusal) -> JsonValue:
        kind = refusal.kind or _KINDS.get(refusal.status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": "req_fake"}


def _event(data: JsonObject) -> str:
    return sse(data, str(data["type"]))


def _block(index: int, part: Spoken, piece_chars: int) -> Iterator[str]:
    begin: JsonObject
    deltas: list[JsonObject]
    match part:
        case Say(text):
            begin = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in in_pieces(text, piece_chars)]
        case Think(text, signature):
            begin = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in in_pieces(text, piece_chars)]
            if signature:
                deltas.append({"type": "signature_delta", "signature": signature})
        case Redacted(data):
            begin, deltas = {"type": "redacted_thinking", "data": data}, []
        case CallTool(call_id, name, arguments):
            begin = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
            pieces = ["", *in_pieces(arguments, piece_chars)]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    yield _event({"type": "content_block_start", "index": index, "content_block": begin})
    for delta in deltas:
        yield _event({"type": "content_block_delta", "index": index, "delta": delta})
    yield _event({"type": "content_block_stop", "index": index})
