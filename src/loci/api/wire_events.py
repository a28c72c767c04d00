"""The events of a run as the objects that a client of the Letta V1 API is sent, in the order they are sent.

By steps, each stored message is told whole. By tokens, the pieces of a message are told as they are written, all pieces
of one part with one id and otid, and what the store then confirms is not told again. Either way a run ends with one
stop_reason and one usage_statistics, or with a stop_reason and an error_message.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from loci.agent.kinds import THINKING
from loci.api.call_arguments import CallArguments
from loci.api.wire_messages import (
    ADDED_ARGUMENTS,
    PLAIN_VIEW,
    View,
    WireObject,
    wire_base,
    wire_call,
    wire_messages,
    wire_summary,
    wire_time,
)
from loci.errors import LociError
from loci.ids import new_uuid, part_otid
from loci.types.events import Compacted, Delta, Event, MessageStored, RunEnded, RunStarted, StepEnded
from loci.types.messages import Role
from loci.types.runs import StopReason
from loci.types.usage import Usage

HIDDEN_WHEN_STREAMED = "hidden_reasoning_message"
"""The one type whose content never comes in pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How a run is told. `tokens` tells messages while they are written; `thinks_in_calls` says that this agent's
    thoughts are arguments of its calls; calls of `client_tools` are told as questions from their first piece on.
    """

    view: View = PLAIN_VIEW
    tokens: bool = False
    thinks_in_calls: bool = False
    client_tools: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Call:
    """A call that is being written."""

    call_id: str | None
    message_type: str
    otid: str
    reader: CallArguments | None
    said: bool
    named: bool = False


@dataclass(slots=True)
class RunTeller:
    """Turns the events of one run into wire objects; feed it every event from the first one on."""

    run_id: str
    telling: Telling
    now: Callable[[], datetime]
    _dates: dict[str, str] = field(default_factory=dict[str, str])
    _calls: dict[tuple[str, int], _Call] = field(default_factory=dict[tuple[str, int], _Call])
    _asked: set[str] = field(default_factory=set[str])

    def tell(self, event: Event) -> list[WireObject]:
        """What the client is sent because of this event."""
        match event:
            case Delta():
                return self._shown(self._piece(event)) if self.telling.tokens else []
            case MessageStored():
                return self._stored(event)
            case RunEnded():
                return wire_end(event)
            case Compacted():
                return self._compacted(event)
            case RunStarted() | StepEnded():
                return []
            case _:
                assert_never(event)

    def _shown(self, items: list[WireObject]) -> list[WireObject]:
        types = self.telling.view.types
        return items if types is None else [item for item in items if item["message_type"] in types]

    def _stored(self, event: MessageStored) -> list[WireObject]:
        message = event.message
        if message.role not in {Role.ASSISTANT, Role.TOOL}:
            return []
        asked = set(event.asked)
        if event.asks_approval and not asked:
            asked = {call.id for call in message.tool_calls}
        if not (event.streamed and self.telling.tokens):
            return wire_messages(message, self.telling.view, asked)
        self._dates.pop(message.id, None)
        untold = asked - self._asked
        left = {HIDDEN_WHEN_STREAMED, "approval_request_message"} if untold else {HIDDEN_WHEN_STREAMED}
        return [item for item in wire_messages(message, self.telling.view, untold) if item["message_type"] in left]

    def _compacted(self, event: Compacted) -> list[WireObject]:
        if not self.telling.view.compaction:
            return []
        summary = wire_summary(event.summary) | {"run_id": self.run_id}
        notice = wire_base("event_message", event.summary.id, str(summary["date"]), part_otid(event.summary.id, 1))
        notice |= {
            "run_id": self.run_id,
            "event_type": "compaction",
            "event_data": {"trigger": event.trigger, **event.stats},
        }
        if summary["compaction_stats"] is None and event.stats:
            summary["compaction_stats"] = {"trigger": event.trigger, **event.stats}
        return self._shown([notice, summary])

    def _base(self, delta: Delta, message_type: str, otid: str) -> WireObject:
        date = self._dates.get(delta.message_id)
        if date is None:
            date = self._dates[delta.message_id] = wire_time(self.now())
        base = wire_base(message_type, delta.message_id, date, otid)
        base["step_id"] = delta.step_id
        base["run_id"] = self.run_id
        return base

    def _piece(self, delta: Delta) -> list[WireObject]:
        if delta.kind == "tool_call":
            return self._call_piece(delta)
        otid = part_otid(delta.message_id, delta.index)
        if delta.kind == "text":
            item = self._base(delta, "assistant_message", otid)
            item["content"] = delta.text
        else:
            item = self._base(delta, "reasoning_message", otid)
            item["source"] = "reasoner_model"
            item["reasoning"] = delta.text
            item["signature"] = delta.signature
        return [item]

    def _call_piece(self, delta: Delta) -> list[WireObject]:
        key = (delta.message_id, delta.index)
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = self._begin_call(delta)
        if call.reader is None:
            return [self._called(delta, call, delta.text)]
        piece = call.reader.feed(delta.text)
        items: list[WireObject] = []
        for argument, words in piece.words.items():
            if argument == THINKING:
                item = self._base(delta, "reasoning_message", part_otid(delta.message_id, delta.index))
                item |= {"source": "non_reasoner_model", "reasoning": words, "signature": None}
            else:
                item = self._base(delta, "assistant_message", call.otid)
                item["content"] = words
            items.append(item)
        if piece.rest and not call.said:
            items.append(self._called(delta, call, piece.rest))
        return items

    def _called(self, delta: Delta, call: _Call, arguments: str) -> WireObject:
        # The name stands in the first piece only, for clients that join the pieces of every field.
        name = None if call.named else delta.name
        call.named = call.named or name is not None
        piece = wire_call(call.call_id, name, arguments)
        item = self._base(delta, call.message_type, call.otid)
        item["tool_call"] = piece
        item["tool_calls"] = piece
        return item

    def _begin_call(self, delta: Delta) -> _Call:
        name = delta.name or ""
        asks = delta.asks_approval or name in self.telling.client_tools
        says = self.telling.view.speaks(name) and not asks
        thinks = self.telling.thinks_in_calls
        if asks and delta.call_id:
            self._asked.add(delta.call_id)
        told = {THINKING} if thinks else set[str]()
        if says:
            told.add(self.telling.view.speaking_argument)
        return _Call(
            call_id=delta.call_id,
            message_type="approval_request_message" if asks else "tool_call_message",
            # Thoughts come first: they have the place of the part, and the call has the next one.
            otid=part_otid(delta.message_id, delta.index + 1 if thinks else delta.index),
            reader=CallArguments(told=told, hidden=ADDED_ARGUMENTS if thinks else ()) if told else None,
            said=says,
        )


def wire_ping(run_id: str | None, now: datetime) -> WireObject:
    """A sign of life; the first one in a stream tells the id of the run."""
    return wire_base("ping", f"ping-{new_uuid()}", wire_time(now), None) | {"run_id": run_id}


def wire_stop(reason: StopReason) -> WireObject:
    """Why a run ended."""
    return {"message_type": "stop_reason", "stop_reason": reason.value}


def wire_usage(usage: Usage, run_id: str, step_count: int, context_tokens: int | None) -> WireObject:
    """What a run used up."""
    return {
        "message_type": "usage_statistics",
        "completion_tokens": usage.completion_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "total_tokens": usage.total_tokens,
        "step_count": step_count,
        "run_ids": [run_id],
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "context_tokens": context_tokens,
    }


def wire_end(event: RunEnded) -> list[WireObject]:
    """The end of every stream."""
    ending = event.ending
    stop = wire_stop(ending.reason)
    if ending.error_type is None:
        return [stop, wire_usage(event.usage, event.run_id, event.step_count, event.context_tokens)]
    return [stop, wire_error(event.run_id, ending.error_type, ending.message or "The run failed.", ending.detail)]


def wire_error(run_id: str, error_type: str, message: str, detail: str | None) -> WireObject:
    """What went wrong, for a stream; `message_type` stands first, by which the framing knows it."""
    return {
        "message_type": "error_message",
        "run_id": run_id,
        "error_type": error_type,
        "message": message,
        "detail": detail,
        "seq_id": None,
    }


def wire_failure(error: LociError, run_id: str) -> list[WireObject]:
    """The end of a stream that broke while it was being told; the run itself may be well."""
    return [wire_stop(StopReason.ERROR), wire_error(run_id, "internal_error", "The stream broke off.", str(error))]


def wire_answer(end: RunEnded, messages: list[WireObject]) -> WireObject:
    """The answer to a request that waited for the whole run."""
    return {
        "messages": messages,
        "stop_reason": wire_stop(end.ending.reason),
        "usage": wire_usage(end.usage, end.run_id, end.step_count, end.context_tokens),
        "logprobs": None,
        "turns": None,
    }
