"""The chat-completions stream as our events. Bytes go in, events come out: no network, no clock.

Servers differ in much: calls without index or id, whole calls at once, thoughts under two names or in tags, errors in
the middle of a stream, one JSON document instead of a stream. All of it ends as the same parts. What is no answer
(nothing in it, cut off, garbage, too large) ends as `Failed`.
"""

import re
import secrets
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast

import orjson

from loci.errors import ModelFault
from loci.model.base import Failed, Finished, ModelEvent, ModelInfo, ReasoningDelta, TextDelta, ToolCallDelta
from loci.model.chat_wire import WireCallPiece, WireChunk, WireDelta, WireFunction, merge_details, usage_of
from loci.model.faults import Trouble, failed, failed_from
from loci.model.http import REPLY_BYTES_MAX
from loci.model.think import ThinkTags
from loci.model.tokens import with_cost
from loci.types.json import JsonObject, JsonValue
from loci.types.messages import Part, Reasoning, Text, ToolCall

_FINISH: dict[str, Literal["stop", "tool_calls", "length", "content_filter"]] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_CALL_ID = re.compile(r"[!-~]{1,64}")
_STRAY_BYTES_MAX = 200_000


@dataclass(slots=True)
class _Call:
    """A tool call in the making. `given` is the id on the wire, `id` the one that we use."""

    index: int
    id: str
    given: str
    name: str
    arguments: list[str] = field(default_factory=list[str])
    signature: str | None = None


class Decoder:
    """Decodes one answer. Feed it until `done`, then take the last event from `close`."""

    def __init__(
        self,
        info: ModelInfo,
        *,
        secret: str | None,
        now: datetime,
        taken: Container[str] = (),
    ) -> None:
        self.done = False
        self.request_id: str | None = None
        self._info = info
        self._secret = secret
        self._now = now
        self._taken = taken
        self._called: set[str] = set()
        self._ended: Failed | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._seen_data = False
        self._stray: list[bytes] = []
        self._parts = 0
        self._text_index = -1
        self._text: list[str] = []
        self._thought_index = -1
        self._thoughts: list[str] = []
        self._thought_field: str | None = None
        self._details: list[dict[str, Any]] = []
        self._tags: ThinkTags | None = ThinkTags()
        self._calls: list[_Call] = []
        self._by_number: dict[int, _Call] = {}
        self._usage: JsonObject | None = None
        self._finish: str | None = None
        self._model: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the model came to its end, even if the connection breaks before the stream does."""
        return self._ended is None and (self.done or self._finish is not None)

    def feed(self, data: bytes) -> Iterable[ModelEvent]:
        """Decode what came in: any number of whole or broken lines of the event stream."""
        self._size += len(data)
        if self._size > REPLY_BYTES_MAX:
            self._fail(ModelFault.BAD_REPLY, f"The answer is larger than {REPLY_BYTES_MAX:,} bytes.")
            return ()
        self._pieces.append(data)
        if b"\n" not in data:
            return ()
        *lines, rest = b"".join(self._pieces).split(b"\n")
        self._pieces = [rest] if rest else []
        events: list[ModelEvent] = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data(line[5:].strip(), events)
                if self.done:
                    break
            elif line and not self._seen_data and sum(map(len, self._stray)) < _STRAY_BYTES_MAX:
                self._stray.append(line)
        return events

    def end(self) -> Iterable[ModelEvent]:
        """The stream is over: decode what was left of it, also when it was no stream but one document."""
        events: list[ModelEvent] = []
        rest = b"".join(self._pieces)
        self._pieces = []
        if not self.done:
            if rest.startswith(b"data:"):
                self._data(rest[5:].strip(), events)
            elif not self._seen_data and (document := b"\n".join([*self._stray, rest]).strip()).startswith(b"{"):
                self._data(document, events)
                self._finish = self._finish or "stop"
        if self._tags is not None:
            for is_thought, text in self._tags.close():
                self._say(text, events, thought=is_thought)
        for call in self._calls:
            if not any(call.arguments):
                call.arguments.append("{}")
                events.append(ToolCallDelta(call.index, "{}"))
        return events

    def close(self) -> Finished | Failed:
        """The last event: all parts in order, or what went wrong."""
        if self._ended is not None:
            return self._ended
        if not self._seen_data:
            words = b"\n".join(self._stray).decode("utf-8", "replace") or "The answer had no content."
            return failed(ModelFault.BAD_REPLY, words, secret=self._secret)
        if not self.done and self._finish is None:
            return failed(ModelFault.CONNECTION, "The answer was cut off before its end.")
        if any(not call.name for call in self._calls):
            return failed(ModelFault.BAD_REPLY, "The answer has a tool call without a name.")
        text = "".join(self._text)
        if not text.strip() and not self._calls:
            return self._nothing()
        finish = _FINISH.get(self._finish or "stop", "stop")
        return Finished(
            parts=self._all_parts(text),
            usage=with_cost(self._info, usage_of(self._usage)),
            finish="tool_calls" if self._calls and finish == "stop" else finish,
            model=self._model,
            request_id=self.request_id,
        )

    def _nothing(self) -> Failed:
        match _FINISH.get(self._finish or ""):
            case "content_filter":
                return failed(ModelFault.REFUSED, "The answer was withheld (content_filter).")
            case "length":
                words = "The model used up its output tokens before it said anything."
                return replace(failed(ModelFault.BAD_REPLY, words), retryable=False)
            case _:
                return failed(ModelFault.BAD_REPLY, "The answer was empty: no text and no tool call.")

    def _data(self, data: bytes, events: list[ModelEvent]) -> None:
        if data == b"[DONE]":
            self.done = self._seen_data = True
            return
        if not data:
            return
        try:
            self._chunk(cast("WireChunk", orjson.loads(data)), events)
        except (orjson.JSONDecodeError, TypeError, AttributeError, LookupError, ValueError):
            self._fail(ModelFault.BAD_REPLY, "The answer is no proper JSON: " + data[:500].decode("utf-8", "replace"))
        self._seen_data = True

    def _chunk(self, chunk: WireChunk, events: list[ModelEvent]) -> None:
        usage = chunk.get("usage")
        if usage:
            self._usage = usage
        choices = chunk.get("choices")
        if not choices:
            if chunk.get("error") or chunk.get("object") == "error":
                self._refuse(chunk)
            return
        choice = choices[0]
        if choice.get("index"):
            return
        if self._model is None:
            self._model = chunk.get("model")
        delta = choice.get("delta") or choice.get("message")
        if delta:
            self._delta(delta, events)
        finish = choice.get("finish_reason")
        if finish:
            self._finish = finish.lower()
        if chunk.get("error"):
            self._refuse(chunk)

    def _delta(self, delta: WireDelta, events: list[ModelEvent]) -> None:
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought and isinstance(thought, str):
            self._tags = None
            self._thought_field = self._thought_field or (
                "reasoning_content" if delta.get("reasoning_content") else "reasoning"
            )
            self._say(thought, events, thought=True)
        details = delta.get("reasoning_details")
        if details:
            merge_details(self._details, details)
        content = delta.get("content") or delta.get("refusal")
        if content:
            if not isinstance(content, str):
                self._content_parts(content, events)
            elif self._tags is None:
                self._say(content, events)
            else:
                for is_thought, text in self._tags.split(content):
                    self._say(text, events, thought=is_thought)
                if self._tags.settled:
                    self._tags = None
        calls = delta.get("tool_calls")
        if calls:
            for piece in calls:
                self._call_piece(piece, events)

    def _say(self, text: str, events: list[ModelEvent], *, thought: bool = False) -> None:
        if thought:
            if self._thought_index < 0:
                self._thought_index = self._next_index()
            self._thoughts.append(text)
            events.append(ReasoningDelta(self._thought_index, text))
        else:
            if self._text_index < 0:
                self._text_index = self._next_index()
            self._text.append(text)
            events.append(TextDelta(self._text_index, text))

    def _content_parts(self, content: list[dict[str, Any]], events: list[ModelEvent]) -> None:
        """Content as a list of parts, as Mistral's reasoning models send it."""
        for part in content:
            if part.get("type") == "thinking":
                for inner in part.get("thinking") or ():
                    self._say(str(inner.get("text") or ""), events, thought=True)
            elif part.get("text"):
                self._say(str(part["text"]), events)

    def _call_piece(self, piece: WireCallPiece, events: list[ModelEvent]) -> None:
        function: WireFunction = piece.get("function") or {}
        name, given = function.get("name") or "", piece.get("id") or ""
        written = function.get("arguments")
        if written is None:
            written = ""
        elif not isinstance(written, str):
            written = orjson.dumps(written).decode()
        number = piece.get("index")
        call = self._begun(number, given, name)
        fresh = call is None
        if call is None:
            call = self._new_call(given, name)
            if number is not None:
                self._by_number[number] = call
        elif not call.name:
            call.name, fresh = name, bool(name)
        if extra := piece.get("extra_content"):
            call.signature = orjson.dumps(extra).decode()
        call.arguments.append(written)
        if fresh:
            events.append(ToolCallDelta(call.index, written, call.id, call.name or None))
        elif written:
            events.append(ToolCallDelta(call.index, written))

    def _begun(self, number: int | None, given: str, name: str) -> _Call | None:
        """The call that this piece belongs to; None if it begins a new one."""
        call = self._by_number.get(number) if number is not None else (self._calls[-1] if self._calls else None)
        if call is None:
            return None
        if given and call.given and given != call.given:
            return None
        if name and call.name and not given and (number is None or _is_object("".join(call.arguments))):
            return None  # servers without ids send whole calls, all of them as number 0
        return call

    def _new_call(self, given: str, name: str) -> _Call:
        # Some servers number their calls anew in each answer; the id has to be the only one of its conversation.
        usable = _CALL_ID.fullmatch(given) and not (given in self._taken or given in self._called)
        call_id = given if usable else "call_" + secrets.token_hex(12)
        self._called.add(call_id)
        call = _Call(self._next_index(), call_id, given, name)
        self._calls.append(call)
        return call

    def _next_index(self) -> int:
        self._parts += 1
        return self._parts - 1

    def _all_parts(self, text: str) -> tuple[Part, ...]:
        provider = self._info.provider
        found: list[tuple[int, Part]] = []
        if self._thoughts or self._details:
            details = orjson.dumps(self._details).decode() if self._details else None
            thoughts = "".join(self._thoughts)
            found.append(
                (
                    self._thought_index,
                    Reasoning(thoughts, signature=details, provider=provider, id=self._thought_field),
                ),
            )
        if text:
            found.append((self._text_index, Text(text)))
        for call in self._calls:
            owner = provider if call.signature else None
            arguments = "".join(call.arguments)
            found.append(
                (call.index, ToolCall(call.id, call.name, arguments, signature=call.signature, provider=owner))
            )
        return tuple(part for _, part in sorted(found, key=lambda pair: pair[0]))

    def _refuse(self, chunk: WireChunk) -> None:
        trouble = Trouble(status=None, body=cast("JsonValue", chunk))
        self._ended = failed_from(trouble, secret=self._secret, now=self._now)
        self.done = True

    def _fail(self, fault: ModelFault, words: str) -> None:
        self._ended = failed(fault, words, secret=self._secret)
        self.done = True


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
