"""An agent by what people call it: its name, its id, or nothing at all (the one that was used last)."""

from difflib import get_close_matches

from letta_client import Letta, NotFoundError, omit
from letta_client.types import AgentState

from loci.errors import Conflict, NotFound

_ID_PREFIX = "agent-"
_PAGE = 100
NEWCOMER = "memo"
"""The name of the agent that is made for somebody who has none."""

_TOOLS = ("archival_memory_insert", "archival_memory_search")
_PERSONA = (
    "I am a companion with a memory of my own. I write down what matters about the people I talk to as soon as I learn "
    "it, correct what turns out to be wrong, and say so when I do not know something."
)


def agent_called(client: Letta, word: str) -> AgentState:
    """The agent of that name or id. Raises NotFound with near names, and Conflict if several have the name."""
    if word.startswith(_ID_PREFIX):
        try:
            return client.agents.retrieve(word, include=["agent.blocks", "agent.tools", "agent.tags"])
        except NotFoundError:
            pass
    found = [agent for agent in client.agents.list(name=word, limit=_PAGE).items if agent.name == word]
    if len(found) > 1:
        ids = ", ".join(agent.id for agent in found)
        raise Conflict(f"{len(found)} agents are called '{word}'.", hint=f"Use the id of one: {ids}")
    if found:
        return client.agents.retrieve(found[0].id, include=["agent.blocks", "agent.tools", "agent.tags"])
    names = [agent.name for agent in client.agents.list(limit=_PAGE).items]
    near = get_close_matches(word, names, n=3, cutoff=0.5)
    if near:
        raise NotFound(f"There is no agent '{word}'.", hint=f"Near to it: {', '.join(near)}.")
    raise NotFound(f"There is no agent '{word}'.", hint=f"Create it: loci agents create {word}")


def latest_agent(client: Letta) -> AgentState | None:
    """The agent whose last run is the newest, else the newest agent; None if there is none."""
    agents = client.agents.list(order_by="last_run_completion", order="desc", limit=1).items
    return client.agents.retrieve(agents[0].id, include=["agent.blocks"]) if agents else None


def create_agent(
    client: Letta, name: str, *, model: str | None = None, persona: str | None = None, human: str | None = None
) -> AgentState:
    """A new agent with the usual two blocks, and with an archive of its own to search."""
    blocks = [{"label": "human", "value": human or ""}, {"label": "persona", "value": persona or _PERSONA}]
    return client.agents.create(
        name=name,
        memory_blocks=[{"label": block["label"], "value": block["value"]} for block in blocks],
        tools=list(_TOOLS),
        model=model or omit,
    )
