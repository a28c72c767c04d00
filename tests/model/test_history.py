"""Turns: whatever was stored, what is sent has a result for each call and no result without one."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loci.model.history import NO_RESULT, AssistantTurn, UserTurn, plain_call_id, turns
from loci.types.messages import Image, Reasoning, Role, Text, ToolCall, ToolResult
from tests.model.providers import message, user

CALL = ToolCall("call_1", "look", "{}")


def test_a_plain_talk_stays_as_it_is():
    woven = turns([user("Hello."), message(Role.ASSISTANT, Text("Hi.")), user("Bye.")])

    assert woven == (
        UserTurn(said=((Text("Hello."),),)),
        AssistantTurn(parts=(Text("Hi."),)),
        UserTurn(said=((Text("Bye."),),)),
    )


def test_a_result_moves_to_its_call():
    woven = turns(
        [
            message(Role.ASSISTANT, CALL, ToolCall("call_2", "look", "{}")),
            message(Role.TOOL, ToolResult("call_2", "look", "two")),
            user("Well?"),
            message(Role.ASSISTANT, Text("Wait.")),
            message(Role.TOOL, ToolResult("call_1", "look", "one")),
        ],
    )

    assert isinstance(woven[1], UserTurn)
    assert [result.text for result in woven[1].results] == ["one", "two"]
    assert woven[1].said == ((Text("Well?"),),)
    assert woven[2:] == (AssistantTurn(parts=(Text("Wait."),)),)


def test_a_missing_result_is_said_to_be_missing():
    woven = turns([message(Role.ASSISTANT, CALL), user("Well?")])

    assert woven[1] == UserTurn(
        results=(ToolResult("call_1", "look", NO_RESULT, "error"),),
        said=((Text("Well?"),),),
    )


def test_a_result_without_a_call_is_left_out():
    woven = turns([message(Role.TOOL, ToolResult("gone", "look", "?")), user("Well?")])

    assert woven == (UserTurn(said=((Text("Well?"),),)),)


def test_a_second_result_of_a_call_is_left_out():
    first, second = ToolResult("call_1", "look", "one"), ToolResult("call_1", "look", "two")
    woven = turns([message(Role.ASSISTANT, CALL), message(Role.TOOL, first), message(Role.TOOL, second)])

    assert woven[1] == UserTurn(results=(first,))


def test_calls_that_share_an_id_each_get_their_own_result():
    woven = turns(
        [
            message(Role.ASSISTANT, CALL),
            message(Role.TOOL, ToolResult("call_1", "look", "one")),
            message(Role.ASSISTANT, CALL),
            message(Role.TOOL, ToolResult("call_1", "look", "two")),
        ],
    )

    answered = [
        (result.call_id, result.text) for turn in woven if isinstance(turn, UserTurn) for result in turn.results
    ]
    assert answered == [("call_1", "one"), ("call_1_2", "two")]
    assert [call.id for call in _calls(woven)] == ["call_1", "call_1_2"]


def test_neighbours_of_one_side_are_joined():
    woven = turns(
        [
            user("One."),
            message(Role.SYSTEM, Text("Two.")),
            message(Role.ASSISTANT, Text("Three.")),
            message(Role.ASSISTANT, Text("Four.")),
        ],
    )

    assert woven == (
        UserTurn(said=((Text("One."),), (Text("Two."),))),
        AssistantTurn(parts=(Text("Three."), Text("Four."))),
    )


def test_nothing_but_thoughts_is_nothing():
    woven = turns([user("One."), message(Role.ASSISTANT, Reasoning("Hm.", "s", "p")), user("Two.")])

    assert woven == (UserTurn(said=((Text("One."),), (Text("Two."),))),)


def test_a_turn_is_stable_only_if_all_of_it_is():
    history = [
        user("One."),
        message(Role.ASSISTANT, CALL),
        message(Role.TOOL, ToolResult("call_1", "look", "x")),
        user("Two."),
    ]

    def stable(count: int) -> list[bool]:
        return [turn.stable for turn in turns(history, stable_count=count) if isinstance(turn, UserTurn)]

    assert stable(0) == [False, False]
    assert stable(1) == [True, False]
    assert stable(3) == [True, False]
    assert stable(4) == [True, True]


IDS = st.sampled_from(["call_1", "call_2", "toolu_ä", "x" * 80, "a|b", ""])
PARTS = st.one_of(
    st.builds(Text, st.sampled_from(["", " ", "Words.", "More."])),
    st.builds(Image, url=st.just("https://a.example/b.png")),
    st.builds(Reasoning, st.just("Hm."), st.none() | st.just("s"), st.just("p")),
    st.builds(ToolCall, IDS, st.sampled_from(["look", "note"]), st.sampled_from(["{}", '{"q": 1}', "{"])),
    st.builds(ToolResult, IDS, st.just("look"), st.text(max_size=5)),
)
HISTORIES = st.lists(
    st.builds(lambda role, parts: message(role, *parts), st.sampled_from(Role), st.lists(PARTS, max_size=4)),
    max_size=10,
)


@given(HISTORIES, st.integers(0, 10))
def test_any_history_becomes_turns_that_answer_all_calls(history, stable_count):
    woven = turns(history, stable_count=stable_count)

    for turn, following in pairwise(woven):
        assert type(turn) is not type(following), "the sides take turns"
    for position, turn in enumerate(woven):
        match turn:
            case AssistantTurn(parts=parts):
                assert parts
                assert not isinstance(parts[-1], Reasoning)
                calls = [part.id for part in parts if isinstance(part, ToolCall)]
                following = woven[position + 1] if position + 1 < len(woven) else UserTurn()
                assert isinstance(following, UserTurn)
                assert [result.call_id for result in following.results] == calls
            case UserTurn(results=results, said=said):
                assert results or said
                assert not results or position > 0
                assert all(inner for inner in said)
    ids = [call.id for call in _calls(woven)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call_id) for call_id in ids)


@given(HISTORIES)
def test_nothing_the_user_said_and_no_call_is_lost(history):
    woven = turns(history)

    said = [part for turn in woven if isinstance(turn, UserTurn) for inner in turn.said for part in inner]
    meant = [
        part
        for stored in history
        if stored.role is not Role.ASSISTANT
        for part in stored.parts
        if isinstance(part, Image) or (isinstance(part, Text) and part.text.strip())
    ]
    called = [call for stored in history if stored.role is Role.ASSISTANT for call in stored.tool_calls]
    assert said == meant
    assert [(call.name, call.arguments) for call in _calls(woven)] == [(call.name, call.arguments) for call in called]


@given(st.text())
def test_a_call_id_is_spelt_the_same_way_each_time(call_id: str):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", plain_call_id(call_id))
    assert plain_call_id(call_id) == plain_call_id(call_id)


def _calls(woven):
    return [
        part for turn in woven if isinstance(turn, AssistantTurn) for part in turn.parts if isinstance(part, ToolCall)
    ]
