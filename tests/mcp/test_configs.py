"""What may be registered, what is shown of it, and what is kept."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from loci.config import McpSettings, load
from loci.errors import BadRequest
from loci.store import mcp_servers
from loci.testing.live import live_settings
from loci.types.actor import Actor
from tests.api.clients import MISSING, Client, client_of
from tests.mcp.servers import client_with, hostile, registered

HTTP = {"mcp_server_type": "streamable_http", "server_url": "http://127.0.0.1:9/mcp", "auth_token": "tok-secret-1"}


async def test_secrets_are_neither_shown_nor_stored_in_clear_and_survive_what_was_shown(tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        server_id = await registered(client, {**HTTP, "custom_headers": {"x-key": "tok-secret-2"}})
        shown = await client.get(f"/v1/mcp-servers/{server_id}")
        back = {key: shown[key] for key in ("mcp_server_type", "server_url", "auth_token", "custom_headers")}
        await client.http.patch(f"/v1/mcp-servers/{server_id}", json={"config": {**back, "auth_header": "x-auth"}})
        kept = await _config(client, server_id)
        moved = []
        for config in (back, {"mcp_server_type": "streamable_http"}):
            elsewhere = {**config, "server_url": f"http://localhost:{9 + len(moved)}/mcp"}
            await client.http.patch(f"/v1/mcp-servers/{server_id}", json={"config": elsewhere})
            moved.append(await _config(client, server_id))
            await client.http.patch(
                f"/v1/mcp-servers/{server_id}", json={"config": {**HTTP, "auth_token": "tok-secret-3"}}
            )
    database = apsw.Connection(str(tmp_path / "loci.db"))
    stored = str(list(database.execute("select * from mcp_servers")))

    assert shown["auth_token"] == "********"
    assert shown["custom_headers"] == {"x-key": "********"}
    assert (kept.auth_header, kept.auth_token, kept.headers) == ("x-auth", "tok-secret-1", {"x-key": "tok-secret-2"})
    assert [(item.url[:17], item.auth_token, item.headers) for item in moved] == [
        ("http://localhost:", None, {}),
        ("http://localhost:", None, {}),
    ], "a secret does not follow to another host"
    assert "tok-secret" not in stored
    assert "127.0.0.1" not in stored


async def test_a_server_whose_configuration_cannot_be_read_breaks_no_other(tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        ids = [await registered(client, HTTP, name) for name in ("sound", "mended", "forgotten")]
        core = client.live.core
        for server_id in ids[1:]:
            damaged = replace(await core.store.read(mcp_servers.get, Actor(), server_id), sealed="nonsense")
            await core.store.write(mcp_servers.update, Actor(), damaged, core.clock.now())
        listed = await client.get("/v1/mcp-servers")
        old = await client.get("/v1/tools/mcp/servers")
        shown = await client.get(f"/v1/mcp-servers/{ids[1]}")
        used = await client.http.patch(f"/v1/mcp-servers/{ids[1]}/refresh")
        mended = await client.http.patch(f"/v1/mcp-servers/{ids[1]}", json={"config": HTTP})
        gone = [await client.http.delete(f"/v1/mcp-servers/{server_id}") for server_id in ids[2:0:-1]]

    assert [server["server_name"] for server in listed] == ["sound", "mended", "forgotten"]
    assert (listed[0]["server_url"], old["sound"]["server_url"]) == (HTTP["server_url"], HTTP["server_url"])
    assert shown == {"mcp_server_type": "streamable_http", "id": ids[1], "server_name": "mended"}
    assert (used.status_code, "cannot be opened" in used.json()["detail"]) == (503, True)
    assert (mended.status_code, mended.json()["server_url"]) == (200, HTTP["server_url"])
    assert [answer.status_code for answer in gone] == [204, 204]


async def test_of_two_changes_at_once_none_is_lost_in_silence(tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        path = f"/v1/mcp-servers/{await registered(client, HTTP)}"
        for number in range(8):
            name, url = f"name {number}", f"http://127.0.0.1:9/{number}"
            renamed, moved = await asyncio.gather(
                client.http.patch(path, json={"server_name": name, "config": {"mcp_server_type": "streamable_http"}}),
                client.http.patch(path, json={"config": {**HTTP, "server_url": url}}),
            )
            shown = await client.get(path)
            assert {renamed.status_code, moved.status_code} <= {200, 409}
            assert (renamed.status_code == 200) is (shown["server_name"] == name)
            assert (moved.status_code == 200) is (shown["server_url"] == url)


async def _config(client: Client, server_id: str) -> Any:
    core = client.live.core
    return core.mcp.config(Actor(), await core.store.read(mcp_servers.get, Actor(), server_id))


async def test_a_server_that_others_can_reach_starts_no_commands_and_reaches_nothing_private(tmp_path: Path) -> None:
    open_to_all = replace(live_settings(tmp_path), host="0.0.0.0", api_key="k")
    async with client_of(tmp_path, settings=open_to_all) as client:
        client.http.headers["authorization"] = "Bearer k"
        stdio = await client.http.post("/v1/mcp-servers", json={"server_name": "a", "config": hostile("fine")})
        refused = [
            await client.http.post("/v1/mcp-servers", json={"server_name": "b", "config": {**HTTP, "server_url": url}})
            for url in (
                "http://127.0.0.1/mcp",
                "http://localhost/mcp",
                "http://169.254.169.254/x",
                "ftp://127.0.0.1/x",
            )
        ]

    assert stdio.status_code == 403
    assert "LOCI_MCP_STDIO=true" in stdio.json()["detail"]
    assert [answer.status_code for answer in refused] == [400] * 4
    assert "LOCI_MCP_HOSTS" in refused[0].json()["detail"]


async def test_the_operator_opens_private_hosts_by_name(tmp_path: Path) -> None:
    settings = replace(
        live_settings(tmp_path), host="0.0.0.0", api_key="k", mcp=McpSettings(hosts=("127.0.0.1:9",), stdio=True)
    )
    async with client_of(tmp_path, settings=settings) as client:
        client.http.headers["authorization"] = "Bearer k"
        http = await client.http.post("/v1/mcp-servers", json={"server_name": "b", "config": HTTP})
        stdio = await client.http.post("/v1/mcp-servers", json={"server_name": "a", "config": hostile("fine")})

    assert (http.status_code, stdio.status_code) == (200, 200)


async def test_this_machine_s_own_metadata_and_lan_stay_closed_on_loopback(tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        answer = await client.http.post(
            "/v1/mcp-servers", json={"server_name": "b", "config": {**HTTP, "server_url": "http://10.0.0.1/mcp"}}
        )

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({"mcp_server_type": "stdio"}, 400),
        ({"mcp_server_type": "streamable_http"}, 400),
        ({"mcp_server_type": "pigeon", "server_url": "http://127.0.0.1/"}, 422),
        ({**HTTP, "custom_headers": {"x": "a\r\nb: c"}}, 400),
        ({**HTTP, "auth_header": "a b"}, 422),
        ({**HTTP, "server_url": "http://user:pw@127.0.0.1/"}, 400),
        ({"mcp_server_type": "stdio", "command": " "}, 400),
        ("nonsense", 422),
    ],
)
async def test_what_cannot_be_a_configuration_is_refused(config: Any, status: int, tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        answer = await client.http.post("/v1/mcp-servers", json={"server_name": "x", "config": config})

    assert answer.status_code == status, answer.text


async def test_unknown_servers_tools_and_names_are_404_and_a_taken_name_is_409(tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        http, missing = client.http, f"mcp_server-{MISSING}"
        server_id = await registered(client, HTTP)
        again = await http.post("/v1/mcp-servers", json={"server_name": "there", "config": HTTP})
        answers = [
            await http.get(f"/v1/mcp-servers/{missing}"),
            await http.get(f"/v1/mcp-servers/{missing}/tools"),
            await http.get(f"/v1/mcp-servers/connect/{missing}"),
            await http.delete(f"/v1/mcp-servers/{missing}"),
            await http.get(f"/v1/mcp-servers/{server_id}/tools/tool-{MISSING}"),
            await http.post(f"/v1/mcp-servers/{server_id}/tools/tool-{MISSING}/run"),
            await http.patch(f"/v1/mcp-servers/{server_id}/refresh?agent_id=agent-{MISSING}"),
            await http.get("/v1/tools/mcp/servers/nobody/tools"),
            await http.delete("/v1/tools/mcp/servers/nobody"),
        ]
        unreachable = await http.patch(f"/v1/mcp-servers/{server_id}/refresh")

    assert again.status_code == 409
    assert [answer.status_code for answer in answers] == [404] * 9
    assert unreachable.status_code == 502
    assert "cannot be reached" in unreachable.json()["error"]["message"]


def test_settings_come_from_the_environment_and_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[mcp]\nhosts = 'one'\ncall_seconds = 5\n")
    settings = load({"LOCI_MCP_STDIO": "true", "LOCI_MCP_HOSTS": "Box, nas:8080"}, home=tmp_path).mcp

    assert settings == McpSettings(stdio=True, hosts=("box", "nas:8080"), call_timeout_s=5.0)
    with pytest.raises(BadRequest, match="LOCI_MCP_STDIO"):
        load({"LOCI_MCP_STDIO": "perhaps"}, home=tmp_path)
