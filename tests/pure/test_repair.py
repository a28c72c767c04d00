"""Repair: every history, however broken, becomes one that all providers accept."""

from hypothesis import given

from loci.memory.repair import INTERRUPTED, repair
from loci.types.messages import Message, Role, Text, ToolCall, ToolResult
from tests.pure.histories import broken_histories, message, valid_histories


def assert_valid(history: list[Message]) -> None:
    seen: set[str] = set()
    for number, item in enumerate(history):
        if item.role is Role.ASSISTANT and item.tool_calls:
            ids = [call.id for call in item.tool_calls]
            assert not seen & set(ids)
            seen |= set(ids)
            follower = history[number + 1]
            assert follower.role is Role.TOOL
            assert [result.call_id for result in follower.tool_results] == ids
        if item.role is Role.TOOL:
            assert history[number - 1].tool_calls
    assert len({item.id for item in history}) == len(history)


@given(broken_histories())
def test_any_history_becomes_valid_and_no_word_is_lost(history: list[Message]) -> None:
    mended, _ = repair(history)

    assert_valid(mended)
    said = {item.id for item in history if item.role is not Role.TOOL and item.parts}
    assert {item.id for item in mended if item.role is not Role.TOOL} == said


@given(valid_histories())
def test_a_valid_history_without_answers_in_between_is_left_as_it_is(history: list[Message]) -> None:
    history = [item for item in history if item.role is not Role.APPROVAL]
    mended, notes = repair(history)

    assert mended == history
    assert notes == ()


@given(broken_histories())
def test_mending_twice_changes_nothing_more(history: list[Message]) -> None:
    once, _ = repair(history)
    twice, notes = repair(once)

    assert twice == once
    assert notes == ()


def test_a_call_without_result_gets_one_that_says_so() -> None:
    history = [message(0, Role.USER, Text("go")), message(1, Role.ASSISTANT, ToolCall("c", "send", "{}"))]
    mended, notes = repair(history)

    assert mended[2].tool_results == (ToolResult("c", "send", INTERRUPTED, "error"),)
    assert notes == ("the call c of send had no result",)


def test_calls_at_an_open_end_wait() -> None:
    history = [message(0, Role.USER, Text("go")), message(1, Role.ASSISTANT, ToolCall("c", "send", "{}"))]

    assert repair(history, open_end=True) == (history, ())
