"""One part in the library's shape and back: the only place that knows where each provider keeps its signatures.

    Anthropic    thinking: signature · redacted thinking: its data
    OpenAI       reasoning: encrypted content and item id · text, call: item id (and the phase of a text)
    Google       any part: thought signature

Signatures carry the provider's name. They are put on the wire again only for that provider.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.messages import FilePart, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart

from loci.model.history import Answered
from loci.model.library_wire import Dialect
from loci.types.messages import Image, Part, Reasoning, Text, ToolCall

REDACTED_ID = "redacted_thinking"
_THOUGHT = "thought_signature"


def is_shown(part: Answered, dialect: Dialect, sealed_ids: frozenset[str]) -> bool:
    """Tell whether this part of an old answer is sent.

    Thoughts go back to their own provider only, and only where it can check them: OpenAI looks a reasoning item up
    by its id unless the encrypted content (`sealed_ids`: the items that have it) comes along.
    """
    match part:
        case Text(text):
            return bool(text.strip()) or (dialect.system == "google" and _is_own(part, dialect))
        case Reasoning(text, signature, _, redacted, native, item_id):
            if not native or not _is_own(part, dialect):
                return False
            match dialect.system:
                case "anthropic":
                    return bool(signature or redacted)
                case "openai":
                    return item_id in sealed_ids
                case "google":
                    return bool(text)
        case ToolCall():
            return True


def outgoing(part: Answered, dialect: Dialect) -> ModelResponsePart:
    """Put a part of an answer into the library's shape, with its signature if it is this provider's own."""
    own = _is_own(part, dialect)
    signature = part.signature if own else None
    system = dialect.system if own else None
    match part:
        case Text(text):
            item_id, details = _marks(signature, dialect)
            return TextPart(text, id=item_id, provider_name=system, provider_details=details)
        case ToolCall(call_id, name, arguments):
            item_id, details = _marks(signature, dialect)
            call = ToolCallPart(name, arguments or "{}", call_id, id=item_id)
            call.provider_name, call.provider_details = system, details
            return call
        case Reasoning(text, _, _, redacted, _, item_id):
            if dialect.system == "google":
                details = _marks(signature, dialect)[1]
                return ThinkingPart(text, provider_name=system, provider_details=details)
            if redacted:
                return ThinkingPart("", id=REDACTED_ID, signature=redacted, provider_name=system)
            return ThinkingPart(text, id=item_id, signature=signature, provider_name=system)


def incoming(part: ModelResponsePart, dialect: Dialect) -> Part | None:
    """Take a part of the answer into our shape. None for what Loci never asks for (tools on the provider's side)."""
    match part:
        case TextPart():
            signature = _signature(part.id, part.provider_details, dialect)
            return Text(part.content, signature, dialect.provider if signature else None)
        case ThinkingPart() if part.id == REDACTED_ID:
            return Reasoning("", provider=dialect.provider, redacted=part.signature)
        case ThinkingPart():
            signature = _thought(part.provider_details) if dialect.system == "google" else part.signature or None
            item_id = part.id if dialect.system == "openai" else None
            return Reasoning(part.content, signature, dialect.provider, id=item_id)
        case ToolCallPart():
            signature = _signature(part.id, part.provider_details, dialect)
            provider = dialect.provider if signature else None
            return ToolCall(part.tool_call_id, part.tool_name, arguments_text(part.args) or "{}", signature, provider)
        case FilePart():
            return Image(part.content.media_type, base64.b64encode(part.content.data).decode())
        case _:
            return None


def arguments_text(arguments: str | Mapping[str, Any] | None) -> str:
    """Give the arguments as the JSON text that the model wrote, or would have written."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)


def _is_own(part: Answered, dialect: Dialect) -> bool:
    return part.provider == dialect.provider


def _signature(item_id: str | None, details: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
    match dialect.system:
        case "google":
            return _thought(details)
        case "openai" if item_id:
            phase = (details or {}).get("phase")
            return json.dumps({"id": item_id} | ({"phase": phase} if phase else {}), separators=(",", ":"))
        case _:
            return None


def _thought(details: Mapping[str, Any] | None) -> str | None:
    value = (details or {}).get(_THOUGHT)
    return value if isinstance(value, str) else None


def _marks(signature: str | None, dialect: Dialect) -> tuple[str | None, dict[str, Any] | None]:
    """Unpack a signature into the item id and details that the library keeps. A spoilt one is left out."""
    if signature is None:
        return None, None
    match dialect.system:
        case "anthropic":
            return None, None
        case "google":
            return None, {_THOUGHT: signature} if _is_base64(signature) else None
        case "openai":
            try:
                marks = cast("object", json.loads(signature))
            except ValueError:
                return None, None
            if not isinstance(marks, dict):
                return None, None
            known = cast("dict[str, object]", marks)
            item_id, phase = known.get("id"), known.get("phase")
            return (item_id if isinstance(item_id, str) else None), ({"phase": phase} if phase else None)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
