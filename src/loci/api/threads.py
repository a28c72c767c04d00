"""Which conversation a path means.

The word `default` with an agent's id stands for the thread that every agent has from the beginning; older clients put
the agent's id itself in its place.
"""

from loci.errors import Unprocessable
from loci.ids import is_id
from loci.store import agents, conversations
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import Conversation

MAIN_THREAD = "default"


def thread_of(tx: Transaction, actor: Actor, conversation_id: str, agent_id: str | None) -> Conversation:
    """The conversation that a path names. Raises NotFound, or Unprocessable when an agent's id is missing."""
    if is_id(conversation_id, "agent"):
        agent_id = conversation_id
    elif conversation_id != MAIN_THREAD:
        return conversations.get(tx, actor, conversation_id)
    if agent_id is None:
        raise Unprocessable("With the conversation 'default' the request must name its agent_id.")
    agents.get(tx, actor, agent_id)
    return conversations.get(tx, actor, conversations.default_id(agent_id))
