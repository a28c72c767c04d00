"""A run is told by steps or by tokens; both say the same, and both end once."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot
from letta_client._models import validate_type
from letta_client.types.agents import letta_streaming_response

from loci.api.wire_events import RunTeller, Telling, wire_answer, wire_ping
from loci.api.wire_messages import View
from loci.types.events import Compacted, Delta, Event, MessageStored, RunStarted, StepEnded
from loci.types.messages import Kind, Message, Reasoning, Role, Text, ToolCall
from loci.types.runs import StopReason
from loci.types.usage import Usage
from tests.api.said import AT, RUN, STEP, called, delta, ended, message, message_id, returned, said

STREAMED: Any = letta_streaming_response.LettaStreamingResponse
BASE = {"date", "name", "is_err", "seq_id", "step_id", "run_id", "sender_id"}


def tell(events: list[Event], **telling: Any) -> list[dict[str, Any]]:
    teller = RunTeller(RUN, Telling(**telling), lambda: AT)
    items = [item for event in events for item in teller.tell(event)]
    for item in items:
        if item["message_type"] not in {"event_message", "summary_message"}:
            validate_type(type_=STREAMED, value=item)
    return items


def brief(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key not in BASE} for item in items]


STEP_ENDED = StepEnded(step_id=STEP, usage=Usage(), context_tokens=107)


def test_a_run_told_by_steps():
    events: list[Event] = [
        RunStarted(run_id=RUN),
        MessageStored(message=message(1, Role.USER, Text("Hi"))),
        called(2, "search", "{}"),
        returned(3, "call-2", "search", "found"),
        STEP_ENDED,
        delta(4, "He"),
        said(4, "Hello.", streamed=True),
        ended(),
    ]
    assert brief(tell(events)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000002",
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_call": {"name": "search", "arguments": "{}", "tool_call_id": "call-2"},
                "tool_calls": [{"name": "search", "arguments": "{}", "tool_call_id": "call-2"}],
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000003",
                "message_type": "tool_return_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_return": "found",
                "status": "success",
                "tool_call_id": "call-2",
                "stdout": None,
                "stderr": None,
                "tool_returns": [
                    {
                        "type": "tool",
                        "tool_return": "found",
                        "status": "success",
                        "tool_call_id": "call-2",
                        "stdout": None,
                        "stderr": None,
                    }
                ],
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000004",
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "content": "Hello.",
            },
            {"message_type": "stop_reason", "stop_reason": "end_turn"},
            {
                "message_type": "usage_statistics",
                "completion_tokens": 7,
                "prompt_tokens": 100,
                "total_tokens": 107,
                "step_count": 1,
                "run_ids": ["run-00000000-0000-4000-8000-00000000aaaa"],
                "cached_input_tokens": None,
                "cache_write_tokens": None,
                "reasoning_tokens": None,
                "context_tokens": 107,
            },
        ]
    )


def test_an_answer_told_by_tokens():
    events: list[Event] = [
        RunStarted(run_id=RUN),
        delta(1, "Hm", kind="reasoning"),
        delta(1, ".", kind="reasoning"),
        delta(1, "", kind="reasoning", signature="sig"),
        delta(1, "Hel", index=1),
        delta(1, "lo.", index=1),
        MessageStored(message=message(1, Role.ASSISTANT, Reasoning("Hm.", "sig"), Text("Hello.")), streamed=True),
        STEP_ENDED,
        ended(),
    ]
    assert tell(events, tokens=True)[0] == snapshot(
        {
            "id": "message-00000000-0000-4000-8000-000000000001",
            "date": "2026-05-04T03:02:01.654321+00:00",
            "name": None,
            "message_type": "reasoning_message",
            "otid": "00000000-0000-4000-8000-000000000000",
            "sender_id": None,
            "step_id": "step-00000000-0000-4000-8000-000000000001",
            "is_err": None,
            "seq_id": None,
            "run_id": "run-00000000-0000-4000-8000-00000000aaaa",
            "source": "reasoner_model",
            "reasoning": "Hm",
            "signature": None,
        }
    )
    assert brief(tell(events, tokens=True)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "reasoner_model",
                "reasoning": "Hm",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "reasoner_model",
                "reasoning": ".",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "reasoner_model",
                "reasoning": "",
                "signature": "sig",
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "content": "Hel",
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "content": "lo.",
            },
            {"message_type": "stop_reason", "stop_reason": "end_turn"},
            {
                "message_type": "usage_statistics",
                "completion_tokens": 7,
                "prompt_tokens": 100,
                "total_tokens": 107,
                "step_count": 1,
                "run_ids": ["run-00000000-0000-4000-8000-00000000aaaa"],
                "cached_input_tokens": None,
                "cache_write_tokens": None,
                "reasoning_tokens": None,
                "context_tokens": 107,
            },
        ]
    )


def test_a_call_told_by_tokens():
    events: list[Event] = [
        delta(1, "", kind="tool_call", call_id="call-1", name="search"),
        delta(1, '{"query"', kind="tool_call", call_id="call-1", name="search"),
        delta(1, ': "x"}', kind="tool_call", call_id="call-1"),
        called(1, "search", '{"query": "x"}', streamed=True),
    ]
    assert brief(tell(events, tokens=True)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_call": {"name": "search", "arguments": "", "tool_call_id": "call-1"},
                "tool_calls": {"name": "search", "arguments": "", "tool_call_id": "call-1"},
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_call": {"name": None, "arguments": '{"query"', "tool_call_id": "call-1"},
                "tool_calls": {"name": None, "arguments": '{"query"', "tool_call_id": "call-1"},
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "tool_call": {"name": None, "arguments": ': "x"}', "tool_call_id": "call-1"},
                "tool_calls": {"name": None, "arguments": ': "x"}', "tool_call_id": "call-1"},
            },
        ]
    )


def test_a_message_that_did_not_come_in_pieces_is_told_whole_among_tokens():
    assert brief(tell([said(1, "Hello.")], tokens=True)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "content": "Hello.",
            }
        ]
    )


def test_thoughts_and_words_are_read_out_of_calls():
    pieces = ['{"thinking": "Hm', '.", "mess', 'age": "Hel', 'lo", "request_heartbeat": false}']
    events: list[Event] = [delta(1, text, kind="tool_call", call_id="c", name="send_message") for text in pieces]
    assert brief(tell(events, tokens=True, thinks_in_calls=True)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "non_reasoner_model",
                "reasoning": "Hm",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "non_reasoner_model",
                "reasoning": ".",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "content": "Hel",
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "assistant_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "content": "lo",
            },
        ]
    )
    events = [delta(1, text, kind="tool_call", call_id="c", name="note") for text in pieces]
    assert brief(tell(events, tokens=True, thinks_in_calls=True)) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "non_reasoner_model",
                "reasoning": "Hm",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "reasoning_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "source": "non_reasoner_model",
                "reasoning": ".",
                "signature": None,
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "tool_call": {"name": "note", "arguments": '{"message":"Hel', "tool_call_id": "c"},
                "tool_calls": {"name": "note", "arguments": '{"message":"Hel', "tool_call_id": "c"},
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000001",
                "message_type": "tool_call_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "tool_call": {"name": None, "arguments": 'lo"}', "tool_call_id": "c"},
                "tool_calls": {"name": None, "arguments": 'lo"}', "tool_call_id": "c"},
            },
        ]
    )


def test_an_argument_called_thinking_is_left_alone_where_thoughts_are_elsewhere():
    items = tell([delta(1, '{"thinking": "x"}', kind="tool_call", call_id="c", name="note")], tokens=True)
    assert [item["tool_call"]["arguments"] for item in items] == ['{"thinking": "x"}']


def test_questions_are_told_as_questions_from_the_first_piece():
    asking: list[Event] = [
        delta(1, '{"pa', kind="tool_call", call_id="call-1", name="Bash"),
        delta(1, 'th": 1}', kind="tool_call", call_id="call-1"),
        called(1, "Bash", '{"path": 1}', streamed=True, asks_approval=True),
    ]
    flagged = [
        Delta(
            message_id=message_id(1),
            step_id=STEP,
            index=0,
            kind="tool_call",
            text="{}",
            call_id="call-1",
            name="rm",
            asks_approval=True,
        ),
        called(1, "rm", "{}", streamed=True, asks_approval=True),
    ]
    for items in (tell(asking, tokens=True, client_tools=frozenset({"Bash"})), tell(flagged, tokens=True)):
        assert {item["message_type"] for item in items} == {"approval_request_message"}
        assert "".join(item["tool_call"]["arguments"] for item in items) in {'{"path": 1}', "{}"}
    assert [item["message_type"] for item in tell(asking)] == ["approval_request_message"]


def test_a_question_that_nobody_expected_is_told_once_it_is_stored():
    events = [
        delta(1, "{}", kind="tool_call", call_id="call-1", name="rm"),
        called(1, "rm", "{}", streamed=True, asks_approval=True),
    ]
    assert [item["message_type"] for item in tell(events, tokens=True)] == [
        "tool_call_message",
        "approval_request_message",
    ]


def test_thoughts_that_the_provider_hides_are_told_among_tokens():
    stored = MessageStored(message=message(1, Role.ASSISTANT, Reasoning("", redacted="x"), Text("Hi")), streamed=True)
    items = tell([delta(1, "Hi", index=1), stored], tokens=True)
    assert [item["message_type"] for item in items] == ["assistant_message", "hidden_reasoning_message"]


def test_a_failure_ends_with_its_reason_and_an_error():
    failed = ended(
        StopReason.LLM_API_ERROR, error_type="llm_timeout", message="The model did not answer.", detail="60 s passed"
    )
    assert tell([failed]) == snapshot(
        [
            {"message_type": "stop_reason", "stop_reason": "llm_api_error"},
            {
                "message_type": "error_message",
                "run_id": "run-00000000-0000-4000-8000-00000000aaaa",
                "error_type": "llm_timeout",
                "message": "The model did not answer.",
                "detail": "60 s passed",
                "seq_id": None,
            },
        ]
    )


def test_compaction_is_told_only_to_those_who_ask():
    summary = message(5, Role.USER, Text("{}"), kind=Kind.SUMMARY, extra={"summary": "We met."})
    event = Compacted(
        summary=summary,
        trigger="context",
        stats={"context_window": 128, "messages_count_before": 9, "messages_count_after": 2},
    )
    assert tell([event]) == []
    assert brief(tell([event], view=View(compaction=True))) == snapshot(
        [
            {
                "id": "message-00000000-0000-4000-8000-000000000005",
                "message_type": "event_message",
                "otid": "00000000-0000-4000-8000-000000000001",
                "event_type": "compaction",
                "event_data": {
                    "trigger": "context",
                    "context_window": 128,
                    "messages_count_before": 9,
                    "messages_count_after": 2,
                },
            },
            {
                "id": "message-00000000-0000-4000-8000-000000000005",
                "message_type": "summary_message",
                "otid": "00000000-0000-4000-8000-000000000000",
                "summary": "We met.",
                "compaction_stats": {
                    "trigger": "context",
                    "context_window": 128,
                    "messages_count_before": 9,
                    "messages_count_after": 2,
                },
            },
        ]
    )


def test_only_the_types_asked_for_and_always_the_end():
    view = View(types=frozenset({"tool_return_message"}))
    events: list[Event] = [delta(1, "x"), called(2, "search", "{}"), returned(3, "call-2", "search", "found"), ended()]
    for tokens in (False, True):
        kinds = [item["message_type"] for item in tell(events, view=view, tokens=tokens)]
        assert kinds == ["tool_return_message", "stop_reason", "usage_statistics"]


def test_the_answer_of_a_request_that_waits():
    assert wire_answer(ended(), [{"message_type": "assistant_message"}]) == snapshot(
        {
            "messages": [{"message_type": "assistant_message"}],
            "stop_reason": {"message_type": "stop_reason", "stop_reason": "end_turn"},
            "usage": {
                "message_type": "usage_statistics",
                "completion_tokens": 7,
                "prompt_tokens": 100,
                "total_tokens": 107,
                "step_count": 1,
                "run_ids": ["run-00000000-0000-4000-8000-00000000aaaa"],
                "cached_input_tokens": None,
                "cache_write_tokens": None,
                "reasoning_tokens": None,
                "context_tokens": 107,
            },
            "logprobs": None,
            "turns": None,
        }
    )


def test_a_ping_tells_the_run():
    ping = wire_ping(RUN, AT)
    assert validate_type(type_=STREAMED, value=ping).run_id == RUN


WORDS = st.text(min_size=1, max_size=12)
PARTS = st.lists(
    st.one_of(
        WORDS.map(Text),
        WORDS.map(Reasoning),
        st.tuples(
            st.sampled_from(["search", "send_message"]),
            st.dictionaries(st.sampled_from("abc") | st.just("message"), WORDS),
        ).map(lambda call: ToolCall("", call[0], json.dumps(call[1]))),
    ),
    min_size=1,
    max_size=5,
)


def in_pieces(whole: Message, draw: st.DataObject) -> list[Event]:
    events: list[Event] = []
    for index, part in enumerate(whole.parts):
        match part:
            case Text(text):
                kind, fields = "text", {}
            case Reasoning(text):
                kind, fields = "reasoning", {}
            case ToolCall(call_id, name, text):
                kind, fields = "tool_call", {"call_id": call_id, "name": name}
            case _:
                continue
        cut = draw.draw(st.integers(0, len(text)))
        events += [delta(1, piece, kind=kind, index=index, **fields) for piece in (text[:cut], text[cut:])]
    return [*events, MessageStored(message=whole, streamed=True)]


def joined(items: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    """What a client knows after joining the pieces, by what is being told."""
    known = dict[tuple[str, str], str]()
    for item in items:
        for call in item["tool_calls"] if isinstance(item.get("tool_calls"), list) else [item.get("tool_call")]:
            key = (item["message_type"], call["tool_call_id"] if call else item["otid"])
            text = str(call["arguments"] if call else item.get("content", item.get("reasoning")))
            known[key] = known.get(key, "") + text
    return {key: text for key, text in known.items() if text}


@given(PARTS, st.data())
def test_by_tokens_and_by_steps_say_the_same(parts, data):
    numbered = [
        ToolCall(f"call-{index}", part.name, part.arguments) if isinstance(part, ToolCall) else part
        for index, part in enumerate(parts)
        if not (isinstance(part, ToolCall) and part.name == "send_message" and '"message"' not in part.arguments)
    ]
    whole = message(1, Role.ASSISTANT, *numbered)
    events = in_pieces(whole, data)
    assert joined(tell(events, tokens=True)) == joined(tell(events))
