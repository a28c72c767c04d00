"""The schema of a tool from its source: read from the text, which is never run."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import BadRequest
from loci.tools.schema import schema_from_source


def source(signature: str, *described: str) -> str:
    lines = "".join(f"        {line}\n" for line in described)
    return f'def tool({signature}):\n    """Do it.\n\n    Args:\n{lines}    """\n    raise SystemExit\n'


def shape(annotation: str) -> dict[str, Any]:
    parameters: Any = schema_from_source(source(f"value: {annotation}", "value: The value.")).parameters
    return {key: item for key, item in parameters["properties"]["value"].items() if key != "description"}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("dict", {"type": "object"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("typing.List[float]", {"type": "array", "items": {"type": "number"}}),
        ("tuple[str, ...]", {"type": "array", "items": {"type": "string"}}),
        ("Dict[str, int]", {"type": "object", "additionalProperties": {"type": "integer"}}),
        ("Optional[int]", {"type": "integer"}),
        ("int | None", {"type": "integer"}),
        ("'list[str]'", {"type": "array", "items": {"type": "string"}}),
        ("Union[str, int]", {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ("str | int | None", {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("Literal[1, 2]", {"type": "integer", "enum": [1, 2]}),
        ("Optional[None]", {"type": "null"}),
        ("Literal[None]", {"type": "null"}),
        ("list[list[int]]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
    ],
)
def test_annotations_become_json_types(annotation, expected):
    assert shape(annotation) == expected


def test_any_lets_every_value_through():
    assert shape("Any") == {}


def test_what_has_a_default_may_be_left_out():
    schema = schema_from_source(
        source("a: str, b: int = 1, *, c: bool, d: str = ''", "a: A.", "b: B.", "c: C.", "d: D.")
    )
    assert schema.parameters["required"] == ["a", "c"]


def test_the_docstring_is_what_the_model_reads():
    text = '''
def weather(city: str, days: int = 1) -> str:
    """Say what the weather will be.

    Works for any place.

    Args:
        city (str): Name of the city: as people
            write it.
        days: Days ahead.

    Returns:
        str: The weather.
    """
'''
    schema = schema_from_source(text)
    properties: Any = schema.parameters["properties"]
    assert schema.name == "weather"
    assert schema.description == "Say what the weather will be.\n\nWorks for any place."
    assert properties["city"]["description"] == "Name of the city: as people write it."
    assert properties["days"]["description"] == "Days ahead."
    assert "str" not in properties


def test_the_last_function_is_the_tool_unless_one_is_named():
    text = (
        'import os\n\ndef first():\n    """One."""\n\n'
        'class Not:\n    def inside(self): ...\n\nasync def second():\n    """Two."""\n'
    )
    assert schema_from_source(text).name == "second"
    assert schema_from_source(text, "first").description == "One."
    with pytest.raises(BadRequest, match="third"):
        schema_from_source(text, "third")


def test_the_state_of_the_agent_is_not_shown_to_a_model():
    schema = schema_from_source(source("agent_state: 'AgentState', x: int", "x: A number."))
    assert list(schema.parameters["properties"]) == ["x"]  # pyright: ignore[reportArgumentType]  an object
    assert schema.parameters["required"] == ["x"]


def test_a_missing_description_names_the_argument_and_shows_how():
    with pytest.raises(BadRequest) as caught:
        schema_from_source(source("x: int, y: int", "x: One."))
    assert "'y'" in str(caught.value)
    assert "y: What it means." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("def f(:", "not valid Python"),
        ("x = 1", "no function"),
        ("def f(x: int): ...", "no docstring"),
        (source("x", "x: One."), "no type"),
        (source("*xs: int", "xs: Some."), "name every argument"),
        (source("x: Widget", "x: One."), "Widget"),
        ("def f():\n    '''A.'''\n" + "(" * 10_000, "not valid Python"),
        ("def f():\x00", "not valid Python"),
        ("#" * 300_000, "longer"),
        (source("x: list[()]", "x: One."), "x"),
        (source("x: dict[()]", "x: One."), "x"),
        (source("x: Literal[y]", "x: One."), "x"),
        (source(f"x: {' | '.join(['int'] * 900)}", "x: One."), "too large"),
        (source(f"x: {' | '.join(['int'] * 900)!r}", "x: One."), "too large"),
        (source(f"x: {' | '.join(['int'] * 3_000)!r}", "x: One."), "x"),
        (source(f"x: Literal[{10**30}]", "x: One."), "cannot be written as JSON"),
        (source(r"x: Literal['\ud800']", "x: One."), "cannot be written as JSON"),
        (source("größe: int", "größe: One."), "cannot be told the name 'größe'"),
        (f"def {'f' * 65}():\n    '''A.'''\n", "cannot be told the name"),
    ],
)
def test_source_that_cannot_be_described_is_refused_in_words(text, named):
    with pytest.raises(BadRequest, match=named):
        schema_from_source(text)


def test_source_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    runs = f"open({str(mark)!r}, 'w')"
    schema_from_source(f"{runs}\n\n{source(f'x: str = {runs}', 'x: One.')}")
    assert not mark.exists()


ATOMS = st.sampled_from(["int", "str", "None", "Any", "dict", "list", "Widget", "...", "'int'", "a.b", "1", "*x", "()"])
GENERICS = st.sampled_from(["list", "dict", "tuple", "Optional", "Union", "Literal", "Annotated", "X"])
ANNOTATIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("{}[{}]".format, GENERICS, inner),
        st.builds("{} | {}".format, inner, inner),
        st.builds("{}, {}".format, inner, inner),
        inner.map(repr),
    ),
    max_leaves=8,
)


@given(ANNOTATIONS)
def test_every_annotation_is_a_schema_that_can_be_sent_or_refused(annotation):
    try:
        found = shape(annotation)
    except BadRequest:
        return
    for part in objects_in(orjson.loads(orjson.dumps(found))):
        assert part.get("anyOf") != []
        assert part.get("enum") != []


def objects_in(part: Any) -> list[dict[str, Any]]:
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return ([part] if isinstance(part, dict) else []) + [each for item in inner for each in objects_in(item)]
