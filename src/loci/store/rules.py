"""Tool rules as JSON objects (discriminator `type`), as the wire and the database hold them."""

from collections.abc import Callable, Mapping

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
    kind, name = item.get("type"), item.get("tool_name")
    build = _BUILD.get(str(kind))
    if build is None:
        raise Unprocessable(f"There is no tool rule of type '{kind}'.", hint=f"Use one of: {', '.join(_BUILD)}.")
    if not isinstance(name, str) or not name:
        raise Unprocessable(f"A tool rule of type '{kind}' needs 'tool_name'.")
    return build(name, item)


def rule_to_json(rule: ToolRule) -> dict[str, JsonValue]:
    """The JSON object of a rule."""
    fields: dict[str, JsonValue] = {"type": _NAMES[type(rule)], "tool_name": rule.tool_name, "prompt_template": None}
    match rule:
        case RunFirst():
            fields["args"] = rule.args
        case Conditional():
            fields["child_output_mapping"] = rule.child_output_mapping
            fields["default_child"] = rule.default_child
            fields["require_output_mapping"] = rule.require_output_mapping
        case ConstrainChildTools():
            fields["children"] = list(rule.children)
            fields["child_arg_nodes"] = list(rule.child_arg_nodes) or None
        case MaxCountPerStep():
            fields["max_count_limit"] = rule.max_count_limit
        case ParentLastTool():
            fields["children"] = list(rule.children)
        case ExitLoop() | ContinueLoop() | RequiredBeforeExit() | RequiresApproval():
            pass
    return fields


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


_BUILD: dict[str, Callable[[str, JsonObject], ToolRule]] = {
    "run_first": _run_first,
    "exit_loop": lambda name, _: ExitLoop(tool_name=name),
    "continue_loop": lambda name, _: ContinueLoop(tool_name=name),
    "conditional": _conditional,
    "constrain_child_tools": _constrain,
    "max_count_per_step": _max_count,
    "parent_last_tool": lambda name, item: ParentLastTool(tool_name=name, children=_children("parent_last_tool", item)),
    "required_before_exit": lambda name, _: RequiredBeforeExit(tool_name=name),
    "requires_approval": lambda name, _: RequiresApproval(tool_name=name),
}
_NAMES: dict[type[ToolRule], str] = {
    RunFirst: "run_first",
    ExitLoop: "exit_loop",
    ContinueLoop: "continue_loop",
    Conditional: "conditional",
    ConstrainChildTools: "constrain_child_tools",
    MaxCountPerStep: "max_count_per_step",
    ParentLastTool: "parent_last_tool",
    RequiredBeforeExit: "required_before_exit",
    RequiresApproval: "requires_approval",
}
