"""Whose MCP servers may be commands of this machine, or run on it: those of organisations that the operator trusts."""

from pathlib import Path
from typing import Any

import httpx2

from loci.config import McpSettings
from loci.types.messages import ToolCall
from tests.api.tenants import Asking, Tenants, tenants
from tests.mcp.authorizing import authority
from tests.mcp.servers import hostile
from tests.mcp.test_oauth import connected

NEW, OLD = "/v1/mcp-servers", "/v1/tools/mcp/servers"
HERE = {"mcp_server_type": "streamable_http", "server_url": "http://127.0.0.1:10/mcp"}
COMMAND = hostile("fine")
NAMED = {"mcp_server_type": "streamable_http", "server_url": "http://127.0.0.1:9/mcp"}


def old(config: dict[str, Any], name: str = "old") -> dict[str, Any]:
    """A configuration as older clients write it."""
    fields = {key: value for key, value in config.items() if key != "mcp_server_type"}
    return {"server_name": name, "type": config["mcp_server_type"], **fields}


def assert_refused(*answers: httpx2.Response) -> None:
    """For want of trust, with what the operator can do."""
    for answer in answers:
        assert answer.status_code == 403, answer.text
        assert "privileged_tools" in answer.json()["detail"]


async def of_acme(server: Tenants) -> tuple[str, str]:
    acme = await server.organization("acme")
    return acme, await server.key(acme)


async def test_others_neither_register_nor_try_what_is_on_this_machine(tmp_path: Path) -> None:
    async with tenants(tmp_path) as server:
        acme, key = await of_acme(server)
        async with server.asking(key) as one:
            for config in (COMMAND, HERE):
                assert_refused(
                    await one.http.post(NEW, json={"server_name": "new", "config": config}),
                    await one.http.put(OLD, json=old(config)),
                    await one.http.post(f"{OLD}/test", json=old(config)),
                    await one.http.post(f"{OLD}/connect", json=old(config)),
                )
            lan = await one.http.post(
                NEW, json={"server_name": "lan", "config": {**NAMED, "server_url": "http://10.0.0.1"}}
            )
            assert (lan.status_code, "LOCI_MCP_HOSTS" in lan.text) == (400, True)
            assert (await one.http.get(NEW)).json() == []

            await server.trust(acme)
            made = await one.http.post(NEW, json={"server_name": "new", "config": COMMAND})
            assert (made.status_code, made.json()["command"]) == (200, COMMAND["command"])
            assert len((await one.http.get(f"{NEW}/{made.json()['id']}/tools")).json()) > 0
            assert (await one.http.put(OLD, json=old(HERE))).status_code == 200
        own = await server.http.put(OLD, json=old(COMMAND))
        assert own.status_code == 200, "the operator's own organisation"


async def test_others_do_not_change_a_server_into_one_on_this_machine(tmp_path: Path) -> None:
    for_all = McpSettings(hosts=("127.0.0.1:9",))
    async with tenants(tmp_path, chosen={"mcp": for_all}) as server:
        _, key = await of_acme(server)
        async with server.asking(key) as one:
            server_id = (await one.http.post(NEW, json={"server_name": "new", "config": NAMED})).json()["id"]
            for config in (COMMAND, HERE):
                assert_refused(
                    await one.http.patch(f"{NEW}/{server_id}", json={"config": config}),
                    await one.http.patch(f"{OLD}/new", json=_old_change(config)),
                )
            shown = (await one.http.get(f"{NEW}/{server_id}")).json()
            assert shown["server_url"] == NAMED["server_url"]


def _old_change(config: dict[str, Any]) -> dict[str, Any]:
    return {"stdio_config": old(config)} if "command" in config else {"server_url": config["server_url"]}


async def test_what_was_registered_before_is_refused_when_it_is_used(tmp_path: Path) -> None:
    async with tenants(tmp_path) as server:
        acme, key = await of_acme(server)
        await server.trust(acme)
        async with server.asking(key) as one:
            ids = [
                (await one.http.post(NEW, json={"server_name": name, "config": config})).json()["id"]
                for name, config in (("command", COMMAND), ("here", HERE))
            ]
            tools = (await one.http.get(f"{NEW}/{ids[0]}/tools")).json()
            echo = next(tool["id"] for tool in tools if tool["name"] == "echo")
            run = f"{NEW}/{ids[0]}/tools/{echo}/run"
            args = {"args": {"text": "x"}}
            assert (await one.http.post(run, json=args)).json()["status"] == "success"
            agent = await one.sdk.agents.create(model="scripted/default", tool_ids=[echo], include_base_tools=False)
            assert await _told_by_echo(server, one, agent.id) == (
                "success",
                "said x\n[image, image/png, 3 bytes: not shown]",
            )

            await server.trust(acme, far=False)
            for server_id, name in zip(ids, ("command", "here"), strict=True):
                assert_refused(
                    await one.http.patch(f"{NEW}/{server_id}/refresh"),
                    await one.http.get(f"{NEW}/connect/{server_id}"),
                    await one.http.get(f"{OLD}/{name}/tools"),
                    await one.http.post(f"{OLD}/{name}/resync"),
                    await one.http.post(f"{OLD}/{name}/echo"),
                    await one.http.post(f"{OLD}/{name}/tools/echo/execute", json=args),
                )
            assert_refused(
                await one.http.post(run, json=args),
                await one.http.post(f"/v1/agents/{agent.id}/mcp-servers/{ids[0]}/tools/{echo}/run", json=args),
            )
            status, words = await _told_by_echo(server, one, agent.id)
            assert (status, "privileged_tools" in words) == ("error", True)
            assert [(await one.http.delete(f"{NEW}/{server_id}")).status_code for server_id in ids] == [204, 204]


async def _told_by_echo(server: Tenants, one: Asking, agent_id: str) -> tuple[str, str]:
    """What an agent reads that calls the tool."""
    server.live.model.add([ToolCall("call-1", "echo", '{"text": "x"}')], "Done.")
    answer = await one.sdk.agents.messages.create(agent_id, input="Call it.")
    (told,) = [each for each in answer.messages if each.message_type == "tool_return_message"]
    return told.status, told.tool_return


async def test_asking_for_consent_leads_others_to_nothing_on_this_machine(tmp_path: Path) -> None:
    async with authority() as place, authority() as inside:
        place.elsewhere = inside.url
        opened = McpSettings(hosts=(place.url.removeprefix("http://"),))
        config = {"mcp_server_type": "streamable_http", "server_url": f"{place.url}/mcp"}
        async with tenants(tmp_path, chosen={"mcp": opened}) as server:
            acme, key = await of_acme(server)
            async with server.asking(key) as one:
                refused = await connected(one, f"{OLD}/connect", json=old(config))
                asked = dict(inside.clients)
                await server.trust(acme)
                trusted = await connected(one, f"{OLD}/connect", json=old(config))

    assert (refused[-1]["event"], asked) == ("error", {})
    assert "authorization_url" in [event["event"] for event in trusted]
