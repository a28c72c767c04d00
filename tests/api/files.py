"""Agent files of a test: made random, read back, compared without what must differ."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.api.clients import Client

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def export(client: Client, agent_id: str, **query: Any) -> dict[str, Any]:
    return json.loads(await client.sdk.agents.export_file(agent_id, **query))


@dataclass(frozen=True, slots=True)
class Imported:
    agent_id: str
    warnings: list[str]


async def bring_in(client: Client, document: Any, **form: Any) -> Imported:
    """Import through the public client, and one agent expected."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    made = await client.sdk.agents.import_file(file=("agent.af", raw), **form)
    assert len(made.agent_ids) == 1
    return Imported(made.agent_ids[0], made.warnings)


def timeless(document: dict[str, Any]) -> str:
    """A file as text, without ids, times, and the compiled prompt, which is made anew from the rest."""
    document = json.loads(json.dumps(document))
    document["created_at"] = None
    for agent in document["agents"]:
        for seen in agent["files_agents"]:
            seen["last_accessed_at"] = None
        for message in agent["messages"][:1]:
            message["created_at"] = None
            for part in message["content"]:
                part["text"] = "PROMPT"
    return UUID.sub("ID", json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False))
