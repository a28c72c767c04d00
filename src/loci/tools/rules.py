"""Tool rules: what may be called now, what a call leads to, and when a run may end. Pure; names as in the Letta V1 API.

The rules look at the calls of the current run only. They narrow the tools that are offered to the model; a call that
comes anyway is answered with an error that names what is allowed, so the model can mend it. A call that was refused or
failed leads nowhere: what follows is still ruled by the last call that worked. It does count against a maximum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import orjson

from loci.types.json import JsonObject, JsonValue
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

Continuation: TypeAlias = Literal["go_on", "stop", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The tools that may be called now. `forced`: exactly this one. `args`: arguments that a rule fixes, by tool."""

    names: frozenset[str]
    forced: str | None = None
    args: Mapping[str, JsonObject] = field(default_factory=dict[str, JsonObject])


def allowed(rules: Sequence[ToolRule], names: Iterable[str], past: Sequence[PastCall]) -> Allowed:
    """What may be called after `past`, of the tools named."""
    every = frozenset(names)
    if not rules:
        return Allowed(names=every)
    last = next((call for call in reversed(past) if call.ok), None)
    left = every - _used_up(rules, past)
    first = [rule for rule in rules if isinstance(rule, RunFirst) and rule.tool_name in left]
    if first and last is None:
        chosen = frozenset(rule.tool_name for rule in first)
        args = {rule.tool_name: rule.args for rule in first if rule.args}
        return Allowed(names=chosen, forced=first[0].tool_name if len(chosen) == 1 else None, args=args)
    left -= _out_of_turn(rules, last.name if last else None)
    args = dict[str, JsonObject]()
    for rule in rules:
        if last is None or rule.tool_name != last.name:
            continue
        if isinstance(rule, ConstrainChildTools):
            left &= frozenset(rule.children)
            args |= _child_args(rule)
        elif isinstance(rule, Conditional):
            left &= _after_conditional(rule, last.output, every)
    return Allowed(names=left, args=args)


def _used_up(rules: Sequence[ToolRule], past: Sequence[PastCall]) -> frozenset[str]:
    counts: dict[str, int] = {}
    for call in past:
        counts[call.name] = counts.get(call.name, 0) + 1
    return frozenset(
        rule.tool_name
        for rule in rules
        if isinstance(rule, MaxCountPerStep) and counts.get(rule.tool_name, 0) >= rule.max_count_limit
    )


def _out_of_turn(rules: Sequence[ToolRule], last: str | None) -> frozenset[str]:
    """Tools that may only follow directly on a parent which was not the last call."""
    parents: dict[str, set[str]] = {}
    for rule in rules:
        if isinstance(rule, ParentLastTool):
            for child in rule.children:
                parents.setdefault(child, set()).add(rule.tool_name)
    return frozenset(child for child, names in parents.items() if last not in names)


def _child_args(rule: ConstrainChildTools) -> dict[str, JsonObject]:
    found: dict[str, JsonObject] = {}
    for node in rule.child_arg_nodes:
        name, args = node.get("name"), node.get("args")
        if isinstance(name, str) and isinstance(args, Mapping):
            found[name] = args
    return found


def _after_conditional(rule: Conditional, output: JsonValue, every: frozenset[str]) -> frozenset[str]:
    child = _mapped_child(rule, output)
    if child is None and rule.require_output_mapping:
        return frozenset()
    child = child or rule.default_child
    return every if child is None else frozenset((child,))


def _mapped_child(rule: Conditional, output: JsonValue) -> str | None:
    """Which tool the mapping sends to; None if it does not know the output.

    A JSON object answers with its `message`, anything else with itself. Values are compared by their JSON text, and a
    text also as it stands, so `true`, `"true"` and `True` as keys of the mapping all mean yes.
    """
    value = _parsed(output)
    if isinstance(value, Mapping) and "message" in value:
        value = _parsed(value["message"])
    keys = {_json_text(value)}
    if isinstance(value, str):
        keys.add(value.lower())
    if isinstance(value, float) and value.is_integer():
        keys.add(str(int(value)))
    for key, child in rule.child_output_mapping.items():
        if key.lower() in keys and isinstance(child, str):
            return child
    return None


def _parsed(value: JsonValue) -> JsonValue:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _json_text(value: JsonValue) -> str | None:
    """The JSON text of a value; None when it has none (nested too deep, broken characters), so it equals no key."""
    try:
        return orjson.dumps(value).decode().lower()
    except orjson.JSONEncodeError:
        return None


def refusal(rules: Sequence[ToolRule], name: str, names: Iterable[str], past: Sequence[PastCall]) -> str | None:
    """Why a call is not allowed now, as a text for the model; None when it is."""
    every = sorted(names)
    if name not in every:
        known = ", ".join(every) or "none"
        return f"Error: there is no tool '{name}'. The available tools are: {known}."
    may = allowed(rules, every, past).names
    if name in may:
        return None
    offered = ", ".join(sorted(may)) or "none; answer the user now"
    return f"Error: the tool rules do not allow '{name}' at this point. Allowed now: {offered}."


def after(rules: Sequence[ToolRule], names: Iterable[str]) -> Continuation:
    """What the calls just made mean for the loop: an exit rule beats all others."""
    called = frozenset(names)
    if any(isinstance(rule, ExitLoop) and rule.tool_name in called for rule in rules):
        return "stop"
    goes_on = (ContinueLoop, ConstrainChildTools, Conditional)
    if any(isinstance(rule, goes_on) and rule.tool_name in called for rule in rules):
        return "go_on"
    return "default"


def missing_before_exit(rules: Sequence[ToolRule], names: Iterable[str], past: Sequence[PastCall]) -> list[str]:
    """Tools that must have run before the loop may end, and have not; a call that was refused or failed is no run."""
    ran = {call.name for call in past if call.ok}
    every = frozenset(names)
    required = [rule.tool_name for rule in rules if isinstance(rule, RequiredBeforeExit)]
    return [name for name in required if name not in ran and name in every]


def needs_approval(rules: Sequence[ToolRule], name: str) -> bool:
    """Whether a person must be asked before this tool runs."""
    return any(isinstance(rule, RequiresApproval) and rule.tool_name == name for rule in rules)


def rules_text(rules: Sequence[ToolRule], names: Iterable[str]) -> str:
    """The rules on the tools named, in words for the prompt; empty when there is nothing the model has to know."""
    every = frozenset(names)
    lines = [line for rule in rules if rule.tool_name in every and (line := _words(rule, every))]
    return "\n".join(f"- {line}" for line in lines)


def _words(rule: ToolRule, every: frozenset[str]) -> str:
    match rule:
        case RunFirst():
            return f"Call {rule.tool_name} first."
        case ExitLoop():
            return f"Calling {rule.tool_name} ends your turn."
        case ConstrainChildTools():
            return f"After {rule.tool_name}, only these may follow: {_listed(rule.children, every) or 'none'}."
        case Conditional():
            return f"What {rule.tool_name} returns decides which tool may follow: {_cases(rule, every)}."
        case MaxCountPerStep():
            return f"Call {rule.tool_name} at most {rule.max_count_limit} times in one turn."
        case ParentLastTool():
            children = _listed(rule.children, every)
            return f"Call {children} only directly after {rule.tool_name}." if children else ""
        case RequiredBeforeExit():
            return f"Call {rule.tool_name} before your turn ends."
        case ContinueLoop() | RequiresApproval():
            return ""


def _listed(names: Sequence[str], every: frozenset[str]) -> str:
    return ", ".join(name for name in names if name in every)


def _cases(rule: Conditional, every: frozenset[str]) -> str:
    known = {key: child if child in every else "no tool" for key, child in rule.child_output_mapping.items()}
    cases = [f"{key} leads to {child}" for key, child in known.items()]
    if rule.require_output_mapping:
        cases.append("anything else to no tool")
    elif rule.default_child:
        cases.append(f"anything else to {rule.default_child if rule.default_child in every else 'no tool'}")
    return "; ".join(cases) or "any of them"
