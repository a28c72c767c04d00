"""Folders and files through the public client."""

import asyncio
from typing import Any

from tests.api.clients import Client


async def folder_of(client: Client, name: str = "docs", **fields: Any) -> str:
    return str((await client.sdk.folders.create(name=name, **fields)).id)


async def upload(client: Client, folder_id: str, name: str, data: bytes | str, /, **options: Any) -> Any:
    """Send a file and wait until it is read, or cannot be."""
    content = data.encode() if isinstance(data, str) else data
    made = await client.sdk.folders.files.upload(folder_id, file=(name, content), **options)
    return await finished(client, folder_id, made.id)


async def finished(client: Client, folder_id: str, file_id: str, *states: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            seen = await client.sdk.folders.files.retrieve(file_id, folder_id=folder_id, include_content=True)
            if seen.processing_status in (states or ("completed", "error")):
                return seen
            await asyncio.sleep(0.01)


async def holder(client: Client, *folder_ids: str, **fields: Any) -> str:
    """An agent with these folders."""
    return str((await client.sdk.agents.create(folder_ids=list(folder_ids), **fields)).id)


async def use(client: Client, agent_id: str, tool: str, **args: Any) -> str:
    """What a tool of an agent answers; a refusal as its text."""
    answer = await client.http.post(f"/v1/agents/{agent_id}/tools/{tool}/run", json={"args": args})
    assert answer.status_code in (200, 400, 409), answer.text
    return str(answer.json().get("func_return") or answer.json()["detail"])


async def prompt(client: Client, agent_id: str) -> str:
    return str((await client.get(f"/v1/agents/{agent_id}/context"))["system_prompt"])


async def opened(client: Client, agent_id: str) -> list[str]:
    page = await client.sdk.agents.files.list(agent_id, is_open=True, order="asc", limit=500)
    return [file.file_name for file in page.files]


async def file_requests(client: Client, agent_id: str) -> list[tuple[str, str, Any]]:
    """A good request for each route of folders and files, under both names of a folder."""
    asked: list[tuple[str, str, Any]] = []
    agent = f"/v1/agents/{agent_id}"
    for family in ("folders", "sources"):
        folder_id = await folder_of(client, f"{family} of one")
        file = await upload(client, folder_id, "a.txt", "Tea.")
        one = f"/v1/{family}/{folder_id}"
        asked += [
            ("POST", f"/v1/{family}", {"name": f"other {family}"}),
            ("GET", f"/v1/{family}", None),
            ("GET", f"/v1/{family}/count", None),
            ("GET", f"/v1/{family}/metadata?include_detailed_per_source_metadata=true", None),
            ("PATCH", one, {"name": f"new {family}"}),
            ("GET", f"/v1/{family}/name/new {family}", None),
            ("GET", one, None),
            ("GET", f"{one}/passages", None),
            ("GET", f"{one}/files?include_content=true", None),
            ("GET", f"{one}/files/{file.id}", None),
            ("PATCH", f"{agent}/{family}/attach/{folder_id}", None),
            ("GET", f"{one}/agents", None),
            ("GET", f"{agent}/{family}", None),
            ("PATCH", f"{agent}/files/{file.id}/open", None),
            ("GET", f"{agent}/files", None),
            ("PATCH", f"{agent}/files/close-all", None),
            ("PATCH", f"{agent}/{family}/detach/{folder_id}", None),
        ]
    return asked
