"""Loci: a memory-first agent server.

An agent is a durable thing with an id that keeps, edits and searches its own memory.
This file is the only door for programs that embed it: what is not listed here is not public.
"""

from importlib.metadata import version

__version__ = version("loci-agents")

__all__ = ["__version__"]
