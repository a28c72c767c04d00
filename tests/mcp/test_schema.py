"""Schemas of MCP servers, mended: whatever comes in, what goes out can be shown to a model."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loci.mcp.schema import offered, safe_name

WORDS = st.sampled_from(["type", "properties", "items", "$ref", "anyOf", "required", "enum", "$defs", "a", "b"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(["object", "array", "string", "#/$defs/a", "#", "x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
@example({"type": [[], "object"]})
def test_any_schema_is_mended_or_refused(raw: Any) -> None:
    tool = offered({"name": "t", "inputSchema": raw})

    assert (tool.schema is None) == (tool.health == "INVALID")
    assert tool.reasons or tool.health == "STRICT_COMPLIANT"
    if tool.schema is not None:
        orjson.dumps(tool.schema)
        properties, required = tool.schema["properties"], tool.schema["required"]
        assert tool.schema["type"] == "object"
        assert isinstance(properties, dict)
        assert isinstance(required, list)
        assert set(required) <= set(properties)
        assert "$ref" not in _keywords(tool.schema)


def _keywords(schema: Any) -> set[str]:
    """The keywords of a schema, without the names of its properties and its plain values."""
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for value in (schema.get("properties") or {}).values():
        found |= _keywords(value)
    for name in ("items", "additionalProperties"):
        found |= _keywords(schema.get(name))
    for name in ("anyOf", "oneOf", "allOf"):
        for choice in schema.get(name) or ():
            found |= _keywords(choice)
    return found


def test_a_schema_that_grows_with_each_reference_ends() -> None:
    defs = {
        f"d{n}": {"type": "object", "properties": {x: {"$ref": f"#/$defs/d{n + 1}"} for x in "abc"}} for n in range(30)
    }
    tool = offered(
        {"name": "t", "inputSchema": {"type": "object", "$defs": defs, "properties": {"x": {"$ref": "#/$defs/d0"}}}}
    )

    assert tool.schema is not None
    assert "the schema is too large or too deep; parts of it were left open" in tool.reasons or len(tool.reasons) == 20


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("search", set(), "search"),
        ("search", {"search"}, "git_hub_search"),
        ("search", {"search", "git_hub_search"}, "git_hub_search_2"),
        ("a b/c", set(), "a_b_c"),
        ("🙂", set(), "tool"),
        ("x" * 100, set(), "x" * 64),
        ("x" * 100, {"x" * 64}, "git_hub_" + "x" * 56),
    ],
)
def test_a_name_becomes_one_that_everybody_takes_and_nobody_has(name: str, taken: set[str], expected: str) -> None:
    assert safe_name(name, "git hub", taken) == expected
