"""What the calls of the API need to be there: each maker makes a new one, and says how to find it."""

import json
import time
from typing import Any

from tests.mcp.servers import hostile
from tests.wire.world import World

WAIT_S = 20.0


def talked(world: World) -> str:
    """The id of an agent that was talked with."""
    agent_id: str = world.agent().id
    world.turn(agent_id)
    return agent_id


def first_message(world: World) -> str:
    """The id of a message that somebody said."""
    return str(next(iter(world.sdk.agents.messages.list(talked(world), order="asc"))).id)


def block(world: World) -> Any:
    """A block that nobody holds."""
    return world.sdk.blocks.create(label=world.name("label"), value="Old.")


def block_of_agent(world: World) -> str:
    """The id of a block that an agent holds."""
    return str(next(iter(world.sdk.agents.blocks.list(world.agent().id))).id)


def archive(world: World) -> Any:
    """An archive without an agent."""
    return world.sdk.archives.create(name=world.name("archive"))


def remembering(world: World) -> tuple[str, str]:
    """An agent with a passage: the ids of both."""
    agent_id = world.agent().id
    made = world.sdk.agents.passages.create(agent_id, text="Likes green tea.", tags=["drinks"])
    return agent_id, made[0].id


def identity(world: World) -> str:
    """The id of a new identity."""
    body = {"identifier_key": world.name("person"), "name": "Sam", "identity_type": "user"}
    return str(world.call("POST", "/v1/identities/", body)["id"])


def group(world: World) -> str:
    """The id of a group of two agents."""
    body = {"agent_ids": [world.agent().id, world.agent().id], "description": "Two who talk."}
    return str(world.call("POST", "/v1/groups/", body)["id"])


def exported(world: World) -> bytes:
    """An agent file."""
    return json.dumps(world.call("GET", f"/v1/agents/{talked(world)}/export")).encode()


def scheduled(world: World) -> tuple[str, str]:
    """An agent with a message for later: the ids of both."""
    agent_id = world.agent().id
    made = world.sdk.agents.schedule.create(
        agent_id,
        messages=[{"role": "user", "content": "@say Good morning."}],
        schedule={"type": "recurring", "cron_expression": "0 7 * * *"},
    )
    return agent_id, made.id


def folder(world: World) -> Any:
    """An empty folder."""
    return world.sdk.folders.create(name=world.name("folder"))


def uploaded(world: World, folder_id: str) -> Any:
    """A file in a folder, parsed."""
    name = world.name("notes") + ".md"
    made = world.sdk.folders.files.upload(folder_id, file=(name, b"# Tea\nGreen tea is brewed at 80 degrees.\n"))
    until = time.monotonic() + WAIT_S
    while True:
        seen = world.sdk.folders.files.retrieve(made.id, folder_id=folder_id)
        if seen.processing_status in ("completed", "error"):
            assert seen.processing_status == "completed", seen.error_message
            return seen
        assert time.monotonic() < until, "the file is not parsed"


def with_file(world: World) -> tuple[str, str, str]:
    """An agent with a folder with a file: the ids of all three."""
    agent_id, folder_id = world.agent().id, folder(world).id
    file_id = uploaded(world, folder_id).id
    world.sdk.agents.folders.attach(folder_id, agent_id=agent_id)
    return agent_id, folder_id, file_id


def access_token(world: World) -> Any:
    """A key for one agent."""
    agent_id = world.agent().id
    data = [{"type": "agent", "id": agent_id, "access": ["read_messages", "write_messages"]}]
    return world.sdk.access_tokens.create(hostname="http://localhost", policy=data)


def template(world: World) -> str:
    """The name of a template."""
    name = world.name("template")
    world.sdk.templates.create(type="agent", agent_id=world.agent().id, name=name)
    return name


def mcp_server(world: World) -> str:
    """The id of a registered MCP server with one tool: the same one each time."""
    if "mcp" not in world.kept:
        world.kept["mcp"] = new_mcp_server(world)
    return world.kept["mcp"]


def new_mcp_server(world: World) -> str:
    """The id of an MCP server that was registered just now."""
    return str(world.sdk.mcp_servers.create(server_name=world.name("mcp"), config=hostile("fine")).id)


def long_talk(world: World, agent_id: str) -> None:
    """Enough said that something can leave the window."""
    for number in range(6):
        world.turn(agent_id, f"@say Answer {number}.")


def provider_account(world: World) -> dict[str, str]:
    """An account at the provider that the world has."""
    return {"provider_type": "openai", "api_key": "sk-any", "base_url": world.provider_url}


def provider(world: World) -> str:
    """A provider with a key of its own."""
    return str(world.call("POST", "/v1/providers/", {"name": world.name("mine"), **provider_account(world)})["id"])
