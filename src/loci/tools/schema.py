"""The JSON schema of a tool from its Python source. Pure: the source is parsed and never run.

The last function on the top level is the tool, unless one is named. Types come from its annotations, words from its
docstring in Google style: a summary, and each argument with its meaning in a section `Args:`.
"""

import ast
import re
from collections.abc import Mapping

import orjson

from loci.errors import BadRequest
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import ToolSchema

SOURCE_MAX_CHARS = 200_000
ANNOTATION_MAX_NODES = 200
_SHOWN_MAX_CHARS = 100
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
"""What every provider takes as a name."""
_SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "None": "null"}
_LISTS = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple", "set", "Set"})
_OBJECTS = frozenset({"dict", "Dict", "Mapping"})
_ARGUMENT = re.compile(r"^(\s+)\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Notes?)\s*:\s*$")
_HIDDEN = "agent_state"
"""Arguments whose names begin with this are given by the server and not shown to a model."""


def schema_from_source(source: str, name: str | None = None) -> ToolSchema:
    """The schema of the function. Raises BadRequest that says what is missing and how it should look."""
    function = _function(source, name)
    documentation = ast.get_docstring(function)
    if not documentation:
        raise BadRequest(
            f"The function '{function.name}' has no docstring.",
            hint="Describe what it does, and every argument under 'Args:'; models choose tools by these words.",
        )
    summary, described = _read(documentation)
    properties: dict[str, JsonValue] = {}
    required: list[str] = []
    for argument, default in _arguments(function):
        if argument.arg.startswith(_HIDDEN):
            continue
        if argument.arg not in described:
            raise BadRequest(
                f"The argument '{argument.arg}' of '{function.name}' is not described in the docstring.",
                hint=f"Add a line under 'Args:', such as '    {argument.arg}: What it means.'",
            )
        if argument.annotation is None:
            raise BadRequest(
                f"The argument '{argument.arg}' of '{function.name}' has no type.",
                hint=f"Write it as '{argument.arg}: str', or int, float, bool, list[str], dict.",
            )
        _check_name(argument.arg)
        shape = _shape(_bounded(argument.annotation, argument.arg), argument.arg)
        properties[argument.arg] = {**shape, "description": described[argument.arg]}
        if default is None:
            required.append(argument.arg)
    _check_name(function.name)
    parameters: JsonObject = {"type": "object", "properties": properties, "required": required}
    try:
        orjson.dumps([summary, parameters])
    except orjson.JSONEncodeError as error:
        raise BadRequest(f"The schema of '{function.name}' cannot be written as JSON ({error}).") from error
    return ToolSchema(name=function.name, description=summary, parameters=parameters)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"Models cannot be told the name '{name}'.", hint="Use at most 64 letters a-z, digits and '_'."
        )


def _bounded(annotation: ast.expr, argument: str) -> ast.expr:
    """The annotation, if it is not so large that reading it would go too deep."""
    if sum(1 for _ in ast.walk(annotation)) > ANNOTATION_MAX_NODES:
        raise BadRequest(f"The type of the argument '{argument}' is too large.", hint="Make it simpler, such as dict.")
    return annotation


def _function(source: str, name: str | None) -> ast.FunctionDef | ast.AsyncFunctionDef:
    if len(source) > SOURCE_MAX_CHARS:
        raise BadRequest(f"The source is longer than {SOURCE_MAX_CHARS} characters.")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadRequest(f"The source is not valid Python: {error}.") from error
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    chosen = [node for node in found if name is None or node.name == name]
    if not chosen:
        what = f"no function '{name}'" if name else "no function on its top level"
        raise BadRequest(f"The source has {what}.", hint="Define the tool with 'def name(...):'.")
    return chosen[-1]


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    given = function.args
    if given.vararg or given.kwarg:
        raise BadRequest(f"'{function.name}' takes *args or **kwargs; name every argument, so that a model knows them.")
    placed = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(placed) - len(given.defaults)) + list(given.defaults)
    return list(zip(placed, defaults, strict=True)) + list(zip(given.kwonlyargs, given.kw_defaults, strict=True))


def _read(documentation: str) -> tuple[str, dict[str, str]]:
    """The words before the first section, and the description of each argument."""
    summary: list[str] = []
    described: dict[str, list[str]] = {}
    section, current, indent = "", "", 0
    for line in documentation.split("\n"):
        heading = _SECTION.match(line)
        if heading:
            section, current = heading.group(1), ""
        elif not section:
            summary.append(line.strip())
        elif section in ("Args", "Arguments", "Parameters"):
            match = _ARGUMENT.match(line)
            if match and (not current or len(match.group(1)) <= indent):
                current, indent = match.group(2), len(match.group(1))
                described[current] = [match.group(3).strip()]
            elif current and line.strip():
                described[current].append(line.strip())
    words = {name: " ".join(part for part in lines if part) for name, lines in described.items()}
    return "\n".join(summary).strip(), words


def _shape(annotation: ast.expr, argument: str) -> dict[str, JsonValue]:
    """The JSON schema of an annotation. It is read, never evaluated."""
    match annotation:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str() as text):
            return _shape(_quoted(text, argument), argument)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _named(name, argument)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _either([left, right], argument)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic(name, inner, argument)
        case _:
            raise _unknown(argument, ast.unparse(annotation))


def _quoted(text: str, argument: str) -> ast.expr:
    try:
        annotation = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unknown(argument, text) from error
    return _bounded(annotation, argument)


def _named(name: str, argument: str) -> dict[str, JsonValue]:
    if name in _SIMPLE:
        return {"type": _SIMPLE[name]}
    if name in _LISTS:
        return {"type": "array", "items": {"type": "string"}}
    if name in _OBJECTS:
        return {"type": "object"}
    if name == "Any":
        return {}
    raise _unknown(argument, name)


def _generic(name: str, inner: ast.expr, argument: str) -> dict[str, JsonValue]:
    parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
    parts = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is ...)]
    if not parts:
        raise _unknown(argument, f"{name}[()]")
    match name:
        case "Optional" | "Union":
            return _either(parts, argument)
        case "Literal":
            return _one_of(parts, argument)
        case "Annotated":
            return _shape(parts[0], argument)
        case _ if name in _LISTS:
            return {"type": "array", "items": _shape(parts[0], argument)}
        case _ if name in _OBJECTS:
            return {"type": "object", "additionalProperties": _shape(parts[-1], argument)}
        case _:
            raise _unknown(argument, name)


def _one_of(parts: list[ast.expr], argument: str) -> dict[str, JsonValue]:
    """The values of a Literal; None among them only says that the argument may be left out."""
    values: list[JsonValue] = []
    for part in parts:
        if not isinstance(part, ast.Constant) or not isinstance(part.value, str | int | None):
            raise _unknown(argument, f"Literal[{ast.unparse(part)}]")
        if part.value is not None:
            values.append(part.value)
    if not values:
        return {"type": "null"}
    kinds = {_SIMPLE[type(value).__name__] for value in values}
    return {"type": kinds.pop(), "enum": values} if len(kinds) == 1 else {"enum": values}


def _either(parts: list[ast.expr], argument: str) -> dict[str, JsonValue]:
    """One of several types. None among them only says that the argument may be left out."""
    shapes = [shape for part in parts if (shape := _shape(part, argument)).get("type") != "null"]
    if not shapes:
        return {"type": "null"}
    if not all(shapes):
        return {}  # one of them is Any
    flat: list[JsonValue] = []
    for shape in shapes:
        inner = shape.get("anyOf")
        flat += list(inner) if isinstance(inner, list) else [shape]
    only = flat[0] if len(flat) == 1 else None
    return dict(only) if isinstance(only, Mapping) else {"anyOf": flat}


def _unknown(argument: str, text: str) -> BadRequest:
    return BadRequest(
        f"The type '{text[:_SHOWN_MAX_CHARS]}' of the argument '{argument}' is not one that a model can be told.",
        hint="Use str, int, float, bool, list[...], dict, Optional, Union or Literal, or send 'json_schema' yourself.",
    )
