"""JSON as a type: the only loosely shaped data that may cross our layers."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

JsonScalar: TypeAlias = str | int | float | bool | None
JsonValue: TypeAlias = JsonScalar | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
JsonObject: TypeAlias = Mapping[str, "JsonValue"]

EMPTY: JsonObject = {}


def object_of(value: JsonValue) -> JsonObject:
    """An object as it is; anything else is an empty one."""
    return value if isinstance(value, Mapping) else EMPTY


def list_of(value: JsonValue) -> Sequence[JsonValue]:
    """A list as it is; anything else is an empty one."""
    return value if isinstance(value, list) else ()


def objects_of(value: JsonValue) -> list[JsonObject]:
    """The objects of a list; what is none is left out."""
    return [item for item in list_of(value) if isinstance(item, Mapping)]


def text_of(item: JsonObject, key: str) -> str | None:
    """The text that an object has there; None for anything else."""
    value = item.get(key)
    return value if isinstance(value, str) else None
