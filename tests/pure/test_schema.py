"""The schema of a tool from its source: read from the text, which is never run."""

from typing import Any

import pytest

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
