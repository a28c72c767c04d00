"""Compaction: choose what leaves the context so that the rest still makes sense. Pure.

The plan never parts a tool call from its result, never drops the newest words of the user, and always ends; the
summary that takes the place of what leaves is derived data and can be rebuilt. See MemGPT, arXiv 2310.08560, sec. 2.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from math import ceil
from typing import Literal

import orjson

from loci.types.agents import CompactionMode, CompactionSettings
from loci.types.messages import ApprovalAnswer, Image, Kind, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

SUMMARY_WINDOW_SHARE = 0.1
"""The part of the window that a summary may fill at most."""
_CHARS_PER_TOKEN = 4
_KEPT_SHARE_LEAST = 0.25
"""Of what system prompt, tools and summary leave free, so that an agent with much core memory keeps some talk."""
_WHOLE: tuple[CompactionMode, ...] = ("all", "self_compact_all")
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
    talk_count: int
    """Messages among them that are no earlier summary."""


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
        settings: The agent's settings. Sliding modes take at least `sliding_window_percentage` of the messages, the
            others all before the newest words of the user; both take on until `evict_fraction` of the window is free.
    """
    summary_tokens = _summary_tokens(window_tokens, settings)
    units = _units(messages, tokens)
    flush_line = int(window_tokens * settings.flush_fraction)
    usable = flush_line - fixed_tokens - summary_tokens
    goal = int(window_tokens * (1 - settings.evict_fraction)) - fixed_tokens - summary_tokens
    gone = _leaving(units, max(goal, int(usable * _KEPT_SHARE_LEAST)), settings, summary_tokens)
    staying = [unit for number, unit in enumerate(units) if number not in gone]
    kept = tuple(message for unit in staying for message in unit.messages)
    limit = usable if gone else flush_line - fixed_tokens
    sizes = {message.id: size for message, size in zip(messages, tokens, strict=True)}
    clips, left = _clips(kept, sizes, sum(unit.tokens for unit in staying), limit)
    return CompactionPlan(
        evicted=tuple(message for number, unit in enumerate(units) if number in gone for message in unit.messages),
        kept=kept,
        clips=clips,
        summary_tokens_max=summary_tokens,
        overflow=left > limit,
    )


def _summary_tokens(window_tokens: int, settings: CompactionSettings) -> int:
    most = int(window_tokens * SUMMARY_WINDOW_SHARE)
    return min(most, settings.clip_chars // _CHARS_PER_TOKEN) if settings.clip_chars else most


def _units(messages: Sequence[Message], tokens: Sequence[int]) -> list[_Unit]:
    groups: list[list[int]] = []
    for number, message in enumerate(messages):
        follows = message.role in (Role.TOOL, Role.APPROVAL)
        if follows and groups and messages[groups[-1][0]].tool_calls:
            groups[-1].append(number)
        else:
            groups.append([number])
    newest = max((n for n, message in enumerate(messages) if message.is_task), default=-1)
    units: list[_Unit] = []
    for position, group in enumerate(groups):
        last_call = position == len(groups) - 1 and bool(messages[group[0]].tool_calls)
        fixed = newest in group or last_call or any(messages[n].role is Role.SYSTEM for n in group)
        talk_count = sum(messages[n].kind is not Kind.SUMMARY for n in group)
        units.append(_Unit(tuple(messages[n] for n in group), sum(tokens[n] for n in group), fixed, talk_count))
    return units


def _leaving(units: Sequence[_Unit], room: int, settings: CompactionSettings, summary_tokens: int) -> set[int]:
    """The numbers of the units that go, oldest first: those that the mode names, then as many as it takes to fit."""
    asked = [n for n, unit in enumerate(units) if any(message.is_task for message in unit.messages)]
    newest = max(asked, default=len(units))
    whole = settings.mode in _WHOLE and any(unit.talk_count and not unit.fixed for unit in units[:newest])
    share = min(max(settings.sliding_window_percentage, 0.0), 1.0)
    # One at least, so that a model that finds the window too long in spite of our estimate gets a shorter one.
    wanted = max(1, ceil(share * sum(unit.talk_count for unit in units)))
    left, taken = sum(unit.tokens for unit in units), 0
    gone: set[int] = set()
    for number, unit in enumerate(units):
        due = number < newest if whole else taken < wanted and number < len(units) - 1
        if not due and left <= room:
            break
        if not unit.fixed:
            gone.add(number)
            left -= unit.tokens
            taken += unit.talk_count
    if not taken and sum(units[number].tokens for number in gone) <= summary_tokens:
        return set()  # a summary of nothing but the last summary gains nothing
    return gone


def _clips(kept: Sequence[Message], sizes: Mapping[str, int], left: int, limit: int) -> tuple[tuple[Clip, ...], int]:
    """Cut the longest tool results until it fits; never the words of a person or of the agent."""
    clips: list[Clip] = []
    results = [(message, result) for message in kept for result in message.tool_results]
    for message, result in sorted(results, key=lambda item: len(item[1].text), reverse=True):
        if left <= limit:
            break
        all_chars = sum(len(each.text) for each in message.tool_results)
        chars_per_token = max(_CHARS_PER_TOKEN, ceil(all_chars / max(1, sizes[message.id])))
        excess_chars = (left - limit) * chars_per_token + _NOTE_CHARS
        chars_max = max(_CLIPPED_CHARS_LEAST, len(result.text) - excess_chars)
        saved = (len(result.text) - chars_max - _NOTE_CHARS) // chars_per_token
        if saved > 0:
            clips.append(Clip(message_id=message.id, call_id=result.call_id, chars_max=chars_max))
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


def transcript(messages: Sequence[Message], clip_chars: int, zone: tzinfo = UTC) -> str:
    """The messages as a text to be summarised. What is too much is left out of the middle, with a note.

    `zone` is the one that the person lives in: from the dates the summariser works out what "tomorrow" meant.
    """
    text = "\n".join(line for message in messages if (line := _line(message, zone)))
    if len(text) <= clip_chars:
        return text
    half = max(1, (clip_chars - _NOTE_CHARS) // 2)
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters left out] …\n{text[-half:]}"


_SPEAKERS = {Role.USER: "user", Role.ASSISTANT: "agent", Role.TOOL: "tool", Role.SYSTEM: "system"}


def _line(message: Message, zone: tzinfo) -> str:
    body = " ".join(words for part in message.parts if (words := _words(part)))
    if not body:
        return ""
    speaker = "earlier summary" if message.kind is Kind.SUMMARY else _SPEAKERS.get(message.role, "user")
    return f"[{message.created_at.astimezone(zone):%Y-%m-%d %H:%M}] {speaker}: {body}"


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
