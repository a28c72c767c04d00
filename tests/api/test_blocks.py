"""Blocks through the public client: on their own, on agents, shared."""

import letta_client
import pytest

from loci.types.actor import DEFAULT_PROJECT
from tests.api.clients import MISSING, client_of


async def test_a_block_lives_on_its_own(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.blocks.create(
            label="project",
            value="Loci",
            limit=500,
            description="What we build.",
            metadata={"k": 1},
            tags=["x"],
            project_id="garden",
        )
        read = await client.sdk.blocks.retrieve(made.id)
        assert read == made
        assert (read.label, read.value, read.limit, read.description) == ("project", "Loci", 500, "What we build.")
        assert (read.metadata, read.tags, read.read_only) == ({"k": 1}, ["x"], False)
        assert [block.id async for block in client.sdk.blocks.list(project_id="garden")] == [made.id]
        changed = await client.sdk.blocks.update(made.id, value="Loci!", read_only=True)
        assert changed.project_id == "garden"
        assert (await client.sdk.blocks.update(made.id, project_id="house")).project_id == "house"
        assert (changed.value, changed.read_only, changed.limit, changed.tags) == ("Loci!", True, 500, ["x"])
        await client.sdk.blocks.delete(made.id)
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.blocks.retrieve(made.id)
        assert await client.get("/v1/blocks/count") == 0


async def test_blocks_are_listed_oldest_first_and_page_by_page(tmp_path):
    async with client_of(tmp_path) as client:
        ids = [(await client.sdk.blocks.create(label=f"label{n}", value=f"Value {n}")).id for n in range(5)]
        assert [block.id async for block in client.sdk.blocks.list()] == ids
        assert [block.id async for block in client.sdk.blocks.list(project_id=DEFAULT_PROJECT)] == ids
        assert (await client.sdk.blocks.retrieve(ids[0])).project_id == DEFAULT_PROJECT
        assert [block.id async for block in client.sdk.blocks.list(limit=2)] == ids
        assert [block.id async for block in client.sdk.blocks.list(limit=2, order="desc")] == ids[::-1]
        assert [block.id async for block in client.sdk.blocks.list(label="label3")] == [ids[3]]
        assert [block.id async for block in client.sdk.blocks.list(value_search="value 4")] == [ids[4]]
        assert await client.get("/v1/blocks/count/") == 5


async def test_an_agent_reads_and_changes_its_blocks_by_label(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(
            memory_blocks=[{"label": "human", "value": "Sam"}, {"label": "persona", "value": "Kind"}]
        )
        changed = await client.sdk.agents.blocks.update("human", agent_id=agent.id, value="Sam likes tea")
        assert (await client.sdk.agents.blocks.retrieve("human", agent_id=agent.id)) == changed
        listed = [block async for block in client.sdk.agents.blocks.list(agent.id)]
        assert [(block.label, block.value) for block in listed] == [("human", "Sam likes tea"), ("persona", "Kind")]
        memory = await client.get(f"/v1/agents/{agent.id}/core-memory/")
        assert [block["value"] for block in memory["blocks"]] == ["Sam likes tea", "Kind"]
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.blocks.retrieve("nothing", agent_id=agent.id)


async def test_a_page_of_an_agents_blocks_goes_on_after_a_block(tmp_path):
    async with client_of(tmp_path) as client:
        labels = ["a", "b", "c"]
        agent = await client.sdk.agents.create(memory_blocks=[{"label": label, "value": label} for label in labels])
        paged = [block.label async for block in client.sdk.agents.blocks.list(agent.id, limit=2)]
        assert paged == labels


async def test_what_changes_in_a_shared_block_is_in_the_next_prompt_of_all_who_hold_it(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="team", value="Ada")
        agents = [await client.sdk.agents.create(block_ids=[block.id]) for _ in range(2)]
        holders = [agent.id async for agent in client.sdk.blocks.agents.list(block.id)]
        assert holders == [agents[1].id, agents[0].id]
        await client.sdk.blocks.update(block.id, value="Ada and Bea")
        for agent in agents:
            client.live.model.add("Hello.")
            await client.sdk.agents.messages.create(agent.id, input="Hi")
            assert "Ada and Bea" in client.live.model.requests[-1].system


async def test_blocks_are_attached_and_detached(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam"}])
        block = await client.sdk.blocks.create(label="team", value="Ada")
        for _ in range(2):
            shown = await client.sdk.agents.blocks.attach(block.id, agent_id=agent.id)
            assert [held.label for held in shown.blocks] == ["human", "team"]
        again = await client.sdk.blocks.create(label="team", value="Bea")
        with pytest.raises(letta_client.ConflictError):
            await client.sdk.agents.blocks.attach(again.id, agent_id=agent.id)
        shown = await client.sdk.agents.blocks.detach(block.id, agent_id=agent.id)
        assert [held.label for held in shown.blocks] == ["human"]
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.blocks.detach(block.id, agent_id=agent.id)
        assert (await client.sdk.blocks.retrieve(block.id)).value == "Ada"


async def test_a_deleted_block_is_off_every_agent(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam"}])
        await client.sdk.blocks.delete(agent.blocks[0].id)
        assert [block async for block in client.sdk.agents.blocks.list(agent.id)] == []
        client.live.model.add("Hello.")
        await client.sdk.agents.messages.create(agent.id, input="Hi")
        assert "Sam" not in client.live.model.requests[-1].system


async def test_two_blocks_of_an_agent_cannot_come_to_share_a_label(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(
            memory_blocks=[{"label": "human", "value": "Sam"}, {"label": "persona", "value": "Kind"}]
        )
        with pytest.raises(letta_client.ConflictError):
            await client.sdk.blocks.update(agent.blocks[0].id, label="persona")
        assert (await client.sdk.blocks.retrieve(agent.blocks[0].id)).label == "human"


@pytest.mark.parametrize(
    "body",
    [
        {"value": "no label"},
        {"label": "", "value": ""},
        {"label": "x", "value": 3},
        {"label": "x", "value": "", "limit": 0},
        {"label": "x", "value": "", "limit": 2**40},
        {"label": "x", "value": "\x00"},
        {"label": "x", "value": "", "tags": "a"},
    ],
)
async def test_a_block_that_means_nothing_is_refused_in_words(tmp_path, body):
    async with client_of(tmp_path) as client:
        answer = await client.http.post("/v1/blocks", json=body)
        assert answer.status_code == 422, answer.text
        assert isinstance(answer.json()["detail"], str)
        assert await client.get("/v1/blocks/count") == 0


async def test_a_label_cannot_be_taken_away(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.blocks.create(label="x", value="")
        answer = await client.http.patch(f"/v1/blocks/{made.id}", json={"label": ""})
        assert answer.status_code == 422


async def test_ids_and_cursors_of_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        bad = await client.http.get("/v1/blocks/nonsense")
        assert bad.status_code == 422
        assert bad.json()["examples"][0].startswith("block-")
        for method in ("GET", "PATCH", "DELETE"):
            answer = await client.http.request(
                method, f"/v1/blocks/block-{MISSING}", json={} if method == "PATCH" else None
            )
            assert answer.status_code == 404
        assert (await client.http.get("/v1/blocks", params={"after": f"block-{MISSING}"})).status_code == 404
        assert (await client.http.get(f"/v1/blocks/block-{MISSING}/agents")).status_code == 404
