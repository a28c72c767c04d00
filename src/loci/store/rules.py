"""Tool rules as JSON objects (discriminator `type`), as the wire and the database hold them."""

from collections.abc import Callable, Mapping
from dataclasses import fields

from loci.errors import Unprocessable
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import (
    Conditional,
    ConstrainChildTools,
    ContinueLoop,
    ExitLoop,
    MaxCountPerStep,
    ParentLastTool,
    RequiredBeforeExit,
    RequiresApproval,
    RunFirst,
    ToolRule,
)


def rule_from_json(item: JsonObject) -> ToolRule:
    """A rule. Raises Unprocessable that names what is wrong."""
    kind, name = str(item.get("type")), item.get("tool_name")
    if kind not in _KINDS:
        raise Unprocessable(f"There is no tool rule of type '{kind}'.", hint=f"Use one of: {', '.join(_KINDS)}.")
    if not isinstance(name, str) or not name:
        raise Unprocessable(f"A tool rule of type '{kind}' needs 'tool_name'.")
    build = _BUILD.get(kind)
    return _KINDS[kind](tool_name=name) if build is None else build(name, item)


def rule_to_json(rule: ToolRule) -> dict[str, JsonValue]:
    """The JSON object of a rule."""
    item: dict[str, JsonValue] = {"type": _NAMES[type(rule)], "tool_name": rule.tool_name, "prompt_template": None}
    for field in fields(rule):
        value: JsonValue = getattr(rule, field.name)
        item[field.name] = list(value) if isinstance(value, tuple) else value
    if isinstance(rule, ConstrainChildTools):
        item["child_arg_nodes"] = item["child_arg_nodes"] or None
    return item


def _run_first(name: str, item: JsonObject) -> ToolRule:
    args = item.get("args")
    return RunFirst(tool_name=name, args=args if isinstance(args, Mapping) else None)


def _conditional(name: str, item: JsonObject) -> ToolRule:
    mapping = item.get("child_output_mapping")
    if not isinstance(mapping, Mapping):
        raise Unprocessable("A conditional rule needs 'child_output_mapping', an object from output to tool name.")
    default = item.get("default_child")
    return Conditional(
        tool_name=name,
        child_output_mapping=mapping,
        default_child=default if isinstance(default, str) else None,
        require_output_mapping=item.get("require_output_mapping") is True,
    )


def _children(kind: str, item: JsonObject) -> tuple[str, ...]:
    children = item.get("children")
    if not isinstance(children, list) or not all(isinstance(child, str) for child in children):
        raise Unprocessable(f"A {kind} rule needs 'children', a list of tool names.")
    return tuple(str(child) for child in children)


def _constrain(name: str, item: JsonObject) -> ToolRule:
    nodes = item.get("child_arg_nodes")
    found = [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else []
    return ConstrainChildTools(
        tool_name=name,
        children=_children("constrain_child_tools", item),
        child_arg_nodes=tuple(found),
    )


def _max_count(name: str, item: JsonObject) -> ToolRule:
    limit = item.get("max_count_limit")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise Unprocessable("A max_count_per_step rule needs 'max_count_limit', a whole number from 1.")
    return MaxCountPerStep(tool_name=name, max_count_limit=limit)


_KINDS: dict[str, Callable[..., ToolRule]] = {
    "run_first": RunFirst,
    "exit_loop": ExitLoop,
    "continue_loop": ContinueLoop,
    "conditional": Conditional,
    "constrain_child_tools": ConstrainChildTools,
    "max_count_per_step": MaxCountPerStep,
    "parent_last_tool": ParentLastTool,
    "required_before_exit": RequiredBeforeExit,
    "requires_approval": RequiresApproval,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_BUILD: dict[str, Callable[[str, JsonObject], ToolRule]] = {
    "run_first": _run_first,
    "conditional": _conditional,
    "constrain_child_tools": _constrain,
    "max_count_per_step": _max_count,
    "parent_last_tool": lambda name, item: ParentLastTool(tool_name=name, children=_children("parent_last_tool", item)),
}
"""Those that need more than a name."""
