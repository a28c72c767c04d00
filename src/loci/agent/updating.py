"""Changing an agent: each change one transaction, with what was before in the journal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.agent.creating import author_of, first_messages, give_sleep
from loci.agent.recompile import compile_now, recompile
from loci.errors import Busy, NotFound
from loci.files import holding
from loci.store import agents, attachments, blocks, conversations, identities, isolated, messages, tools
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import Agent, Conversation
from loci.types.memory import Author
from loci.types.messages import Message
from loci.types.tools import RequiresApproval


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentChange:
    """What an agent shall become: `become` is given what stands when the change is stored, so that no other change
    made in the meantime is lost. None leaves attachments and the window as they are.
    """

    agent_id: str
    become: Callable[[Agent], Agent]
    tool_ids: tuple[str, ...] | None = None
    block_ids: tuple[str, ...] | None = None
    identity_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    message_ids: tuple[str, ...] | None = None


def update(tx: Transaction, actor: Actor, change: AgentChange, *, now: datetime) -> Agent:
    """Store the change.

    Raises NotFound for an agent, tool, block, identity or message that does not exist, Busy for a window in use.
    """
    author = author_of(actor)
    before = agents.get(tx, actor, change.agent_id)
    agent = change.become(before)
    if change.tool_ids is not None:
        asking = _set_tools(tx, actor, author, agent.id, change.tool_ids, now=now)
        new = (rule for rule in asking if rule not in agent.tool_rules)
        agent = replace(agent, tool_rules=(*agent.tool_rules, *new))
    if change.block_ids is not None:
        _set_blocks(tx, actor, author, agent.id, change.block_ids, now=now)
    if change.identity_ids is not None:
        identities.set_of_agent(tx, actor, author, agent.id, change.identity_ids, now=now)
    if change.folder_ids is not None:
        holding.set_folders(tx, actor, author, agent, change.folder_ids, now)
    holding.make_room(tx, actor, agent)
    if change.message_ids is not None:
        _set_window(tx, actor, agent.id, change.message_ids, now=now)
    if agent.enable_sleeptime and not before.enable_sleeptime:
        give_sleep(tx, actor, author, agent, now)
    return agents.update(tx, actor, author, agent, now)


def _set_tools(
    tx: Transaction, actor: Actor, author: Author, agent_id: str, tool_ids: Sequence[str], *, now: datetime
) -> list[RequiresApproval]:
    """Give the agent these tools and no others; the rules of new ones that ask by default."""
    held = {tool.id: tool for tool in tools.tools_of_agent(tx, actor, agent_id)}
    new = [tools.get(tx, actor, tool_id) for tool_id in dict.fromkeys(tool_ids) if tool_id not in held]
    tools.attach(tx, actor, author, agent_id, new, now=now)
    for tool in held.values():
        if tool.id not in tool_ids:
            tools.detach(tx, actor, author, agent_id, tool, now=now)
    return [RequiresApproval(tool_name=tool.name) for tool in new if tool.default_requires_approval]


def _set_blocks(
    tx: Transaction, actor: Actor, author: Author, agent_id: str, block_ids: Sequence[str], *, now: datetime
) -> None:
    held = [block.id for block in blocks.blocks_of_agent(tx, actor, agent_id)]
    for block_id in held:
        if block_id not in block_ids:
            attachments.detach(tx, actor, author, Attachment(agent_id=agent_id, block_id=block_id), now)
    for block_id in dict.fromkeys(block_ids):
        if block_id not in held:
            attachments.attach(tx, actor, author, Attachment(agent_id=agent_id, block_id=block_id), now)


def _set_window(tx: Transaction, actor: Actor, agent_id: str, message_ids: Sequence[str], *, now: datetime) -> None:
    conversation = _free(tx, actor, conversations.default_id(agent_id))
    wanted = list(dict.fromkeys(message_ids))
    found = {message.id for message in messages.by_ids(tx, actor, wanted) if message.agent_id == agent_id}
    missing = [message_id for message_id in wanted if message_id not in found]
    if missing:
        raise NotFound(f"Message {missing[0]} not found.")
    prompt = conversation.prefix[:1]
    prefix = [*prompt, *(message_id for message_id in wanted if message_id not in prompt)]
    conversations.set_window(tx, actor, conversation.id, prefix=prefix, after_message_id=None, now=now)


def _free(tx: Transaction, actor: Actor, conversation_id: str) -> Conversation:
    conversation = conversations.get(tx, actor, conversation_id)
    if conversation.busy_run_id is not None:
        raise Busy(run_id=conversation.busy_run_id)
    return conversation


def attach_tool(tx: Transaction, actor: Actor, agent_id: str, tool_id: str, *, now: datetime) -> Agent:
    """Give a tool to an agent; one that asks by default gets the rule for it. Raises NotFound."""
    agent, tool = agents.get(tx, actor, agent_id), tools.get(tx, actor, tool_id)
    tools.attach(tx, actor, author_of(actor), agent_id, [tool], now=now)
    return _with_approval(tx, actor, agent, tool.name, asks=True if tool.default_requires_approval else None, now=now)


def detach_tool(tx: Transaction, actor: Actor, agent_id: str, tool_id: str, *, now: datetime) -> Agent:
    """Take a tool off an agent. Raises NotFound."""
    agent, tool = agents.get(tx, actor, agent_id), tools.get(tx, actor, tool_id)
    tools.detach(tx, actor, author_of(actor), agent_id, tool, now=now)
    return _with_approval(tx, actor, agent, tool.name, asks=None, now=now)


def set_approval(tx: Transaction, actor: Actor, agent_id: str, name: str, *, asks: bool, now: datetime) -> Agent:
    """Say whether a person is asked before this tool of an agent runs. Raises NotFound."""
    agent = agents.get(tx, actor, agent_id)
    if all(tool.name != name for tool in tools.tools_of_agent(tx, actor, agent_id)):
        raise NotFound(f"Agent {agent_id} has no tool '{name}'.")
    return _with_approval(tx, actor, agent, name, asks=asks, now=now)


def _with_approval(
    tx: Transaction, actor: Actor, agent: Agent, name: str, *, asks: bool | None, now: datetime
) -> Agent:
    rule = RequiresApproval(tool_name=name)
    kept = agent.tool_rules if asks is None else tuple(item for item in agent.tool_rules if item != rule)
    new = (*kept, rule) if asks and rule not in kept else kept
    return agents.update(tx, actor, author_of(actor), replace(agent, tool_rules=new), now)


def recompile_now(
    tx: Transaction,
    actor: Actor,
    agent_id: str,
    conversation_id: str | None = None,
    *,
    now: datetime,
    dry_run: bool = False,
) -> str:
    """Compile the prompt of a conversation (None: the main thread) anew, whether anything changed or not; its text.

    A dry run stores nothing. Raises NotFound.
    """
    agent = agents.get(tx, actor, agent_id)
    conversation = conversations.get(tx, actor, conversation_id or conversations.default_id(agent_id))
    held = isolated.blocks_in_thread(tx, actor, agent_id, conversation.id)
    names = [tool.name for tool in tools.tools_of_agent(tx, actor, agent_id)]
    if dry_run:
        return compile_now(tx, actor, agent, held, names, conversation, now=now).text
    message = recompile(tx, actor, agent, held, names, conversation, now=now)
    tools.bump(tx, actor, agent_id, now)
    return message.text


def reset(
    tx: Transaction,
    actor: Actor,
    agent_id: str,
    conversation_id: str | None = None,
    *,
    with_first: bool,
    now: datetime,
) -> Agent:
    """Empty the window of a conversation (None: the main thread); what was said stays in recall.

    Raises NotFound, Busy.
    """
    agent = agents.get(tx, actor, agent_id)
    conversation = _free(tx, actor, conversation_id or conversations.default_id(agent_id))
    fresh: list[Message] = first_messages(agent, conversation.id, None, now) if with_first else []
    prompt = conversation.prefix[:1]
    conversations.set_window(tx, actor, conversation.id, prefix=prompt, after_message_id=None, now=now)
    messages.insert(tx, actor, fresh)
    tools.bump(tx, actor, agent_id, now)
    return agent
