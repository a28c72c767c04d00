"""A stored message as it is: one object for all its parts, as the context view of the Letta V1 API shows messages.

What a person is told of the same message is more than one object, and looks different (see `wire_messages`).
"""

from collections.abc import Sequence

from loci.api.wire_messages import WireObject, wire_image
from loci.api.wire_runs import wire_moment
from loci.types.json import JsonValue
from loci.types.messages import ApprovalAnswer, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult


def wire_stored(message: Message) -> WireObject:
    """Message."""
    calls: list[JsonValue] = [_call(call) for call in message.tool_calls]
    results: list[JsonValue] = [_result(result) for result in message.tool_results]
    answers = [part for part in message.parts if isinstance(part, ApprovalAnswer)]
    return {
        "id": message.id,
        "role": message.role.value,
        "content": _content(message.parts),
        "name": message.name or next((result.name for result in message.tool_results), None),
        "tool_calls": calls or None,
        "tool_call_id": next((result.call_id for result in message.tool_results), None),
        "tool_returns": results,
        "approvals": [_answer(answer) for answer in answers] or None,
        "approve": answers[0].approve if answers else None,
        "approval_request_id": None,
        "denial_reason": answers[0].reason if answers else None,
        "agent_id": message.agent_id,
        "conversation_id": message.conversation_id,
        "model": message.model,
        "otid": message.otid,
        "sender_id": message.sender_id,
        "run_id": message.run_id,
        "step_id": message.step_id,
        "group_id": None,
        "batch_item_id": None,
        "is_err": None,
        "created_at": wire_moment(message.created_at),
        "updated_at": wire_moment(message.created_at),
        "created_by_id": None,
        "last_updated_by_id": None,
    }


def _content(parts: Sequence[Part]) -> list[JsonValue]:
    found: list[JsonValue] = []
    for part in parts:
        match part:
            case Text():
                found.append({"type": "text", "text": part.text, "signature": part.signature})
            case Image():
                found.append(wire_image(part))
            case Reasoning() if part.redacted is not None:
                found.append({"type": "redacted_reasoning", "data": part.redacted})
            case Reasoning():
                found.append(
                    {
                        "type": "reasoning",
                        "reasoning": part.text,
                        "is_native": part.native,
                        "signature": part.signature,
                    }
                )
            case ToolResult():
                found.append({"type": "text", "text": part.text, "signature": None})
            case ToolCall() | ApprovalAnswer():
                pass
    return found


def _call(call: ToolCall) -> JsonValue:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _result(result: ToolResult) -> JsonValue:
    return {
        "tool_call_id": result.call_id,
        "status": result.status,
        "stdout": list(result.stdout),
        "stderr": list(result.stderr),
        "func_response": result.text,
    }


def _answer(answer: ApprovalAnswer) -> JsonValue:
    return {
        "type": "approval",
        "tool_call_id": answer.call_id,
        "approve": answer.approve,
        "reason": answer.reason,
    }
