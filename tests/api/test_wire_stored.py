"""A stored message in one object: every part in its place, nothing of a call told twice."""

from datetime import UTC, datetime
from typing import Any

import pytest
from inline_snapshot import snapshot

from loci.api.wire_stored import wire_stored
from loci.types.messages import ApprovalAnswer, Image, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult


def shown(role: Role, *parts: Part, **fields: Any) -> dict[str, Any]:
    """What is not empty of the message on the wire."""
    message = Message(
        id="message-1",
        role=role,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        agent_id="agent-1",
        conversation_id="conv-1",
        **fields,
    )
    constant = {"id", "agent_id", "conversation_id", "created_at", "updated_at"}
    return {
        key: value for key, value in wire_stored(message).items() if key not in constant and value not in (None, [])
    }


def test_words_and_pictures_of_a_person():
    parts = (Text("Look:"), Image(media_type="image/png", data="AAAA"), Image(url="https://example.org/a.png"))
    assert shown(Role.USER, *parts, name="Sam", otid="o-1") == snapshot(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look:", "signature": None},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA", "detail": None},
                },
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            ],
            "name": "Sam",
            "otid": "o-1",
        }
    )


def test_a_thought_a_word_and_calls_of_the_agent():
    parts = (
        Reasoning("Let me see.", signature="s-1"),
        Reasoning("", redacted="opaque"),
        Text("One moment."),
        ToolCall("call-1", "grep", '{"a": 1}'),
        ToolCall("call-2", "list", ""),
    )
    assert shown(Role.ASSISTANT, *parts, run_id="run-1", step_id="step-1", model="x/y") == snapshot(
        {
            "role": "assistant",
            "content": [
                {"type": "reasoning", "reasoning": "Let me see.", "is_native": True, "signature": "s-1"},
                {"type": "redacted_reasoning", "data": "opaque"},
                {"type": "text", "text": "One moment.", "signature": None},
            ],
            "tool_calls": [
                {"id": "call-1", "type": "function", "function": {"name": "grep", "arguments": '{"a": 1}'}},
                {"id": "call-2", "type": "function", "function": {"name": "list", "arguments": ""}},
            ],
            "model": "x/y",
            "run_id": "run-1",
            "step_id": "step-1",
        }
    )


def test_results_of_calls():
    parts = (ToolResult("call-1", "grep", "3 lines"), ToolResult("call-2", "list", "no", "error", ("out",), ("err",)))
    assert shown(Role.TOOL, *parts) == snapshot(
        {
            "role": "tool",
            "content": [
                {"type": "text", "text": "3 lines", "signature": None},
                {"type": "text", "text": "no", "signature": None},
            ],
            "name": "grep",
            "tool_call_id": "call-1",
            "tool_returns": [
                {"tool_call_id": "call-1", "status": "success", "stdout": [], "stderr": [], "func_response": "3 lines"},
                {
                    "tool_call_id": "call-2",
                    "status": "error",
                    "stdout": ["out"],
                    "stderr": ["err"],
                    "func_response": "no",
                },
            ],
        }
    )


@pytest.mark.parametrize(("approve", "reason"), [(True, None), (False, "Too risky.")])
def test_the_word_of_a_person_on_a_call(approve, reason):
    told = shown(Role.APPROVAL, ApprovalAnswer("call-1", approve=approve, reason=reason))
    assert told["approve"] is approve
    assert told["approvals"] == [{"type": "approval", "tool_call_id": "call-1", "approve": approve, "reason": reason}]
    assert told.get("denial_reason") == reason
