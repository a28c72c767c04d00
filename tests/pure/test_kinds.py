"""Agent types: the tools and rules each begins with, and the arguments that heartbeats add."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.agent.kinds import HEARTBEAT, THINKING, kind_of, split_arguments, with_heartbeat_arguments
from loci.errors import BadRequest
from loci.tools.core import CORE_BUILTINS
from loci.types.agents import AgentType
from loci.types.tools import ContinueLoop, ExitLoop, ToolSchema

MADE = [kind for kind in AgentType if kind is not AgentType.SPLIT_THREAD]


@pytest.mark.parametrize(
    ("agent_type", "tools"),
    [
        (AgentType.LETTA_V1, {"conversation_search", "memory_insert", "memory_replace"}),
        (
            AgentType.MEMGPT,
            {
                "send_message",
                "conversation_search",
                "core_memory_append",
                "core_memory_replace",
                "memory",
                "memory_apply_patch",
            },
        ),
        (AgentType.MEMGPT_V2, {"send_message", "conversation_search", "memory_insert", "memory_replace"}),
        (AgentType.SLEEPTIME, {"memory_insert", "memory_replace", "memory_rethink", "memory_finish_edits"}),
        (AgentType.VOICE_SLEEPTIME, {"store_memories", "rethink_user_memory", "finish_rethinking_memory"}),
        (AgentType.REACT, set()),
        (AgentType.WORKFLOW, set()),
    ],
)
def test_each_type_begins_with_the_tools_its_clients_expect(agent_type: AgentType, tools: set[str]) -> None:
    assert set(kind_of(agent_type).base_tools) == tools


@pytest.mark.parametrize("agent_type", MADE)
def test_each_type_is_consistent_in_itself(agent_type: AgentType) -> None:
    kind = kind_of(agent_type)

    assert kind.agent_type is agent_type
    assert {rule.tool_name for rule in kind.tool_rules} <= set(kind.base_tools)
    # A model that must call a tool in each step needs one that ends the turn.
    assert kind.tool_choice == "auto" or any(isinstance(rule, ExitLoop) for rule in kind.tool_rules)
    assert not kind.heartbeats or kind.inner_thoughts


@pytest.mark.parametrize(
    ("agent_type", "leaves"),
    [
        (AgentType.MEMGPT, "send_message"),
        (AgentType.MEMGPT_V2, "send_message"),
        (AgentType.SLEEPTIME, "memory_finish_edits"),
        (AgentType.VOICE_SLEEPTIME, "finish_rethinking_memory"),
    ],
)
def test_one_tool_ends_the_turn_and_all_others_go_on(agent_type: AgentType, leaves: str) -> None:
    kind = kind_of(agent_type)

    assert set(kind.tool_rules) == {
        ExitLoop(tool_name=leaves),
        *(ContinueLoop(tool_name=name) for name in kind.base_tools if name != leaves),
    }


def test_the_default_type_has_no_rules_and_no_heartbeats() -> None:
    kind = kind_of(AgentType.LETTA_V1)

    assert (kind.tool_rules, kind.heartbeats, kind.inner_thoughts, kind.boot) == ((), False, False, False)
    assert kind.tool_choice == "auto"


def test_only_those_that_talk_by_a_tool_are_shown_how_to() -> None:
    boots = {kind for kind in MADE if kind_of(kind).boot}

    assert boots == {AgentType.MEMGPT, AgentType.MEMGPT_V2, AgentType.REACT, AgentType.WORKFLOW}


def test_a_type_in_name_only_is_refused_with_one_that_works() -> None:
    with pytest.raises(BadRequest, match="split_thread_agent cannot be made") as refused:
        kind_of(AgentType.SPLIT_THREAD)

    assert refused.value.advice == "Use letta_v1_agent."


LOOK = ToolSchema(
    name="look",
    description="Look somewhere.",
    parameters={"type": "object", "properties": {"where": {"type": "string"}}, "required": ["where"]},
)


def test_thoughts_come_first_and_the_heartbeat_last() -> None:
    shown = with_heartbeat_arguments(LOOK).parameters

    properties: Any = shown["properties"]
    assert list(properties) == [THINKING, "where", HEARTBEAT]
    assert (properties[THINKING]["type"], properties[HEARTBEAT]["type"]) == ("string", "boolean")
    assert shown["required"] == [THINKING, "where", HEARTBEAT]
    assert LOOK.parameters["properties"] == {"where": {"type": "string"}}


def test_speaking_ends_the_turn_so_it_asks_for_no_heartbeat() -> None:
    shown = with_heartbeat_arguments(CORE_BUILTINS["send_message"].schema).parameters

    assert shown["required"] == [THINKING, "message"]


def test_a_tool_that_has_such_an_argument_already_requires_it_once() -> None:
    once = with_heartbeat_arguments(LOOK)
    twice = with_heartbeat_arguments(once)

    assert twice.parameters["required"] == once.parameters["required"]


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"properties": None, "required": "where"}])
def test_a_schema_with_holes_gets_the_arguments_too(parameters: Any) -> None:
    shown = with_heartbeat_arguments(ToolSchema(name="odd", description="", parameters=parameters)).parameters

    assert shown["required"] == [THINKING, HEARTBEAT]


OWN = st.dictionaries(st.sampled_from(["where", "count", "text"]), st.integers() | st.text(max_size=5), max_size=3)


@given(OWN, st.text(min_size=1, max_size=9), st.booleans())
def test_what_is_added_is_taken_off_again(own: dict[str, Any], thought: str, asked: bool) -> None:
    given_arguments = {THINKING: thought, **own, HEARTBEAT: asked}

    assert split_arguments(given_arguments) == (thought, asked, own)
    assert given_arguments[THINKING] == thought
    assert split_arguments(own) == (None, False, own)


@pytest.mark.parametrize(
    ("wish", "asked"), [("true", True), (" True ", True), ("false", False), (1, False), (None, False), ("", False)]
)
def test_small_models_write_the_wish_as_text(wish: Any, asked: bool) -> None:
    assert split_arguments({HEARTBEAT: wish})[1] is asked


def test_speaking_answers_and_changes_nothing() -> None:
    tool = CORE_BUILTINS["send_message"]
    assert tool.memory is not None

    said = tool.memory([], {"message": "Hello"})
    assert said.text == "Sent message successfully."
    assert said.changes.changes == ()
    assert not said.changes.recompile
