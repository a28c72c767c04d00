"""Tools that every agent family may have and that touch no memory: speaking."""

from collections.abc import Sequence

from loci.tools.base import BuiltinTool, MemoryOutcome
from loci.types.json import JsonObject
from loci.types.memory import Block
from loci.types.tools import ToolSchema, ToolType


def _send_message(blocks: Sequence[Block], args: JsonObject) -> MemoryOutcome:  # noqa: ARG001  what it says is the call
    return MemoryOutcome(text="Sent message successfully.")


CORE_BUILTINS: dict[str, BuiltinTool] = {
    "send_message": BuiltinTool(
        schema=ToolSchema(
            name="send_message",
            description="Say something to the person. This is the only way to be heard; it ends your turn.",
            parameters={
                "type": "object",
                "properties": {
                    "message": {
                        "type": "string",
                        "description": "What to say, in the person's language. Any characters, also line breaks.",
                    },
                },
                "required": ["message"],
            },
        ),
        tool_type=ToolType.CORE,
        effect="memory",
        memory=_send_message,
    ),
}
