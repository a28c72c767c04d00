"""What an MCP server says of a tool, made fit to be shown to a model. Pure.

Servers write any JSON schema, and some no valid one. What can be mended is mended without changing what the tool takes,
and each finding is reported, so that people see why a tool behaves as it does.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import orjson

from loci.types.json import JsonObject, JsonValue
from loci.types.mcp import Health, OfferedTool

SCHEMA_MAX_BYTES = 65_536
DESCRIPTION_MAX_CHARS = 8_192
NODES_MAX = 4_000
LEVELS_MAX = 40
REASONS_MAX = 20
FAULT = "x-loci-fault"
"""Where the root of a schema keeps what its type was, if it was none that the protocol allows."""
NAME_MAX_CHARS = 64
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_CHOICES = ("anyOf", "oneOf", "allOf")
_BAD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_PROPERTY_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


_NOTHING: JsonObject = {"type": "object", "properties": {}, "required": []}


def offered(raw: JsonObject) -> OfferedTool:
    """A tool as a server lists it."""
    found: list[str] = []
    text = raw.get("description")
    description = _plain(text, found) if isinstance(text, str) else ""
    schema = _parameters(raw.get("inputSchema"), found)
    title, annotations = raw.get("title"), raw.get("annotations")
    health: Health = "INVALID" if schema is None else "NON_STRICT_ONLY"
    if schema is not None and not found:
        found = _looseness(schema, "the schema")
        health = "NON_STRICT_ONLY" if found else "STRICT_COMPLIANT"
    return OfferedTool(
        name=str(raw.get("name")),
        description=description,
        schema=schema,
        health=health,
        reasons=tuple(dict.fromkeys(found))[:REASONS_MAX],
        title=title if isinstance(title, str) else None,
        annotations=cast("JsonObject", annotations) if isinstance(annotations, Mapping) else None,
    )


def safe_name(name: str, server: str, taken: frozenset[str] | set[str]) -> str:
    """A name that every provider takes and nobody else has: the server's own where that is possible."""
    plain = _BAD_IN_NAME.sub("_", name).strip("_")[:NAME_MAX_CHARS] or "tool"
    if plain not in taken:
        return plain
    prefix = _BAD_IN_NAME.sub("_", server).strip("_") or "mcp"
    longer = f"{prefix[: NAME_MAX_CHARS // 2]}_{plain}"[:NAME_MAX_CHARS]
    number = 2
    chosen = longer
    while chosen in taken:
        tail = f"_{number}"
        chosen, number = longer[: NAME_MAX_CHARS - len(tail)] + tail, number + 1
    return chosen


def _plain(text: str, found: list[str]) -> str:
    """The text without characters that people do not see but a model reads, and no longer than the limit."""
    shown = "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in _HIDDEN)
    if shown != text:
        found.append("the description had invisible characters, which were taken out")
    if len(shown) > DESCRIPTION_MAX_CHARS:
        found.append(f"the description has {len(shown)} characters and was cut at {DESCRIPTION_MAX_CHARS}")
    return shown[:DESCRIPTION_MAX_CHARS]


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def _parameters(raw: JsonValue, found: list[str]) -> JsonObject | None:
    """The schema of the arguments, mended; None if there is no using it."""
    if not isinstance(raw, Mapping):
        found.append("there is no input schema")
        return dict(_NOTHING)
    try:
        size = len(orjson.dumps(raw))
    except orjson.JSONEncodeError as error:
        found.append(f"the schema cannot be written as JSON ({error})")
        return None
    if size > SCHEMA_MAX_BYTES:
        found.append(f"the schema has {size} bytes, more than {SCHEMA_MAX_BYTES}")
        return None
    if raw.get(FAULT) == "missing":
        found.append("there is no input schema")
        return dict(_NOTHING)
    kind = raw.get(FAULT, raw.get("type"))
    raw = {name: value for name, value in raw.items() if name != FAULT}
    if kind not in ("object", "untyped", None) and not (isinstance(kind, list) and "object" in kind):
        found.append(f"the schema is of type {str(kind)[:50]!r}, not 'object'")
        return None
    if kind != "object":
        found.append("the schema does not say type 'object'")
    mender = _Mender(root=raw, found=found)
    body = mender.mend({**raw, "type": "object"}, "the schema", ())
    return _without_choices(body, found)


@dataclass(slots=True, kw_only=True)
class _Mender:
    """Walks through a schema once; references are put in place of what they name."""

    root: JsonObject
    found: list[str]
    nodes: int = field(default=0)

    def mend(self, raw: JsonValue, where: str, inside: tuple[str, ...]) -> dict[str, JsonValue]:
        """The schema at one place; anything is allowed where it says nothing of use."""
        self.nodes += 1
        if self.nodes > NODES_MAX or where.count(".") > LEVELS_MAX:
            self.found.append("the schema is too large or too deep; parts of it were left open")
            return {}
        if not isinstance(raw, Mapping):
            self.found.append(f"{where} is no schema")
            return {}
        reference = raw.get("$ref")
        if isinstance(reference, str):
            return self._followed(raw, reference, where, inside)
        mended = {name: value for name, value in raw.items() if name not in _TAKEN}
        self._mend_type(raw, mended, where)
        for name in _CHOICES:
            choices = raw.get(name)
            if isinstance(choices, list) and choices:
                mended[name] = [self.mend(choice, f"{where}.{name}", inside) for choice in choices]
        if isinstance(raw.get("additionalProperties"), Mapping):
            mended["additionalProperties"] = self.mend(raw["additionalProperties"], f"{where}.*", inside)
        if "items" in raw or mended.get("type") == "array":
            mended["items"] = self._items(raw.get("items"), where, inside)
        if "properties" in raw or mended.get("type") == "object":
            self._mend_properties(raw, mended, where, inside)
        return mended

    def _followed(self, raw: JsonObject, reference: str, where: str, inside: tuple[str, ...]) -> dict[str, JsonValue]:
        target: JsonValue = self.root if reference.startswith("#") else None
        for step in reference.lstrip("#").strip("/").split("/") if reference.strip("#/") else ():
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        if not isinstance(target, Mapping):
            self.found.append(f"{where} refers to '{reference[:80]}', which is not there")
            return {}
        if reference in inside:
            self.found.append(f"{where} contains itself; it was left open there")
            return {}
        self.found.append(f"{where} had a $ref, which was put in place")
        beside = {name: value for name, value in raw.items() if name != "$ref"}
        return self.mend({**target, **beside}, where, (*inside, reference))

    def _mend_type(self, raw: JsonObject, mended: dict[str, JsonValue], where: str) -> None:
        kind = raw.get("type")
        if isinstance(kind, list):
            kinds = [item for item in kind if isinstance(item, str) and item in _TYPES]
            if kinds:
                mended["type"] = kinds
        elif isinstance(kind, str) and kind in _TYPES:
            mended["type"] = kind
        elif kind is not None:
            self.found.append(f"{where} has the unknown type {str(kind)[:50]!r}")
        elif isinstance(raw.get("properties"), Mapping):
            self.found.append(f"{where} has properties, but no type")
            mended["type"] = "object"
        elif not any(name in raw for name in (*_CHOICES, "enum", "const")):
            self.found.append(f"{where} has no type")

    def _items(self, items: JsonValue, where: str, inside: tuple[str, ...]) -> JsonValue:
        if items is None:
            self.found.append(f"{where} is a list that does not say of what")
            return {}
        if isinstance(items, list):
            self.found.append(f"{where} is a list with a schema for each place")
            return {"anyOf": [self.mend(item, f"{where}[]", inside) for item in items]} if items else {}
        return self.mend(items, f"{where}[]", inside)

    def _mend_properties(
        self, raw: JsonObject, mended: dict[str, JsonValue], where: str, inside: tuple[str, ...]
    ) -> None:
        given = raw.get("properties")
        named: JsonObject = given if isinstance(given, Mapping) else {}
        if given is not None and not isinstance(given, Mapping):
            self.found.append(f"{where} has no readable properties")
        properties = {name: self.mend(value, f"{where}.{name}", inside) for name, value in named.items()}
        if odd := [name for name in properties if not _PROPERTY_NAME.fullmatch(name)]:
            self.found.append(f"{where} has arguments whose names some models do not take, such as {odd[0][:50]!r}")
        required = raw.get("required")
        needed = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        if required is not None and (not isinstance(required, list) or any(name not in properties for name in needed)):
            self.found.append(f"{where} requires what it does not describe")
        mended["properties"] = properties
        mended["required"] = list[JsonValue](dict.fromkeys(name for name in needed if name in properties))


_TAKEN = frozenset(
    {"$ref", "$schema", "$id", "$defs", "definitions", "type", "items", "properties", "required", *_CHOICES}
)


def _without_choices(body: dict[str, JsonValue], found: list[str]) -> JsonObject:
    """Providers take no alternatives at the root: everything that one of them names may be given."""
    properties = dict(cast("JsonObject", body.get("properties") or {}))
    required = set(cast("Sequence[str]", body.get("required") or ()))
    for name in _CHOICES:
        branches = body.pop(name, None)
        if not isinstance(branches, list):
            continue
        found.append(f"the schema is a choice of several ({name}), which were put together")
        needs: list[set[str]] = []
        for branch in branches:
            part: JsonObject = branch if isinstance(branch, Mapping) else {}
            properties = {**cast("JsonObject", part.get("properties") or {}), **properties}
            needs.append(set(cast("Sequence[str]", part.get("required") or ())))
        required |= set[str]().union(*needs) if name == "allOf" else set[str].intersection(*needs)
    return {
        **body,
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name in required],
    }


def _looseness(schema: JsonValue, where: str) -> list[str]:
    """Why a sound schema is not strict: everything must be required, and nothing else allowed."""
    if not isinstance(schema, Mapping):
        return []
    found: list[str] = []
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        required = schema.get("required")
        optional = [name for name in properties if not isinstance(required, list) or name not in required]
        if optional:
            found.append(f"{where} has arguments that may be left out: {', '.join(optional)[:100]}")
        if schema.get("additionalProperties") is not False:
            found.append(f"{where} allows more than it names (additionalProperties is not false)")
        for name, value in properties.items():
            found += _looseness(value, f"{where}.{name}")
    if "items" in schema:
        found += _looseness(schema["items"], f"{where}[]")
    if "oneOf" in schema or "allOf" in schema:
        found.append(f"{where} uses oneOf or allOf")
    choices = schema.get("anyOf")
    for choice in choices if isinstance(choices, list) else ():
        found += _looseness(choice, f"{where}.anyOf")
    return found
