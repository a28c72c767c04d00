"""A fake OpenAI: `POST /v1/responses`, streaming, one output item per scripted part."""

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

_KINDS = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    429: "rate_limit_exceeded",
    500: "server_error",
    503: "server_error",
}
_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class FakeResponses(FakeProvider):
    """Plays the OpenAI Responses API. Signatures of thoughts are their encrypted content."""

    def frames(self, answer: Answer, request: Received) -> Iterator[str]:
        response: JsonObject = {
            "id": "resp_fake",
            "object": "response",
            "created_at": 1_790_000_000,
            "model": request.body.get("model"),
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "status": "in_progress",
        }
        for number, event in enumerate(self._events(answer, response)):
            yield sse({**event, "sequence_number": number}, str(event["type"]))

    def error_frame(self, message: str) -> str:
        data: JsonObject = {
            "type": "error",
            "code": "server_is_overloaded",
            "message": message,
            "param": None,
            "sequence_number": 99,
        }
        return sse(data, "error")

    def error_body(self, refusal: Refusal) -> JsonValue:
        kind, code = _KINDS.get(refusal.status, "invalid_request_error"), refusal.kind or _CODES.get(refusal.status)
        return {"error": {"message": refusal.message, "type": kind, "param": None, "code": code}}

    def _events(self, answer: Answer, response: JsonObject) -> Iterator[JsonObject]:
        yield {"type": "response.created", "response": response}
        yield {"type": "response.in_progress", "response": response}
        output: list[JsonObject] = []
        for index, part in enumerate(answer.parts):
            events = list(_item(index, part, answer.piece_chars))
            item = events[-1]["item"]
            assert isinstance(item, dict)
            output.append(item)
            yield from events
        usage: JsonObject = {
            "input_tokens": answer.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": answer.cached_tokens,
                "cache_write_tokens": answer.cache_write_tokens,
            },
            "output_tokens": answer.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
        }
        done: JsonObject = {**response, "output": output, "usage": usage}
        match answer.stop:
            case "stop" | "tool_calls":
                yield {"type": "response.completed", "response": {**done, "status": "completed"}}
            case "length" | "content_filter" as stop:
                reason = "max_output_tokens" if stop == "length" else "content_filter"
                ended: JsonObject = {**done, "status": "incomplete", "incomplete_details": {"reason": reason}}
                yield {"type": "response.incomplete", "response": ended}


def _item(index: int, part: Spoken, piece_chars: int) -> Iterator[JsonObject]:
    """Spell one output item; the last event holds it whole."""
    match part:
        case Say(text):
            return _message(index, text, piece_chars)
        case Think(text, signature):
            return _reasoning(index, text, signature, piece_chars)
        case CallTool():
            return _call(index, part, piece_chars)
        case Redacted():
            raise ValueError("OpenAI has no redacted thoughts.")


def _message(index: int, text: str, piece_chars: int) -> Iterator[JsonObject]:
    item: JsonObject = {"id": f"msg_{index}", "type": "message", "role": "assistant"}
    place: JsonObject = {"item_id": f"msg_{index}", "output_index": index, "content_index": 0}
    begun: JsonObject = {**item, "status": "in_progress", "content": [], "phase": "final_answer"}
    content: JsonObject = {"type": "output_text", "text": text, "annotations": []}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield {"type": "response.content_part.added", **place, "part": {**content, "text": ""}}
    for piece in in_pieces(text, piece_chars):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": text, "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": content}
    whole: JsonObject = {**item, "status": "completed", "content": [content], "phase": "final_answer"}
    yield {"type": "response.output_item.done", "output_index": index, "item": whole}


def _reasoning(index: int, text: str, signature: str | None, piece_chars: int) -> Iterator[JsonObject]:
    item: JsonObject = {"id": f"rs_{index}", "type": "reasoning"}
    place: JsonObject = {"item_id": f"rs_{index}", "output_index": index, "summary_index": 0}
    begun: JsonObject = {**item, "summary": []}
    summary: JsonObject = {"type": "summary_text", "text": text}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if text:
        yield {"type": "response.reasoning_summary_part.added", **place, "part": {**summary, "text": ""}}
        for piece in in_pieces(text, piece_chars):
            yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **place, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **place, "part": summary}
    whole: JsonObject = {**item, "summary": [summary] if text else [], "encrypted_content": signature}
    yield {"type": "response.output_item.done", "output_index": index, "item": whole}


def _call(index: int, call: CallTool, piece_chars: int) -> Iterator[JsonObject]:
    item: JsonObject = {"id": f"fc_{index}", "type": "function_call", "call_id": call.id, "name": call.name}
    place: JsonObject = {"item_id": f"fc_{index}", "output_index": index}
    begun: JsonObject = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    for piece in in_pieces(call.arguments, piece_chars):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    done: JsonObject = {**place, "name": call.name, "arguments": call.arguments}
    yield {"type": "response.function_call_arguments.done", **done}
    whole: JsonObject = {**item, "status": "completed", "arguments": call.arguments}
    yield {"type": "response.output_item.done", "output_index": index, "item": whole}
