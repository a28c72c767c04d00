"""Our messages on the chat-completions wire, as bytes.

A long history is sent anew with every call, so each message is spelt once and its bytes are kept, and what a request
has in common with the one before is kept in one piece: a turn pays for what is new. On the way the pairing of calls and
results is checked; a history that providers would refuse takes the slow road through `loci.model.history`, which mends
it.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, assert_never

import orjson

from loci.model.base import ModelInfo, ModelRequest
from loci.model.chat_dialect import Dialect
from loci.model.chat_fields import fields_of, tools_of
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

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where servers put thoughts, and where they want them back. A `Reasoning` part keeps the name as its id."""
PICTURES, TURNS = "pictures", "turns"
"""What can be left out beside fields: all pictures; the borders between messages of the same side."""
KEPT_BYTES = 64_000_000
NO_PICTURE = "[A picture, which this model cannot see.]"

_SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")
_ID_CHARS_MAX = 40
_ENTRY_BYTES = 400
_BEGINNING_MIN = 64
"""Shorter histories are spelt as fast message by message."""
_LONG_BYTES = 32_768
_LONG_SHARE = 8
"""What is longer than that stands alone; a new part of a history, when it is more than an eighth of what is before."""


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
    """The first `size` messages of a request as they were sent last, and the calls in them, all with results.

    `spelt` is a long piece, which is used again as it is, and a short one, to which the next messages are added.
    """

    messages: Sequence[Message] = ()
    size: int = 0
    last: Message | None = None
    spelt: tuple[bytes, bytes] = (b"", b"")
    call_ids: frozenset[str] = frozenset()

    def begins(self, messages: Sequence[Message]) -> bool:
        """Whether the request still begins with these messages."""
        if len(messages) < self.size:
            return False
        if messages is self.messages:
            # A window only grows, and only behind its last calls, so there is no need to walk through thousands.
            return messages[self.size - 1] is self.last
        return tuple(self.messages[: self.size]) == tuple(messages[: self.size])


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
        messages, call_ids = self._messages(request)
        tail = b"]}"
        if request.tools:
            tail = b'],"tools":' + dump(tools_of(request, self.dialect)) + b"}"
        fields = fields_of(info, request, self.dialect, without)
        pieces = _joined(messages)
        pieces[0] = dump(fields)[:-1] + b',"messages":[' + pieces[0]
        pieces[-1] += tail
        return Encoded(pieces, frozenset(fields), call_ids)

    def _variant(self, without: frozenset[str]) -> "Encoder":
        blind, joins = PICTURES in without, TURNS in without or self.dialect.joins_turns
        dialect = replace(self.dialect, takes_images=self.dialect.takes_images and not blind, joins_turns=joins)
        return self if dialect == self.dialect else self._variants.setdefault(dialect, Encoder(dialect))

    def _messages(self, request: ModelRequest) -> tuple[list[bytes], frozenset[str]]:
        asked, marks = request.messages, self.dialect.marks_cache
        # What is marked for a cache is the last message, which has to stand alone.
        alone = asked[-1:] if marks and asked and asked[-1].role is Role.USER else ()
        paired = None if self.dialect.joins_turns else self._paired(asked, len(asked) - len(alone))
        if paired is None:
            call_ids = frozenset(call.id for message in asked for call in message.tool_calls)
            spelt = [dump(each) for each in self._mended(asked)]
            if marks and spelt:
                spelt[-1] = _marked(spelt[-1])
        else:
            spelt, call_ids = paired
            spelt += [_marked(data) for message in alone if (data := self._spelt(message).data)]
        return [*self._system(request.system), *spelt], call_ids

    def _system(self, system: str) -> list[bytes]:
        if not system:
            return []
        if self.dialect.marks_cache:
            part: JsonObject = {"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}
            return [dump({"role": "system", "content": [part]})]
        return [dump({"role": "system", "content": system})]

    def _paired(self, messages: Sequence[Message], count: int) -> tuple[list[bytes], frozenset[str]] | None:
        """The first messages as they stand; None if a call or a result stands where providers refuse it."""
        known = self._known(messages, count)
        found = [known.spelt[1]] if known.spelt[1] else []
        waiting, called = set[str](), set[str]()
        for message in messages[known.size : count]:
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
                called |= waiting
            found.append(data)
        if waiting:
            return None
        # Most turns call nothing, and a copy of all ids for each would cost more than what is new.
        call_ids = known.call_ids | called if called else known.call_ids
        if count < _BEGINNING_MIN:
            return found, call_ids
        beginning = self._begun(messages, count, (known.spelt[0], found), call_ids)
        return [piece for piece in beginning.spelt if piece], call_ids

    def _known(self, messages: Sequence[Message], count: int) -> _Beginning:
        """The beginning that is kept, if the messages still begin with it."""
        known = self._beginnings.get(messages[0].id) if messages else None
        return _Beginning() if known is None or known.size > count or not known.begins(messages) else known

    def _begun(
        self, messages: Sequence[Message], count: int, spelt: tuple[bytes, list[bytes]], call_ids: frozenset[str]
    ) -> _Beginning:
        """Keep a request as the beginning of the next one of its conversation, which is longer by a few messages."""
        long, short = spelt[0], b",".join(spelt[1])
        if len(short) > max(_LONG_BYTES, len(long) // _LONG_SHARE):
            long, short = b",".join((long, short)) if long else short, b""
        beginning = _Beginning(messages, count, messages[count - 1], (long, short), call_ids)
        self._beginnings.put(messages[0].id, beginning, len(long) + len(short) + _ENTRY_BYTES * count)
        return beginning

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
