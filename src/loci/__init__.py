"""Loci: a memory-first agent server.

An agent is a durable thing with an id that keeps, edits and searches its own memory.
This file is the only door for programs that embed it: what is not listed here is not public.

    from loci import Loci
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loci.embedded import Loci

__version__ = version("loci-agents")

__all__ = ["Loci", "__version__"]


def __getattr__(name: str) -> object:
    """Import the server when it is first named: that takes a second, and not every program needs it."""
    if name == "Loci":
        return importlib.import_module("loci.embedded").Loci
    raise AttributeError(f"module 'loci' has no attribute '{name}'")
