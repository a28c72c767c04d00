"""Compaction: choose what leaves the context so that the rest still makes sense. Pure.

The plan never parts a tool call from its result, never drops the newest words of the user, and always ends; the
summary that takes the place of what leaves is derived data and can be rebuilt. See MemGPT, arXiv 2310.08560, sec. 2.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import orjson

from loci.types.agents import CompactionSettings
from loci.types.messages import ApprovalAnswer, Image, Kind, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

SUMMARY_WINDOW_SHARE = 0.1
"""The part of the window that a summary may fill at most."""
_BYTES_PER_TOKEN = 4
_CLIPPED_CHARS_LEAST = 200
_NOTE_CHARS = 40
_ARGUMENTS_SHOWN_CHARS = 300
_RESULT_SHOWN_CHARS = 1_000

Pressure = Literal["none", "warn", "flush"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Show at most this much of one tool result."""

    message_id: str
    call_id: str
    chars_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPlan:
    """What leaves the window and what stays, both in order. `overflow`: it does not fit even so."""

    evicted: tuple[Message, ...]
    kept: tuple[Message, ...]
    clips: tuple[Clip, ...]
    summary_tokens_max: int
    overflow: bool


@dataclass(frozen=True, slots=True)
class _Unit:
    """Messages that only make sense together: calls with their results, or one message."""

    messages: tuple[Message, ...]
    tokens: int
    fixed: bool


def pressure(tokens: int, window_tokens: int, settings: CompactionSettings, *, warned: bool) -> Pressure:
    """What a prompt of that size calls for: nothing, one warning, or compaction."""
    if tokens >= settings.flush_fraction * window_tokens:
        return "flush"
    if tokens >= settings.warn_fraction * window_tokens and not warned:
        return "warn"
    return "none"


def plan(
    messages: Sequence[Message],
    tokens: Sequence[int],
    *,
    window_tokens: int,
    fixed_tokens: int,
    settings: CompactionSettings,
) -> CompactionPlan:
    """Decide what leaves.

    Args:
        messages: The window after the system prompt, oldest first, repaired.
        tokens: The estimated size of each.
        window_tokens: What the model takes in.
        fixed_tokens: What always stays: system prompt and tool schemas.
        settings: The agent's settings; `evict_fraction` of the window is emptied, in sliding modes at least
            `sliding_window_percentage` of the messages.
    """
    summary_tokens = _summary_tokens(window_tokens, settings)
    units = _units(messages, tokens)
    room = window_tokens * (1 - settings.evict_fraction) - fixed_tokens - summary_tokens
    least = _least(units, settings)
    left = sum(unit.tokens for unit in units)
    gone: set[int] = set()
    for number, unit in enumerate(units):
        if number >= least and left <= room:
            break
        if not unit.fixed:
            gone.add(number)
            left -= unit.tokens
    kept = [message for number, unit in enumerate(units) if number not in gone for message in unit.messages]
    limit = int(window_tokens * settings.flush_fraction) - fixed_tokens - (summary_tokens if gone else 0)
    clips, left = _clips(kept, left, limit)
    return CompactionPlan(
        evicted=tuple(message for number, unit in enumerate(units) if number in gone for message in unit.messages),
        kept=tuple(kept),
        clips=clips,
        summary_tokens_max=summary_tokens,
        overflow=left > limit,
    )


def _summary_tokens(window_tokens: int, settings: CompactionSettings) -> int:
    most = int(window_tokens * SUMMARY_WINDOW_SHARE)
    return min(most, settings.clip_chars // _BYTES_PER_TOKEN) if settings.clip_chars else most


def _units(messages: Sequence[Message], tokens: Sequence[int]) -> list[_Unit]:
    groups: list[list[int]] = []
    for number, message in enumerate(messages):
        follows = message.role in (Role.TOOL, Role.APPROVAL)
        if follows and groups and messages[groups[-1][0]].tool_calls:
            groups[-1].append(number)
        else:
            groups.append([number])
    newest = max((n for n, message in enumerate(messages) if _is_word_of_user(message)), default=-1)
    units: list[_Unit] = []
    for position, group in enumerate(groups):
        last_call = position == len(groups) - 1 and bool(messages[group[0]].tool_calls)
        fixed = newest in group or last_call or any(messages[n].role is Role.SYSTEM for n in group)
        units.append(_Unit(tuple(messages[n] for n in group), sum(tokens[n] for n in group), fixed))
    return units


def _is_word_of_user(message: Message) -> bool:
    return message.role is Role.USER and message.kind is Kind.PLAIN


def _least(units: Sequence[_Unit], settings: CompactionSettings) -> int:
    """How many of the units are gone through in any case, from the oldest on."""
    if settings.mode in ("all", "self_compact_all"):
        newest = (n for n, unit in enumerate(units) if any(_is_word_of_user(message) for message in unit.messages))
        return max(newest, default=len(units))
    share = min(max(settings.sliding_window_percentage, 0.0), 1.0)
    return int(len(units) * share)


def _clips(kept: Sequence[Message], left: int, limit: int) -> tuple[tuple[Clip, ...], int]:
    """Cut the longest tool results until it fits; never the words of a person or of the agent."""
    clips: list[Clip] = []
    results = [(message.id, result) for message in kept for result in message.tool_results]
    for message_id, result in sorted(results, key=lambda item: len(item[1].text), reverse=True):
        if left <= limit:
            break
        excess_chars = (left - limit) * _BYTES_PER_TOKEN + _NOTE_CHARS
        chars_max = max(_CLIPPED_CHARS_LEAST, len(result.text) - excess_chars)
        saved = (len(result.text) - chars_max - _NOTE_CHARS) // _BYTES_PER_TOKEN
        if saved > 0:
            clips.append(Clip(message_id=message_id, call_id=result.call_id, chars_max=chars_max))
            left -= saved
    return tuple(clips), left


def covered_ids(evicted: Sequence[Message]) -> list[str]:
    """The ids of all messages that a summary of these stands for, those of an earlier summary among them included."""
    found: dict[str, None] = {}
    for message in evicted:
        earlier = message.extra.get("covers") if message.kind is Kind.SUMMARY and message.extra else None
        if isinstance(earlier, list):
            found |= dict.fromkeys(str(item) for item in earlier)
        found[message.id] = None
    return list(found)


def summary_text(summary: str, time: str) -> str:
    """The summary as it stands in the window, in the form that Letta V1 agents know."""
    words = (
        "Note: prior messages have been hidden from view due to conversation memory constraints.\n"
        f"The following is a summary of the previous messages:\n {summary}"
    )
    return orjson.dumps({"type": "system_alert", "message": words, "time": time}).decode()


def transcript(messages: Sequence[Message], clip_chars: int) -> str:
    """The messages as a text to be summarised. What is too much is left out of the middle, with a note."""
    text = "\n".join(line for message in messages if (line := _line(message)))
    if len(text) <= clip_chars:
        return text
    half = max(1, (clip_chars - _NOTE_CHARS) // 2)
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters left out] …\n{text[-half:]}"


_SPEAKERS = {Role.USER: "user", Role.ASSISTANT: "agent", Role.TOOL: "tool", Role.SYSTEM: "system"}


def _line(message: Message) -> str:
    body = " ".join(words for part in message.parts if (words := _words(part)))
    if not body:
        return ""
    speaker = "earlier summary" if message.kind is Kind.SUMMARY else _SPEAKERS.get(message.role, "user")
    return f"[{message.created_at:%Y-%m-%d %H:%M}] {speaker}: {body}"


def _words(part: Part) -> str:
    match part:
        case Text(text):
            return text
        case ToolCall():
            return f"(calls {part.name} {part.arguments[:_ARGUMENTS_SHOWN_CHARS]})"
        case ToolResult():
            return f"({part.name} returned: {part.text[:_RESULT_SHOWN_CHARS]})"
        case Image():
            return "(a picture)"
        case ApprovalAnswer():
            return "(approved a tool call)" if part.approve else "(denied a tool call)"
        case Reasoning():
            return ""
