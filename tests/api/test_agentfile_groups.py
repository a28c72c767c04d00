"""Groups in agent files, of agents that are all in the file."""

from typing import Any

from tests.api.clients import client_of
from tests.api.test_agentfile_folders import brought
from tests.api.test_agentfile_wild import published


def with_groups(*managers: dict[str, Any], **group: Any) -> dict[str, Any]:
    """Three agents of the archived server, and a group of the last two for each of these managers."""
    document = published(group_ids=["group-0"])
    names = ("Ada", "Bo", "Cy")
    document["agents"] = [
        {**document["agents"][0], "id": f"agent-{number}", "name": name, "block_ids": ["block-0"]}
        for number, name in enumerate(names)
    ]
    given = {"description": "Views.", "agent_ids": ["agent-1", "agent-2"], "shared_block_ids": ["block-0", "gone"]}
    document["groups"] = [
        {"id": f"group-{number}", **given, "hidden": None, "project_id": None, "manager_config": manager, **group}
        for number, manager in enumerate(managers)
    ]
    return document


async def test_groups_of_the_archived_server_come_in(tmp_path):
    async with client_of(tmp_path) as client:
        managers = [
            {"manager_type": "round_robin", "max_turns": None},
            {"manager_type": "supervisor", "manager_agent_id": "agent-0"},
            {"manager_type": "dynamic", "manager_agent_id": "agent-0", "max_turns": 10**6, "termination_token": "END"},
        ]
        ids, warnings = await brought(client, with_groups(*managers))
        made = await client.get("/v1/groups/")
        wanted = ("manager_type", "manager_agent_id", "max_turns", "termination_token")
        assert [tuple(group[key] for key in wanted) for group in made] == [
            ("round_robin", None, None, None),
            ("supervisor", ids[0], None, None),
            ("dynamic", ids[0], 100, "END"),
        ]
        (block,) = (await client.sdk.agents.retrieve(ids[0], include=["agent.blocks"])).blocks
        for group in made:
            assert (group["description"], group["agent_ids"]) == ("Views.", ids[1:])
            assert group["shared_block_ids"] == [block.id]
        assert "roups" not in str(warnings)
        client.live.model.add("I think so.", "So do I.")
        said = {"messages": [{"role": "user", "content": "Well?"}]}
        answer = await client.http.post(f"/v1/groups/{made[0]['id']}/messages", json=said)
        assert [message["name"] for message in answer.json()["messages"]] == ["Bo", "Cy"]


async def test_groups_that_make_no_sense_are_left_out(tmp_path):
    async with client_of(tmp_path) as client:
        ids, _ = await brought(client, published())
        for manager, group in (
            ({"manager_type": "committee"}, {}),
            ({"manager_type": "supervisor", "manager_agent_id": ids[0]}, {}),
            ({"manager_type": "supervisor"}, {}),
            ({"manager_type": "round_robin"}, {"agent_ids": ["agent-1", ids[0]]}),
            ({"manager_type": "round_robin"}, {"agent_ids": []}),
        ):
            _, warnings = await brought(client, with_groups(manager, **group))
            assert "Groups are not taken over: the file holds 1." in warnings
        assert await client.get("/v1/groups/") == []
