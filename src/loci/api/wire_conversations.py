"""Conversations as the Letta V1 API shows them."""

from collections.abc import Sequence

from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.types.agents import Conversation


def wire_conversation(conversation: Conversation, in_context: Sequence[str] | None) -> WireObject:
    """One conversation; `in_context` None says that its window was not looked up."""
    return {
        "id": conversation.id,
        "agent_id": conversation.agent_id,
        "summary": conversation.summary,
        "in_context_message_ids": None if in_context is None else list(in_context),
        "isolated_block_ids": list(conversation.isolated_block_ids),
        "model": conversation.model,
        "model_settings": conversation.model_settings,
        "context_window_limit": conversation.window_tokens,
        "description": conversation.description,
        "archived": conversation.archived_at is not None,
        "archived_at": wire_moment(conversation.archived_at),
        "hidden": conversation.hidden,
        "created_at": wire_moment(conversation.created_at),
        "updated_at": wire_moment(conversation.updated_at),
        "last_message_at": wire_moment(conversation.updated_at) if conversation.context_version else None,
        "created_by_id": conversation.created_by,
        "last_updated_by_id": conversation.created_by,
    }
