"""Message parts as JSON objects in a column, and back. Every field that is not set is left out."""

from typing import assert_never

import orjson

from loci.store.base import SqlValue
from loci.store.rows import load_objects
from loci.types.json import JsonObject, JsonValue, list_of, text_of
from loci.types.messages import ApprovalAnswer, Image, Part, Reasoning, Text, ToolCall, ToolResult, ToolStatus


def dump_parts(parts: tuple[Part, ...]) -> str:
    """The column's text."""
    return orjson.dumps([part_to_json(part) for part in parts]).decode()


def load_parts(value: SqlValue) -> tuple[Part, ...]:
    """The parts; an unknown kind of part (from a newer version) becomes its JSON text, so that nothing is lost."""
    return tuple(part_from_json(item) for item in load_objects(value))


def part_to_json(part: Part) -> dict[str, JsonValue]:
    """One part as a JSON object with its `type`."""
    match part:
        case Text():
            fields: dict[str, JsonValue] = {"type": "text", "text": part.text}
            fields |= _set(signature=part.signature, provider=part.provider)
        case Image():
            fields = {"type": "image"}
            fields |= _set(media_type=part.media_type, data=part.data, url=part.url, detail=part.detail)
        case Reasoning():
            fields = {"type": "reasoning", "text": part.text}
            fields |= _set(signature=part.signature, provider=part.provider, redacted=part.redacted, id=part.id)
            if not part.native:
                fields["native"] = False
        case ToolCall():
            fields = {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
            fields |= _set(signature=part.signature, provider=part.provider)
        case ToolResult():
            fields = {"type": "tool_result", "call_id": part.call_id, "name": part.name, "text": part.text}
            fields["status"] = part.status
            if part.stdout:
                fields["stdout"] = list(part.stdout)
            if part.stderr:
                fields["stderr"] = list(part.stderr)
        case ApprovalAnswer():
            fields = {"type": "approval", "call_id": part.call_id, "approve": part.approve}
            fields |= _set(reason=part.reason)
        case _:
            assert_never(part)
    return fields


def part_from_json(item: JsonObject) -> Part:
    """The part that a JSON object stands for."""
    match item.get("type"):
        case "text":
            return Text(text_of(item, "text") or "", text_of(item, "signature"), text_of(item, "provider"))
        case "image":
            fields = (text_of(item, key) for key in ("media_type", "data", "url", "detail"))
            return Image(*fields)
        case "reasoning":
            return Reasoning(
                text=text_of(item, "text") or "",
                signature=text_of(item, "signature"),
                provider=text_of(item, "provider"),
                redacted=text_of(item, "redacted"),
                native=item.get("native") is not False,
                id=text_of(item, "id"),
            )
        case "tool_call":
            texts = (text_of(item, key) or "" for key in ("id", "name", "arguments"))
            return ToolCall(*texts, signature=text_of(item, "signature"), provider=text_of(item, "provider"))
        case "tool_result":
            status: ToolStatus = "error" if item.get("status") == "error" else "success"
            return ToolResult(
                call_id=text_of(item, "call_id") or "",
                name=text_of(item, "name") or "",
                text=text_of(item, "text") or "",
                status=status,
                stdout=tuple(map(str, list_of(item.get("stdout")))),
                stderr=tuple(map(str, list_of(item.get("stderr")))),
            )
        case "approval":
            return ApprovalAnswer(text_of(item, "call_id") or "", item.get("approve") is True, text_of(item, "reason"))
        case _:
            return Text(orjson.dumps(item).decode())


def _set(**fields: str | None) -> dict[str, JsonValue]:
    return {key: value for key, value in fields.items() if value is not None}
