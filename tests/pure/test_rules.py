"""Tool rules: what they allow, refuse and end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import Unprocessable
from loci.store.rules import rule_from_json, rule_to_json
from loci.tools import rules
from loci.types.tools import (
    Conditional,
    ConstrainChildTools,
    ContinueLoop,
    ExitLoop,
    MaxCountPerStep,
    ParentLastTool,
    PastCall,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    ToolRule,
)

TOOLS = ["look", "write", "send"]


def past(*names: str, output: Any = "ok") -> list[PastCall]:
    return [PastCall(name=name, output=output) for name in names]


def test_run_first_forces_the_first_call_and_only_that() -> None:
    rule = RunFirst(tool_name="look", args={"where": "here"})

    first = rules.allowed([rule], TOOLS, [])
    assert (first.names, first.forced, first.args) == ({"look"}, "look", {"look": {"where": "here"}})
    assert rules.allowed([rule], TOOLS, past("look")).names == set(TOOLS)


def test_children_are_constrained_after_their_parent_only() -> None:
    rule = ConstrainChildTools(tool_name="look", children=("write",))

    assert rules.allowed([rule], TOOLS, past("look")).names == {"write"}
    assert rules.allowed([rule], TOOLS, past("look", "write")).names == set(TOOLS)


def test_a_call_that_was_refused_or_failed_opens_no_way_around_a_rule() -> None:
    rule = ConstrainChildTools(tool_name="look", children=("write",))
    refused = PastCall(name="send", output="Error: ...", ok=False)

    assert rules.allowed([rule], TOOLS, [*past("look"), refused]).names == {"write"}
    assert rules.allowed([RunFirst(tool_name="send")], TOOLS, [refused]).forced == "send"
    assert rules.missing_before_exit([RequiredBeforeExit(tool_name="send")], TOOLS, [refused]) == ["send"]


def test_a_call_that_failed_counts_against_the_maximum_also_of_the_first_tool() -> None:
    every: list[ToolRule] = [MaxCountPerStep(tool_name="send", max_count_limit=2), RunFirst(tool_name="send")]
    failed = PastCall(name="send", output="Error: ...", ok=False)

    assert rules.allowed(every, TOOLS, [failed]).names == {"send"}
    assert rules.allowed(every, TOOLS, [failed, failed]).names == {"look", "write"}


def test_arguments_that_a_parent_fixes_go_with_the_child() -> None:
    nodes = ({"name": "write", "args": {"where": "here"}}, {"name": "send"}, {"args": {"x": 1}})
    rule = ConstrainChildTools(tool_name="look", children=("write", "send"), child_arg_nodes=nodes)

    assert rules.allowed([rule], TOOLS, past("look")).args == {"write": {"where": "here"}}
    assert rules.allowed([rule], TOOLS, past("send")).args == {}


def test_a_tool_is_used_up_after_its_count() -> None:
    rule = MaxCountPerStep(tool_name="look", max_count_limit=2)

    assert "look" in rules.allowed([rule], TOOLS, past("look")).names
    assert "look" not in rules.allowed([rule], TOOLS, past("look", "send", "look")).names


def test_children_of_a_parent_last_rule_need_it_directly_before() -> None:
    rule = ParentLastTool(tool_name="look", children=("write",))

    assert rules.allowed([rule], TOOLS, []).names == {"look", "send"}
    assert rules.allowed([rule], TOOLS, past("look")).names == set(TOOLS)
    assert rules.allowed([rule], TOOLS, past("look", "send")).names == {"look", "send"}


@pytest.mark.parametrize(
    ("output", "child"),
    [
        ("yes", "write"),
        ('{"message": "yes"}', "write"),
        ('{"message": true}', "send"),
        ("true", "send"),
        ("True", "send"),
        ("7", "look"),
        (7, "look"),
        ('{"message": 7}', "look"),
        ('{"message": 7.0}', "look"),
        ("[" * 500 + "]" * 500, None),
        (10**30, None),
        ("\ud800", None),
        (float("nan"), None),
        ("something else", None),
        ('{"message": null}', None),
        ("{broken", None),
    ],
)
def test_a_conditional_looks_at_the_value_whatever_its_form(output: Any, child: str | None) -> None:
    rule = Conditional(tool_name="look", child_output_mapping={"yes": "write", "true": "send", "7": "look"})

    assert rules.allowed([rule], TOOLS, past("look", output=output)).names == ({child} if child else set(TOOLS))


def test_a_conditional_falls_back_to_its_default() -> None:
    rule = Conditional(tool_name="look", child_output_mapping={"yes": "write"}, default_child="send")

    assert rules.allowed([rule], TOOLS, past("look", output="no")).names == {"send"}


def test_a_conditional_that_requires_a_match_allows_nothing_without_one() -> None:
    rule = Conditional(
        tool_name="look", child_output_mapping={"yes": "write"}, default_child="send", require_output_mapping=True
    )

    assert rules.allowed([rule], TOOLS, past("look", output="yes")).names == {"write"}
    assert rules.allowed([rule], TOOLS, past("look", output="no")).names == set()


def test_a_refusal_names_what_is_allowed() -> None:
    rule = ConstrainChildTools(tool_name="look", children=("write",))

    refused = rules.refusal([rule], "send", TOOLS, past("look"))
    assert refused == "Error: the tool rules do not allow 'send' at this point. Allowed now: write."
    assert rules.refusal([rule], "write", TOOLS, past("look")) is None
    assert (
        rules.refusal([], "fly", TOOLS, [])
        == "Error: there is no tool 'fly'. The available tools are: look, send, write."
    )


def test_exit_beats_continue() -> None:
    every: list[ToolRule] = [ExitLoop(tool_name="send"), ContinueLoop(tool_name="look")]

    assert rules.after(every, ["look"]) == "go_on"
    assert rules.after(every, ["look", "send"]) == "stop"
    assert rules.after(every, ["write"]) == "default"


def test_what_is_required_before_the_exit_is_named_until_it_ran() -> None:
    rule = RequiredBeforeExit(tool_name="write")

    assert rules.missing_before_exit([rule], TOOLS, past("look")) == ["write"]
    assert rules.missing_before_exit([rule], TOOLS, past("write")) == []
    assert rules.missing_before_exit([rule], ["look"], []) == []


def test_approval_is_asked_for_the_named_tool_only() -> None:
    assert rules.needs_approval([RequiresApproval(tool_name="send")], "send")
    assert not rules.needs_approval([RequiresApproval(tool_name="send")], "look")


def test_rules_are_told_in_words() -> None:
    every: list[ToolRule] = [RunFirst(tool_name="look"), ContinueLoop(tool_name="write"), ExitLoop(tool_name="send")]

    assert rules.rules_text(every, TOOLS) == "- Call look first.\n- Calling send ends your turn."
    conditional = Conditional(tool_name="look", child_output_mapping={"yes": "write"}, default_child="send")
    assert rules.rules_text([conditional], TOOLS) == (
        "- What look returns decides which tool may follow: yes leads to write; anything else to send."
    )


def test_what_cannot_apply_is_not_told() -> None:
    absent: list[ToolRule] = [RunFirst(tool_name="zzz"), ParentLastTool(tool_name="look", children=("zzz",))]
    assert rules.rules_text(absent, TOOLS) == ""
    nothing = ConstrainChildTools(tool_name="look", children=())
    assert rules.rules_text([nothing], TOOLS) == "- After look, only these may follow: none."
    both = ConstrainChildTools(tool_name="look", children=("zzz", "write"))
    assert rules.rules_text([both], TOOLS) == "- After look, only these may follow: write."
    conditional = Conditional(tool_name="look", child_output_mapping={"yes": "zzz"}, default_child="send")
    assert "yes leads to no tool; anything else to send" in rules.rules_text([conditional], TOOLS)


NAMES = st.sampled_from([*TOOLS, "unknown"])
CHILDREN = st.lists(NAMES, max_size=3).map(tuple)
RULES = st.one_of(
    st.builds(RunFirst, tool_name=NAMES),
    st.builds(ExitLoop, tool_name=NAMES),
    st.builds(ContinueLoop, tool_name=NAMES),
    st.builds(
        Conditional,
        tool_name=NAMES,
        child_output_mapping=st.dictionaries(st.text(max_size=4), NAMES, max_size=3),
        default_child=st.none() | NAMES,
        require_output_mapping=st.booleans(),
    ),
    st.builds(ConstrainChildTools, tool_name=NAMES, children=CHILDREN),
    st.builds(MaxCountPerStep, tool_name=NAMES, max_count_limit=st.integers(1, 3)),
    st.builds(ParentLastTool, tool_name=NAMES, children=CHILDREN),
    st.builds(RequiredBeforeExit, tool_name=NAMES),
    st.builds(RequiresApproval, tool_name=NAMES),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=7), inner, max_size=3),
    max_leaves=5,
)
CALLS = st.lists(st.builds(PastCall, name=NAMES, output=JSON | st.text(max_size=20), ok=st.booleans()), max_size=6)


@given(st.lists(RULES, max_size=6), CALLS, NAMES)
def test_no_combination_of_rules_breaks_and_an_allowed_call_is_never_refused(
    every: list[ToolRule], calls: list[PastCall], name: str
) -> None:
    may = rules.allowed(every, TOOLS, calls)

    assert may.names <= set(TOOLS)
    assert (rules.refusal(every, name, TOOLS, calls) is None) == (name in may.names)
    assert may.forced is None or may.names == {may.forced}


@given(RULES)
def test_a_rule_survives_its_json(rule: ToolRule) -> None:
    assert rule_from_json(rule_to_json(rule)) == rule


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"type": "sometimes", "tool_name": "x"}, "Use one of: run_first, exit_loop"),
        ({"type": "exit_loop"}, "needs 'tool_name'"),
        ({"type": "max_count_per_step", "tool_name": "x", "max_count_limit": 0}, "whole number from 1"),
        ({"type": "constrain_child_tools", "tool_name": "x", "children": "y"}, "a list of tool names"),
        ({"type": "conditional", "tool_name": "x"}, "child_output_mapping"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_with_what_is_wrong(item: dict[str, Any], says: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        rule_from_json(item)

    assert says in str(refused.value)
