"""Second names of routes give what the first ones give."""

from tests.api.clients import MISSING, client_of


async def test_blocks_agents_and_runs_are_found_under_their_second_names(tmp_path):
    async with client_of(tmp_path) as client:
        made = (await client.http.post("/v1/_internal_blocks/", json={"label": "human", "value": "Ada"})).json()
        agent = await client.sdk.agents.create(name="Ada", block_ids=[made["id"]])
        assert await client.get("/v1/_internal_blocks/") == await client.get("/v1/blocks/") == [made]
        assert await client.get("/v1/_internal_agents/count") == 1
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
