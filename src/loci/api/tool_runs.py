"""Running tools by hand: one of an agent as the agent would, or one that is only tried from its source."""

from collections.abc import Mapping
from dataclasses import replace

from loci.agent.creating import author_of
from loci.api.core import Core
from loci.api.wire_mcp import wire_outcome
from loci.api.wire_messages import View, WireObject, wire_list
from loci.errors import NotFound
from loci.ids import new_id
from loci.memory import changes
from loci.store import agents, blocks, conversations, tools
from loci.store.base import Transaction
from loci.tools.arguments import fit
from loci.tools.base import BuiltinTool, ToolContext, ToolOutcome, shortened
from loci.tools.source import outcome_of
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.messages import Message, Role, ToolResult, Trust
from loci.types.tools import Tool


async def run_tool(core: Core, actor: Actor, agent_id: str, name: str, args: JsonObject) -> WireObject:
    """Run it. Raises NotFound, ToolRefused for arguments that do not fit, NotAvailable without a sandbox."""
    agent = await core.store.read(agents.get, actor, agent_id)
    held = await core.store.read(tools.tools_of_agent, actor, agent_id)
    tool = next((tool for tool in held if tool.name == name), None)
    if tool is None:
        raise NotFound(f"Agent {agent_id} has no tool '{name}'.", hint="Attach it first.")
    fitting = fit(tool.schema(), args)
    builtin = core.builtins.get(name) if tool.is_builtin else None
    if builtin is not None and builtin.memory is not None:
        outcome = await core.store.write(_edit, core, actor, agent_id, builtin, fitting)
    else:
        context = ToolContext(
            actor=actor,
            agent=agent,
            conversation_id=conversations.default_id(agent_id),
            run_id="",
            step_id="",
            author=author_of(actor),
        )
        outside = builtin.outside if builtin else None
        outcome = await (outside(context, fitting) if outside else core.runner.run(tool, context, fitting))
        if outcome.changes is not None:
            await core.store.write(
                changes.apply, actor, context.author, agent_id, outcome.changes, now=core.clock.now()
            )
    return wire_outcome(replace(outcome, text=shortened(outcome.text, tool.return_limit_chars)))


async def try_source(
    core: Core, actor: Actor, tool: Tool, args: JsonObject, variables: Mapping[str, str]
) -> WireObject:
    """Run a tool that is not stored. Raises ToolRefused for arguments that do not fit, NotAvailable."""
    ran = await core.source_tools.try_out(actor, tool, fit(tool.schema(), args), variables)
    outcome = outcome_of(ran)
    text = shortened(outcome.text, tool.return_limit_chars)
    result = ToolResult("", tool.name, text, outcome.status, outcome.stdout, outcome.stderr)
    message = Message(
        id=new_id("message"),
        role=Role.TOOL,
        trust=Trust.TOOL,
        parts=(result,),
        created_at=core.clock.now(),
        agent_id="",
        conversation_id="",
    )
    return wire_list([message], View())[0]


def _edit(
    tx: Transaction, core: Core, actor: Actor, agent_id: str, builtin: BuiltinTool, args: JsonObject
) -> ToolOutcome:
    if builtin.memory is None:
        raise NotFound("The tool edits no memory.")
    outcome = builtin.memory(blocks.blocks_of_agent(tx, actor, agent_id), args)
    changes.apply(tx, actor, author_of(actor), agent_id, outcome.changes, now=core.clock.now())
    return ToolOutcome(text=outcome.text)
