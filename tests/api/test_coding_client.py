"""What a coding client asks before its first turn is answered, and what is not there is said so."""

from tests.api.clients import MISSING, client_of


async def test_the_questions_at_the_start_are_answered(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(name="coder", compaction_settings={"model": "letta/auto"})
        path = f"/v1/agents/{agent.id}"
        assert await client.get(f"{path}/repositories/") == {"repositories": []}
        assert await client.get(f"{path}/secrets") == []
        assert (await client.http.post("/v1/tools/add-base-tools")).status_code == 200
        found = await client.get("/v1/agents/", query_text="code", limit=20)
        assert [each["id"] for each in found] == [agent.id]
        for alias in ("letta/auto", "letta/auto-fast", "letta/auto-memory"):
            assert (await client.http.post("/v1/agents/", json={"model": alias, "system": None})).status_code == 200


async def test_what_only_a_hosted_service_has_is_not_found(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(name="coder")
        for path in ("/v1/models/catalog", f"/v1/agents/{agent.id}/reflection"):
            assert (await client.http.get(path)).status_code == 404
        assert (await client.http.get(f"/v1/agents/agent-{MISSING}/repositories")).status_code == 404
