"""What one conversation has for itself: copies of some blocks, settings of the model, a window of another size."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from loci.agent.context import Bundle
from loci.agent.creating import author_of
from loci.agent.settings import merged
from loci.errors import BadRequest
from loci.ids import new_id
from loci.store import blocks, conversations, isolated
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.memory import Block


def for_thread(tx: Transaction, actor: Actor, bundle: Bundle, conversation: Conversation) -> Bundle:
    """The agent as this conversation sees it. To be called when it has anything of its own."""
    agent = bundle.agent
    if conversation.model_settings is not None:
        agent = replace(agent, model_settings=merged(agent.model_settings, conversation.model_settings))
    if conversation.window_tokens is not None:
        agent = replace(agent, context_window_tokens=conversation.window_tokens)
    held = bundle.blocks
    if conversation.isolated_block_ids:
        held = tuple(isolated.put_over(tx, actor, conversation.id, held))
    return replace(bundle, agent=agent, blocks=held)


def blocks_named(tx: Transaction, actor: Actor, agent_id: str, labels: Sequence[str]) -> list[Block]:
    """The agent's blocks with these labels. Raises BadRequest for a label that it has no block for."""
    held = {block.label: block for block in blocks.blocks_of_agent(tx, actor, agent_id)} if labels else {}
    missing = [label for label in labels if label not in held]
    if missing:
        known = ", ".join(sorted(held)) or "none"
        raise BadRequest(f"The agent has no block '{missing[0]}'.", hint=f"Its blocks: {known}.")
    return [held[label] for label in dict.fromkeys(labels)]


def create_thread(
    tx: Transaction, actor: Actor, conversation: Conversation, copied: Sequence[Block], now: datetime
) -> Conversation:
    """Store a new conversation, with copies of these blocks for itself."""
    copies = [replace(block, id=new_id("block"), version=1) for block in copied]
    for copy in copies:
        blocks.insert(tx, actor, author_of(actor), copy, now)
    wanted = replace(conversation, isolated_block_ids=tuple(copy.id for copy in copies))
    made = conversations.insert(tx, actor, wanted)
    isolated.insert(tx, actor, made.id, made.agent_id, made.isolated_block_ids)
    return made
