"""What a stream owes after a crash completes it exactly, wherever it was cut."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loci.api.retold import owed
from loci.api.wire_events import RunTeller, Telling
from loci.types.events import MessageStored
from loci.types.messages import Reasoning, Role, Text, ToolCall
from tests.api.said import AT, RUN, message
from tests.api.test_wire_events import PARTS, in_pieces, joined


def tell(events: list[Any], *, tokens: bool) -> list[dict[str, Any]]:
    teller = RunTeller(RUN, Telling(tokens=tokens), lambda: AT)
    return [item for event in events for item in teller.tell(event)]


@given(PARTS, st.data(), st.booleans())
def test_cut_anywhere_and_completed_it_says_what_is_stored(parts, data, tokens):
    numbered = [
        ToolCall(f"call-{index}", part.name, part.arguments) if isinstance(part, ToolCall) else part
        for index, part in enumerate(parts)
        if not (isinstance(part, ToolCall) and part.name == "send_message" and '"message"' not in part.arguments)
    ]
    events = in_pieces(message(1, Role.ASSISTANT, *numbered), data)
    told, whole = tell(events, tokens=tokens), tell(events, tokens=False)
    cut = told[: data.draw(st.integers(0, len(told)))]

    complete = cut + owed(cut, whole)

    assert joined(complete) == joined(whole)
    assert owed(complete, whole) == []


def test_objects_that_are_told_whole_are_told_once():
    whole: list[Any] = [{"message_type": "tool_return_message", "otid": "a", "tool_return": "x"}]
    assert owed([], whole) == whole
    assert owed(whole, whole) == []


def test_a_call_that_was_begun_gets_only_the_rest_of_its_arguments():
    stored = message(1, Role.ASSISTANT, Reasoning("Hm."), Text("So."), ToolCall("call-1", "f", '{"a": 1}'))
    whole = tell([MessageStored(message=stored)], tokens=False)
    begun = {**whole[2], "tool_calls": {"tool_call_id": "call-1", "name": "f", "arguments": '{"a"'}}
    rest: Any
    (rest,) = owed([*whole[:2], begun], whole)
    assert rest["tool_call"] == {"name": None, "arguments": ": 1}", "tool_call_id": "call-1"}
    assert json.loads('{"a"' + rest["tool_call"]["arguments"]) == {"a": 1}
