"""Which module of the package imports which, lazy and type-only imports included."""

import ast
from collections.abc import Iterable

from tests.shape.source import Module

Graph = dict[str, set[str]]


def graph(tree: Iterable[Module]) -> Graph:
    sources = {source.name: source for source in tree}
    return {name: _targets(source, sources.keys()) - {name} for name, source in sources.items()}


def _targets(source: Module, known: Iterable[str]) -> set[str]:
    names = set(known)
    found: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(inner & names)
            if inner - names:  # something other than a module: it is defined in, or passed on by, the package itself
                found.add(node.module)
    return found & names


def cycles(edges: Graph) -> list[list[str]]:
    """Return the groups of modules that reach each other."""
    reach = {name: _reachable(name, edges) for name in edges}
    groups = {frozenset(other for other in reach[name] if name in reach[other]) for name in edges}
    return sorted(sorted(group) for group in groups if group)


def _reachable(start: str, edges: Graph) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges[name])
    return seen
