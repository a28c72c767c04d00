"""Messages in an agent file, written and read.

The published shape has no place for some of what we keep (a provider's marks, what kind of message it is). Where it
would be lost, the message gets one more key, `loci`, that other servers ignore.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.api.wire_stored import wire_stored
from loci.errors import Unprocessable
from loci.model.pictures import from_base64
from loci.store.parts import part_from_json, part_to_json
from loci.types.json import EMPTY, JsonObject, JsonValue, object_of, objects_of, text_of
from loci.types.messages import (
    ApprovalAnswer,
    Image,
    Kind,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Trust,
)

OWN_KEY = "loci"
_KEPT = (
    "role",
    "content",
    "name",
    "otid",
    "sender_id",
    "model",
    "tool_calls",
    "tool_call_id",
    "tool_returns",
    "created_at",
    "approve",
    "approval_request_id",
    "denial_reason",
    "approvals",
)
_ROLES = {role.value: role for role in Role} | {"function": Role.TOOL}
_KINDS = {"login": Kind.LOGIN, "heartbeat": Kind.HEARTBEAT, "system_alert": Kind.ALERT}
_SUMMARY = "The following is a summary of the previous messages:\n"
_STATUSES = {"success": "OK", "error": "Failed"}
NO_TIME = datetime.fromtimestamp(0, UTC)
_UNREADABLE = Text("[A picture that could not be read.]")


def wire_file_messages(messages: Sequence[Message], agent_id: str) -> list[WireObject]:
    """Messages that have ids of the file already."""
    tools: dict[str, str] = {}
    written: list[WireObject] = []
    for message in messages:
        written.append(_written(message, agent_id, tools))
        tools |= {call.id: call.name for call in message.tool_calls}
    return written


def _written(message: Message, agent_id: str, tools: Mapping[str, str]) -> WireObject:
    stored = wire_stored(message)
    item: WireObject = {"type": "message", "id": message.id, "agent_id": agent_id, "group_id": None}
    item |= {key: stored[key] for key in _KEPT} | {"batch_item_id": None}
    if message.role is Role.TOOL:
        packed = [_packed(result, message.created_at) for result in message.tool_results]
        item["content"] = [{"type": "text", "text": text, "signature": None} for text in packed]
        item["tool_returns"] = [
            {
                "tool_call_id": result.call_id,
                "status": result.status,
                "stdout": list(result.stdout) or None,
                "stderr": list(result.stderr) or None,
                "func_response": text,
            }
            for result, text in zip(message.tool_results, packed, strict=True)
        ]
    plain = read_message(item, "", tools)
    # The compiled prompt is made anew by whoever reads the file.
    if message.kind is not Kind.SYSTEM_PROMPT and (plain.role, plain.parts, plain.kind, plain.extra, plain.name) != (
        message.role,
        message.parts,
        message.kind,
        message.extra,
        message.name,
    ):
        item[OWN_KEY] = {
            "role": message.role.value,
            "kind": message.kind.value,
            "name": message.name,
            "parts": [part_to_json(part) for part in message.parts],
            "extra": message.extra,
        }
    return item


def _packed(result: ToolResult, at: datetime) -> str:
    """What a tool returned, as other servers keep it."""
    fields = {"status": _STATUSES[result.status], "message": result.text, "time": wire_moment(at)}
    return orjson.dumps(fields).decode()


def read_message(item: JsonObject, where: str, tools: Mapping[str, str], fallback: datetime = NO_TIME) -> Message:
    """A message of a file. `tools` tells the tool of each call so far, `fallback` the time of a message without one.

    Raises Unprocessable that names the place.
    """
    role = _ROLES.get(str(item.get("role")))
    if role is None:
        raise Unprocessable(f"{where}.role is {item.get('role')!r}, which no message has.")
    parts = _parts(item, role, tools)
    if role is Role.APPROVAL and any(isinstance(part, ToolCall) for part in parts):
        role = Role.ASSISTANT  # what was asked is a message of its own elsewhere; here it is the call itself
    message = Message(
        id=str(item.get("id") or ""),
        role=role,
        parts=parts,
        kind=_kind(role, parts),
        trust=Trust.IMPORT,
        created_at=_moment(item.get("created_at"), fallback),
        agent_id="",
        conversation_id="",
        name=None if role is Role.TOOL else text_of(item, "name"),
        otid=text_of(item, "otid"),
        sender_id=text_of(item, "sender_id"),
        model=text_of(item, "model"),
        extra=_extra(parts) if _kind(role, parts) is Kind.SUMMARY else None,
    )
    own = item.get(OWN_KEY)
    return message if not isinstance(own, Mapping) else _with_own(message, own)


def _with_own(message: Message, own: JsonObject) -> Message:
    kind, role, extra, parts = own.get("kind"), own.get("role"), own.get("extra"), own.get("parts")
    kinds = {item.value: item for item in Kind}
    read = [part_from_json(item) for item in parts if isinstance(item, Mapping)] if isinstance(parts, list) else None
    return Message(
        id=message.id,
        role=_ROLES.get(str(role), message.role),
        parts=message.parts if read is None else tuple(map(_seen, read)),
        kind=kinds.get(str(kind), message.kind),
        trust=message.trust,
        created_at=message.created_at,
        agent_id="",
        conversation_id="",
        name=text_of(own, "name"),
        otid=message.otid,
        sender_id=message.sender_id,
        model=message.model,
        extra=extra if isinstance(extra, Mapping) else None,
    )


def _kind(role: Role, parts: Sequence[Part]) -> Kind:
    """Why the message exists: what a server says to an agent stands in the user's place, as JSON."""
    if role is not Role.USER or len(parts) != 1 or not isinstance(parts[0], Text):
        return Kind.PLAIN
    fields = _json_object(parts[0].text)
    kind = _KINDS.get(str(fields.get("type")), Kind.PLAIN)
    return Kind.SUMMARY if kind is Kind.ALERT and _SUMMARY in str(fields.get("message")) else kind


def _extra(parts: Sequence[Part]) -> JsonObject:
    text = parts[0].text if isinstance(parts[0], Text) else ""
    return {"summary": str(_json_object(text).get("message")).partition(_SUMMARY)[2].strip()}


def _parts(item: JsonObject, role: Role, tools: Mapping[str, str]) -> tuple[Part, ...]:
    content = item.get("content") if item.get("content") is not None else item.get("text")
    parts: list[Part] = []
    if isinstance(content, str):
        parts = [Text(content)] if content else []
    elif isinstance(content, list):
        parts = [part for entry in content if (part := _part(entry, tools)) is not None]
    if role is Role.TOOL:
        returns = objects_of(item.get("tool_returns"))
        texts = "\n".join(part.text for part in parts if isinstance(part, Text))
        call_id, name = str(item.get("tool_call_id") or ""), text_of(item, "name")
        if any(entry.get("func_response") is not None or entry.get("tool_call_id") for entry in returns):
            return tuple(_result(entry, call_id, tools, name, texts) for entry in returns)
        return (_result({**(returns[0] if returns else EMPTY), "func_response": texts}, call_id, tools, name, texts),)
    if not any(isinstance(part, ToolCall) for part in parts):
        parts += [_call(entry, number) for number, entry in enumerate(objects_of(item.get("tool_calls")))]
    if role is Role.APPROVAL:
        parts += _answers(item, tools)
    return tuple(parts)


def _part(entry: JsonValue, tools: Mapping[str, str]) -> Part | None:
    """One part of the content; what we have no place for stays as its JSON text."""
    if not isinstance(entry, Mapping):
        return Text(entry) if isinstance(entry, str) else None
    match entry.get("type"):
        case "text" | None:
            return Text(str(entry.get("text") or ""), text_of(entry, "signature"))
        case "image":
            source = entry.get("source")
            return _seen(_image(object_of(source)))
        case "reasoning" | "summarized_reasoning" | "redacted_reasoning" | "omitted_reasoning":
            return _thought(entry)
        case "tool_call":
            return ToolCall(str(entry.get("id") or ""), str(entry.get("name") or ""), _arguments(entry.get("input")))
        case "tool_return":
            return _result({**entry, "func_response": entry.get("content")}, "", tools, None, "")
        case _:
            return Text(orjson.dumps(entry).decode())


def _thought(entry: JsonObject) -> Reasoning | None:
    match entry.get("type"):
        case "reasoning":
            native = entry.get("is_native") is not False
            return Reasoning(str(entry.get("reasoning") or ""), text_of(entry, "signature"), native=native)
        case "summarized_reasoning":
            words = "\n\n".join(str(piece.get("text") or "") for piece in objects_of(entry.get("summary")))
            return Reasoning(words, text_of(entry, "encrypted_content"), id=text_of(entry, "id"))
        case "redacted_reasoning":
            return Reasoning("", redacted=str(entry.get("data") or ""))
        case _:
            return None


def _image(source: JsonObject) -> Image:
    if isinstance(source.get("data"), str):
        return Image(text_of(source, "media_type"), text_of(source, "data"), detail=text_of(source, "detail"))
    return Image(url=text_of(source, "url"), detail=text_of(source, "detail"))


def _seen(part: Part) -> Part:
    """The part, if a model can be shown it: a picture that is none would make the history unusable."""
    if not isinstance(part, Image):
        return part
    fine = from_base64(part.data) is not None if part.data else (part.url or "").startswith(("http://", "https://"))
    return part if fine else _UNREADABLE


def _call(entry: JsonObject, number: int) -> ToolCall:
    function = entry.get("function")
    named = function if isinstance(function, Mapping) else entry
    call_id = str(entry.get("id") or entry.get("tool_call_id") or f"call-{number}")
    return ToolCall(call_id, str(named.get("name") or ""), _arguments(named.get("arguments")))


def _arguments(value: JsonValue) -> str:
    return value if isinstance(value, str) else orjson.dumps(value if value is not None else {}).decode()


def _result(entry: JsonObject, call_id: str, tools: Mapping[str, str], name: str | None, texts: str) -> ToolResult:
    """What a tool returned; it is often packed as JSON with a status."""
    own_id = str(entry.get("tool_call_id") or call_id)
    response = entry.get("func_response")
    text = texts if response is None else response if isinstance(response, str) else orjson.dumps(response).decode()
    packed = _json_object(text)
    failed = entry.get("status") == "error" or entry.get("is_error") is True
    if packed.get("status") in _STATUSES.values() and "message" in packed:
        inner = packed["message"]
        text = inner if isinstance(inner, str) else orjson.dumps(inner).decode()
        failed = packed["status"] == "Failed"
    return ToolResult(
        own_id,
        tools.get(own_id) or name or "",
        text,
        "error" if failed else "success",
        _lines(entry.get("stdout")),
        _lines(entry.get("stderr")),
    )


def _answers(item: JsonObject, tools: Mapping[str, str]) -> list[Part]:
    found: list[Part] = []
    for entry in objects_of(item.get("approvals")):
        if entry.get("type") == "tool" or "approve" not in entry:
            response = entry.get("func_response") if "func_response" in entry else entry.get("tool_return")
            found.append(_result({**entry, "func_response": response}, "", tools, None, ""))
        else:
            call_id = str(entry.get("tool_call_id") or "")
            found.append(ApprovalAnswer(call_id, entry.get("approve") is True, text_of(entry, "reason")))
    approve = item.get("approve")
    if not found and isinstance(approve, bool):
        found.append(ApprovalAnswer("", approve, text_of(item, "denial_reason")))
    return found


def _json_object(text: str) -> JsonObject:
    if not text.startswith("{"):
        return EMPTY
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError:
        return EMPTY
    return object_of(value)


def _lines(value: JsonValue) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _moment(value: JsonValue, fallback: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else fallback
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return fallback
