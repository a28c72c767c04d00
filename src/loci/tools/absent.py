"""What stands where the sandbox will: tools from source are stored and described, and say why they do not run."""

from loci.errors import NotAvailable
from loci.tools.base import ToolContext, ToolOutcome
from loci.types.json import JsonObject
from loci.types.tools import Tool


class NoSandbox:
    """A ToolRunner that runs nothing: code of users and agents never runs in the server's own process."""

    async def run(self, tool: Tool, context: ToolContext, args: JsonObject) -> ToolOutcome:  # noqa: ARG002  the port's shape
        """Raises NotAvailable."""
        raise NotAvailable(
            f"The tool '{tool.name}' was not run: this version has no sandbox for tools from source.",
            hint="Give its work to a client tool, which runs on the client's side, or use the built-in tools.",
        )
