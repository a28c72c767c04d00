"""Who may ask: with a key, whoever has it; without one, this machine alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import letta_client
import pytest
from letta_client import AsyncLetta

from loci.app import build
from loci.config import Settings
from loci.testing.live import live_settings, serving
from scripts import routes
from tests.api.clients import client_of

KEY = "a-long-secret"


@asynccontextmanager
async def in_memory(settings: Settings, came_from: str = "127.0.0.1") -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application whose requests seem to come from that address."""
    app = build(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, client=(came_from, 1)), base_url="http://localhost:8283"
        ) as http,
    ):
        yield http


def with_key(folder: Path, key: str | None = KEY, host: str = "127.0.0.1") -> Settings:
    return replace(live_settings(folder), api_key=key, host=host)


async def test_the_public_client_gets_in_with_the_key_and_not_without(tmp_path):
    async with serving(tmp_path, settings=with_key(tmp_path)) as live:
        async with AsyncLetta(base_url=live.url, api_key=KEY, max_retries=0) as sdk:
            made = await sdk.agents.create(name="Ada")
        async with AsyncLetta(base_url=live.url, api_key="wrong", max_retries=0) as sdk:
            with pytest.raises(letta_client.AuthenticationError):
                await sdk.agents.retrieve(made.id)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": KEY}, 401),
        ({"authorization": f"Basic {KEY}"}, 401),
        ({"authorization": f"Bearer {KEY}x"}, 401),
        ({"authorization": f"Bearer {KEY.upper()}"}, 401),
        ({"authorization": f"bearer {KEY}"}, 200),
        ({"x-bare-password": f"password {KEY}"}, 200),
        ({"x-bare-password": KEY}, 401),
        ({"user_id": "user-00000000-0000-4000-8000-000000000000"}, 401),
    ],
)
async def test_only_the_key_is_a_credential(tmp_path, headers, status):
    async with in_memory(with_key(tmp_path)) as http:
        answer = await http.get("/v1/agents/", headers=headers)
        assert answer.status_code == status
        if status == 401:
            assert "Authorization: Bearer" in answer.json()["detail"]


OPEN = {"/v1/health": 200, "/v1/ready": 200, "/v1/tools/mcp/oauth/callback": 400}
"""The last wants the secret of a consent that is waited for."""


async def test_every_route_but_health_needs_the_key(tmp_path):
    async with in_memory(with_key(tmp_path)) as http:
        for path, operations in routes.document()["paths"].items():
            for method in operations:
                for form in (path, path + "/"):
                    answer = await http.request(method, form, json={} if method != "get" else None)
                    assert answer.status_code == OPEN.get(path, 401), (method, form)


async def test_a_key_opens_the_server_to_other_machines_under_any_name(tmp_path):
    headers = {"authorization": f"Bearer {KEY}", "host": "agents.example"}
    async with in_memory(with_key(tmp_path, host="0.0.0.0"), "203.0.113.9") as http:
        assert (await http.get("/v1/agents", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_without_a_key_other_machines_are_turned_away(tmp_path, host):
    async with in_memory(with_key(tmp_path, None, host), "203.0.113.9") as http:
        answer = await http.get("/v1/agents")
        assert answer.status_code == 403
        assert "LOCI_API_KEY" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8283", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8283", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8283", 403),
        ("evil.example#localhost", 403),
        ("", 403),
    ],
)
async def test_without_a_key_a_name_that_was_bent_to_this_machine_is_refused(tmp_path, name, status):
    async with in_memory(with_key(tmp_path, None)) as http:
        assert (await http.get("/v1/agents", headers={"host": name})).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:5173", 200),
        ("https://ui.example", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ],
)
async def test_without_a_key_pages_of_other_sites_cannot_change_anything(tmp_path, origin, status):
    settings = replace(with_key(tmp_path, None), cors_origins=("https://ui.example",))
    async with in_memory(settings) as http:
        answer = await http.post("/v1/tools/add-base-tools", headers={"origin": origin})
        assert answer.status_code == status


async def test_a_page_of_another_site_cannot_send_a_body_as_plain_text(tmp_path):
    async with client_of(tmp_path) as client:
        answer = await client.http.post("/v1/agents/", content=b"{}", headers={"content-type": "text/plain"})
        assert answer.status_code == 422
        assert "Content-Type: application/json" in answer.json()["detail"]
        assert await client.get("/v1/agents/count") == 0


async def test_pages_of_this_machine_may_read_answers(tmp_path):
    async with client_of(tmp_path) as client:
        mine = await client.http.get("/v1/health/", headers={"origin": "http://localhost:3000"})
        assert mine.headers["access-control-allow-origin"] == "http://localhost:3000"
        preflight = await client.http.options(
            "/v1/agents/x",
            headers={"origin": "http://localhost:3000", "access-control-request-method": "PATCH"},
        )
        assert preflight.status_code == 200


async def test_a_header_cannot_make_somebody_else_of_the_caller(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        other = {"user_id": "user-11111111-1111-4111-8111-111111111111"}
        assert (await client.http.get(f"/v1/agents/{made.id}", headers=other)).status_code == 200
