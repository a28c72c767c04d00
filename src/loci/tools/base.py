"""What a tool is to the loop.

A *memory tool* is a pure function from the agent's blocks to a text and a ChangeSet; the executor applies the change
in the transaction that stores the result, so it happens exactly once. Every other tool is an asynchronous function
that runs outside of any transaction, after its call has been stored.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.json import JsonObject
from loci.types.memory import Author, Block, ChangeSet
from loci.types.messages import ToolStatus
from loci.types.tools import Effect, Tool, ToolSchema, ToolType


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """Who calls, on whose behalf, in which step: what a tool may know of its surroundings."""

    actor: Actor
    agent: Agent
    conversation_id: str
    run_id: str
    step_id: str
    author: Author
    """Already names the run, step and tool call."""
    depth: int = 0
    """How many agents have called each other to get here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """What a tool gave back. `text` is what the model reads (JSON or plain text, never a Python repr)."""

    text: str
    status: ToolStatus = "success"
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    changes: ChangeSet | None = None
    """What it wants changed in memory, in the transaction that stores its result."""


def shortened(text: str, limit_chars: int) -> str:
    """What a tool returned, cut at its limit with a note that says so."""
    if not len(text) > limit_chars > 0:
        return text
    note = f"function output was truncated since it exceeded the character limit: {len(text)} > {limit_chars}"
    return f"{text[:limit_chars]}... [NOTE: {note}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOutcome:
    """What a memory tool wants: the text for the model and the change to apply with it."""

    text: str
    changes: ChangeSet = field(default_factory=lambda: ChangeSet(changes=()))


MemoryTool: TypeAlias = Callable[[Sequence[Block], JsonObject], MemoryOutcome]
"""Pure. Raises MemoryRefused (a message that helps the model to mend its call)."""

OutsideTool: TypeAlias = Callable[[ToolContext, JsonObject], Awaitable[ToolOutcome]]
"""Runs outside. Raises LociError for failures that the model should read; anything else is a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltinTool:
    """A tool that comes with the server. Exactly one of `memory` and `outside` is set."""

    schema: ToolSchema
    tool_type: ToolType
    effect: Effect
    memory: MemoryTool | None = None
    outside: OutsideTool | None = None
    tags: tuple[str, ...] = ()
    return_limit_chars: int = 50_000


class ToolRunner(Protocol):
    """Runs stored tools whose code is not ours: in the sandbox, or on an MCP server."""

    async def run(self, tool: Tool, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """Run it. Raises NotAvailable, with how to make it available, when this server cannot."""
        ...


Builtins: TypeAlias = Mapping[str, BuiltinTool]
