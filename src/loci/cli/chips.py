"""What a call to a memory tool did, in the words of somebody who was told about it. PURE."""

from collections.abc import Callable

import orjson

from loci.types.json import JsonObject, JsonValue


def chip(tool_name: str, arguments: str) -> tuple[str, str] | None:
    """What was done, and to which text; None for a tool that keeps nothing. `arguments`: JSON as the model wrote it."""
    words = _CHIPS.get(tool_name)
    return None if words is None else words(read_arguments(arguments))


def read_arguments(arguments: str) -> JsonObject:
    """The arguments of a call; none if they are no JSON object."""
    try:
        found: JsonValue = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _saved(text_key: str) -> Callable[[JsonObject], tuple[str, str]]:
    return lambda given: (f"saved to {_text(given, 'label', 'memory')}", _text(given, text_key))


def _changed(old_key: str, new_key: str) -> Callable[[JsonObject], tuple[str, str]]:
    def words(given: JsonObject) -> tuple[str, str]:
        label, old, new = _text(given, "label", "memory"), _text(given, old_key), _text(given, new_key)
        return (f"changed in {label}", f"{old} → {new}") if new else (f"forgot from {label}", old)

    return words


def _rewrote(given: JsonObject) -> tuple[str, str]:
    return f"rewrote {_text(given, 'label', 'memory')}", _text(given, "new_memory")


def _archived(given: JsonObject) -> tuple[str, str]:
    return "saved to archive", _text(given, "content")


def _file(given: JsonObject) -> tuple[str, str]:
    """The one tool whose commands work on blocks as if they were files."""
    label = _text(given, "path", _text(given, "old_path", "memory")).removeprefix("/memories/")
    match _text(given, "command"):
        case "create":
            return f"made {label}", _text(given, "file_text", _text(given, "description"))
        case "insert":
            return f"saved to {label}", _text(given, "insert_text")
        case "delete":
            return f"forgot {label}", ""
        case "rename":
            return f"renamed {label}", _text(given, "new_path", _text(given, "description")).removeprefix("/memories/")
        case _:
            return _changed("old_string", "new_string")({**given, "label": label})


def _text(given: JsonObject, key: str, otherwise: str = "") -> str:
    value = given.get(key)
    return value if isinstance(value, str) and value else otherwise


_CHIPS: dict[str, Callable[[JsonObject], tuple[str, str]]] = {
    "archival_memory_insert": _archived,
    "core_memory_append": _saved("content"),
    "core_memory_replace": _changed("old_content", "new_content"),
    "memory": _file,
    "memory_apply_patch": lambda given: (f"edited {_text(given, 'label', 'memory')}", _text(given, "patch")),
    "memory_insert": _saved("new_string"),
    "memory_replace": _changed("old_string", "new_string"),
    "memory_rethink": _rewrote,
    "rethink_user_memory": lambda given: ("rewrote what it knows of you", _text(given, "new_memory")),
}
