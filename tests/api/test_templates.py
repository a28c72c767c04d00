"""Agents from templates: versions that never change, words for their variables, and what refuses to be."""

from typing import Any

from loci.types.actor import DEFAULT_PROJECT
from tests.api.clients import Client, client_of


async def _template(client: Client, value: str = "Name: {{name}}", **more: Any) -> Any:
    agent = await client.sdk.agents.create(
        name="Ada", system="Be kind.", memory_blocks=[{"label": "human", "value": value}], secrets={"KEY": "s3cret"}
    )
    await client.sdk.templates.create(type="agent", agent_id=agent.id, name="helper", **more)
    return agent


async def _file(client: Client, system: str, *blocks: dict[str, str]) -> dict[str, Any]:
    agent = await client.sdk.agents.create(name="Next", system=system, memory_blocks=list(blocks))
    return await client.get(f"/v1/agents/{agent.id}/export")


async def test_agents_are_made_from_a_version_with_words_filled_in(tmp_path):
    async with client_of(tmp_path) as client:
        await _template(client)
        made = await client.sdk.templates.agents.create(
            "helper:1",
            agent_name="Bob",
            memory_variables={"name": "Sam"},
            tool_variables={"KEY": "new"},
            tags=["x"],
            initial_message_sequence=[],
        )
        agent = await client.get(
            f"/v1/agents/{made.agent_ids[0]}", include=["agent.blocks", "agent.tags", "agent.secrets"]
        )
        assert (agent["name"], agent["system"], agent["tags"]) == ("Bob", "Be kind.", ["x"])
        assert [block["value"] for block in agent["blocks"]] == ["Name: Sam"]
        assert [(item["key"], item["value"]) for item in agent["secrets"]] == [("KEY", "new")]
        assert agent["deployment_id"] == made.deployment_id
        assert agent["project_id"] == DEFAULT_PROJECT
        origin = ("template_id", "base_template_id", "deployment_id")
        assert [agent["blocks"][0][key] for key in origin] == [agent[key] for key in origin]
        shown = await client.get(f"/v1/blocks/{agent['blocks'][0]['id']}")
        assert (shown["deployment_id"], shown["entity_id"]) == (made.deployment_id, "block-0")
        listed = await client.sdk.agents.list(project_id=DEFAULT_PROJECT, base_template_id=agent["base_template_id"])
        assert [item.id for item in listed.items] == [agent["id"]]
        client.live.model.add("Hi.", "Hi.")
        run_id = (await client.sdk.agents.messages.create(agent["id"], input="Hi")).messages[0].run_id
        begun = await client.sdk.agents.messages.create_async(agent["id"], input="Hi")
        (step,) = await client.get(f"/v1/runs/{run_id}/steps")
        kept = await client.get(f"/v1/runs/{run_id}")
        assert begun.base_template_id == kept["base_template_id"] == agent["base_template_id"]
        for path in (f"/v1/runs/{run_id}/metrics", f"/v1/steps/{step['id']}/metrics"):
            numbers, of_agent = await client.get(path), ("project_id", "template_id", "base_template_id")
            assert [numbers[key] for key in of_agent] == [agent[key] for key in of_agent]
        belongs = (await client.get(f"/v1/_internal_templates/deployment/{made.deployment_id}"))["entities"]
        assert {item["project_id"] for item in belongs} == {DEFAULT_PROJECT}
        words = await client.get(f"/v1/agents/{agent['id']}/core-memory/variables")
        assert words == {"variables": {"name": "Sam"}}
        bare = await client.sdk.templates.agents.create("helper:latest")
        blocks = (await client.sdk.agents.blocks.list(bare.agent_ids[0])).items
        assert [block.value for block in blocks] == ["Name: {{name}}"]


async def test_a_version_stays_what_it_was_and_a_rollback_loses_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        await _template(client)
        await client.sdk.templates.update("helper", agent_file_json=await _file(client, "Be brief."))
        await client.sdk.templates.rollback("helper", version="1")
        told = await client.get("/v1/templates/default/helper/versions")
        assert [item["version"] for item in told["versions"]] == ["2", "1"]
        saved = await client.sdk.templates.save("helper", message="As before.")
        assert saved.template_deployment_slug == "default/helper:3"
        systems = [
            (await client.sdk.agents.retrieve((await client.sdk.templates.agents.create(name)).agent_ids[0])).system
            for name in ("helper:1", "helper:2", "helper:3", "helper", "helper:current")
        ]
        assert systems == ["Be kind.", "Be brief.", "Be kind.", "Be kind.", "Be kind."]

        async def listed(**query: Any) -> list[str]:
            found = await client.get("/v1/templates", **query)
            return [item["template_deployment_slug"] for item in found["templates"]]

        assert await listed() == await listed(version="latest") == await listed(search="help") == ["default/helper:3"]
        assert await listed(version="2") == ["default/helper:2"]
        assert await listed(version="4") == await listed(search="help", exact=True) == []
        assert await listed(search="helper", exact=True) == await listed(name="help", exact=False) != []
        assert (await client.http.get("/v1/templates", params={"version": "old"})).status_code == 422


async def test_agents_follow_their_template_and_keep_what_they_remember(tmp_path):
    async with client_of(tmp_path) as client:
        await _template(client)
        made = await client.sdk.templates.agents.create("helper", memory_variables={"name": "Sam"})
        agent_id = made.agent_ids[0]
        await client.sdk.agents.blocks.update("human", agent_id=agent_id, value="Name: Sam, likes tea.")
        file = await _file(
            client, "Be brief.", {"label": "human", "value": "Who: {{name}}"}, {"label": "task", "value": "{{job}}"}
        )
        await client.sdk.templates.update("helper", agent_file_json=file)
        await client.sdk.templates.save("helper", migrate_agents=True)
        agent = await client.sdk.agents.retrieve(agent_id, include=["agent.blocks"])
        assert agent.system == "Be brief."
        assert {block.label: block.value for block in agent.blocks} == {
            "human": "Name: Sam, likes tea.",
            "task": "{{job}}",
        }
        path = f"/v1/templates/default/helper/deployments/{made.deployment_id}/migrate"
        body = {"version": "2", "preserve_core_memories": False, "memory_variables": {"job": "Cook."}}
        assert (await client.http.post(path, json=body)).status_code == 200
        blocks = (await client.sdk.agents.blocks.list(agent_id)).items
        assert {block.label: block.value for block in blocks} == {"human": "Who: Sam", "task": "Cook."}
        past = await client.get(f"/v1/agents/{agent_id}/memory/history")
        assert "Name: Sam, likes tea." in [(entry["before"] or {}).get("value") for entry in past]


async def test_what_a_template_has_not_is_refused(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await _template(client)
        at = "/v1/templates"
        new = {"type": "agent", "agent_id": agent.id}
        before = await client.get("/v1/agents/count")
        for method, path, body, status in (
            ("POST", f"{at}/helper:7/agents", {}, 404),
            ("POST", f"{at}/helper:one/agents", {}, 404),
            ("POST", f"{at}/nobody/agents", {}, 404),
            ("POST", f"{at}/helper/agents", {"memory_variables": {"nmae": "Sam"}}, 422),
            ("POST", at, {**new, "name": "helper"}, 409),
            ("POST", at, {**new, "name": "a b"}, 422),
            ("POST", at, {"type": "agent"}, 422),
            ("POST", at, {"type": "agent_file", "agent_file": {"agents": []}}, 400),
            ("POST", f"{at}/nowhere", new, 404),
            ("POST", f"{at}/helper/rollback", {"version": "current"}, 422),
            ("POST", f"{at}/helper/rollback", {"version": "9"}, 404),
            ("PATCH", f"{at}/helper", {"agent_file_json": {}}, 400),
            ("POST", f"{at}/default/helper/deployments/none/migrate", {"version": "1"}, 404),
        ):
            answer = await client.http.request(method, path, json=body)
            assert (path, body, answer.status_code) == (path, body, status)
        assert await client.get("/v1/agents/count") == before
        assert (await client.http.delete(f"{at}/helper")).status_code == 200
        assert (await client.http.post(f"{at}/helper/agents")).status_code == 404
        assert (await client.http.post(at, json={**new, "name": "helper"})).status_code == 201


async def test_a_template_does_not_know_a_deployment_that_is_deleted(tmp_path):
    async with client_of(tmp_path) as client:
        await _template(client)
        made = await client.sdk.templates.agents.create("helper")
        path = f"/v1/templates/default/helper/deployments/{made.deployment_id}/migrate"
        assert (await client.http.post(path, json={"version": "1"})).status_code == 200
        await client.http.delete(f"/v1/_internal_templates/deployment/{made.deployment_id}")
        assert (await client.http.post(path, json={"version": "1"})).status_code == 404


async def test_a_version_in_place_of_a_template_changes_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        await _template(client)
        file = {"agent_file_json": await _file(client, "Be brief.")}
        at = "/v1/templates"
        for method, path, body in (
            ("DELETE", f"{at}/helper:1", None),
            ("DELETE", f"{at}/default/helper:1", None),
            ("PATCH", f"{at}/helper:1", file),
            ("PUT", f"{at}/default/helper:1/agent-file", file),
            ("POST", f"{at}/helper:1/rollback", {"version": "1"}),
            ("GET", f"{at}/default/helper:1/versions", None),
            ("POST", f"{at}/default/helper:1/deployments/none/migrate", {"version": "1"}),
        ):
            answer = await client.http.request(method, path, json=body)
            assert (path, answer.status_code) == (path, 422)
        # What saves and renames ignores a version, as its documentation says.
        assert (await client.sdk.templates.save("helper:1")).latest_version == "2"
        renamed = await client.http.patch(f"{at}/default/helper:1/name", json={"new_name": "maid"})
        assert renamed.status_code == 200
        assert (await client.get(f"{at}/default/maid/versions"))["total_count"] == 2


async def test_templates_are_found_by_name_part_of_it_and_id(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await _template(client)
        made = await client.sdk.templates.create(type="agent", agent_id=agent.id, name="helper_2")
        for wanted, names in (
            ({}, ["helper_2", "helper"]),
            ({"name": "helper"}, ["helper"]),
            ({"search": "R_"}, ["helper_2"]),
            ({"search": "%"}, []),
            ({"template_id": made.id}, ["helper_2"]),
            ({"template_id": made.id, "name": "helper"}, []),
            ({"sort_by": "created_at", "limit": 1}, ["helper_2"]),
        ):
            listed = await client.get("/v1/templates", **wanted)
            assert (wanted, [item["name"] for item in listed["templates"]]) == (wanted, names)


async def test_projects_keep_templates_apart(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await _template(client)
        made = (await client.http.post("/v1/projects", json={"name": "My shop"})).json()
        assert made["slug"] == "my-shop"
        new = {"type": "agent", "agent_id": agent.id, "name": "helper"}
        assert (await client.http.post("/v1/templates/my-shop", json=new)).status_code == 201
        there = await client.http.post("/v1/templates/helper/agents", headers={"X-Project-Id": made["id"]})
        listed = await client.get("/v1/agents/", project_id=made["id"])
        assert [item["id"] for item in listed] == there.json()["agent_ids"]
        assert len((await client.get("/v1/templates"))["templates"]) == 1
        assert (await client.http.delete(f"/v1/projects/{made['id']}")).status_code == 409
        assert (await client.http.post("/v1/projects", json={"name": "my SHOP"})).status_code == 409
        assert [item["slug"] for item in (await client.get("/v1/projects"))["projects"]] == ["default", "my-shop"]
