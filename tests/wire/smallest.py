"""The smallest body that an operation takes, made from the API's own document."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
FORMATS = {"date-time": "2026-01-01T00:00:00Z", "binary": "x", "uri": "https://example.org"}
SAYING = [{"role": "user", "content": "@say Hello."}]
DEPTH_MAX = 6


class Document:
    """An API document, with references followed."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def operations(self) -> Iterator[tuple[str, str, Schema]]:
        """Method, path and description of each."""
        for path, methods in self._document["paths"].items():
            for method, described in methods.items():
                yield method.upper(), path, described

    def schema(self, schema: Schema) -> Schema:
        """What a schema says, behind references and in its first form that is not null."""
        while "$ref" in schema or "anyOf" in schema or "oneOf" in schema:
            if "$ref" in schema:
                schema = self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                continue
            forms = schema.get("anyOf") or schema["oneOf"]
            schema = next(form for form in forms if form.get("type") != "null")
        return schema

    def body(self, described: Schema) -> tuple[str, Schema] | None:
        """Media type and schema of the body of an operation."""
        content: Schema = described.get("requestBody", {}).get("content", {})
        return next(((kind, self.schema(found["schema"])) for kind, found in content.items()), None)

    def fields(self, schema: Schema, depth: int = 0) -> Iterator[tuple[str, ...]]:
        """The ways to all fields of a body."""
        found = self.schema(schema)
        if depth > DEPTH_MAX:
            return
        for name, inner in found.get("properties", {}).items():
            yield (name,)
            item = self.schema(inner)
            if item.get("type") == "array":
                item = self.schema(item.get("items", {}))
            for way in self.fields(item, depth + 1):
                yield (name, *way)

    def smallest(self, schema: Schema, way: tuple[str, ...] = (), value: Any = None) -> Any:
        """The smallest value that fits; with a way, one that has `value` at its end."""
        found = self.schema(schema)
        kind = found.get("type")
        if not way and value is not None:
            return [value] if kind == "array" else value
        if kind == "array":
            least = 1 if way else found.get("minItems", 0)
            return [self.smallest(found.get("items", {}), way, value) for _ in range(least)]
        if kind == "object" or "properties" in found:
            return self._object(found, way, value)
        if "const" in found or "enum" in found:
            return found.get("const", (found.get("enum") or [None])[0])
        if kind in ("integer", "number"):
            return found.get("minimum", 1)
        if kind == "boolean":
            return False
        return FORMATS.get(found.get("format", ""), "x")

    def _object(self, found: Schema, way: tuple[str, ...], value: Any) -> Schema:
        made: Schema = {}
        properties: Schema = found.get("properties", {})
        if "messages" in properties and way[:1] != ("messages",):
            made["messages"] = SAYING  # one of two fields must be there, which no schema says
        for name, inner in properties.items():
            if way and name == way[0]:
                made[name] = self.smallest(inner, way[1:], value)
            elif name in found.get("required", ()) and name not in made:
                made[name] = self.smallest(inner)
        return made
