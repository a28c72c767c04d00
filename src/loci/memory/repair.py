"""Repairing a history so that every provider accepts it. Pure; nothing that is stored is changed.

Providers refuse a history in which a tool call has no result, a result has no call, or something stands between the
two. Crashes, imports and hand edits can leave such histories, and no stored history may make an agent unusable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from loci.types.messages import Message, Part, Role, ToolCall, ToolResult, Trust

_ANSWERS = (Role.ASSISTANT, Role.TOOL)
MADE_UP = "made_up"
"""Marks, in `extra`, a message that is in the view only and not in the store."""
INTERRUPTED = "Error: interrupted, outcome unknown. Check what happened before you try it again."


@dataclass(slots=True)
class _Work:
    results: dict[str, tuple[ToolResult, Message]]
    kept: list[Message] = field(default_factory=list[Message])
    notes: list[str] = field(default_factory=list[str])
    answered: set[str] = field(default_factory=set[str])


def repair(messages: Sequence[Message], *, open_end: bool = False) -> tuple[list[Message], tuple[str, ...]]:
    """The history with each call directly followed by exactly its results, and notes on what had to be mended.

    With `open_end`, the calls of the agent's newest message may still wait for their results and are left alone.
    """
    unique = list({message.id: message for message in reversed(messages)}.values())[::-1]
    work = _Work(results=_results(unique))
    if len(unique) < len(messages):
        work.notes.append("a message stood in the history twice")
    newest = max((number for number, message in enumerate(unique) if message.role in _ANSWERS), default=-1)
    for number, message in enumerate(unique):
        if message.role is Role.TOOL:
            continue
        if message.role is Role.ASSISTANT and message.tool_calls:
            _with_results(work, message, ends=open_end and number == newest)
        else:
            work.kept.append(message)
    orphans = [call_id for call_id in work.results if call_id not in work.answered]
    work.notes.extend(f"the result of {call_id} has no call and was left out" for call_id in orphans)
    return work.kept, tuple(work.notes)


def _results(messages: Sequence[Message]) -> dict[str, tuple[ToolResult, Message]]:
    found: dict[str, tuple[ToolResult, Message]] = {}
    called: set[str] = set()
    for message in messages:
        called.update(call.id for call in message.tool_calls)
        if message.role is Role.TOOL:
            for result in message.tool_results:
                # A result before its call answers nothing; of two results the first one was acted on.
                if result.call_id not in found and result.call_id in called:
                    found[result.call_id] = (result, message)
                elif result.call_id not in called:
                    found.setdefault(f"{result.call_id} (before its call)", (result, message))
    return found


def _with_results(work: _Work, message: Message, *, ends: bool) -> None:
    fresh = {call.id: call for call in message.tool_calls if call.id not in work.answered}
    shown = _without_repeats(message, set(fresh))
    if shown is not message:
        # Only the first of two calls with one id can have a result, so the others are not shown.
        work.notes.append(f"message {message.id} repeats a tool call")
    if shown.parts:
        work.kept.append(shown)
    known = {call_id: work.results[call_id] for call_id in fresh if call_id in work.results}
    if not fresh or (ends and not known):
        return
    missing = [call for call_id, call in fresh.items() if call_id not in known]
    work.notes.extend(f"the call {call.id} of {call.name} had no result" for call in missing)
    work.answered.update(fresh)
    made = {call.id: ToolResult(call.id, call.name, INTERRUPTED, "error") for call in missing}
    results = tuple(known[call_id][0] if call_id in known else made[call_id] for call_id in fresh)
    work.kept.append(_result_message(shown, results, [home for _, home in known.values()]))


def _without_repeats(message: Message, fresh: set[str]) -> Message:
    left = set(fresh)
    parts: list[Part] = []
    for part in message.parts:
        if not isinstance(part, ToolCall):
            parts.append(part)
        elif part.id in left:
            left.discard(part.id)
            parts.append(part)
    return message if len(parts) == len(message.parts) else replace(message, parts=tuple(parts))


def _result_message(call: Message, results: tuple[ToolResult, ...], homes: Sequence[Message]) -> Message:
    """The stored message if it is just what is wanted, so that its id and the bytes sent stay the same."""
    home = homes[0] if homes else replace(call, role=Role.TOOL, trust=Trust.TOOL, otid=None)
    if home.parts == results and home.role is Role.TOOL:
        return home
    if homes:
        return replace(home, parts=results)
    return replace(home, id=f"{call.id}-results", parts=results, extra={MADE_UP: True})
