"""A few tools for flow tests: memory in the step's transaction, and effects outside of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from loci.errors import BlockUnknown, ToolRefused
from loci.tools.base import BuiltinTool, MemoryOutcome, ToolContext, ToolOutcome
from loci.tools.core import CORE_BUILTINS
from loci.types.json import JsonObject
from loci.types.memory import Block, BlockEdit, ChangeSet
from loci.types.tools import Effect, ToolSchema, ToolType

TEXT: JsonObject = {"type": "string", "description": "A text."}


def schema(name: str, *arguments: str) -> ToolSchema:
    """A tool with text arguments, all required."""
    parameters: JsonObject = {
        "type": "object",
        "properties": dict.fromkeys(arguments, TEXT),
        "required": list(arguments),
    }
    return ToolSchema(name=name, description=f"The tool {name}.", parameters=parameters)


def _insert(blocks: Sequence[Block], args: JsonObject) -> MemoryOutcome:
    block = next((item for item in blocks if item.label == args["label"]), None)
    if block is None:
        raise BlockUnknown(f"Block field {args['label']} does not exist.")
    value = f"{block.value}\n{args['new_string']}"
    edit = BlockEdit(block_id=block.id, version=block.version, value=value)
    return MemoryOutcome(text=value, changes=ChangeSet(changes=(edit,)))


@dataclass
class Outside:
    """Counts how often each outside tool really ran, and can be held up."""

    ran: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None

    def tool(self, name: str, effect: Effect) -> BuiltinTool:
        async def run(context: ToolContext, args: JsonObject) -> ToolOutcome:
            self.ran.append(name)
            if self.gate is not None:
                await self.gate.wait()
            if name == "fail":
                raise ToolRefused("It cannot be done.", hint="Try another way.")
            if name == "crash":
                raise ValueError("secret details")
            return ToolOutcome(text=f"{name} saw {args.get('text')}")

        return BuiltinTool(schema=schema(name, "text"), tool_type=ToolType.BUILTIN, effect=effect, outside=run)


def builtins(outside: Outside) -> dict[str, BuiltinTool]:
    """The tools of the default agent type, and `look` (pure), `post` (once), `fail` and `crash`."""
    insert = BuiltinTool(
        schema=schema("memory_insert", "label", "new_string"),
        tool_type=ToolType.SLEEPTIME,
        effect="memory",
        memory=_insert,
    )
    named: dict[str, Effect] = {
        "look": "pure",
        "post": "once",
        "fail": "pure",
        "crash": "pure",
        "conversation_search": "pure",
    }
    extra: dict[str, BuiltinTool] = {name: outside.tool(name, effect) for name, effect in named.items()}
    others = {
        name: BuiltinTool(schema=schema(name, "label"), tool_type=ToolType.SLEEPTIME, effect="memory", memory=_insert)
        for name in ("memory_replace",)
    }
    return {**CORE_BUILTINS, "memory_insert": insert, **others, **extra}
