"""Arguments of a tool call: from the model's JSON text to values that fit the tool's schema.

Kind to slips that small models make (numbers as text, lists as JSON text, an empty text for no arguments, null for one
that may be left out), strict about the rest; every refusal says what would be right, because the model reads it and
tries again.
"""

from collections.abc import Mapping

import orjson

from loci.errors import ToolRefused
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import ToolSchema

ARGUMENTS_MAX_CHARS = 1_000_000
NESTING_MAX_LEVELS = 64
_SHOWN_MAX_CHARS = 200


def parse_arguments(text: str) -> dict[str, JsonValue]:
    """The JSON object that a model wrote. Raises ToolRefused."""
    if len(text) > ARGUMENTS_MAX_CHARS:
        raise ToolRefused(f"The arguments are longer than {ARGUMENTS_MAX_CHARS} characters.")
    if not text.strip():
        return {}
    try:
        value: JsonValue = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ToolRefused(f"The arguments are not valid JSON ({error}).", hint="Send one JSON object.") from error
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ToolRefused("The arguments are not a JSON object.", hint='Send an object such as {"name": "value"}.')
    _check_nesting(value)
    return dict(value)


def _check_nesting(value: JsonValue) -> None:
    """Deeper values could be read but not written again, by us or by what they are sent to."""
    level: list[JsonValue] = [value]
    for _ in range(NESTING_MAX_LEVELS):
        inner: list[JsonValue] = []
        for item in level:
            if isinstance(item, Mapping):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return
        level = inner
    raise ToolRefused(
        f"The arguments are nested more than {NESTING_MAX_LEVELS} levels deep.", hint="Make them flatter."
    )


def fit(schema: ToolSchema, arguments: JsonObject) -> dict[str, JsonValue]:
    """The arguments as the schema wants them. Raises ToolRefused that names what is missing, unknown or mistyped."""
    properties = schema.parameters.get("properties")
    known: JsonObject = properties if isinstance(properties, Mapping) else {}
    required = schema.parameters.get("required")
    needed = [str(name) for name in required] if isinstance(required, list) else []
    missing = [name for name in needed if name not in arguments]
    if missing:
        raise ToolRefused(
            f"{schema.name} needs {_listed(missing)}.", hint=f"Its arguments are: {_listed(list(known))}."
        )
    unknown = [name for name in arguments if name not in known]
    if unknown and schema.parameters.get("additionalProperties") is not True:
        raise ToolRefused(
            f"{schema.name} has no argument {_listed(unknown)}.",
            hint=f"Its arguments are: {_listed(list(known)) or 'none'}.",
        )
    return {
        name: _fit_value(schema.name, name, value, known.get(name))
        for name, value in arguments.items()
        if name in needed or not _says_nothing(value, _kinds(known.get(name)))
    }


def _says_nothing(value: JsonValue, kinds: set[str]) -> bool:
    """Whether it is a way to leave an argument out: null, or a word for it, where null means nothing."""
    if not kinds or "null" in kinds:
        return False
    return value is None or (isinstance(value, str) and "string" not in kinds and _read(value) is None)


def _fit_value(tool: str, name: str, value: JsonValue, shape: JsonValue) -> JsonValue:
    kinds = _kinds(shape)
    fitting = _converted(value, kinds) if kinds else value
    if kinds and not _matches(fitting, kinds):
        raise ToolRefused(f"{tool}: '{name}' must be {' or '.join(sorted(kinds))}, but is {_shown(value)}.")
    return fitting


def _converted(value: JsonValue, kinds: set[str]) -> JsonValue:
    """The value as one of the kinds, if it can be read so; else as it came."""
    if isinstance(value, str) and "string" not in kinds:
        read = _read(value)
        if _matches(read, kinds):
            value = read
        elif "array" in kinds:
            value = [value]
    elif "string" in kinds and isinstance(value, int | float) and not _matches(value, kinds):
        return value if isinstance(value, bool) else _shown(value)
    if isinstance(value, float) and value.is_integer() and "integer" in kinds and "number" not in kinds:
        return int(value)
    return value


def _shown(value: JsonValue) -> str:
    return orjson.dumps(value).decode()[:_SHOWN_MAX_CHARS]


def _kinds(shape: JsonValue) -> set[str]:
    if not isinstance(shape, Mapping):
        return set()
    for key in ("anyOf", "oneOf"):
        choices = shape.get(key)
        if isinstance(choices, list):
            found = [_kinds(choice) for choice in choices]
            return set[str]().union(*found) if all(found) else set()
    kind = shape.get("type")
    if isinstance(kind, list):
        return {str(item) for item in kind}
    return {kind} if isinstance(kind, str) else set()


def _matches(value: JsonValue, kinds: set[str]) -> bool:
    if value is None:
        return "null" in kinds
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, int):
        return bool(kinds & {"integer", "number"})
    if isinstance(value, float):
        return "number" in kinds or ("integer" in kinds and value.is_integer())
    if isinstance(value, str):
        return "string" in kinds
    return ("object" if isinstance(value, Mapping) else "array") in kinds


def _read(text: str) -> JsonValue:
    lowered = text.strip().lower()
    if lowered in ("none", "null", ""):
        return None
    try:
        value: JsonValue = orjson.loads(lowered if lowered in ("true", "false") else text)
    except orjson.JSONDecodeError:
        return text
    _check_nesting(value)
    return value


def _listed(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
