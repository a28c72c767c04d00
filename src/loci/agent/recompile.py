"""Compiling the stored system prompt anew, in the transaction that found it stale.

The compiled text is a message of its own, the first of the window, so what the viewer shows is what was sent; it is
derived data and is overwritten in place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from loci.agent.compile import CompiledPrompt, PromptMetadata, compile_system
from loci.files.holding import directories
from loci.ids import new_id
from loci.store import conversations, messages, passages
from loci.store.base import Transaction
from loci.store.passages import PassageFilter
from loci.tools.rules import rules_text
from loci.types.actor import Actor
from loci.types.agents import Agent, Conversation
from loci.types.memory import Block
from loci.types.messages import Kind, Message, Role, Text, Trust


def recompile(  # noqa: PLR0913  see compile_now
    tx: Transaction,
    actor: Actor,
    agent: Agent,
    blocks: Sequence[Block],
    tools: Iterable[str],
    conversation: Conversation,
    *,
    now: datetime,
) -> Message:
    """Compile the prompt of one conversation and store it; the message that holds it."""
    compiled = compile_now(tx, actor, agent, blocks, tools, conversation, now=now)
    old = conversation.prefix[0] if conversation.prefix else None
    stored = messages.by_ids(tx, actor, [old]) if old else []
    conversations.set_compiled(tx, actor, conversation.id, agent.memory_version)
    if stored and stored[0].role is Role.SYSTEM:
        messages.set_parts(tx, actor, stored[0].id, (Text(compiled.text),))
        return replace(stored[0], parts=(Text(compiled.text),))
    message = prompt_message(agent, conversation, compiled.text, now)
    messages.insert(tx, actor, [message])
    conversations.set_prefix(tx, actor, conversation.id, (message.id, *conversation.prefix))
    return message


def compile_now(  # noqa: PLR0913  what a prompt is made of
    tx: Transaction,
    actor: Actor,
    agent: Agent,
    blocks: Sequence[Block],
    tools: Iterable[str],
    conversation: Conversation,
    *,
    now: datetime,
) -> CompiledPrompt:
    """The prompt as it would be compiled at this moment, for an agent with the tools of these names."""
    metadata = PromptMetadata(
        compiled_at=now,
        recall_count=messages.count_talk(tx, agent.id),
        archival_count=passages.count(tx, actor, PassageFilter(agent_id=agent.id)),
        tags=tuple(passages.tags_of_agent(tx, actor, agent.id)),
        conversation_label="default" if conversation.is_default else conversation.id,
    )
    return compile_system(
        agent,
        blocks,
        rules_text=rules_text(agent.tool_rules, tools),
        metadata=metadata,
        directories=directories(tx, actor, agent.id),
    )


def prompt_message(agent: Agent, conversation: Conversation, text: str, now: datetime) -> Message:
    """The message that holds a compiled prompt."""
    return Message(
        id=new_id("message"),
        role=Role.SYSTEM,
        kind=Kind.SYSTEM_PROMPT,
        trust=Trust.SYSTEM,
        parts=(Text(text),),
        created_at=now,
        agent_id=agent.id,
        conversation_id=conversation.id,
    )
