"""Our messages on the chat-completions wire, as bytes.

A long history is sent anew with every call, so each message is spelt once and its bytes are kept, and what a request
has in common with the one before is kept in one piece: a turn pays for what is new. On the way the pairing of calls and
results is checked; a history that providers would refuse takes the slow road through `loci.model.history`, which mends
it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, assert_never

import orjson

from loci.model.base import ModelInfo, ModelRequest
from loci.model.chat_dialect import Dialect
from loci.model.history import AssistantTurn, UserTurn, turns
from loci.model.kept import Kept
from loci.types.json import JsonObject, JsonValue
from loci.types.messages import (
    Image,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from loci.types.tools import ToolSchema

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put thoughts, and where they want them back. A `Reasoning` part keeps the name as its id."""
PICTURES, TURNS = "pictures", "turns"
"""What can be left out beside fields: all pictures; the borders between messages of the same side."""
KEPT_BYTES = 64_000_000
NO_PICTURE = "[A picture, which this model cannot see.]"

_REASONERS = re.compile(r"o\d|gpt-[5-9](?!.*chat)")
_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
_ID_CHARS_MAX = 40
_ENTRY_BYTES = 400
_BEGINNING_MIN = 64
"""Shorter histories are spelt as fast message by message."""
_LONG_BYTES = 32_768
_LONG_SHARE = 8
"""What is longer than that stands alone; a new part of a history, when it is more than an eighth of what is before."""
_KNOWS_USER = frozenset({"openai", "openrouter"})
_ONE_BY_WORD_ONLY = frozenset({"ollama", "lmstudio"})


class _Spelt(NamedTuple):
    """A message on the wire: its JSON objects joined by commas (empty: nothing to send), and the calls in it."""

    parts: tuple[Part, ...]
    data: bytes
    calls: tuple[str, ...]
    results: tuple[str, ...]


class Encoded(NamedTuple):
    """A request on the wire, the fields beside its messages, and all call ids in it, which no new call may have.

    It is in pieces, because each copy of a long history costs as much as spelling it.
    """

    pieces: Sequence[bytes]
    fields: frozenset[str]
    call_ids: frozenset[str]


class _Beginning(NamedTuple):
    """The first messages of a request as they were sent last, and the calls in them, all with results.

    `spelt` is a long piece, which is used again as it is, and a short one, to which the next messages are added.
    """

    messages: tuple[Message, ...] = ()
    spelt: tuple[bytes, bytes] = (b"", b"")
    call_ids: frozenset[str] = frozenset()

    def begins(self, messages: Sequence[Message]) -> bool:
        """Whether the request still begins with these messages; being the same objects, they need not be looked at."""
        return self.messages == tuple(messages[: len(self.messages)])


class Encoder:
    """Spells requests in one dialect. Share one per dialect, so that what was spelt is kept."""

    def __init__(self, dialect: Dialect, *, kept_bytes: int = KEPT_BYTES) -> None:
        self.dialect = dialect
        self._kept: Kept[_Spelt] = Kept(kept_bytes)
        self._beginnings: Kept[_Beginning] = Kept(kept_bytes)
        self._variants: dict[Dialect, Encoder] = {}

    def body(self, info: ModelInfo, request: ModelRequest, *, without: frozenset[str] = frozenset()) -> Encoded:
        """The body of the request to a model. `without`: what this server has refused before, see `concede`."""
        if (variant := self._variant(without)) is not self:
            return variant.body(info, request, without=without)
        call_ids: set[str] = set()
        messages = self._messages(request, call_ids)
        tail = b"]}"
        if request.tools:
            strict = request.settings.strict
            tools = [_tool(tool, strict=strict) for tool in _offered(request, self.dialect)]
            tail = b'],"tools":' + dump(tools) + b"}"
        fields = self._fields(info, request, without)
        pieces = _joined(messages)
        pieces[0] = dump(fields)[:-1] + b',"messages":[' + pieces[0]
        pieces[-1] += tail
        return Encoded(pieces, frozenset(fields), frozenset(call_ids))

    def _variant(self, without: frozenset[str]) -> "Encoder":
        blind, joins = PICTURES in without, TURNS in without or self.dialect.joins_turns
        dialect = replace(self.dialect, takes_images=self.dialect.takes_images and not blind, joins_turns=joins)
        return self if dialect == self.dialect else self._variants.setdefault(dialect, Encoder(dialect))

    def _fields(self, info: ModelInfo, request: ModelRequest, without: frozenset[str]) -> JsonObject:
        settings, dialect, name = request.settings, self.dialect, info.name
        reasoner = dialect.is_openai and bool(_REASONERS.match(name))
        fields: dict[str, JsonValue] = {"model": name, "stream": True}
        if dialect.provider_type != "mistral":  # it reports usage unasked and refuses the field
            fields["stream_options"] = {"include_usage": True}
        if settings.max_output_tokens is not None:
            longer = dialect.is_openai or "max_tokens" in without
            most = min(info.output_tokens_max or info.window_tokens, max(info.window_tokens // 2, 1))
            fields["max_completion_tokens" if longer else "max_tokens"] = min(settings.max_output_tokens, most)
        if settings.temperature is not None and not reasoner:
            fields["temperature"] = settings.temperature
        if settings.reasoning_effort is not None or settings.reasoning_tokens_max is not None:
            fields.update(_thinking(request, dialect))
        if settings.verbosity is not None and dialect.is_openai:
            fields["verbosity"] = settings.verbosity
        if request.tools:
            if not re.match(r"o\d", name) or not dialect.is_openai:
                fields["parallel_tool_calls"] = settings.parallel_tool_calls
            if request.tool_choice != "auto":
                fields["tool_choice"] = _tool_choice(request.tool_choice, dialect)
        if (wanted := response_format(request.response_format)) is not None:
            fields["response_format"] = wanted
        if request.user is not None and dialect.provider_type in _KNOWS_USER:
            fields["user"] = request.user
        fields.update(request.extra)
        return {key: value for key, value in fields.items() if key not in without}

    def _messages(self, request: ModelRequest, call_ids: set[str]) -> list[bytes]:
        asked, marks = request.messages, self.dialect.marks_cache
        # What is marked for a cache is the last message, which has to stand alone.
        alone = asked[-1:] if marks and asked and asked[-1].role is Role.USER else ()
        spelt = None if self.dialect.joins_turns else self._paired(asked[: len(asked) - len(alone)], call_ids)
        if spelt is None:
            call_ids.update(call.id for message in asked for call in message.tool_calls)
            spelt = [dump(each) for each in self._mended(asked)]
            if marks and spelt:
                spelt[-1] = _marked(spelt[-1])
        else:
            spelt += [_marked(data) for message in alone if (data := self._spelt(message).data)]
        return [*self._system(request.system), *spelt]

    def _system(self, system: str) -> list[bytes]:
        if not system:
            return []
        if self.dialect.marks_cache:
            part: JsonObject = {"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}
            return [dump({"role": "system", "content": [part]})]
        return [dump({"role": "system", "content": system})]

    def _paired(self, messages: Sequence[Message], call_ids: set[str]) -> list[bytes] | None:
        """The messages as they stand; None if a call or a result stands where providers refuse it."""
        known = self._known(messages)
        call_ids |= known.call_ids
        found = [known.spelt[1]] if known.spelt[1] else []
        waiting: set[str] = set()
        for message in messages[len(known.messages) :]:
            _, data, calls, results = self._spelt(message)
            if not data:
                continue
            if (calls and message.role is not Role.ASSISTANT) or (results and message.role is not Role.TOOL):
                return None
            if results:
                if not waiting.issuperset(results):
                    return None
                waiting.difference_update(results)
            elif waiting:
                return None
            if calls:
                waiting.update(calls)
                if len(waiting) != len(calls):
                    return None
                call_ids |= waiting
            found.append(data)
        if waiting:
            return None
        return found if len(messages) < _BEGINNING_MIN else self._begun(messages, known.spelt[0], found, call_ids)

    def _known(self, messages: Sequence[Message]) -> _Beginning:
        """The beginning that is kept, if the messages still begin with it."""
        known = self._beginnings.get(messages[0].id) if messages else None
        return _Beginning() if known is None or not known.begins(messages) else known

    def _begun(self, messages: Sequence[Message], long: bytes, found: list[bytes], call_ids: set[str]) -> list[bytes]:
        """Keep a request as the beginning of the next one of its conversation, which is longer by a few messages."""
        short = b",".join(found)
        if len(short) > max(_LONG_BYTES, len(long) // _LONG_SHARE):
            long, short = b",".join((long, short)) if long else short, b""
        beginning = _Beginning(tuple(messages), (long, short), frozenset(call_ids))
        self._beginnings.put(messages[0].id, beginning, len(long) + len(short) + _ENTRY_BYTES * len(messages))
        return [piece for piece in (long, short) if piece]

    def _spelt(self, message: Message) -> _Spelt:
        spelt = self._kept.get(message.id)
        # An edited message keeps its id, so the parts have to be the same ones.
        if spelt is not None and spelt.parts == message.parts:
            return spelt
        data = b",".join(dump(each) for each in self._wire(message))
        calls = tuple(call.id for call in message.tool_calls)
        results = tuple(result.call_id for result in message.tool_results)
        spelt = _Spelt(message.parts, data, calls, results)
        # The parts are held too, and are about as large as their spelling.
        self._kept.put(message.id, spelt, 2 * len(data) + _ENTRY_BYTES)
        return spelt

    def _wire(self, message: Message) -> Iterator[JsonObject]:
        match message.role:
            case Role.SYSTEM:
                yield {"role": "system", "content": message.text}
            case Role.USER:
                yield from self._user(message.parts)
            case Role.ASSISTANT:
                yield from self._assistant(message.parts)
            case Role.TOOL:
                for result in message.tool_results:
                    yield self._result(result)
            case Role.APPROVAL:
                return
            case _:
                assert_never(message.role)

    def _mended(self, messages: Sequence[Message]) -> Iterator[JsonObject]:
        for turn in turns(messages):
            match turn:
                case AssistantTurn(parts=parts):
                    yield from self._assistant(parts)
                case UserTurn(results=results, said=said):
                    for result in results:
                        yield self._result(result)
                    together = [tuple(part for parts in said for part in parts)] if self.dialect.joins_turns else said
                    for parts in together:
                        yield from self._user(parts)

    def _user(self, parts: Sequence[Part]) -> Iterator[JsonObject]:
        shown: list[JsonObject] = []
        for part in parts:
            if isinstance(part, Text):
                shown.append({"type": "text", "text": part.text})
            elif isinstance(part, Image):
                shown.append(_image(part) if self.dialect.takes_images else {"type": "text", "text": NO_PICTURE})
        if shown and all(part["type"] == "text" for part in shown):
            # Plain text is what every server takes, also those that know no parts.
            yield {"role": "user", "content": "\n".join(str(part["text"]) for part in shown)}
        elif shown:
            yield {"role": "user", "content": shown}

    def _assistant(self, parts: Sequence[Part]) -> Iterator[JsonObject]:
        text = "\n".join(part.text for part in parts if isinstance(part, Text))
        calls: list[JsonValue] = [self._call(part) for part in parts if isinstance(part, ToolCall)]
        if not text and not calls:
            return
        message: dict[str, JsonValue] = {"role": "assistant", "content": text or None}
        for part in parts:
            if isinstance(part, Reasoning) and part.native and part.provider == self.dialect.provider:
                if part.id in REASONING_FIELDS and part.text:
                    message[part.id] = str(message.get(part.id, "")) + part.text
                if part.signature:
                    message["reasoning_details"] = _loaded(part.signature)
        if calls:
            message["tool_calls"] = calls
        yield message

    def _call(self, part: ToolCall) -> JsonObject:
        function: JsonObject = {"name": part.name, "arguments": as_object(part.arguments)}
        call: dict[str, JsonValue] = {"id": self._id(part.id), "type": "function", "function": function}
        if part.signature and part.provider == self.dialect.provider:
            call["extra_content"] = _loaded(part.signature)
        return call

    def _result(self, part: ToolResult) -> JsonObject:
        return {"role": "tool", "tool_call_id": self._id(part.call_id), "content": part.text}

    def _id(self, call_id: str) -> str:
        """The id as this provider takes it; the same one always comes out the same."""
        if self.dialect.short_ids and not _SHORT_ID.fullmatch(call_id):
            return hashlib.sha256(call_id.encode()).hexdigest()[:9]
        return call_id if len(call_id) <= _ID_CHARS_MAX else "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:24]


def _joined(spelt: Sequence[bytes]) -> list[bytes]:
    """The parts of a list with the commas between them, in few pieces: a long part stands alone."""
    pieces: list[bytes] = []
    short: list[bytes] = []
    for part in spelt:
        if len(part) > _LONG_BYTES:
            pieces += [b",".join((*short, b"")), part]
            short = [b""]
        else:
            short.append(part)
    return [*pieces, b",".join(short)]


def dump(value: JsonValue | Sequence[JsonObject]) -> bytes:
    """JSON bytes. Half of a surrogate pair, which is no UTF-8, becomes a question mark instead of an error."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def as_object(arguments: str) -> str:
    """The arguments if they are a JSON object, else wrapped in one: servers refuse a history with anything else."""
    if arguments.strip() in ("", "null"):
        return "{}"
    try:
        if isinstance(orjson.loads(arguments), dict):
            return arguments
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass
    return json.dumps({"invalid_arguments": arguments})


def response_format(wanted: JsonObject | None) -> JsonObject | None:
    """The format as this wire wants it: a bare JSON schema gets the envelope that names it."""
    if wanted is None or wanted.get("type") in (None, "text"):
        return None
    schema = wanted.get("json_schema")
    if wanted.get("type") == "json_schema" and isinstance(schema, Mapping) and "schema" not in schema:
        return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    return wanted


def _thinking(request: ModelRequest, dialect: Dialect) -> JsonObject:
    effort, most = request.settings.reasoning_effort, request.settings.reasoning_tokens_max
    if dialect.provider_type == "openrouter":
        chosen: JsonObject = {"effort": effort} if effort is not None else {"max_tokens": most}
        return {"reasoning": chosen}
    return {} if effort is None else {"reasoning_effort": effort}


def _tool_choice(choice: str, dialect: Dialect) -> JsonValue:
    if choice in ("none", "required"):
        return choice
    if dialect.provider_type in _ONE_BY_WORD_ONLY:
        return "required"
    return {"type": "function", "function": {"name": choice}}


def _offered(request: ModelRequest, dialect: Dialect) -> Sequence[ToolSchema]:
    """All tools; only the named one where a server cannot be told its name."""
    named = [tool for tool in request.tools if tool.name == request.tool_choice]
    return named if named and dialect.provider_type in _ONE_BY_WORD_ONLY else request.tools


def _tool(tool: ToolSchema, *, strict: bool) -> JsonObject:
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    if strict and tool.parameters.get("additionalProperties") is False:
        # Strict mode is only for schemas in which nothing is optional; others would be refused.
        names = set(properties) if isinstance(properties, Mapping) else set[str]()
        if names == set(required if isinstance(required, list) else ()):
            function["strict"] = True
    return {"type": "function", "function": function}


def _image(part: Image) -> JsonObject:
    url = part.url if part.data is None else f"data:{part.media_type or 'image/png'};base64,{part.data}"
    shown: JsonObject = {"url": url} if part.detail is None else {"url": url, "detail": part.detail}
    return {"type": "image_url", "image_url": shown}


def _marked(data: bytes) -> bytes:
    """The last message, if a user said it in plain text, with the mark up to which the prompt is cached."""
    message: JsonValue = orjson.loads(b"[" + data + b"]")[-1]
    if not isinstance(message, dict) or message.get("role") != "user" or not isinstance(message.get("content"), str):
        return data
    part: JsonObject = {"type": "text", "text": message["content"], "cache_control": {"type": "ephemeral"}}
    return dump({"role": "user", "content": [part]})


def _loaded(text: str) -> JsonValue:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
