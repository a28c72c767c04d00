"""No function stands twice. Two bodies are the same if they differ only in the names of parameters and locals."""

import ast
from collections import defaultdict
from collections.abc import Iterable

from tests.shape.source import Module, module, modules

SHORTEST_LINES = 6


def duplicates(tree: Iterable[Module]) -> list[list[str]]:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for source in tree:
        for node in ast.walk(source.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = without_docstring(node)
                if body and (body[-1].end_lineno or 0) - body[0].lineno + 1 >= SHORTEST_LINES:
                    places[normal_form(node, body)].append(f"{source.file}:{node.name}")
    return [same for same in places.values() if len(same) > 1]


def without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def normal_form(function: ast.FunctionDef | ast.AsyncFunctionDef, body: list[ast.stmt]) -> str:
    """Dump the body with its parameters and locals numbered in order of appearance."""
    arguments = [node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    names = [node for part in body for node in ast.walk(part) if isinstance(node, ast.Name)]
    assigned = [name.id for name in names if isinstance(name.ctx, ast.Store)]
    numbers = {name: f"_{number}" for number, name in enumerate(dict.fromkeys([*arguments, *assigned]))}
    written = [name.id for name in names]
    for name in names:
        name.id = numbers.get(name.id, name.id)
    dumped = "\n".join(ast.dump(part) for part in body)
    for name, word in zip(names, written, strict=True):  # what stands within is looked at by itself, too
        name.id = word
    return dumped


def test_no_function_stands_twice():
    assert duplicates(modules()) == []


ONE = '''
def total(rows):
    """Add up."""
    amount = 0
    for row in rows:
        if row.price:
            amount += row.price
    amount *= 2
    return amount
'''


def test_a_copy_with_other_names_is_seen():
    other = ONE.replace("total", "cost").replace("amount", "result").replace("rows", "items").replace("Add up", "Cost")

    assert duplicates([module("loci.a", ONE), module("loci.b", other)]) == [["loci/a.py:total", "loci/b.py:cost"]]


def test_another_body_is_another_function():
    assert duplicates([module("loci.a", ONE), module("loci.b", ONE.replace("price", "weight"))]) == []
