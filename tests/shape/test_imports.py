"""Imports point down: there is no cycle, and only the composition root names a driver."""

from tests.shape.imports import Graph, cycles, graph
from tests.shape.source import module, modules

DRIVERS = ("loci.store.sqlite", "loci.model.providers")
MAY_NAME_DRIVERS = ("loci.app", "loci.testing")


def named_drivers(edges: Graph) -> list[str]:
    return sorted(
        f"{name} imports {target}"
        for name, targets in edges.items()
        for target in targets
        if any(within(target, driver) and not within(name, driver) for driver in DRIVERS)
        if not any(within(name, allowed) for allowed in MAY_NAME_DRIVERS)
    )


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_there_is_no_cycle():
    assert cycles(graph(modules())) == []


def test_only_the_composition_root_names_a_driver():
    assert named_drivers(graph(modules())) == []


def test_a_cycle_is_seen_even_through_an_import_inside_a_function():
    tree = [
        module("loci.a", "from loci.b import thing"),
        module("loci.b", "from loci import c"),
        module("loci.c", "def f():\n    import loci.a"),
        module("loci.d", "import loci.a"),
    ]

    assert cycles(graph(tree)) == [["loci.a", "loci.b", "loci.c"]]


def test_a_driver_named_elsewhere_is_seen():
    edges = graph(
        [
            module("loci.store.sqlite.pool", ""),
            module("loci.store.sqlite", "from loci.store.sqlite import pool", is_package=True),
            module("loci.app", "from loci.store.sqlite import pool"),
            module("loci.agent.loop", "from loci.store.sqlite.pool import Pool"),
        ]
    )

    assert named_drivers(edges) == ["loci.agent.loop imports loci.store.sqlite.pool"]
