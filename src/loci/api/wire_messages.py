"""Stored messages as the Letta V1 API shows them: one of ours becomes one object for each thing that it says.

All objects of one message share its id; the `otid` tells them apart and comes from the position of the part, so that a
stream and a later list agree. Two habits of older agent types are translated here: thoughts that were an argument of a
call become reasoning, and a call of the tool that speaks becomes what was said.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from loci.agent.kinds import HEARTBEAT, SEND_MESSAGE, THINKING
from loci.api.call_arguments import split_arguments
from loci.ids import part_otid
from loci.types.json import JsonValue
from loci.types.messages import ApprovalAnswer, Image, Kind, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

WireObject: TypeAlias = dict[str, JsonValue]

ADDED_ARGUMENTS = frozenset({THINKING, HEARTBEAT})
"""What agents that think in their calls get added to each tool; no client asked for it, so none is shown it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a client wants to see messages. `types` None shows every type."""

    use_assistant_message: bool = True
    speaking_tool: str = SEND_MESSAGE
    speaking_argument: str = "message"
    types: frozenset[str] | None = None
    compaction: bool = False
    """Whether compactions are told, and summaries shown as what they are."""

    def speaks(self, tool_name: str) -> bool:
        """Whether a call of this tool is shown as something said."""
        return self.use_assistant_message and tool_name == self.speaking_tool


PLAIN_VIEW = View()


def wire_messages(message: Message, view: View = PLAIN_VIEW, asked: Collection[str] = ()) -> list[WireObject]:
    """All that one stored message says. `asked` holds the ids of those of its calls that wait, or waited, for an
    answer from outside.
    """
    match message.role:
        case Role.SYSTEM:
            shown = [_object(message, "system_message", 0, content=message.text)]
        case Role.USER:
            shown = [_from_user(message, view)]
        case Role.ASSISTANT:
            shown = _from_assistant(message, view, asked)
        case Role.TOOL:
            shown = _from_tools(message, view)
        case Role.APPROVAL:
            shown = [_from_approval(message)]
    if view.types is None:
        return shown
    return [item for item in shown if item["message_type"] in view.types]


def wire_list(
    messages: Iterable[Message], view: View, asked: Collection[tuple[str | None, str]] = ()
) -> list[WireObject]:
    """The same for many. `asked` holds pairs of run id and call id."""
    shown: list[WireObject] = []
    for message in messages:
        waiting = [call.id for call in message.tool_calls if (message.run_id, call.id) in asked]
        shown += wire_messages(message, view, waiting)
    return shown


def wire_time(moment: datetime) -> str:
    """The time of a message, with its zone, and finer than a second: some clients sort by it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def wire_base(message_type: str, message_id: str, date: str, otid: str | None) -> WireObject:
    """The fields that every kind of message object has."""
    return {
        "id": message_id,
        "date": date,
        "name": None,
        "message_type": message_type,
        "otid": otid,
        "sender_id": None,
        "step_id": None,
        "is_err": None,
        "seq_id": None,
        "run_id": None,
    }


def _object(message: Message, message_type: str, index: int, **fields: JsonValue) -> WireObject:
    otid = message.otid if index == 0 and message.otid else part_otid(message.id, index)
    base = wire_base(message_type, message.id, wire_time(message.created_at), otid)
    base["name"] = message.name
    base["sender_id"] = message.sender_id
    base["step_id"] = message.step_id
    base["run_id"] = message.run_id
    return base | fields


def _from_user(message: Message, view: View) -> WireObject:
    if message.kind is Kind.SUMMARY and view.compaction:
        return wire_summary(message)
    return _object(message, "user_message", 0, content=wire_content(message.parts))


def wire_summary(message: Message) -> WireObject:
    """A stored summary as a summary_message."""
    extra = message.extra or {}
    summary = extra.get("summary")
    stats = extra.get("compaction_stats")
    return _object(
        message,
        "summary_message",
        0,
        summary=summary if isinstance(summary, str) else message.text,
        compaction_stats=stats if isinstance(stats, Mapping) else None,
    )


def wire_content(parts: Iterable[Part]) -> JsonValue:
    """Words and pictures: a plain text where there is nothing but one text."""
    shown = [part for part in parts if isinstance(part, Text | Image)]
    if not shown:
        return ""
    if len(shown) == 1 and isinstance(shown[0], Text):
        return shown[0].text
    return [_wire_text(part.text) if isinstance(part, Text) else wire_image(part) for part in shown]


def _wire_text(text: str) -> WireObject:
    return {"type": "text", "text": text, "signature": None}


def wire_image(image: Image) -> WireObject:
    """A picture, by its data or its address."""
    source: WireObject = {"type": "url", "url": image.url}
    if image.data is not None:
        source = {"type": "base64", "media_type": image.media_type, "data": image.data, "detail": image.detail}
    return {"type": "image", "source": source}


def _from_assistant(message: Message, view: View, asked: Collection[str]) -> list[WireObject]:
    """Parts in their order; calls that follow each other are one object, as they are to be run together."""
    shown: list[WireObject] = []
    thinks_in_calls = any(isinstance(part, Reasoning) and not part.native for part in message.parts)
    calls: list[ToolCall] = []
    for index, part in enumerate(message.parts):
        match part:
            case Text() if part.text:
                shown.append(_object(message, "assistant_message", index, content=part.text))
            case Reasoning():
                shown.append(_reasoning(message, part, index))
            case ToolCall():
                call = _without_added(part) if thinks_in_calls or HEARTBEAT in part.arguments else part
                said = _said(message, call, index, view) if view.speaks(call.name) and call.id not in asked else None
                if said is not None:
                    shown.append(said)
                    continue
                calls.append(call)
                following = message.parts[index + 1] if index + 1 < len(message.parts) else None
                if not _together(call, following, view, asked):
                    shown.append(_called(message, calls, index + 1 - len(calls), asked))
                    calls = []
            case _:
                pass
    return shown


def _together(call: ToolCall, following: Part | None, view: View, asked: Collection[str]) -> bool:
    if not isinstance(following, ToolCall) or (following.id in asked) != (call.id in asked):
        return False
    return not view.speaks(following.name) or following.id in asked


def _reasoning(message: Message, part: Reasoning, index: int) -> WireObject:
    if not part.text:
        state = "redacted" if part.redacted else "omitted"
        return _object(message, "hidden_reasoning_message", index, state=state, hidden_reasoning=part.redacted)
    source = "reasoner_model" if part.native else "non_reasoner_model"
    fields: WireObject = {"source": source, "reasoning": part.text, "signature": part.signature}
    return _object(message, "reasoning_message", index, **fields)


def _said(message: Message, call: ToolCall, index: int, view: View) -> WireObject | None:
    """What a call of the speaking tool says; None when its arguments do not hold any words."""
    words = split_arguments(call.arguments, told=(view.speaking_argument,), hidden=()).words
    if view.speaking_argument not in words:
        return None
    return _object(message, "assistant_message", index, content=words[view.speaking_argument])


def _called(message: Message, calls: list[ToolCall], index: int, asked: Collection[str]) -> WireObject:
    kind = "approval_request_message" if calls[0].id in asked else "tool_call_message"
    shown: list[JsonValue] = [wire_call(call.id, call.name, call.arguments) for call in calls]
    return _object(message, kind, index, tool_call=shown[0], tool_calls=shown)


def wire_call(call_id: str | None, name: str | None, arguments: str) -> WireObject:
    """A call, or a piece of one."""
    return {"name": name, "arguments": arguments, "tool_call_id": call_id}


def _without_added(call: ToolCall) -> ToolCall:
    # An agent that thinks in its calls may have had no thought, so the other argument gives it away too.
    rest = split_arguments(call.arguments, told=(), hidden=ADDED_ARGUMENTS).rest
    return ToolCall(id=call.id, name=call.name, arguments=rest)


def _from_tools(message: Message, view: View) -> list[WireObject]:
    results = [result for result in message.tool_results if not view.speaks(result.name)]
    if not results:
        return []
    first = results[0]
    base = _object(
        message,
        "tool_return_message",
        0,
        tool_return=first.text,
        status=first.status,
        tool_call_id=first.call_id,
        stdout=list(first.stdout) or None,
        stderr=list(first.stderr) or None,
        tool_returns=[wire_result(result) for result in results],
    )
    base["name"] = first.name
    return [base]


def wire_result(result: ToolResult) -> WireObject:
    """What one call returned."""
    return {
        "type": "tool",
        "tool_return": result.text,
        "status": result.status,
        "tool_call_id": result.call_id,
        "stdout": list(result.stdout) or None,
        "stderr": list(result.stderr) or None,
    }


def _from_approval(message: Message) -> WireObject:
    answers: list[JsonValue] = []
    brought = _brought(message)
    for part in message.parts:
        if isinstance(part, ApprovalAnswer):
            answers.append(
                brought.get(part.call_id)
                or {"type": "approval", "tool_call_id": part.call_id, "approve": part.approve, "reason": part.reason}
            )
        elif isinstance(part, ToolResult):
            answers.append(wire_result(part))
    first = next((part for part in message.parts if isinstance(part, ApprovalAnswer)), None)
    return _object(
        message,
        "approval_response_message",
        0,
        approvals=answers,
        approve=None if first is None else first.approve,
        approval_request_id=None,
        reason=None if first is None else first.reason,
    )


def _brought(message: Message) -> dict[str, WireObject]:
    """What the client got by running calls itself, by call."""
    results = (message.extra or {}).get("results")
    found: dict[str, WireObject] = {}
    for result in results if isinstance(results, list) else ():
        if isinstance(result, Mapping):
            call_id = str(result.get("call_id"))
            found[call_id] = {
                "type": "tool",
                "tool_return": result.get("result"),
                "status": result.get("status"),
                "tool_call_id": call_id,
                "stdout": result.get("stdout") or None,
                "stderr": result.get("stderr") or None,
            }
    return found
