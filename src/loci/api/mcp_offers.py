"""What Loci offers to MCP clients: its agents, and their memory, read and written with the agents' own tools.

A change carries the client's name in the journal, and is believed as what another agent said. This module knows nothing
of the protocol.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, unquote

import orjson

from loci.agent.request import NewMessage, RunRequest
from loci.api.answers import heard
from loci.api.core import Core
from loci.api.wire_events import RunTeller, Telling
from loci.errors import BadRequest, LociError, NotFound, ToolRefused
from loci.ids import is_id
from loci.memory import changes
from loci.store import agents, blocks, conversations
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.tools.arguments import fit
from loci.tools.base import ToolContext
from loci.tools.builtin.schemas import number, schema, text, texts
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.events import RunEnded
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import ActorKind, Author, Block
from loci.types.messages import Text, Trust
from loci.types.paging import Page
from loci.types.runs import StopReason
from loci.types.tools import ToolSchema

AGENTS_MAX = 100
PROGRESS_S = 5.0
INSTRUCTIONS = (
    "Loci keeps agents that remember across conversations. Ask one with send_message, or use its memory yourself: "
    "search_memory before you answer a question about the past, remember for facts that should last, edit_core_memory "
    "for what the agent must always have before its eyes."
)

_AGENT = text("Name or id of the agent. May be left out if there is only one.")
LIST_AGENTS = schema(
    "list_agents",
    "List the agents of this Loci: who they are, and which labelled blocks of core memory they have. Begin here.",
    {"query": text("Only agents whose name contains this.")},
)
SEND_MESSAGE = schema(
    "send_message",
    "Say something to an agent and wait for its answer. The agent sees its own memory and its past conversations, may "
    "use tools, and remembers this talk. It may take a while.",
    {"agent": _AGENT, "message": text("What to say, in full sentences and with all the agent has to know.")},
    "message",
)
SEARCH_MEMORY = schema(
    "search_memory",
    "Search what an agent knows: everything that was ever said to it or by it, and the notes in its archive. By words "
    "and by meaning; the best come first.",
    {
        "agent": _AGENT,
        "query": text("What to look for, as a question or in key words."),
        "where": text("Where to look.", enum=["everywhere", "conversations", "notes"], default="everywhere"),
        "limit": number("Results at most, from each place.", default=10),
    },
    "query",
)
READ_CORE_MEMORY = schema(
    "read_core_memory",
    "Read the core memory of an agent: the blocks that are always before its eyes, such as what it knows of a person.",
    {"agent": _AGENT, "label": text("Only the block with this label.")},
)
EDIT_CORE_MEMORY = schema(
    "edit_core_memory",
    "Change a block of an agent's core memory: add a statement, or replace text that is there. Every change is kept "
    "with your name and can be undone. Read the block first, and keep what is still true.",
    {
        "agent": _AGENT,
        "label": text("The label of the block."),
        "new_text": text("The statement to add, or the text to put in place of old_text; empty removes old_text."),
        "old_text": text("The text to replace, exactly as it stands. Leave it out to add new_text at the end."),
    },
    "label",
    "new_text",
)
REMEMBER = schema(
    "remember",
    "Keep a note in the archive of an agent, where it is found again by search. For facts, decisions and events that "
    "may matter later: one that stands on its own, with names and absolute dates.",
    {"agent": _AGENT, "text": text("The note."), "tags": texts("Words to find it by.")},
    "text",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the actor of the key, and the name of the MCP client."""

    actor: Actor
    client: str
    progress: Callable[[float, str], Awaitable[None]]
    """Tells the client that something is still going on."""

    def author(self, agent_id: str) -> Author:
        """As the author of a change."""
        return Author(
            kind=ActorKind.USER,
            id=f"mcp:{self.client}",
            trust=Trust.OTHER_AGENT,
            agent_id=agent_id,
            reason=f"Asked for by {self.client}, an MCP client of {self.actor.user_id}.",
        )


Offer: TypeAlias = Callable[[Core, Caller, JsonObject], Awaitable[str]]


async def call(core: Core, caller: Caller, name: str, arguments: JsonObject) -> str:
    """Do what a client asks for. Raises LociError, in words for its model."""
    if name not in OFFERS:
        raise ToolRefused(f"There is no tool '{name}'.", hint=f"There are: {', '.join(OFFERS)}.")
    described, offer = OFFERS[name]
    return await offer(core, caller, fit(described, arguments))


async def _list_agents(core: Core, caller: Caller, args: JsonObject) -> str:
    chosen = AgentFilter(query_text=_maybe(args, "query"))
    found = await core.store.read(agents.listing, caller.actor, chosen, Page(limit_rows=AGENTS_MAX))
    held = await core.store.read(blocks.blocks_of_agents, caller.actor, [agent.id for agent in found])
    rows: list[JsonValue] = [
        {
            "id": agent.id,
            "name": agent.name,
            "description": agent.description,
            "blocks": [block.label for block in held[agent.id]],
        }
        for agent in found
    ]
    return orjson.dumps(rows).decode()


async def _send_message(core: Core, caller: Caller, args: JsonObject) -> str:
    agent = await _agent(core, caller.actor, args)
    request = RunRequest(messages=(NewMessage(parts=(Text(str(args["message"])),)),))
    live = await core.runs.start(caller.actor, agent.id, None, request)
    waiting = asyncio.ensure_future(_still_there(core, caller, agent))
    try:
        told, end = await heard(live, RunTeller(live.run.id, Telling(), core.clock.now).tell)
    finally:
        waiting.cancel()
    return _ended(end, [str(item["content"]) for item in told if item["message_type"] == "assistant_message"])


async def _still_there(core: Core, caller: Caller, agent: Agent) -> None:
    passed_s = 0.0
    while True:
        await core.clock.sleep(PROGRESS_S)
        passed_s += PROGRESS_S
        await caller.progress(passed_s, f"{agent.name} is at work.")


def _ended(event: RunEnded, said: list[str]) -> str:
    ending = event.ending
    if ending.error_type is not None:
        raise LociError(f"The agent could not answer: {ending.message or ending.error_type}")
    if ending.reason is StopReason.REQUIRES_APPROVAL:
        said.append("(The agent waits for a person to approve a tool call before it goes on.)")
    return "\n\n".join(said) or "(The agent said nothing.)"


async def _search_memory(core: Core, caller: Caller, args: JsonObject) -> str:
    agent = await _agent(core, caller.actor, args)
    context = ToolContext(
        actor=caller.actor,
        agent=agent,
        conversation_id=conversations.default_id(agent.id),
        run_id="",
        step_id="",
        author=caller.author(agent.id),
    )
    where, limit = args.get("where", "everywhere"), args.get("limit", 10)
    parts: list[str] = []
    for place, tool, count in (
        ("conversations", "conversation_search", "limit"),
        ("notes", "archival_memory_search", "top_k"),
    ):
        search = core.builtins[tool].outside
        if where in ("everywhere", place) and search is not None:
            outcome = await search(context, {"query": args["query"], count: limit})
            parts.append(f"From {place}:\n{outcome.text}")
    if not parts:
        raise ToolRefused("'where' must be 'everywhere', 'conversations' or 'notes'.")
    return "\n\n".join(parts)


async def _read_core_memory(core: Core, caller: Caller, args: JsonObject) -> str:
    agent = await _agent(core, caller.actor, args)
    label = _maybe(args, "label")
    held = await core.store.read(blocks.blocks_of_agent, caller.actor, agent.id)
    shown = [block for block in held if label in (None, block.label)]
    if not shown:
        raise NotFound(f"There is no block '{label}'.", hint=f"There are: {', '.join(block.label for block in held)}.")
    rows: list[JsonValue] = [_shown(block) for block in shown]
    return orjson.dumps(rows).decode()


def _shown(block: Block) -> JsonObject:
    return {
        "label": block.label,
        "description": block.description,
        "value": block.value,
        "chars": len(block.value),
        "limit_chars": block.limit_chars,
        "read_only": block.read_only,
    }


async def _edit_core_memory(core: Core, caller: Caller, args: JsonObject) -> str:
    wanted: dict[str, JsonValue] = {"label": args["label"], "new_string": args["new_text"]}
    if (old := _maybe(args, "old_text")) is None:
        return await _with_tool(core, caller, args, "memory_insert", wanted)
    return await _with_tool(core, caller, args, "memory_replace", {**wanted, "old_string": old})


async def _remember(core: Core, caller: Caller, args: JsonObject) -> str:
    wanted: JsonObject = {"content": args["text"], "tags": args.get("tags") or []}
    return await _with_tool(core, caller, args, "archival_memory_insert", wanted)


async def _with_tool(core: Core, caller: Caller, args: JsonObject, name: str, wanted: JsonObject) -> str:
    """Change memory with a tool of the agent itself, so that the same rules hold, and in the client's name."""
    agent = await _agent(core, caller.actor, args)
    tool = core.builtins[name].memory
    if tool is None:
        raise BadRequest(f"'{name}' edits no memory.")

    def edit(tx: Transaction) -> str:
        outcome = tool(blocks.blocks_of_agent(tx, caller.actor, agent.id), wanted)
        author, now = caller.author(agent.id), core.clock.now()
        changes.apply(tx, caller.actor, author, agent.id, outcome.changes, now=now)
        return outcome.text

    return await core.store.write(edit)


async def _agent(core: Core, actor: Actor, args: JsonObject) -> Agent:
    """The agent that is meant. Raises NotFound, and BadRequest where that is not clear."""
    named = _maybe(args, "agent")
    if named is not None and is_id(named, "agent"):
        return await core.store.read(agents.get, actor, named)
    found = await core.store.read(agents.listing, actor, AgentFilter(name=named), Page(limit_rows=AGENTS_MAX))
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"There is no agent '{named}'." if named else "There is no agent yet.", hint="See list_agents.")
    listed = ", ".join(f"{agent.name} ({agent.id})" for agent in found[:10])
    raise BadRequest(f"{len(found)} agents come into question: {listed}.", hint="Name one by its id.")


def _maybe(args: JsonObject, name: str) -> str | None:
    value = args.get(name)
    return value if isinstance(value, str) and value else None


OFFERS: dict[str, tuple[ToolSchema, Offer]] = {
    described.name: (described, offer)
    for described, offer in (
        (LIST_AGENTS, _list_agents),
        (SEND_MESSAGE, _send_message),
        (SEARCH_MEMORY, _search_memory),
        (READ_CORE_MEMORY, _read_core_memory),
        (EDIT_CORE_MEMORY, _edit_core_memory),
        (REMEMBER, _remember),
    )
}
READ_ONLY = frozenset({LIST_AGENTS.name, SEARCH_MEMORY.name, READ_CORE_MEMORY.name})


async def block_addresses(core: Core, actor: Actor) -> list[tuple[str, Agent, Block]]:
    """Each block of each agent, under an address of its own."""
    found = await core.store.read(agents.listing, actor, AgentFilter(), Page(limit_rows=AGENTS_MAX))
    held = await core.store.read(blocks.blocks_of_agents, actor, [agent.id for agent in found])
    return [
        (f"loci://agents/{agent.id}/blocks/{quote(block.label, safe='')}", agent, block)
        for agent in found
        for block in held[agent.id]
    ]


async def read_block(core: Core, actor: Actor, address: str) -> str:
    """What the block with this address holds. Raises NotFound."""
    scheme, _, path = address.partition("://")
    match path.split("/"):
        case ["agents", agent_id, "blocks", label] if scheme == "loci" and is_id(agent_id, "agent"):
            for block in await core.store.read(blocks.blocks_of_agent, actor, agent_id):
                if block.label == unquote(label):
                    return block.value
        case _:
            pass
    raise NotFound(f"There is no '{address[:200]}'.")
