"""Arguments of a tool call: kind to slips, strict about the rest, and never a crash."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import ToolRefused
from loci.tools.arguments import ARGUMENTS_MAX_CHARS, NESTING_MAX_LEVELS, fit, parse_arguments
from loci.types.tools import ToolSchema

SCHEMA = ToolSchema(
    name="look",
    description="",
    parameters={
        "type": "object",
        "properties": {
            "word": {"type": "string"},
            "count": {"type": "integer"},
            "share": {"type": "number"},
            "deep": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "filter": {"type": "object"},
            "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "mode": {"type": "string"},
        },
        "required": ["word"],
    },
)


def fitted(**arguments: Any) -> dict[str, Any]:
    found = fit(SCHEMA, {"word": "w", **arguments})
    del found["word"]
    return found


def refused(text: str) -> str:
    with pytest.raises(ToolRefused) as refusal:
        fit(SCHEMA, parse_arguments(text))
    return str(refusal.value)


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        ({"count": "12"}, {"count": 12}),
        ({"count": 3.0}, {"count": 3}),
        ({"count": "3.0"}, {"count": 3}),
        ({"share": "0.5"}, {"share": 0.5}),
        ({"share": 1}, {"share": 1}),
        ({"deep": "True"}, {"deep": True}),
        ({"tags": '["a", "b"]'}, {"tags": ["a", "b"]}),
        ({"tags": "a"}, {"tags": ["a"]}),
        ({"filter": '{"a": 1}'}, {"filter": {"a": 1}}),
        ({"mode": "all"}, {"mode": "all"}),
        ({"count": None, "tags": "None", "filter": "null", "mode": None}, {}),
        ({"either": None}, {"either": None}),
        ({"either": "null"}, {"either": "null"}),
    ],
)
def test_a_slip_is_read_as_it_was_meant(given_value: dict[str, Any], expected: dict[str, Any]) -> None:
    found = fitted(**given_value)

    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


def test_a_number_for_a_text_becomes_text_and_a_text_that_looks_like_json_stays_text() -> None:
    assert fit(SCHEMA, {"word": 42}) == {"word": "42"}
    assert fit(SCHEMA, {"word": '{"a": 1}'}) == {"word": '{"a": 1}'}
    assert fit(SCHEMA, {"word": "null"}) == {"word": "null"}


@pytest.mark.parametrize("text", ["", "  \n", "null", "{}"])
def test_nothing_means_no_arguments(text: str) -> None:
    assert parse_arguments(text) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "look needs 'word'. Its arguments are: 'word', 'count'"),
        ('{"word": null}', "'word' must be string, but is null."),
        ('{"word": "w", "colour": "red"}', "look has no argument 'colour'. Its arguments are: 'word', 'count'"),
        ('{"word": ["w"]}', "'word' must be string, but is [\"w\"]."),
        ('{"word": true}', "'word' must be string, but is true."),
        ('{"word": "w", "count": "many"}', "'count' must be integer, but is \"many\"."),
        ('{"word": "w", "count": true}', "'count' must be integer, but is true."),
        ('{"word": "w", "count": 1.5}', "'count' must be integer, but is 1.5."),
        ('["w"]', "The arguments are not a JSON object."),
        ('{"word": ', "The arguments are not valid JSON"),
    ],
)
def test_a_refusal_says_what_would_be_right(text: str, says: str) -> None:
    assert says in refused(text)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_what_is_too_deep_or_too_long_is_refused_and_not_a_crash() -> None:
    assert parse_arguments(f'{{"filter": {nested(NESTING_MAX_LEVELS - 2)}}}')
    assert f"more than {NESTING_MAX_LEVELS} levels" in refused(f'{{"word": {nested(500)}}}')
    inner = orjson.dumps(nested(500)).decode()
    assert f"more than {NESTING_MAX_LEVELS} levels" in refused(f'{{"word": "w", "tags": {inner}}}')
    assert f"longer than {ARGUMENTS_MAX_CHARS}" in refused('{"word": "' + "w" * ARGUMENTS_MAX_CHARS + '"}')


def test_a_schema_without_properties_takes_none_unless_it_says_otherwise() -> None:
    bare = ToolSchema(name="bare", description="", parameters={"type": "object"})
    free = ToolSchema(name="free", description="", parameters={"type": "object", "additionalProperties": True})

    assert fit(bare, {}) == {}
    assert fit(free, {"anything": [1]}) == {"anything": [1]}
    with pytest.raises(ToolRefused, match="Its arguments are: none"):
        fit(bare, {"a": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SHAPES = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "array", "object"]).map(lambda kind: {"type": kind}),
    st.just({"anyOf": [{"type": "integer"}, {"type": "array"}]}),
    st.just({"type": ["string", "null"]}),
    JSON,
)


@given(st.dictionaries(st.sampled_from("abc"), SHAPES), st.dictionaries(st.sampled_from("abcd"), JSON), st.text())
def test_whatever_a_model_writes_is_fitted_or_refused(
    properties: dict[str, Any], arguments: dict[str, Any], text: str
) -> None:
    schema = ToolSchema(name="t", description="", parameters={"type": "object", "properties": properties})
    for written in (orjson.dumps(arguments).decode(), text):
        try:
            found = fit(schema, parse_arguments(written))
        except ToolRefused:
            continue
        assert set(found) <= set(properties)
        assert fit(schema, found) == found
