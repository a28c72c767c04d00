"""Identities: whom agents and blocks are for, found again by the key that they have outside."""

from typing import Any

from loci.types.actor import DEFAULT_PROJECT
from tests.api.clients import MISSING, Client, client_of

KIM = {"identifier_key": "crm-7", "name": "Kim", "identity_type": "user"}
CITY = {"key": "city", "value": "Ghent", "type": "string"}
AGE = {"key": "age", "value": 41, "type": "number"}


async def send(client: Client, verb: str, path: str, body: Any = None) -> Any:
    answer = await client.http.request(verb, path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def make(client: Client, **fields: Any) -> Any:
    return await send(client, "POST", "/v1/identities", {**KIM, **fields})


async def history(client: Client, path: str) -> list[tuple[str, str]]:
    return [(entry["action"], entry["subject_id"]) for entry in await client.get(path)]


async def test_an_identity_is_made_read_changed_and_forgotten(tmp_path):
    async with client_of(tmp_path) as client:
        made = await make(client, properties=[CITY], project_id="p")
        path = f"/v1/identities/{made['id']}"
        none: list[str] = []
        assert made == {
            "id": made["id"],
            **KIM,
            "project_id": "p",
            "properties": [CITY],
            "agent_ids": none,
            "block_ids": none,
        }
        assert await client.get(path) == made
        changed = await send(client, "PATCH", path, {"name": "Kim B.", "properties": [AGE]})
        assert changed == {**made, "name": "Kim B.", "properties": [CITY, AGE]}
        assert await send(client, "PUT", f"{path}/properties", [AGE, {**AGE, "value": 42}]) is None
        assert (await client.get(path))["properties"] == [{**AGE, "value": 42}]
        assert await client.get("/v1/identities/count") == 1
        assert await send(client, "DELETE", path) is None
        assert (await client.http.get(path)).status_code == 404
        assert await client.get("/v1/identities") == []
        assert (await make(client))["id"] != made["id"]


async def test_a_key_is_had_by_one_identity(tmp_path):
    async with client_of(tmp_path) as client:
        await make(client)
        other = await make(client, identifier_key="crm-8")
        again = await client.http.post("/v1/identities", json=KIM)
        renamed = await client.http.patch(f"/v1/identities/{other['id']}", json={"identifier_key": "crm-7"})
        assert (again.status_code, renamed.status_code) == (409, 409)
        assert await send(client, "PATCH", f"/v1/identities/{other['id']}", {"identifier_key": "crm-8"}) == other
        assert await client.get("/v1/identities/count") == 2


async def test_a_put_makes_the_identity_or_sets_it(tmp_path):
    async with client_of(tmp_path) as client:
        agent, other = [(await client.sdk.agents.create()).id for _ in range(2)]
        first = await send(client, "PUT", "/v1/identities", {**KIM, "properties": [CITY], "agent_ids": [agent]})
        assert (first["agent_ids"], first["properties"]) == ([agent], [CITY])
        second = await send(client, "PUT", "/v1/identities", {**KIM, "name": "K.", "agent_ids": [other, other]})
        assert second == {**first, "name": "K.", "agent_ids": [other]}
        third = await send(client, "PUT", "/v1/identities", {**KIM, "properties": [], "agent_ids": []})
        assert third == {**first, "properties": [], "agent_ids": []}
        assert await client.get("/v1/identities/count") == 1


async def test_a_list_is_filtered_and_paged(tmp_path):
    async with client_of(tmp_path) as client:
        kinds = ["user", "org", "other"]
        made = [
            (await make(client, identifier_key=f"k{n}", name=f"Name {n}", identity_type=kind))["id"]
            for n, kind in enumerate(kinds)
        ]

        async def ids(**query: Any) -> list[str]:
            return [item["id"] for item in await client.get("/v1/identities", **query)]

        assert await ids() == made[::-1]
        assert await ids(order="asc", limit=2) == made[:2]
        assert await ids(order="asc", after=made[0]) == made[1:]
        assert await ids(name="NAME 1") == [made[1]]
        assert await ids(name="%") == []
        assert await ids(identifier_key="k2") == [made[2]]
        assert await ids(identity_type="org") == [made[1]]
        assert await ids(project_id="none") == []
        assert await ids(project_id=DEFAULT_PROJECT) == made[::-1]
        assert (await client.get(f"/v1/identities/{made[0]}"))["project_id"] == DEFAULT_PROJECT
        for bad in ({"identity_type": "pet"}, {"limit": "x"}):
            assert (await client.http.get("/v1/identities", params=bad)).status_code == 422
        assert (await client.http.get("/v1/identities", params={"after": "nothing"})).status_code == 404


async def test_an_agent_shows_its_identities_and_is_found_by_them(tmp_path):
    async with client_of(tmp_path) as client:
        kim, sam = (await make(client))["id"], (await make(client, identifier_key="crm-8"))["id"]
        agent = await client.sdk.agents.create(identity_ids=[sam, sam, kim])
        assert [item.id for item in agent.identities] == [sam, kim]
        plain = await client.sdk.agents.retrieve(agent.id)
        assert (plain.identity_ids, plain.identities) == ([sam, kim], [])
        full = await client.sdk.agents.retrieve(agent.id, include=["agent.identities"])
        assert [(item.id, item.agent_ids) for item in full.identities] == [(sam, [agent.id]), (kim, [agent.id])]

        await client.sdk.agents.update(agent.id, identity_ids=[kim])
        await client.sdk.agents.update(agent.id, name="Ada")
        other = await client.sdk.agents.create()
        await client.sdk.agents.identities.attach(sam, agent_id=other.id)
        await client.sdk.agents.identities.attach(sam, agent_id=other.id)

        async def found(**query: Any) -> list[str]:
            return [item.id async for item in client.sdk.agents.list(**query)]

        assert await found(identity_id=kim) == [agent.id]
        assert await found(identity_id=sam) == [other.id]
        assert await found(identifier_keys=["crm-8"]) == [other.id]
        assert await found(identifier_keys=["crm-7", "crm-8"]) == [other.id, agent.id]
        assert await found(identity_id=kim, identifier_keys=["crm-8"]) == []
        assert await client.get("/v1/agents/count", identifier_keys="crm-7") == 1
        assert [item["id"] for item in await client.get(f"/v1/identities/{sam}/agents")] == [other.id]

        await client.sdk.agents.identities.detach(sam, agent_id=other.id)
        assert await found(identity_id=sam) == []
        await client.sdk.agents.delete(agent.id)
        assert (await client.get(f"/v1/identities/{kim}"))["agent_ids"] == []


async def test_a_block_is_about_somebody(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="human", value="Kim")
        other = await client.sdk.blocks.create(label="human", value="Sam", hidden=True)
        kim = (await make(client, block_ids=[block.id]))["id"]
        shown = await send(client, "PATCH", f"/v1/blocks/{other.id}/identities/attach/{kim}")
        assert shown["id"] == other.id
        assert (await client.get(f"/v1/identities/{kim}"))["block_ids"] == [block.id, other.id]
        found = await client.get(f"/v1/identities/{kim}/blocks", order="asc")
        assert [item["id"] for item in found] == [block.id, other.id]
        assert [item["id"] for item in await client.get("/v1/blocks", identity_id=kim)] == [block.id]
        assert await client.get("/v1/blocks/count", identifier_keys=KIM["identifier_key"]) == 1
        await send(client, "PATCH", f"/v1/blocks/{other.id}/identities/detach/{kim}")
        await client.sdk.blocks.delete(block.id)
        assert (await client.get(f"/v1/identities/{kim}"))["block_ids"] == []


async def test_the_journal_knows_who_was_attached_and_an_undo_takes_it_back(tmp_path):
    async with client_of(tmp_path) as client:
        kim = (await make(client))["id"]
        agent = await client.sdk.agents.create(include_base_tools=False, identity_ids=[kim])
        path = f"/v1/agents/{agent.id}/memory/history"
        attached = (await client.get(path))[0]
        assert (attached["action"], attached["subject_id"]) == ("attach_identity", kim)
        await send(client, "POST", f"/v1/memory/changes/{attached['id']}/undo")
        assert (await client.sdk.agents.retrieve(agent.id)).identity_ids == []
        detached = (await client.get(path))[0]
        assert (detached["action"], detached["subject_id"]) == ("detach_identity", kim)
        await send(client, "POST", f"/v1/memory/changes/{detached['id']}/undo")
        assert (await client.sdk.agents.retrieve(agent.id)).identity_ids == [kim]
        await send(client, "DELETE", f"/v1/identities/{kim}")
        assert (await history(client, path))[0] == ("detach_identity", kim)
        assert (await client.sdk.agents.retrieve(agent.id)).identity_ids == []


async def test_what_is_not_there_is_refused_and_nothing_is_kept(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        kim, nobody = (await make(client))["id"], f"identity-{MISSING}"
        refused = [
            ("POST", "/v1/identities", {**KIM, "identifier_key": "x", "agent_ids": [f"agent-{MISSING}"]}),
            ("PUT", "/v1/identities", {**KIM, "name": "X", "block_ids": [f"block-{MISSING}"]}),
            ("PATCH", f"/v1/identities/{kim}", {"name": "X", "agent_ids": [f"agent-{MISSING}"]}),
            ("PATCH", f"/v1/identities/{nobody}", {"name": "X"}),
            ("DELETE", f"/v1/identities/{nobody}", None),
            ("PUT", f"/v1/identities/{nobody}/properties", [CITY]),
            ("GET", f"/v1/identities/{nobody}/agents", None),
            ("GET", f"/v1/identities/{nobody}/blocks", None),
            ("PATCH", f"/v1/agents/{agent.id}/identities/attach/{nobody}", None),
            ("PATCH", f"/v1/agents/agent-{MISSING}/identities/attach/{kim}", None),
            ("PATCH", f"/v1/agents/{agent.id}/identities/detach/{kim}", None),
            ("PATCH", f"/v1/blocks/block-{MISSING}/identities/attach/{kim}", None),
            ("POST", "/v1/agents", {"identity_ids": [nobody]}),
            ("PATCH", f"/v1/agents/{agent.id}", {"name": "X", "identity_ids": [nobody]}),
        ]
        got = [(await client.http.request(verb, path, json=body)).status_code for verb, path, body in refused]
        assert got == [404] * len(refused)
        assert [item["name"] for item in await client.get("/v1/identities")] == ["Kim"]
        assert [item["name"] for item in await client.get("/v1/agents")] == [agent.name]


async def test_a_body_that_says_nothing_is_refused(tmp_path):
    wrong: list[dict[str, Any]] = [
        {"identifier_key": ""},
        {"identity_type": "pet"},
        {"name": None},
        {"properties": [{"key": "x", "value": None, "type": "json"}]},
        {"properties": [{"key": "x", "value": "y", "type": "other"}]},
        {"agent_ids": "agent"},
    ]
    async with client_of(tmp_path) as client:
        for fields in wrong:
            assert (await client.http.post("/v1/identities", json={**KIM, **fields})).status_code == 422
        assert await client.get("/v1/identities/count") == 0
