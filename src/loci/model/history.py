"""Any stored history as turns that every provider accepts.

PURE. Providers demand what a history does not promise: a result for each call, no result without its call, results
straight after their calls, call ids that are unique and plainly spelt, no empty messages. `turns` makes it so without
touching what is stored: a result is moved to its call, a missing one is written, one without a call is left out,
neighbours of the same side are joined.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from loci.types.messages import (
    ApprovalAnswer,
    Image,
    Message,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

NO_RESULT = '{"status": "error", "message": "The call was interrupted. Whether it took effect is unknown."}'
"""What the model reads where a call has no result."""

_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Said: TypeAlias = Text | Image
Answered: TypeAlias = Text | Reasoning | ToolCall


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTurn:
    """The results of all calls of the turn before, then what was said, message by message."""

    results: tuple[ToolResult, ...] = ()
    said: tuple[tuple[Said, ...], ...] = ()
    stable: bool = False
    """Whether all of it was already sent on the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantTurn:
    """What the model answered; never empty, and never ends with reasoning, which leads nowhere without what follows."""

    parts: tuple[Answered, ...]


Turn: TypeAlias = UserTurn | AssistantTurn


def keep_all(_: Answered) -> bool:
    """Keep every part of an answer."""
    return True


def turns(
    messages: Sequence[Message],
    *,
    stable_count: int = 0,
    keep: Callable[[Answered], bool] = keep_all,
) -> tuple[Turn, ...]:
    """Arrange the messages as turns of user and assistant, in turn.

    `keep` says which texts and thoughts of the assistant are shown; calls always are. The first turn may be either's.
    """
    weaver = _Weaver(keep)
    for position, message in enumerate(messages):
        weaver.add(message, stable=position < stable_count)
    return weaver.turns()


def plain_call_id(call_id: str) -> str:
    """Spell the id with what all providers take: 1 to 64 letters, digits, `_` and `-`."""
    if _PLAIN_ID.fullmatch(call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:24]


@dataclass(slots=True)
class _User:
    """A user turn in the making. A slot of `results` is a call until its result has come."""

    results: list[ToolResult | ToolCall] = field(default_factory=list[ToolResult | ToolCall])
    said: list[tuple[Said, ...]] = field(default_factory=list[tuple[Said, ...]])
    stable: bool = True


@dataclass(slots=True)
class _Assistant:
    parts: list[Answered]


class _Weaver:
    def __init__(self, keep: Callable[[Answered], bool]) -> None:
        self._keep = keep
        self._turns: list[_User | _Assistant] = []
        self._open: dict[str, list[tuple[_User, int]]] = {}
        self._used_ids: set[str] = set()

    def add(self, message: Message, *, stable: bool) -> None:
        if message.role is Role.ASSISTANT:
            self._add_answer(message)
        said: list[Said] = []
        for part in message.parts:
            match part:
                case ToolResult():
                    self._add_result(part, stable=stable)
                case Text(text) if message.role is not Role.ASSISTANT and text.strip():
                    said.append(part)
                case Image() if message.role is not Role.ASSISTANT:
                    said.append(part)
                case Text() | Image() | Reasoning() | ToolCall() | ApprovalAnswer():
                    pass
        if said:
            turn = self._user_turn()
            turn.said.append(tuple(said))
            turn.stable &= stable

    def turns(self) -> tuple[Turn, ...]:
        found: list[Turn] = []
        for turn in self._turns:
            match turn:
                case _Assistant(parts):
                    found.append(AssistantTurn(parts=tuple(parts)))
                case _User(results, said, stable):
                    missing = any(isinstance(slot, ToolCall) for slot in results)
                    filled = tuple(_result_of(slot) for slot in results)
                    found.append(UserTurn(results=filled, said=tuple(said), stable=stable and not missing))
        return tuple(found)

    def _add_answer(self, message: Message) -> None:
        parts: list[Answered] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                parts.append(replace(part, id=self._fresh_id(part.id)))
            elif isinstance(part, Text | Reasoning) and self._keep(part):
                parts.append(part)
        while parts and isinstance(parts[-1], Reasoning):
            parts.pop()
        if not parts:
            return
        last = self._turns[-1] if self._turns else None
        if isinstance(last, _Assistant):
            last.parts.extend(parts)
        else:
            self._turns.append(_Assistant(parts))
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if calls:
            self._expect(calls, [call.id for call in message.tool_calls])

    def _expect(self, calls: Sequence[ToolCall], stored_ids: Sequence[str]) -> None:
        turn = _User(results=list(calls))
        self._turns.append(turn)
        for slot, stored_id in enumerate(stored_ids):
            self._open.setdefault(stored_id, []).append((turn, slot))

    def _add_result(self, result: ToolResult, *, stable: bool) -> None:
        waiting = self._open.get(result.call_id)
        if not waiting:
            return
        # The newest call of that id: some models number their calls anew in each answer.
        turn, slot = waiting.pop()
        call = turn.results[slot]
        assert isinstance(call, ToolCall)
        turn.results[slot] = replace(result, call_id=call.id, name=call.name)
        turn.stable &= stable

    def _user_turn(self) -> _User:
        last = self._turns[-1] if self._turns else None
        if isinstance(last, _User):
            return last
        turn = _User()
        self._turns.append(turn)
        return turn

    def _fresh_id(self, call_id: str) -> str:
        plain = candidate = plain_call_id(call_id)
        number = 2
        while candidate in self._used_ids:
            candidate = plain_call_id(f"{plain}_{number}")
            number += 1
        self._used_ids.add(candidate)
        return candidate


def _result_of(slot: ToolResult | ToolCall) -> ToolResult:
    if isinstance(slot, ToolResult):
        return slot
    return ToolResult(call_id=slot.id, name=slot.name, text=NO_RESULT, status="error")
