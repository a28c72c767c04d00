"""Each stored message has one shape on the wire, and the public SDK reads it as the type that it says."""

from typing import Any

from inline_snapshot import snapshot
from letta_client._models import construct_type, validate_type
from letta_client.types.agents import message as sdk_message

from loci.api.wire_messages import View, wire_list, wire_messages
from loci.types.messages import (
    ApprovalAnswer,
    Image,
    Kind,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tests.api.said import RUN, message

LISTED: Any = sdk_message.Message
COMMON = {"date", "is_err", "seq_id", "step_id", "run_id", "sender_id"}


def brief(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the fields that are the same everywhere; each must be what the SDK expects of its type."""
    for item in items:
        parsed = validate_type(type_=LISTED, value=item)
        assert parsed.message_type == item["message_type"]
        assert type(construct_type(type_=LISTED, value=item)) is type(parsed)
    return [{key: value for key, value in item.items() if key not in COMMON} for item in items]


def test_all_fields_of_a_plain_answer():
    assert wire_messages(message(1, Role.ASSISTANT, Text("Hi."))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "date": "2026-05-04T03:02:01.654321+00:00",
                "name": None,
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "sender_id": None,
                "step_id": "step-00000000-0000-4000-8000-000000000001",
                "is_err": None,
                "seq_id": None,
                "run_id": "run-00000000-0000-4000-8000-00000000aaaa",
                "content": "Hi.",
            }
        ]
    )


def test_what_a_user_says():
    assert brief(wire_messages(message(1, Role.USER, Text("Hi."), otid="mine", name="Ada"))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": "Ada",
                "message_type": "user_message",
                "otid": "mine",
                "content": "Hi.",
            }
        ]
    )


def test_pictures():
    parts = (
        Text("Look"),
        Image(media_type="image/png", data="iVBORw0KGgo="),
        Image(url="https://example.com/a.png"),
    )
    assert brief(wire_messages(message(1, Role.USER, *parts))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "user_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "content": [
                    {"type": "text", "text": "Look", "signature": None},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=", "detail": None},
                    },
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                ],
            }
        ]
    )


def test_messages_of_the_system_are_json_in_the_users_name():
    alert = message(1, Role.USER, Text('{"type":"login","time":"now"}'), kind=Kind.LOGIN)
    prompt = message(2, Role.SYSTEM, Text("You are."), kind=Kind.SYSTEM_PROMPT)
    assert brief(wire_messages(alert) + wire_messages(prompt)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "user_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "content": '{"type":"login","time":"now"}',
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000002",
                "name": None,
                "message_type": "system_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "content": "You are.",
            },
        ]
    )


def test_one_message_that_thinks_speaks_and_calls():
    parts = (
        Reasoning("Let me see.", signature="sig"),
        Text("One moment."),
        ToolCall("call-1", "search", '{"query": "x"}'),
        ToolCall("call-2", "search", '{"query": "y"}'),
    )
    assert brief(wire_messages(message(1, Role.ASSISTANT, *parts))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "reasoner_model",
                "reasoning": "Let me see.",
                "signature": "sig",
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "content": "One moment.",
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000002",
                "tool_call": {"name": "search", "arguments": '{"query": "x"}', "tool_call_id": "call-1"},
                "tool_calls": [
                    {"name": "search", "arguments": '{"query": "x"}', "tool_call_id": "call-1"},
                    {"name": "search", "arguments": '{"query": "y"}', "tool_call_id": "call-2"},
                ],
            },
        ]
    )


def test_thoughts_that_the_provider_hides():
    parts = (Reasoning("", redacted="opaque"), Reasoning("", signature="sig"))
    assert brief(wire_messages(message(1, Role.ASSISTANT, *parts))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "hidden_reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "state": "redacted",
                "hidden_reasoning": "opaque",
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "hidden_reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "state": "omitted",
                "hidden_reasoning": None,
            },
        ]
    )


def test_thoughts_in_a_call_are_taken_out_of_it():
    parts = (
        Reasoning("Hm.", native=False),
        ToolCall(
            "call-1",
            "memory_replace",
            '{"thinking": "Hm.", "label": "human", "request_heartbeat": true}',
        ),
    )
    assert brief(wire_messages(message(1, Role.ASSISTANT, *parts))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "non_reasoner_model",
                "reasoning": "Hm.",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "tool_call": {"name": "memory_replace", "arguments": '{"label":"human"}', "tool_call_id": "call-1"},
                "tool_calls": [{"name": "memory_replace", "arguments": '{"label":"human"}', "tool_call_id": "call-1"}],
            },
        ]
    )


SPOKEN = message(
    1,
    Role.ASSISTANT,
    Reasoning("Hm.", native=False),
    ToolCall("call-1", "send_message", '{"thinking": "Hm.", "message": "Hello \\"you\\""}'),
)
SENT = message(2, Role.TOOL, ToolResult("call-1", "send_message", "Sent message successfully."))


def test_a_call_of_the_speaking_tool_is_something_said():
    assert brief(wire_list([SPOKEN, SENT], View())) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "non_reasoner_model",
                "reasoning": "Hm.",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "content": 'Hello "you"',
            },
        ]
    )


def test_unless_the_client_wants_to_see_the_call():
    view = View(use_assistant_message=False)
    assert [item["message_type"] for item in wire_list([SPOKEN, SENT], view)] == [
        "reasoning_message",
        "tool_call_message",
        "tool_return_message",
    ]


def test_another_tool_may_be_the_one_that_speaks():
    call = ToolCall("call-1", "say", '{"words": "Hello"}')
    view = View(speaking_tool="say", speaking_argument="words")
    (item,) = wire_messages(message(1, Role.ASSISTANT, call), view)
    assert (item["message_type"], item["content"]) == ("assistant_message", "Hello")


def test_a_speaking_call_without_words_stays_a_call():
    for arguments in ('{"text": "x"}', '{"message": 5}', "not json"):
        (item,) = wire_messages(message(1, Role.ASSISTANT, ToolCall("call-1", "send_message", arguments)))
        assert item["message_type"] == "tool_call_message"


def test_results_of_tools():
    results = (
        ToolResult("call-1", "search", "found", stdout=("one", "two")),
        ToolResult("call-2", "search", "no such thing", status="error", stderr=("Traceback",)),
    )
    assert brief(wire_messages(message(1, Role.TOOL, *results))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": "search",
                "message_type": "tool_return_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_return": "found",
                "status": "success",
                "tool_call_id": "call-1",
                "stdout": ["one", "two"],
                "stderr": None,
                "tool_returns": [
                    {
                        "type": "tool",
                        "tool_return": "found",
                        "status": "success",
                        "tool_call_id": "call-1",
                        "stdout": ["one", "two"],
                        "stderr": None,
                    },
                    {
                        "type": "tool",
                        "tool_return": "no such thing",
                        "status": "error",
                        "tool_call_id": "call-2",
                        "stdout": None,
                        "stderr": ["Traceback"],
                    },
                ],
            }
        ]
    )


def test_calls_that_wait_are_questions():
    calls = (ToolCall("call-1", "delete", "{}"), ToolCall("call-2", "read", "{}"), ToolCall("call-3", "read", "{}"))
    shown = wire_list([message(1, Role.ASSISTANT, *calls)], View(), {(RUN, "call-1")})
    assert brief(shown) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "approval_request_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_call": {"name": "delete", "arguments": "{}", "tool_call_id": "call-1"},
                "tool_calls": [{"name": "delete", "arguments": "{}", "tool_call_id": "call-1"}],
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "tool_call": {"name": "read", "arguments": "{}", "tool_call_id": "call-2"},
                "tool_calls": [
                    {"name": "read", "arguments": "{}", "tool_call_id": "call-2"},
                    {"name": "read", "arguments": "{}", "tool_call_id": "call-3"},
                ],
            },
        ]
    )
    assert wire_list([message(1, Role.ASSISTANT, *calls)], View(), {("another run", "call-1")})[0]["message_type"] == (
        "tool_call_message"
    )


def test_answers_to_questions():
    parts = (ApprovalAnswer("call-1", approve=False, reason="no"), ToolResult("call-2", "read", "text"))
    assert brief(wire_messages(message(1, Role.APPROVAL, *parts))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "approval_response_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "approvals": [
                    {"type": "approval", "tool_call_id": "call-1", "approve": False, "reason": "no"},
                    {
                        "type": "tool",
                        "tool_return": "text",
                        "status": "success",
                        "tool_call_id": "call-2",
                        "stdout": None,
                        "stderr": None,
                    },
                ],
                "approve": False,
                "approval_request_id": None,
                "reason": "no",
            }
        ]
    )


def test_summaries():
    stats = {
        "trigger": "context",
        "context_tokens_before": 100,
        "context_tokens_after": 10,
        "context_window": 128,
        "messages_count_before": 9,
        "messages_count_after": 2,
    }
    summary = message(
        1,
        Role.USER,
        Text('{"type": "system_alert", "message": "…"}'),
        kind=Kind.SUMMARY,
        extra={"summary": "We met.", "compaction_stats": stats},
    )
    assert brief(wire_messages(summary)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "user_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "content": '{"type": "system_alert", "message": "…"}',
            }
        ]
    )
    assert brief(wire_messages(summary, View(compaction=True))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "name": None,
                "message_type": "summary_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "summary": "We met.",
                "compaction_stats": {
                    "trigger": "context",
                    "context_tokens_before": 100,
                    "context_tokens_after": 10,
                    "context_window": 128,
                    "messages_count_before": 9,
                    "messages_count_after": 2,
                },
            }
        ]
    )


def test_only_the_types_asked_for():
    view = View(types=frozenset({"assistant_message"}))
    shown = wire_messages(message(1, Role.ASSISTANT, Reasoning("Hm."), Text("Hi.")), view)
    assert [item["message_type"] for item in shown] == ["assistant_message"]
