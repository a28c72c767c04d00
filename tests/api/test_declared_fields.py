"""Every field that the public client declares is there, and holds what the client says it holds."""

import re
from typing import Any

import pytest
from letta_client.types import (
    AgentState,
    BlockResponse,
    EmbeddingConfig,
    EmbeddingModel,
    LlmConfig,
    Model,
    Passage,
    Tool,
)

from loci.model.embed import BuiltInEmbedder
from tests.api.clients import Client, client_of
from tests.api.test_tools import ROLL


async def _agent(client: Client) -> Any:
    block = {"label": "human", "value": "Sam", "tags": ["x"], "metadata": {"k": 1}}
    rules = [{"type": "requires_approval", "tool_name": "memory_insert"}]
    made = await client.http.post(
        "/v1/agents", json={"memory_blocks": [block], "tags": ["t"], "tool_rules": rules, "secrets": {"A": "b"}}
    )
    await client.http.post(f"/v1/agents/{made.json()['id']}/archival-memory", json={"text": "A note", "tags": ["n"]})
    return made.json()


async def _of(client: Client, kind: str) -> Any:
    agent = await _agent(client)
    match kind:
        case "agent":
            return await client.get(f"/v1/agents/{agent['id']}")
        case "block":
            return await client.get(f"/v1/blocks/{agent['blocks'][0]['id']}")
        case "tool":
            made = await client.http.post("/v1/tools", json={"source_code": ROLL})
            return await client.get(f"/v1/tools/{made.json()['id']}")
        case "passage":
            return (await client.get(f"/v1/agents/{agent['id']}/archival-memory"))[0]
        case _:
            return (await client.get("/v1/models"))[0]


def undeclared(item: Any, declared: type) -> list[str]:
    """The fields of a type of the client that an object has not."""
    fields: dict[str, Any] = getattr(declared, "model_fields")  # noqa: B009  of pydantic, behind the client's own base
    return [name for name, field in fields.items() if (field.alias or name) not in item]


@pytest.mark.parametrize(
    ("kind", "declared"),
    [("agent", AgentState), ("block", BlockResponse), ("tool", Tool), ("passage", Passage), ("model", Model)],
)
async def test_what_is_sent_is_what_the_client_declares(tmp_path, kind, declared):
    async with client_of(tmp_path) as client:
        item = await _of(client, kind)
        assert undeclared(item, declared) == []
        declared.model_validate(item)


async def test_deprecated_descriptions_of_models_are_whole(tmp_path):
    async with client_of(tmp_path, embedder=BuiltInEmbedder()) as client:
        agent = await _agent(client)
        assert undeclared(agent["llm_config"], LlmConfig) == []
        assert undeclared(agent["embedding_config"], EmbeddingConfig) == []
        shown = (await client.get("/v1/models/embedding"))[0]
        assert undeclared(shown, EmbeddingModel) == []
        assert shown["handle"] == agent["embedding"]


async def test_where_the_api_declares_no_null_there_is_none(tmp_path):
    async with client_of(tmp_path) as client:
        settings = {"provider_type": "openai", "temperature": None, "max_output_tokens": None}
        made = (await client.http.post("/v1/agents", json={"model_settings": settings})).json()
        assert made["model_settings"] == {"provider_type": "openai", "parallel_tool_calls": False}
        assert made["llm_config"]["temperature"] == 1.0
        changed = (
            await client.http.patch(f"/v1/agents/{made['id']}", json={"model_settings": {"temperature": 0}})
        ).json()
        assert changed["model_settings"]["temperature"] == changed["llm_config"]["temperature"] == 0


async def test_secrets_have_ids_that_stay(tmp_path):
    async with client_of(tmp_path) as client:
        made = (await client.http.post("/v1/agents", json={"secrets": {"A": "1", "B": "2"}})).json()
        first, second = (item["id"] for item in made["secrets"])
        assert first != second
        assert re.fullmatch(r"agent-env-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first)
        changed = (await client.http.patch(f"/v1/agents/{made['id']}", json={"secrets": {"A": "3"}})).json()
        assert [item["id"] for item in changed["secrets"]] == [first]
