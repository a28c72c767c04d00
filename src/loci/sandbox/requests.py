"""A program as the warden is told of it, the same wherever it runs; the rest is added by whoever runs it."""

from dataclasses import asdict
from typing import cast

from loci.sandbox.base import Bounds, Program
from loci.sandbox.child.frames import Bounds as ChildBounds
from loci.sandbox.child.frames import Request


def request_of(program: Program, bounds: Bounds) -> Request:
    """The request for a program, without walls and with no environment but its own."""
    chosen = cast("ChildBounds", asdict(bounds))
    chosen["wall_s"] = min(chosen["wall_s"], program.wall_s or chosen["wall_s"])
    return {
        "means": "none",
        "read": [],
        "tmp": None,
        "bounds": chosen,
        "network": program.network,
        "env": dict(program.variables),
        "node": [],
        "program": {
            "kind": "function" if program.name else "script",
            "language": program.language,
            "source": program.source,
            "name": program.name or "",
            "args": dict(program.args),
            "order": [name for name in program.order or program.args if name in program.args],
            "agent_state": None if program.agent_state is None else dict(program.agent_state),
        },
    }
