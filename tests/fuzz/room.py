"""A server with one of each thing in it, so that random requests also reach what stands behind an id."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

from scripts import routes
from tests.wire import makers
from tests.wire.published import operations
from tests.wire.world import World


@dataclass(frozen=True, slots=True)
class Room:
    """Where the server is, and the ids of what is there by the names they have in paths."""

    url: str
    ids: dict[str, str]

    def place(self, parameters: MutableMapping[str, object]) -> None:
        """Put ids of real things into a path."""
        for name in parameters:
            if name in self.ids:
                parameters[name] = self.ids[name]


MADE_BY: dict[str, tuple[str, Callable[[World], str]]] = {
    "archive_id": ("POST /v1/archives/", lambda world: makers.archive(world).id),
    "folder_id": ("POST /v1/folders/", lambda world: makers.folder(world).id),
    "source_id": ("POST /v1/sources/", lambda world: makers.folder(world).id),
    "group_id": ("POST /v1/groups/", makers.group),
    "identity_id": ("POST /v1/identities/", makers.identity),
    "mcp_server_id": ("POST /v1/mcp-servers/", makers.mcp_server),
    "scheduled_message_id": ("POST /v1/agents/{agent_id}/schedule", lambda world: makers.scheduled(world)[1]),
    "template_name": ("POST /v1/templates", makers.template),
}
"""By place in a path: the operation without which there is none, and how it is made."""


def furnish(world: World) -> Room:
    """Make one of each."""
    agent_id = world.agent().id
    run = world.run(agent_id)
    step = next(iter(world.sdk.runs.steps.list(run.id)))
    tool = world.tool()
    passage = world.sdk.agents.passages.create(agent_id, text="Likes green tea.")[0]
    ids = {
        "agent_id": agent_id,
        "block_id": makers.block_of_agent(world),
        "block_label": "human",
        "conversation_id": world.conversation().id,
        "memory_id": passage.id,
        "message_id": makers.first_message(world),
        "passage_id": passage.id,
        "run_id": run.id,
        "step_id": step.id,
        "tool_id": tool.id,
        "tool_name": tool.name,
    }
    known = routes.ours()
    for place, (needed, make) in MADE_BY.items():
        if routes.is_there(operations()[needed], known):
            ids[place] = make(world)
    return Room(url=world.url, ids=ids)
