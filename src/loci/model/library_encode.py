"""A `ModelRequest` in the library's shapes. The one place where our messages become a provider's.

Who said what arrives through `history.turns`, so here every call has its result already. Pictures that have to be
looked up first (an address, for a provider that takes none) are given as `fetched`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    ImageUrl,
    InstructionPart,
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as LibraryRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.tools import ToolDefinition

from loci.model.base import ModelRequest
from loci.model.history import AssistantTurn, Said, Turn, UserTurn, turns
from loci.model.library_parts import is_shown, outgoing
from loci.model.library_wire import Dialect
from loci.model.pictures import Picture, from_base64, from_data_url, untold
from loci.types.json import JsonObject, JsonValue
from loci.types.messages import Image, Reasoning, Text

OPENING = "(The conversation goes on.)"
"""Said in the user's place where a provider wants the user to speak first or last and nobody did."""

Fetched: TypeAlias = Mapping[str, Picture | str]
"""What was found at addresses, or why nothing was."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the library is given."""

    messages: list[ModelMessage]
    parameters: ModelRequestParameters


def encode(request: ModelRequest, dialect: Dialect, fetched: Fetched) -> Call:
    """Translate the request."""
    sealed = frozenset(
        part.id
        for message in request.messages
        for part in message.parts
        if isinstance(part, Reasoning) and part.signature and part.id
    )
    woven = turns(
        request.messages,
        stable_count=request.stable_count,
        keep=lambda part: is_shown(part, dialect, sealed),
    )
    history = _in_turns(woven) if dialect.speaks_in_turns else woven
    marked = _marked_turn(history) if dialect.marks_cache else None
    messages: list[ModelMessage] = []
    for position, turn in enumerate(history):
        match turn:
            case AssistantTurn(parts=parts):
                messages.append(ModelResponse([outgoing(part, dialect) for part in parts]))
            case UserTurn():
                messages.append(_user_message(turn, dialect, fetched, is_marked=position == marked))
    return Call(messages, _parameters(request, dialect))


def _in_turns(history: Sequence[Turn]) -> Sequence[Turn]:
    opening = UserTurn(said=((Text(OPENING),),), stable=True)
    first = () if history and isinstance(history[0], UserTurn) else (opening,)
    last = (opening,) if history and isinstance(history[-1], AssistantTurn) else ()
    return (*first, *history, *last)


def _marked_turn(history: Sequence[Turn]) -> int | None:
    """Find the last turn that a prompt cache may hold already. The very last turn is marked by a setting anyway."""
    stable = [at for at, turn in enumerate(history[:-1]) if isinstance(turn, UserTurn) and turn.stable]
    return stable[-1] if stable else None


def _user_message(
    turn: UserTurn,
    dialect: Dialect,
    fetched: Fetched,
    *,
    is_marked: bool,
) -> LibraryRequest:
    parts: list[ModelRequestPart] = [
        ToolReturnPart(
            result.name,
            result.text,
            result.call_id,
            outcome="failed" if result.status == "error" and dialect.flags_errors else "success",
        )
        for result in turn.results
    ]
    for said in turn.said:
        content = list(_content(said, dialect, fetched))
        parts.append(UserPromptPart(content[0] if len(content) == 1 and isinstance(content[0], str) else content))
    if is_marked:
        parts.append(UserPromptPart([CachePoint()]))
    return LibraryRequest(parts)


def _content(said: Sequence[Said], dialect: Dialect, fetched: Fetched) -> Iterator[UserContent]:
    for part in said:
        match part:
            case Text(text):
                yield text
            case Image():
                yield _image(part, dialect, fetched)


def _image(image: Image, dialect: Dialect, fetched: Fetched) -> UserContent:
    detail = {"detail": image.detail} if image.detail and dialect.system == "openai" else None
    if not dialect.image_types:
        return untold("this model sees no pictures")
    if is_left_to_provider(image, dialect):
        return ImageUrl(image.url or "", vendor_metadata=detail)
    if image.data is not None:
        found = from_base64(image.data)
    elif image.url and image.url.startswith("data:"):
        found = from_data_url(image.url)
    else:
        found = fetched.get(image.url or "")
    match found:
        case str(reason):
            return untold(reason)
        case Picture(data, media_type) if media_type in dialect.image_types:
            return BinaryContent(data, media_type=media_type, vendor_metadata=detail)
        case Picture(_, media_type):
            return untold(f"this model cannot see {media_type}")
        case None:
            return untold("it is broken, or of an unknown kind")


def is_left_to_provider(image: Image, dialect: Dialect) -> bool:
    """Whether the provider will fetch the picture itself."""
    return image.data is None and (image.url or "").partition(":")[0] in dialect.image_url_schemes


def _parameters(request: ModelRequest, dialect: Dialect) -> ModelRequestParameters:
    strict = True if request.settings.strict else (None if dialect.system == "google" else False)
    tools = [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=cast("dict[str, Any]", tool.parameters),
            strict=strict,
        )
        for tool in request.tools
    ]
    output = _output(request.response_format)
    if output is not None and dialect.system == "anthropic":
        output.strict = None  # the provider knows no other kind, and the library refuses the word
    native = dialect.native_schema and (dialect.native_schema_with_tools or not tools)
    mode: Literal["text", "native", "prompted"] = "text"
    if output is not None:
        mode = "native" if native and output.name is not None else "prompted"
    return ModelRequestParameters(
        function_tools=tools,
        output_mode=mode,
        output_object=output,
        instruction_parts=[InstructionPart(request.system)] if request.system.strip() else [],
    )


def _output(response_format: JsonObject | None) -> OutputObjectDefinition | None:
    """Read `response_format` of the Letta V1 API: text, json_object, or json_schema with name, schema and strict."""
    match response_format:
        case {"type": "json_schema"}:
            wrapped = _object(response_format.get("json_schema")) or response_format
            schema = _object(wrapped.get("schema")) or {"type": "object"}
            name, description = wrapped.get("name"), wrapped.get("description")
            return OutputObjectDefinition(
                cast("dict[str, Any]", schema),
                name=name if isinstance(name, str) else "answer",
                description=description if isinstance(description, str) else None,
                strict=bool(wrapped.get("strict", True)),
            )
        case {"type": "json_object"}:
            return OutputObjectDefinition({"type": "object"})
        case _:
            return None


def _object(value: JsonValue) -> JsonObject | None:
    return value if isinstance(value, Mapping) else None
