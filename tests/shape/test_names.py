"""Names say what a thing is. These words say only that somebody had no name, or kept a twin beside the old one."""

import ast
import re
from collections.abc import Iterable, Iterator

import pytest

from tests.shape.source import Module, module, modules

EMPTY_WORDS = {"manager", "service", "helper", "util", "impl"}
TWIN = re.compile(r"\w_v\d+$|\w_v\d+_|\wV\d+$|_async$|^async_|Async$")


def bad_names(tree: Iterable[Module]) -> list[str]:
    return [f"{source.file}: {name}" for source in tree for name in defined_names(source) if is_bad(name)]


def defined_names(source: Module) -> Iterator[str]:
    yield source.name.rpartition(".")[2]
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name


def is_bad(name: str) -> bool:
    words = {word.lower().removesuffix("s") for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return bool(words & EMPTY_WORDS) or bool(TWIN.search(name))


def test_no_name_is_empty_or_a_twin():
    assert bad_names(modules()) == []


@pytest.mark.parametrize(
    "name",
    [
        "BlockManager",
        "run_helper",
        "utils",
        "StoreImpl",
        "send_v2",
        "AgentV3",
        "send_async",
        "AsyncServices",
        "AgentAsync",
    ],
)
def test_a_bad_name_is_seen(name: str):
    assert bad_names([module(f"loci.{name}", "")]) == [f"loci/{name}.py: {name}"]
    assert bad_names([module("loci.x", f"def {name}(): ...")]) == [f"loci/x.py: {name}"]


@pytest.mark.parametrize(
    "name", ["manage", "serve", "Simple", "value", "to_wire", "asynchronous", "utility_price", "_v1"]
)
def test_a_word_that_only_looks_alike_is_let_through(name: str):
    assert bad_names([module("loci.x", f"def {name}(): ...")]) == []
