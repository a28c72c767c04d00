"""The shapes in which servers stream their answers, each as one set of parts."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import ModelFault
from loci.model.base import Failed, Finished, ModelEvent, ReasoningDelta, TextDelta, ToolCallDelta
from loci.model.chat_decode import Decoder
from loci.model.chat_wire import WireCallPiece, WireChoice, WireChunk, WireDelta, WireFunction
from loci.types.messages import Reasoning, Text, ToolCall
from loci.types.usage import Usage
from tests.model.contract import INFO, said, words

DONE = b"data: [DONE]\n\n"


def chunk(delta: Any = None, *, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def called(*pieces: Any) -> bytes:
    return b"".join(chunk({"tool_calls": [piece]}) for piece in pieces)


def decoded(*data: bytes) -> tuple[list[ModelEvent], Finished | Failed]:
    decoder = Decoder(INFO, secret=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    events: list[ModelEvent] = []
    for each in data:
        events += decoder.feed(each)
    events += decoder.end()
    last = decoder.close()
    if isinstance(last, Finished):
        assert words(events) == {index: said(part) for index, part in enumerate(last.parts)}
    return events, last


def whole(*data: bytes) -> Finished:
    last = decoded(*data)[1]
    assert isinstance(last, Finished), last
    return last


def broken(*data: bytes) -> Failed:
    last = decoded(*data)[1]
    assert isinstance(last, Failed), last
    return last


def calls(*data: bytes) -> list[tuple[str, str]]:
    parts = whole(*data, chunk(finish="tool_calls"), DONE).parts
    found = [part for part in parts if isinstance(part, ToolCall)]
    assert len({call.id for call in found}) == len(found)
    assert all(call.id for call in found)
    return [(call.name, call.arguments) for call in found]


def test_text_in_pieces():
    events, last = decoded(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "He"}), chunk({"content": "y"}), DONE
    )

    assert events == [TextDelta(0, "He"), TextDelta(0, "y")]
    assert isinstance(last, Finished)
    assert (last.parts, last.finish) == ((Text("Hey"),), "stop")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_under_either_name_come_before_the_text(field: str):
    last = whole(chunk({field: "Hm"}), chunk({field: "m."}), chunk({"content": "Hey"}), DONE)

    assert last.parts == (Reasoning("Hmm.", provider="fake", id=field), Text("Hey"))


def test_thoughts_under_both_names_count_once():
    last = whole(chunk({"reasoning_content": "Hm", "reasoning": "Hm"}), chunk({"content": "Hey"}), DONE)

    assert last.parts[0] == Reasoning("Hm", provider="fake", id="reasoning_content")


def test_thoughts_in_tags():
    last = whole(
        chunk({"content": "<thi"}), chunk({"content": "nk>\nHm.\n</th"}), chunk({"content": "ink>\n\nHey"}), DONE
    )

    assert last.parts == (Reasoning("Hm.", provider="fake"), Text("Hey"))


def test_thoughts_as_parts_of_the_content():
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]
    last = whole(chunk({"content": thinking}), chunk({"content": [{"type": "text", "text": "Hey"}]}), DONE)

    assert last.parts == (Reasoning("Hm.", provider="fake"), Text("Hey"))


def test_signed_thoughts_are_kept_as_one_document():
    first = {"type": "reasoning.text", "index": 0, "text": "Hm"}
    last = whole(
        chunk({"reasoning": "Hm", "reasoning_details": [first]}),
        chunk({"reasoning": "m.", "reasoning_details": [{**first, "text": "m.", "signature": "s"}]}),
        chunk({"content": "Hey"}),
        DONE,
    )

    assert isinstance(last.parts[0], Reasoning)
    assert json.loads(last.parts[0].signature or "") == [{**first, "text": "Hmm.", "signature": "s"}]


def test_calls_in_pieces_and_interleaved():
    found = calls(
        called(
            {"index": 0, "id": "call_a0000", "function": {"name": "look", "arguments": ""}},
            {"index": 1, "id": "call_b0000", "function": {"name": "note", "arguments": '{"t"'}},
            {"index": 0, "function": {"arguments": '{"q": 1}'}},
            {"index": 1, "function": {"arguments": ": 2}"}},
        ),
    )

    assert found == [("look", '{"q": 1}'), ("note", '{"t": 2}')]


@pytest.mark.parametrize(
    "pieces",
    [
        [{"id": "call_a0000", "index": 0}, {"id": "call_b0000", "index": 0}],  # Ollama: every call is number 0
        [{"id": "call_a0000"}, {"id": "call_b0000"}],
        [{"index": 0}, {"index": 1}],
        [{"index": 0}, {"index": 0}],  # Gemini's copy of the wire: no ids at all
        [{"index": 0, "id": ""}, {"index": 0, "id": ""}],
        [{}, {}],
        [{"index": 0, "id": "same0000"}, {"index": 1, "id": "same0000"}],
    ],
)
def test_whole_calls_with_and_without_numbers_and_ids(pieces: list[Any]):
    functions = [{"name": "look", "arguments": '{"q": 1}'}, {"name": "note", "arguments": "{}"}]
    pieces = [{**piece, "function": function} for piece, function in zip(pieces, functions, strict=True)]

    assert calls(called(*pieces)) == [("look", '{"q": 1}'), ("note", "{}")]
    assert calls(chunk({"tool_calls": pieces})) == [("look", '{"q": 1}'), ("note", "{}")]


def test_pieces_without_number_belong_to_the_last_call():
    first = {"id": "call_a0000", "function": {"name": "look", "arguments": ""}}

    assert calls(called(first, {"function": {"arguments": "{"}}, {"function": {"arguments": "}"}})) == [("look", "{}")]


def test_a_server_that_repeats_id_and_name_with_each_piece():
    pieces = [{"index": 0, "id": "call_a0000", "function": {"name": "look", "arguments": each}} for each in ("{", "}")]

    assert calls(called(*pieces)) == [("look", "{}")]


def test_arguments_that_are_no_text():
    assert calls(called({"index": 0, "function": {"name": "look", "arguments": {"q": 1}}})) == [("look", '{"q":1}')]


def test_a_call_without_arguments_gets_an_empty_object():
    assert calls(called({"index": 0, "function": {"name": "look"}})) == [("look", "{}")]


def test_a_made_up_id_is_short_enough_for_everyone():
    call = whole(called({"index": 0, "function": {"name": "look", "arguments": "{}"}}), DONE).parts[0]

    assert isinstance(call, ToolCall)
    assert call.id.startswith("call_")
    assert len(call.id) == 29


def test_a_signed_call():
    extra = {"google": {"thought_signature": "s"}}
    call = whole(
        called({"index": 0, "extra_content": extra, "function": {"name": "look", "arguments": "{}"}}), DONE
    ).parts[0]

    assert isinstance(call, ToolCall)
    assert (json.loads(call.signature or ""), call.provider) == (extra, "fake")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(prompt_tokens=10, completion_tokens=5, cached_input_tokens=8, reasoning_tokens=2),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8, "prompt_tokens_details": None},
            Usage(prompt_tokens=10, completion_tokens=5, cached_input_tokens=8),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.25},
            Usage(prompt_tokens=10, completion_tokens=5, cost_usd=0.25),
        ),
        ({"prompt_tokens": "many"}, Usage()),
        (None, Usage()),
    ],
)
def test_usage_wherever_it_stands(usage: Any, expected: Usage):
    last_chunk = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"

    assert whole(chunk({"content": "Hey"}), chunk(finish="stop"), last_chunk, DONE).usage == expected
    assert whole(chunk({"content": "Hey"}), chunk(finish="stop", usage=usage), DONE).usage == expected


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_why_it_stopped(finish: str, expected: str):
    assert whole(chunk({"content": "Hey"}), chunk(finish=finish), DONE).finish == expected


def test_calls_that_end_with_stop_are_calls():
    assert whole(called({"index": 0, "function": {"name": "look"}}), chunk(finish="stop"), DONE).finish == "tool_calls"


def test_an_end_without_the_last_word_is_an_end():
    assert whole(chunk({"content": "Hey"}), chunk(finish="stop")).parts == (Text("Hey"),)
    assert whole(chunk({"content": "Hey"}), chunk(finish="stop").rstrip()).parts == (Text("Hey"),)


def test_an_end_out_of_the_blue_is_a_broken_connection():
    failed = broken(chunk({"content": "Hey"}))

    assert (failed.fault, failed.retryable) == (ModelFault.CONNECTION, True)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([chunk(finish="stop"), DONE], ModelFault.BAD_REPLY),
        ([DONE], ModelFault.BAD_REPLY),
        ([chunk({"content": " \n"}), chunk(finish="stop"), DONE], ModelFault.BAD_REPLY),
        ([chunk({"reasoning": "Hm"}), chunk(finish="stop"), DONE], ModelFault.BAD_REPLY),
        ([chunk({"reasoning": "Hm"}), chunk(finish="length"), DONE], ModelFault.BAD_REPLY),
        ([chunk(finish="content_filter"), DONE], ModelFault.REFUSED),
        ([b""], ModelFault.BAD_REPLY),
        ([b"<html>Bad gateway</html>"], ModelFault.BAD_REPLY),
        ([b"data: {{{\n\n"], ModelFault.BAD_REPLY),
        ([b"data: [1, 2]\n\n"], ModelFault.BAD_REPLY),
        ([b'data: {"choices": 5}\n\n'], ModelFault.BAD_REPLY),
        ([b'data: {"choices": [null]}\n\n'], ModelFault.BAD_REPLY),
        (
            [b'data: {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "x"}}]}}]}\n\n', DONE],
            ModelFault.BAD_REPLY,
        ),
        ([b'{"error": {"message": "This model\'s maximum context length is 8 tokens"}}'], ModelFault.CONTEXT_TOO_LONG),
        ([b'data: {"error": {"message": "no", "code": 429}}\n\n'], ModelFault.RATE_LIMIT),
        ([b'event: error\ndata: {"error": "model is overloaded"}\n\n'], ModelFault.OVERLOADED),
        ([b'data: {"object": "error", "message": "broke", "code": 500}\n\n'], ModelFault.OTHER),
    ],
)
def test_what_is_no_answer(data: list[bytes], fault: ModelFault):
    assert broken(*data).fault is fault


def test_comments_and_odd_line_ends_are_passed_over():
    text = (b": keep-alive\r\n\r\nid: 5\r\n" + chunk({"content": "Hey"}) + DONE).replace(b"\n\n", b"\r\n\r\n")

    assert whole(text).parts == (Text("Hey"),)


def test_other_choices_are_ignored():
    other = b'data: {"choices": [{"index": 1, "delta": {"content": "No"}}]}\n\n'

    assert whole(chunk({"content": "Hey"}), other, DONE).parts == (Text("Hey"),)


STREAM = b"".join(
    [
        b": hello\n\n",
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning": "Hm, ä."}),
        chunk({"content": "Grüße "}),
        chunk({"content": "dir"}),
        called({"index": 0, "id": "call_a0000", "function": {"name": "look", "arguments": "{"}}),
        called({"index": 0, "function": {"arguments": "}"}}),
        chunk(finish="tool_calls"),
        DONE,
    ],
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_does_not_matter_where_the_network_cuts(cuts: list[int]):
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in pairwise(edges)]

    assert decoded(*pieces) == decoded(STREAM)


@given(st.integers(0, len(STREAM) - 1))
def test_a_stream_cut_anywhere_ends_in_one_defined_way(length: int):
    events, last = decoded(STREAM[:length])

    assert isinstance(last, Finished | Failed)
    assert all(isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta) for event in events)
    if b'"finish_reason": "tool_calls"' not in STREAM[:length]:
        assert isinstance(last, Failed)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_an_error(data: bytes):
    assert isinstance(decoded(data)[1], Finished | Failed)
    assert isinstance(decoded(b"data: " + data + b"\n\n")[1], Finished | Failed)


WIRE = (WireChunk, WireChoice, WireDelta, WireCallPiece, WireFunction)
KEYS = sorted({key for shape in WIRE for key in shape.__annotations__} | {"prompt_tokens_details"})
JSON: "st.SearchStrategy[Any]" = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "look"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_document_at_all_raises_an_error(document: Any, delta: Any):
    for each in (document, {"choices": [{"delta": delta}]}):
        assert isinstance(decoded(b"data: " + json.dumps(each).encode() + b"\n\n", DONE)[1], Finished | Failed)
