"""A runner of stored tools that has nothing to run them with: for tests in which none is to run."""

from loci.errors import NotAvailable
from loci.tools.base import ToolContext, ToolOutcome
from loci.types.json import JsonObject
from loci.types.tools import Tool


class NoRunner:
    """A ToolRunner that runs nothing."""

    async def run(self, tool: Tool, context: ToolContext, args: JsonObject) -> ToolOutcome:  # noqa: ARG002  the port's shape
        """Raises NotAvailable."""
        raise NotAvailable(f"The tool '{tool.name}' was not run: there is nothing here that runs tools.")
