"""Sandbox configurations: one of each kind, with variables whose values are sealed in the database."""

from dataclasses import replace

import pytest

from loci.config import NO_WALLS, SandboxSettings
from loci.testing.live import live_settings
from tests.api.clients import MISSING, client_of
from tests.api.tenants import tenants

PATH = "/v1/sandbox-config"


async def test_there_is_one_configuration_of_each_kind(tmp_path):
    async with client_of(tmp_path) as client:
        local = (await client.http.post(f"{PATH}/local/default")).json()
        assert (local["type"], local["config"]["use_venv"], local["config"]["venv_name"]) == ("local", False, "venv")
        e2b = (await client.http.post(f"{PATH}/e2b/default")).json()
        assert (e2b["type"], e2b["config"]["timeout"]) == ("e2b", 300)
        again = (await client.http.post(f"{PATH}/local", json={"pip_requirements": [{"name": "x"}]})).json()
        assert again["id"] == local["id"]
        assert again["config"]["pip_requirements"] == [{"name": "x"}]
        modal = (await client.http.post(PATH, json={"config": {"timeout": 9, "language": "python"}})).json()
        assert modal["type"] == "modal"
        assert [config["type"] for config in await client.get(PATH)] == ["modal", "e2b", "local"]
        assert [config["id"] for config in await client.get(PATH, sandbox_type="e2b")] == [e2b["id"]]
        assert [config["id"] for config in await client.get(PATH, limit=1, after=modal["id"])] == [e2b["id"]]


async def test_a_configuration_is_changed_and_forgotten(tmp_path):
    async with client_of(tmp_path) as client:
        made = (await client.http.post(f"{PATH}/local/default")).json()
        one = f"{PATH}/{made['id']}"
        changed = (await client.http.patch(one, json={"config": {"venv_name": "mine"}})).json()
        assert changed["config"] == {**made["config"], "venv_name": "mine"}
        await client.http.post(f"{one}/environment-variable", json={"key": "A", "value": "1"})
        assert (await client.http.delete(one)).status_code == 204
        assert await client.get(PATH) == []
        rows = await client.live.core.store.read(lambda tx: tx.all("select id from sandbox_variables"))
        assert rows == []


async def test_variables_are_sealed_changed_and_forgotten(tmp_path):
    async with client_of(tmp_path) as client:
        config = (await client.http.post(f"{PATH}/local/default")).json()
        path = f"{PATH}/{config['id']}/environment-variable"
        made = (await client.http.post(path, json={"key": "TOKEN", "value": "t0ps3cret", "description": "d"})).json()
        assert (made["key"], made["value"], made["description"]) == ("TOKEN", "t0ps3cret", "d")
        assert made["id"].startswith("sandbox-env-")
        assert (await client.http.post(path, json={"key": "TOKEN", "value": "x"})).status_code == 409
        one = f"{PATH}/environment-variable/{made['id']}"
        changed = (await client.http.patch(one, json={"value": "an0ther"})).json()
        assert (changed["key"], changed["value"], changed["description"]) == ("TOKEN", "an0ther", "d")
        assert await client.get(path) == [changed]
        for file in tmp_path.glob("loci.db*"):
            held = file.read_bytes()
            assert b"t0ps3cret" not in held
            assert b"an0ther" not in held
        assert (await client.http.delete(one)).status_code == 204
        assert await client.get(path) == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {}, 422),
        ("POST", "", {"config": 7}, 422),
        ("POST", "/local", {"pip_requirements": "x"}, 422),
        ("POST", "/local", {"pip_requirements": [{"version": "1"}]}, 400),
        ("POST", "/local/recreate-venv", None, 400),
        ("PATCH", f"/sandbox-{MISSING}", {"config": {}}, 404),
        ("DELETE", f"/sandbox-{MISSING}", None, 404),
        ("DELETE", "/nonsense", None, 422),
        ("POST", f"/sandbox-{MISSING}/environment-variable", {"key": "A", "value": "b"}, 404),
        ("POST", f"/sandbox-{MISSING}/environment-variable", {"key": "", "value": "b"}, 422),
        ("GET", f"/sandbox-{MISSING}/environment-variable", None, 404),
        ("PATCH", f"/environment-variable/sandbox-env-{MISSING}", {"value": "b"}, 404),
        ("DELETE", f"/environment-variable/sandbox-env-{MISSING}", None, 404),
    ],
)
async def test_what_cannot_be_done_is_refused(tmp_path, method, path, body, status):
    async with client_of(tmp_path) as client:
        answer = await client.http.request(method, PATH + path, json=body)
        assert answer.status_code == status, answer.text


async def test_packages_of_a_sandbox_that_needs_none_are_ready(tmp_path):
    async with client_of(tmp_path) as client:
        config = (await client.http.post(f"{PATH}/local/default")).json()
        assert (await client.http.post(f"{PATH}/local/recreate-venv")).json() == config


async def test_tools_that_ask_for_the_network_do_not_run_where_the_operator_says_no(tmp_path):
    settings = replace(live_settings(tmp_path), sandbox=SandboxSettings(network=False))
    async with client_of(tmp_path, settings=settings) as client:
        source = 'def f() -> str:\n    """Give it."""\n    return "ran"\n'
        asked = {"source_code": source, "args": {}, "metadata_": {"network": True}}
        refused = await client.http.post("/v1/tools/run", json=asked)
        assert refused.status_code == 501
        assert "LOCI_SANDBOX_NETWORK" in refused.json()["detail"]
        plain = await client.http.post("/v1/tools/run", json={"source_code": source, "args": {}})
        assert plain.json()["tool_return"] == "ran"


async def test_without_walls_only_organisations_that_are_trusted_run_tools(tmp_path):
    body = {"source_code": 'def greet() -> str:\n    """Greet."""\n    return "hello"\n'}
    async with tenants(tmp_path, chosen={"sandbox": SandboxSettings(kind=NO_WALLS)}) as server:
        acme = await server.organization("acme")
        async with server.asking(await server.key(acme)) as one:
            refused = await one.http.post("/v1/tools/run", json=body)
            assert (refused.status_code, "privileged_tools" in refused.text) == (403, True)
            await server.trust(acme)
            for who in (one.http, server.http):
                assert (await who.post("/v1/tools/run", json=body)).json()["tool_return"] == "hello"
