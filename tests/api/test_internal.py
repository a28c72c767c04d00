"""Second names of routes give what the first ones give."""

import asyncio

from loci.model.script import Wait
from loci.types.runs import StopReason
from tests.api.clients import MISSING, client_of


async def test_blocks_agents_and_runs_are_found_under_their_second_names(tmp_path):
    async with client_of(tmp_path) as client:
        made = (await client.http.post("/v1/_internal_blocks/", json={"label": "human", "value": "Ada"})).json()
        agent = await client.sdk.agents.create(name="Ada", block_ids=[made["id"]])
        assert await client.get("/v1/_internal_blocks/") == await client.get("/v1/blocks/") == [made]
        assert await client.get("/v1/_internal_agents/count") == 1
        await client.sdk.agents.create(name="Eve", hidden=True)
        assert await client.get("/v1/_internal_agents/count") == 1
        assert await client.get("/v1/_internal_agents/count", exclude_hidden=False) == 2
        assert [item["id"] for item in await client.get(f"/v1/_internal_blocks/{made['id']}/agents")] == [agent.id]
        assert await client.get("/v1/_internal_runs/") == []
        path = f"/v1/_internal_agents/{agent.id}/core-memory/blocks/human"
        assert (await client.http.patch(path, json={"value": "Bob"})).json()["value"] == "Bob"
        assert (await client.sdk.blocks.retrieve(made["id"])).value == "Bob"
        assert (await client.http.delete(f"/v1/_internal_blocks/{made['id']}")).status_code == 200
        assert await client.get("/v1/blocks/") == []


async def test_what_is_not_there_is_not_there_under_a_second_name_either(tmp_path):
    async with client_of(tmp_path) as client:
        assert (await client.http.delete(f"/v1/_internal_blocks/block-{MISSING}")).status_code == 404
        assert (await client.http.get(f"/v1/_internal_blocks/block-{MISSING}/agents")).status_code == 404


OWNER = {"template_id": "template-1", "base_template_id": "base-1", "deployment_id": "mine"}


async def test_what_belongs_to_a_deployment_is_made_listed_and_deleted_together(tmp_path):
    async with client_of(tmp_path) as client:
        at = "/v1/_internal_templates"
        block = {"label": "notes", "value": "x", **OWNER, "entity_id": "block-0"}
        made = (await client.http.post(f"{at}/blocks/batch", json=[block, {**block, "entity_id": "block-1"}])).json()
        assert [item["entity_id"] for item in made] == ["block-0", "block-1"]
        agent = {"name": "Ada", **OWNER, "entity_id": "agent-0", "block_ids": [made[0]["id"]]}
        told = (await client.http.post(f"{at}/agents", json=agent)).json()
        assert {key: told[key] for key in (*OWNER, "entity_id")} == {**OWNER, "entity_id": "agent-0"}
        elsewhere = await client.http.post(f"{at}/blocks", json={**block, "deployment_id": "other"})
        group = {"agent_ids": [told["id"]], "description": "One.", **OWNER}
        grouped = (await client.http.post(f"{at}/groups", json=group)).json()
        assert grouped["deployment_id"] == "mine"
        listed = await client.get(f"{at}/deployment/mine")
        assert [item["type"] for item in listed["entities"]] == ["block", "block", "agent", "group"]
        assert (await client.get(f"{at}/deployment/mine", entity_types="agent"))["entities"][0]["name"] == "Ada"
        gone = (await client.http.delete(f"{at}/deployment/mine")).json()
        assert (gone["deleted_agents"], len(gone["deleted_blocks"])) == ([told["id"]], 2)
        assert gone["deleted_groups"] == [grouped["id"]]
        assert await client.get("/v1/groups/") == []
        assert [item["id"] for item in await client.get("/v1/blocks/")] == [elsewhere.json()["id"]]
        assert (await client.get(f"{at}/deployment/mine"))["total_count"] == 0


async def test_agents_of_a_deployment_go_as_any_agent_goes(tmp_path):
    async with client_of(tmp_path) as client:
        at = "/v1/_internal_templates"
        body = {"name": "Ada", **OWNER, "entity_id": "agent-0", "enable_sleeptime": True, "memory_blocks": []}
        agent_id = (await client.http.post(f"{at}/agents", json=body)).json()["id"]
        assert await client.get("/v1/agents/count") == 2
        assert (await client.http.get(f"/v1/git/{agent_id}/state.git/info/refs?service=git-upload-pack")).is_success
        cache = client.live.core.settings.home / "git"
        assert list(cache.rglob(f"*{agent_id}*"))
        client.live.model.add([Wait(3600)])
        run = await client.sdk.agents.messages.create_async(agent_id, input="Hello.")
        at_work = client.live.core.runs.live(run.id)
        assert at_work is not None
        assert (await client.http.delete(f"{at}/deployment/mine")).json()["deleted_agents"] == [agent_id]
        assert (await asyncio.wait_for(at_work.ended(), 10)).ending.reason is StopReason.CANCELLED
        assert await client.get("/v1/agents/count") == 0
        assert not list(cache.rglob(f"*{agent_id}*"))


async def test_what_names_no_deployment_or_makes_no_sense_makes_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        at = "/v1/_internal_templates"
        block = {"label": "notes", "value": "x", **OWNER, "entity_id": "block-0"}
        for path, body in (
            ("blocks", {"label": "notes", "value": "x"}),
            ("blocks/batch", [block, {**block, "label": ""}]),
            ("agents", {"name": "Ada", **OWNER}),
        ):
            assert (await client.http.post(f"{at}/{path}", json=body)).status_code == 422
        assert await client.get("/v1/blocks/") == await client.get("/v1/agents/") == []
