"""Consent by OAuth: a person is asked once, and agents use what was granted."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.clients import Client
from tests.api.tenants import Asking
from tests.mcp.authorizing import Authority, authority
from tests.mcp.servers import client_with, registered, run


def config(place: Authority) -> dict[str, Any]:
    return {"mcp_server_type": "streamable_http", "server_url": f"{place.url}/mcp"}


async def connected(client: Client | Asking, path: str, **request: Any) -> list[dict[str, Any]]:
    """The events of connecting, with a person who opens the address that is told."""
    events: list[dict[str, Any]] = []
    method = "POST" if request else "GET"
    async with client.http.stream(method, path, timeout=30, **request) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line.removeprefix("data: ")))
                if events[-1]["event"] == "authorization_url":
                    await browse(events[-1]["url"])
    return events


def files_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("loci.db*"))


async def browse(url: str) -> httpx2.Response:
    async with httpx2.AsyncClient(headers={"accept": "text/html"}) as browser:
        away = await browser.get(url)
        return await browser.get(away.headers["location"])


async def test_a_person_consents_once_and_the_grant_is_kept_and_renewed(tmp_path: Path) -> None:
    async with authority() as place:
        async with client_with(tmp_path) as client:
            server_id = await registered(client, config(place))
            before = await client.http.patch(f"/v1/mcp-servers/{server_id}/refresh")
            events = await connected(client, f"/v1/mcp-servers/connect/{server_id}")
            refreshed = await client.sdk.mcp_servers.refresh(server_id)
            first = await run(client, server_id, "whisper")
            place.valid.clear()
            place.lifetime_s = 0
            refused = await run(client, server_id, "whisper")
        asked = list(place.grants)
        async with client_with(tmp_path) as client:
            after_restart = await run(client, server_id, "whisper")
        renewed = place.grants[len(asked) :]
        place.valid, place.refreshable = set(), set()
        async with client_with(tmp_path) as client:
            withdrawn = await run(client, server_id, "whisper")
        stored = files_of(tmp_path)

    assert before.status_code == 502
    assert "/v1/mcp-servers/connect/" in before.json()["error"]["detail"]
    assert [event["event"] for event in events] == [
        "connection_attempt",
        "oauth_required",
        "authorization_url",
        "waiting_for_auth",
        "success",
    ]
    assert [tool["name"] for tool in events[-1]["tools"]] == ["whisper"]
    assert refreshed["added"] == ["whisper"]
    assert first.json()["func_return"] == "the secret"
    assert refused.json()["func_return"] == "the secret", "a token that is refused before its time is renewed"
    assert asked[0] == "authorization_code"
    assert set(renewed) == {"refresh_token"}
    assert withdrawn.status_code == 502
    assert "connect" in withdrawn.json()["error"]["detail"].lower()
    assert after_restart.json()["func_return"] == "the secret", after_restart.text
    assert b"rt-" not in stored
    assert b"at-" not in stored


async def test_a_refused_consent_ends_the_connection_with_its_reason(tmp_path: Path) -> None:
    async with authority() as place, client_with(tmp_path) as client:
        place.deny = True
        body = {"server_name": "g", "type": "streamable_http", "server_url": f"{place.url}/mcp"}
        events = await connected(client, "/v1/tools/mcp/servers/connect", json=body)

    assert events[-1]["event"] == "error"
    assert "She said no." in events[-1]["message"]


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=forged", "?error=denied&state=forged"])
async def test_an_answer_that_nobody_waits_for_is_refused(query: str, tmp_path: Path) -> None:
    async with client_with(tmp_path) as client:
        plain = await client.http.get(f"/v1/tools/mcp/oauth/callback{query}")
        page = await client.http.get(f"/v1/tools/mcp/oauth/callback{query}", headers={"accept": "text/html"})

    assert (plain.status_code, plain.json()["status"]) == (400, "error")
    assert page.headers["content-type"].startswith("text/html")
