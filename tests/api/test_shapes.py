"""The API document is true: each answer has the fields that its route declares, all of them and no others."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.routing import compile_path

from loci.api.routes import ROUTERS
from tests.api.clients import Client, client_of
from tests.api.test_jobs import later
from tests.api.test_tools import ROLL
from tests.files.room import file_requests
from tests.mcp.servers import mcp_requests


def declared() -> Iterator[tuple[str, APIRoute, Callable[[str], bool]]]:
    for router in ROUTERS:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.response_model is not None:
                pattern, _, _ = compile_path(route.path)
                yield next(iter(route.methods or ())), route, lambda path, pattern=pattern: bool(pattern.match(path))


async def all_requests(client: Client) -> list[tuple[str, str, Any]]:
    block = {"label": "human", "value": "Sam", "tags": ["x"], "metadata": {"k": 1}}
    made = (
        await client.http.post("/v1/agents", json={"memory_blocks": [block], "tags": ["t"], "secrets": {"A": "b"}})
    ).json()
    tool = (await client.http.post("/v1/tools", json={"source_code": ROLL})).json()
    other = (await client.http.post("/v1/blocks", json={"label": "project", "value": "Loci"})).json()
    spare = (await client.http.post("/v1/agents", json={})).json()
    agent, held = f"/v1/agents/{made['id']}", made["blocks"][0]["id"]
    shelf = (await client.http.post("/v1/archives", json={"name": "Shelf"})).json()["id"]
    await client.http.patch(f"{agent}/archives/attach/{shelf}")
    job = f"/v1/jobs/{await later(client)}"
    await client.http.patch(f"/v1/blocks/{other['id']}", json={"value": "Loci!"})
    newest = (await client.http.get(f"/v1/blocks/{other['id']}/history")).json()[0]["id"]
    daily = {
        "messages": [{"role": "user", "content": "Hi"}],
        "schedule": {"type": "recurring", "cron_expression": "0 9 * * *"},
    }
    scheduled = (await client.http.post(f"{agent}/schedule", json=daily)).json()
    client.live.model.add("Hello.")
    await client.http.post(f"{agent}/messages", json={"input": "Hi"})
    client.live.model.add(f"```python\n{ROLL}```")
    client.live.model.add("A title")
    asking = {"name": "Kim", "identity_type": "user", "properties": [{"key": "k", "value": 1, "type": "number"}]}
    kim = (await client.http.post("/v1/identities", json={**asking, "identifier_key": "kim"})).json()["id"]
    await client.http.patch(f"{agent}/identities/attach/{kim}")
    return [
        ("GET", "/v1/agents", None),
        ("POST", "/v1/agents", {"name": "Ada", "response_format": {"type": "json_object"}}),
        ("GET", "/v1/agents/count", None),
        ("GET", agent, None),
        ("PATCH", agent, {"name": "Bea"}),
        ("DELETE", f"/v1/agents/{spare['id']}", None),
        ("GET", f"{agent}/export", None),
        ("POST", f"{agent}/export", {"skills": [{"name": "x", "files": {"SKILL.md": "y"}}]}),
        ("GET", f"{agent}/tools", None),
        ("PATCH", f"{agent}/tools/attach/{tool['id']}", None),
        ("PATCH", f"{agent}/tools/detach/{tool['id']}", None),
        ("PATCH", f"{agent}/tools/approval/memory_insert", {"requires_approval": True}),
        ("POST", f"{agent}/tools/memory_insert/run", {"args": {"label": "human", "new_string": "x"}}),
        ("GET", f"{agent}/core-memory", None),
        ("GET", f"{agent}/core-memory/blocks", None),
        ("GET", f"{agent}/core-memory/blocks/human", None),
        ("PATCH", f"{agent}/core-memory/blocks/human", {"value": "y"}),
        ("PATCH", f"{agent}/core-memory/blocks/attach/{other['id']}", None),
        ("PATCH", f"{agent}/core-memory/blocks/detach/{other['id']}", None),
        ("POST", f"{agent}/recompile", None),
        ("POST", f"{agent}/system-prompt/recompile", None),
        ("GET", f"{agent}/secrets", None),
        ("POST", f"{agent}/schedule", daily),
        ("GET", f"{agent}/schedule", None),
        ("GET", f"{agent}/schedule/{scheduled['id']}", None),
        ("DELETE", f"{agent}/schedule/{scheduled['id']}", None),
        ("GET", f"{agent}/repositories", None),
        ("GET", f"{agent}/context", None),
        ("POST", f"{agent}/archival-memory", {"text": "A note", "tags": ["n"]}),
        ("GET", f"{agent}/archival-memory", None),
        ("GET", f"{agent}/archival-memory/search?query=note", None),
        ("GET", "/v1/archives", None),
        ("POST", "/v1/archives", {"name": "Attic"}),
        ("GET", f"/v1/archives/{shelf}", None),
        ("PATCH", f"/v1/archives/{shelf}", {"name": "Cellar"}),
        ("GET", f"/v1/archives/{shelf}/agents", None),
        ("POST", f"/v1/archives/{shelf}/passages", {"text": "A note"}),
        ("POST", f"/v1/archives/{shelf}/passages/batch", {"passages": [{"text": "A note", "tags": ["n"]}]}),
        ("POST", "/v1/passages/search", {"query": "note"}),
        ("GET", "/v1/embeddings/total_storage_size", None),
        ("PATCH", f"{agent}/reset-messages", {"add_default_initial_messages": True}),
        ("PATCH", agent, {"enable_sleeptime": True}),
        ("GET", f"{agent}?include=agent.managed_group", None),
        ("GET", f"{agent}/groups", None),
        ("GET", "/v1/blocks", None),
        ("POST", "/v1/blocks", {"label": "x", "value": "y"}),
        ("GET", "/v1/blocks/count", None),
        ("GET", f"/v1/blocks/{held}", None),
        ("PATCH", f"/v1/blocks/{held}", {"description": "New."}),
        ("GET", f"/v1/blocks/{held}/agents", None),
        ("PATCH", f"/v1/blocks/{held}/identities/attach/{kim}", None),
        ("GET", f"{agent}?include=agent.identities", None),
        ("POST", "/v1/identities", {**asking, "identifier_key": "sam"}),
        ("PUT", "/v1/identities", {**asking, "identifier_key": "sam"}),
        ("GET", "/v1/identities", None),
        ("GET", "/v1/identities/count", None),
        ("GET", f"/v1/identities/{kim}", None),
        ("PATCH", f"/v1/identities/{kim}", {"name": "Kim B."}),
        ("GET", f"/v1/identities/{kim}/agents", None),
        ("GET", f"/v1/identities/{kim}/blocks", None),
        ("PATCH", f"/v1/blocks/{held}/identities/detach/{kim}", None),
        ("GET", f"{agent}/memory/history", None),
        ("GET", f"{agent}/memory/blocks?as_of=2100-01-01", None),
        ("GET", f"/v1/blocks/{held}/history", None),
        ("GET", f"/v1/blocks/{held}/blame", None),
        ("GET", f"/v1/blocks/{held}/past?as_of=2100-01-01", None),
        ("GET", "/v1/memory/changes/1", None),
        ("POST", f"/v1/memory/changes/{newest}/undo", None),
        ("DELETE", f"/v1/blocks/{held}", None),
        ("POST", "/v1/tools", {"source_code": ROLL}),
        ("PUT", "/v1/tools", {"source_code": ROLL}),
        ("GET", "/v1/tools", None),
        ("GET", "/v1/tools/count", None),
        ("POST", "/v1/tools/search", {"query": "memory"}),
        ("POST", "/v1/tools/add-base-tools", None),
        ("POST", "/v1/tools/generate-schema", {"code": ROLL}),
        ("POST", "/v1/tools/generate-tool", {"tool_name": "roll", "prompt": "Roll.", "validation_errors": []}),
        ("GET", f"/v1/tools/{tool['id']}", None),
        ("PATCH", f"/v1/tools/{tool['id']}", {"tags": ["t"]}),
        ("POST", f"{agent}/generate", {"prompt": "Name this chat."}),
        ("GET", "/v1/jobs", None),
        ("GET", "/v1/jobs/active", None),
        ("GET", job, None),
        ("PATCH", f"{job}/cancel", None),
        ("DELETE", job, None),
        ("GET", "/v1/models", None),
        ("GET", "/v1/models/embedding", None),
        ("GET", "/v1/models/embeddings", None),
        ("GET", f"{agent}/core-memory/variables", None),
        ("GET", "/v1/health", None),
        ("GET", "/v1/ready", None),
        ("GET", "/v1/tags", None),
        *await mcp_requests(client, made["id"]),
        *await file_requests(client, made["id"]),
    ]


NOT_ANSWERED = {
    "/v1/tools/run",
    "/v1/agents/import",
    "/v1/folders/{folder_id}/upload",
    "/v1/sources/{folder_id}/upload",
}
"""The first says only why it does not run; the others take no JSON."""


async def test_each_answer_is_what_its_route_declares(tmp_path):
    routes = list(declared())
    seen: set[int] = set()
    async with client_of(tmp_path) as client:
        for method, target, body in await all_requests(client):
            answer = await client.http.request(method, target, json=body)
            assert answer.is_success, (method, target, answer.text)
            path = target.partition("?")[0]
            route = next(route for verb, route, fits in routes if verb == method and fits(path))
            TypeAdapter(route.response_model).validate_python(answer.json(), strict=True)
            seen.add(id(route))
    left = [route.path for _, route, _ in routes if id(route) not in seen and route.path not in NOT_ANSWERED]
    told = (
        "/v1/agents",
        "/v1/archives",
        "/v1/blocks",
        "/v1/embeddings",
        "/v1/identities",
        "/v1/jobs",
        "/v1/models",
        "/v1/passages",
        "/v1/tools",
    )
    ours = [path for path in left if path.startswith(told)]
    assert [path for path in ours if "/messages" not in path] == []


async def test_the_document_says_how_requests_are_refused(tmp_path):
    async with client_of(tmp_path) as client:
        document = (await client.http.get("/openapi.json")).json()
        refused = {
            verb + path: operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            for path, operations in document["paths"].items()
            for verb, operation in operations.items()
        }
        wrong = [name for name, shape in refused.items() if "Invalid" not in shape["schema"]["$ref"]]
        assert wrong == []
