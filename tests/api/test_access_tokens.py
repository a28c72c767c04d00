"""Limited keys: what their grants say, with the agents they name, for as long as they last."""

from datetime import UTC, datetime, timedelta

import letta_client
import pytest

from loci.types.actor import DEFAULT_ORGANIZATION
from tests.api.tenants import bearer, tenants

SITE = "https://app.example.org"


def grant(agent_id, *access):
    return {"type": "agent", "id": agent_id, "access": list(access)}


async def test_a_token_opens_its_agents_as_far_as_it_says(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        mine = await one.sdk.agents.create(secrets={"PIN": "four-digits"})
        other = await one.sdk.agents.create()
        made = await one.sdk.access_tokens.create(
            hostname=SITE, policy=[grant(mine.id, "read_messages"), grant(mine.id, "read_agent")]
        )
        assert made.token.startswith("sk-loci-at-")
        assert made.policy.data[0].access == ["read_messages"]
        path = f"/v1/agents/{mine.id}"
        async with server.asking(made.token) as page:
            assert (await page.http.get(f"{path}/messages")).status_code == 200
            for shown in (path, f"{path}?include=agent.secrets", f"{path}/secrets", f"{path}/export"):
                answer = await page.http.get(shown, headers={"x-stainless-package-version": "0.1"})
                assert (answer.status_code, "four-digits" in answer.text) == (200, False), shown
            for method, forbidden in (
                ("POST", f"{path}/messages"),
                ("PATCH", path),
                ("DELETE", path),
                ("GET", f"/v1/agents/{other.id}"),
                ("GET", f"/v1/agents/{other.id}/messages"),
                ("GET", "/v1/agents/"),
                ("GET", "/v1/blocks/"),
                ("GET", f"/v1/agents/{mine.id}/../{other.id}"),
                ("POST", "/v1/client-side-access-tokens"),
                ("GET", "/v1/admin/orgs/"),
                ("POST", "/mcp"),
                *(("GET", f"/v1/git/{each.id}/state.git/info/refs?service=git-upload-pack") for each in (mine, other)),
                *(("POST", f"/v1/git/{each.id}/state.git/git-receive-pack") for each in (mine, other)),
            ):
                answer = await page.http.request(method, forbidden, json={} if method in {"POST", "PATCH"} else None)
                assert answer.status_code == 403, (method, forbidden)
        unlimited = await one.sdk.agents.retrieve(mine.id, include=["agent.secrets"])
        assert unlimited.secrets[0].value == "four-digits"


async def test_a_token_reads_no_thread_of_another_agent_through_its_own(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        mine, other = await one.sdk.agents.create(), await one.sdk.agents.create()
        own = (await one.sdk.conversations.create(agent_id=mine.id)).id
        apart = (await one.sdk.conversations.create(agent_id=other.id)).id
        main = other.id.replace("agent-", "conv-")
        made = await one.sdk.access_tokens.create(
            hostname=SITE, policy=[grant(mine.id, "read_messages", "read_agent", "write_agent")]
        )
        for below in ("messages", "export", "context"):
            path = f"/v1/agents/{mine.id}/{below}?conversation_id="
            found = [await server.status(made.token, path + thread) for thread in (own, "default", apart, main)]
            assert found == [200, 200, 404, 404], below
        for thread, status in ((own, 200), (apart, 404)):
            body = {"conversation_id": thread}
            answer = await server.http.post(f"/v1/agents/{mine.id}/export", json=body, headers=bearer(made.token))
            assert answer.status_code == status


async def test_what_shows_messages_or_past_memory_needs_read_messages_too(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        agent = await one.sdk.agents.create()
        path, later = f"/v1/agents/{agent.id}", {"as_of": "2100-01-01T00:00:00Z"}
        said = {"messages": [{"role": "user", "content": "Hello."}]}
        for access, body, below in (
            ("read_agent", None, "export"),
            ("read_agent", None, "context"),
            ("read_agent", None, "memory/history"),
            ("read_agent", None, "memory/blocks"),
            ("read_agent", None, "schedule"),
            ("write_agent", {}, "export"),
            ("write_agent", {}, "summarize"),
            ("write_messages", said, "messages/preview-raw-payload"),
        ):
            answers = []
            for accesses in ([access], [access, "read_messages"]):
                made = await one.sdk.access_tokens.create(hostname=SITE, policy=[grant(agent.id, *accesses)])
                asked = {"json": body, "headers": bearer(made.token), "params": later}
                method = "GET" if body is None else "POST"
                answers.append(await server.http.request(method, f"{path}/{below}/", **asked))
            assert [answers[0].status_code, answers[1].status_code == 403] == [403, False], below
            assert "read_messages" in answers[0].json()["detail"]


async def test_a_token_brings_nothing_of_others_to_its_agent(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        mine = await one.sdk.agents.create()
        block = await one.sdk.blocks.create(label="diary", value="of another")
        archive = await one.sdk.archives.create(name="of another")
        folder = await one.sdk.folders.create(name="of another")
        held = {tool.id for tool in mine.tools}
        tool, *_ = [tool async for tool in one.sdk.tools.list() if tool.id not in held]
        kim = {"identifier_key": "kim", "identity_type": "user", "name": "Kim"}
        identity_id = (await one.http.post("/v1/identities", json=kim)).json()["id"]
        accesses = ("read_messages", "write_messages", "read_agent", "write_agent")
        made = await one.sdk.access_tokens.create(hostname=SITE, policy=[grant(mine.id, *accesses)])
        path = f"/v1/agents/{mine.id}"
        async with server.asking(made.token) as page:
            for below in (
                f"core-memory/blocks/attach/{block.id}",
                f"core-memory/blocks/detach/{block.id}",
                f"archives/attach/{archive.id}",
                f"folders/attach/{folder.id}",
                f"sources/attach/{folder.id}",
                f"tools/attach/{tool.id}",
                f"tools/detach/{mine.tools[0].id}",
                f"identities/attach/{identity_id}",
            ):
                assert (await page.http.patch(f"{path}/{below}")).status_code == 403, below
            for field, each in (
                ("block_ids", block.id),
                ("tool_ids", tool.id),
                ("folder_ids", folder.id),
                ("source_ids", folder.id),
                ("identity_ids", identity_id),
            ):
                assert (await page.http.patch(path, json={field: [each]})).status_code == 403, field
            server_path = f"{path}/mcp-servers/mcp_server-00000000-0000-4000-8000-000000000001/tools"
            assert (await page.http.get(server_path)).status_code == 403
            assert (await page.http.get(f"{path}/mcp-servers")).json() == []
            assert (await page.http.patch(path, json={"name": "Bea", "block_ids": None})).json()["name"] == "Bea"
        after = await one.sdk.agents.retrieve(mine.id, include=["agent.blocks", "agent.tools", "agent.identities"])
        assert (after.blocks, {tool.id for tool in after.tools}, after.identities) == ([], held, [])


async def test_a_token_is_for_pages_of_its_site_and_for_programs_that_name_none(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        agent = await one.sdk.agents.create()
        made = await one.sdk.access_tokens.create(hostname=f"{SITE}/chat", policy=[grant(agent.id, "read_agent")])
        path = f"/v1/agents/{agent.id}"
        assert await server.status(made.token, path) == 200
        assert await server.status(made.token, path, origin=SITE) == 200
        assert await server.status(made.token, path, origin=f"{SITE}:443") == 200
        assert await server.status(made.token, path, origin="https://evil.example") == 403
        assert await server.status(made.token, path, origin="http://app.example.org") == 403


async def test_tokens_are_listed_by_their_ids_and_end(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        agent = await one.sdk.agents.create()
        path = f"/v1/agents/{agent.id}"
        soon = datetime.now(UTC) + timedelta(minutes=5)
        made = [
            await one.sdk.access_tokens.create(hostname=SITE, policy=[grant(agent.id, "read_agent")]) for _ in range(3)
        ]
        assert abs(datetime.fromisoformat(made[0].expires_at) - soon) < timedelta(minutes=1)
        listed = await one.sdk.access_tokens.list(limit=2)
        assert (len(listed.tokens), listed.has_next_page) == (2, True)
        rest = await one.sdk.access_tokens.list(offset=2, agent_id=agent.id)
        assert (len(rest.tokens), rest.has_next_page) == (1, False)
        assert made[0].token not in listed.to_json()

        async with server.asking(await server.key(await server.organization("acme"))) as stranger:
            assert (await stranger.sdk.access_tokens.list()).tokens == []
            with pytest.raises(letta_client.NotFoundError):
                await stranger.sdk.access_tokens.delete(made[0].token)
        assert await server.status(made[0].token, path) == 200
        await one.sdk.access_tokens.delete(made[0].token)
        await one.sdk.access_tokens.delete(listed.tokens[1].token)
        assert [await server.status(each.token, path) for each in made] == [401, 401, 200]
        with pytest.raises(letta_client.NotFoundError):
            await one.sdk.access_tokens.delete(made[0].token)


async def test_a_token_outlives_neither_the_key_that_made_it_nor_its_revocation(tmp_path):
    async with tenants(tmp_path) as server:
        soon = datetime.now(UTC) + timedelta(minutes=2)
        key = await server.key(DEFAULT_ORGANIZATION, expires_at=soon.isoformat())
        acme = await server.key(await server.organization("acme"))
        async with server.asking(key) as one, server.asking(acme) as other:
            agent, foreign = await one.sdk.agents.create(), await other.sdk.agents.create()
            policy = [grant(agent.id, "read_agent")]
            made = [
                await one.sdk.access_tokens.create(hostname=SITE, policy=policy, **wanted)
                for wanted in ({}, {"expires_at": "2100-01-01T00:00:00Z"})
            ]
            stays = await other.sdk.access_tokens.create(hostname=SITE, policy=[grant(foreign.id, "read_agent")])
            assert [datetime.fromisoformat(each.expires_at) - soon < timedelta(seconds=1) for each in made] == [
                True
            ] * 2
        path = f"/v1/agents/{agent.id}"
        assert [await server.status(each.token, path) for each in made] == [200, 200]
        token_id = (await server.http.get("/v1/client-side-access-tokens")).json()["tokens"][0]["token"]
        await server.http.delete(f"/v1/admin/keys/{token_id}")
        assert [await server.status(each.token, path) for each in made] == [401, 200]
        listed = (await server.http.get("/v1/admin/keys")).json()
        await server.http.delete(f"/v1/admin/keys/{next(each['id'] for each in listed if each['expires_at'])}")
        assert [await server.status(each.token, path) for each in made] == [401, 401]
        assert await server.status(stays.token, f"/v1/agents/{foreign.id}") == 200


async def test_a_token_needs_agents_that_are_there_a_site_and_a_future(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        agent = await one.sdk.agents.create()
        async with server.asking(await server.key(await server.organization("acme"))) as stranger:
            with pytest.raises(letta_client.NotFoundError):
                await stranger.sdk.access_tokens.create(hostname=SITE, policy=[grant(agent.id, "read_agent")])
        for body in (
            {"hostname": "app.example.org", "policy": []},
            {"hostname": SITE, "policy": [], "expires_at": "2020-01-01T00:00:00Z"},
        ):
            answer = await one.http.post("/v1/client-side-access-tokens", json=body)
            assert answer.status_code == 400
        wrong = {"hostname": SITE, "policy": [grant(agent.id, "everything")]}
        assert (await one.http.post("/v1/client-side-access-tokens", json=wrong)).status_code == 422


async def test_a_request_with_a_token_is_one_of_its_maker(tmp_path):
    async with tenants(tmp_path) as server, server.asking(await server.key(DEFAULT_ORGANIZATION)) as one:
        agent = await one.sdk.agents.create()
        made = await one.sdk.access_tokens.create(hostname=SITE, policy=[grant(agent.id, "write_agent")])
        answer = await server.http.post("/v1/auth", json={"password": made.token}, headers=bearer(made.token))
        assert answer.status_code == 403
        changed = await server.http.patch(f"/v1/agents/{agent.id}", json={"name": "Bea"}, headers=bearer(made.token))
        assert changed.json()["last_updated_by_id"] == agent.created_by_id
