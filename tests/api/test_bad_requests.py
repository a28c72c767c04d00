"""Whatever is sent, the answer is a 4xx with a reason, and what was stored before is as it was."""

from dataclasses import replace

import pytest

from loci.testing.live import live_settings
from loci.types.actor import DEFAULT_USER
from tests.api.clients import client_of

JSON = {"content-type": "application/json"}


def nested(levels: int, opening: bytes, closing: bytes) -> bytes:
    return b'{"metadata": {"x": ' + opening * levels + b"1" + closing * levels + b"}}"


BODIES = {
    "nothing": b"",
    "no JSON": b"name=Ada",
    "half": b'{"name": "x"',
    "null": b"null",
    "a list": b"[]",
    "a number": b"1",
    "NaN": b'{"name": NaN}',
    "infinity": b'{"metadata": {"x": 1e999}}',
    "NUL": b'{"name": "a\\u0000b"}',
    "NUL in a name": b'{"metadata": {"a\\u0000b": 1}}',
    "half a surrogate pair": b'{"name": "\\ud800"}',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a huge number": b'{"context_window_limit": 99999999999999999999999999}',
    "deep objects": nested(200, b'{"a":', b"}"),
    "deep lists": nested(200, b"[", b"]"),
    "very deep": nested(200_000, b"[", b"]"),
    "text for a list": b'{"tags": "x"}',
    "a number for text": b'{"name": 1}',
    "an object for text": b'{"system": {}}',
    "a label that ends its tag": b'{"memory_blocks": [{"label": "a></a><b", "value": "x"}]}',
    "a label of two lines": b'{"memory_blocks": [{"label": "a\\nb", "value": "x"}]}',
    "no name for a secret": b'{"secrets": {"": "x"}}',
    "no text for a secret": b'{"secrets": {"A": 1}}',
    "a form of answers that is none": b'{"response_format": {"type": "nope"}}',
    "a form of answers without its schema": b'{"response_format": {"type": "json_schema"}}',
    "a first message without words": b'{"initial_message_sequence": [{"role": "user", "content": ""}]}',
}


@pytest.mark.parametrize("route", ["/v1/agents/", "/v1/blocks", "/v1/tools/", "/v1/tools/run"])
async def test_bodies_that_cannot_be_meant(tmp_path, route):
    async with client_of(tmp_path) as client:
        before = [await client.get(f"/v1/{kind}/count") for kind in ("agents", "blocks", "tools")]
        for name, body in BODIES.items():
            answer = await client.http.post(route, content=body, headers=JSON)
            assert answer.status_code == 422, (name, answer.status_code, answer.text)
            assert isinstance(answer.json()["detail"], str), name
            assert len(answer.text) < 10_000, name
        assert [await client.get(f"/v1/{kind}/count") for kind in ("agents", "blocks", "tools")] == before


async def test_messages_that_cannot_be_meant(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        for body in (
            b'{"input": "a\\u0000b"}',
            b'{"input": "\\udfff"}',
            b'{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
            b'{"messages": []}',
            b'{"input": "x", "messages": [{"role": "user", "content": "x"}]}',
            b'{"input": "x", "max_steps": 0}',
            b"{}",
        ):
            answer = await client.http.post(f"/v1/agents/{made.id}/messages", content=body, headers=JSON)
            assert answer.status_code == 422, (body, answer.text)
            assert isinstance(answer.json()["detail"], str)
        assert len((await client.sdk.agents.messages.list(made.id)).items) == 1


async def test_queries_that_cannot_be_meant(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        agent = f"/v1/agents/{made.id}"
        for path in (
            "/v1/agents/?limit=abc",
            "/v1/agents/?limit=-1",
            "/v1/agents/?limit=99999999999999999999999",
            "/v1/agents/?order=sideways",
            "/v1/agents/?order_by=name",
            "/v1/agents/?match_all_tags=perhaps",
            "/v1/blocks/?connected_to_agents_count_gt=99999999999999999999999",
            "/v1/blocks/?connected_to_agents_count_eq=99999999999999999999999",
            "/v1/blocks/?limit=1.5",
            "/v1/tools/?order=",
            f"{agent}/archival-memory/search",
            f"{agent}/archival-memory/search?query=x&top_k=0",
            f"{agent}/archival-memory/search?query=x&top_k=99999999999999999999999",
            f"{agent}/archival-memory/search?query=x&tag_match_mode=some",
            f"{agent}/archival-memory/search?query=x&start_datetime=yesterday",
            f"{agent}/archival-memory/search?query=x&start_datetime=0001-01-01T00:00:00%2B14:00",
            f"{agent}/archival-memory/search?query=x&end_datetime=9999-12-31T23:59:59-14:00",
            f"{agent}/archival-memory?limit=abc",
            "/v1/agents/agent-1",
            "/v1/agents/%00",
            "/v1/agents/agent-%F0%9F%98%80",
            "/v1/agents/agent-00000000-0000-1000-8000-000000000000",
            "/v1/blocks/agent-00000000-0000-4000-8000-000000000000",
        ):
            answer = await client.http.get(path)
            assert answer.status_code in (404, 422), (path, answer.status_code, answer.text)
            assert isinstance(answer.json()["detail"], str), path


async def test_queries_that_find_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(name="100% _sure_!")
        agent = f"/v1/agents/{made.id}"
        odd = ["%00", "%FF", "'; drop table agents; --", '" or 1=1', "%25", "_", "!", "*", "(", "\ud7ff", "x" * 5_000]
        for words in odd:
            for path in (
                f"/v1/agents/?name={words}",
                f"/v1/agents/?tags={words}",
                f"/v1/agents/?identity_id={words}",
                f"/v1/blocks/?value_search={words}",
                f"/v1/blocks/?tags={words}",
                f"/v1/tools/?name={words}",
                f"{agent}/archival-memory?search={words}",
                f"{agent}/archival-memory/search?query={words}",
            ):
                answer = await client.http.get(path)
                assert answer.status_code == 200, (path, answer.text)
                assert answer.json() in ([], {"results": [], "count": 0}), path
        assert [found["id"] for found in await client.get("/v1/agents", query_text="% _SURE_!")] == [made.id]
        assert await client.get("/v1/agents", query_text="100_ _") == []


async def test_a_cursor_that_is_none(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        for path in (
            "/v1/agents/",
            "/v1/blocks/",
            "/v1/tools/",
            f"/v1/agents/{made.id}/tools",
            f"/v1/agents/{made.id}/core-memory/blocks",
            f"/v1/agents/{made.id}/archival-memory",
        ):
            for cursor in ("after", "before"):
                answer = await client.http.get(path, params={cursor: "nonsense"})
                assert answer.status_code == 404, (path, answer.text)
                assert "nonsense" in answer.json()["detail"]


async def test_a_body_may_be_only_so_large(tmp_path):
    async def in_pieces():
        for _ in range(60):
            yield b" " * 100

    settings = replace(live_settings(tmp_path), body_limit_bytes=1_000)
    async with client_of(tmp_path, settings=settings) as client:
        for content in (b" " * 1_001, in_pieces()):
            answer = await client.http.post("/v1/agents/", content=content, headers=JSON)
            assert answer.status_code == 413
            assert "1000 bytes" in answer.json()["detail"]
        assert (
            await client.http.post("/v1/agents/", content=b"{" + b" " * 900 + b"}", headers=JSON)
        ).status_code == 200


async def test_routes_and_methods_that_are_none(tmp_path):
    async with client_of(tmp_path) as client:
        for method, path, status in (
            ("GET", "/v1/nothing", 404),
            ("GET", "/nothing/", 404),
            ("PUT", "/v1/agents/", 405),
            ("DELETE", "/v1/tools/", 405),
        ):
            answer = await client.http.request(method, path)
            assert answer.status_code == status
            detail = answer.json()["detail"]
            assert "/docs" in detail
            assert ("begin with /v1" in detail) == (path == "/nothing/")
            assert ("only: " in detail) == (status == 405)
            allowed = answer.headers.get("allow", "")
            assert {each for each in allowed.split(", ") if each} == (
                {"GET", "POST"} | ({"PUT"} if "tools" in path else set()) if status == 405 else set()
            )
        hosted = await client.http.get("/v1/environments/")
        assert (hosted.status_code, "hosted service" in hosted.json()["detail"]) == (404, True)


async def test_nothing_costs_money_and_reports_are_not_taken(tmp_path):
    async with client_of(tmp_path) as client:
        balance = await client.get("/v1/metadata/balance")
        assert {value for key, value in balance.items() if key.endswith("balance")} == {0}
        user = await client.get("/v1/metadata/user")
        assert (user["id"], user["remaining_credits"]) == (DEFAULT_USER, 0)
        told = await client.http.post("/v1/metadata/feedback", json={"message": "Fine."})
        assert told.json() == {"success": False}


async def test_both_forms_of_every_path_are_served_without_a_redirect(tmp_path):
    async with client_of(tmp_path) as client:
        for path in (
            "/v1/agents",
            "/v1/blocks",
            "/v1/tools",
            "/v1/models",
            "/v1/health",
            "/v1/agents/count",
            "/v1/runs",
        ):
            answers = [await client.http.get(form, follow_redirects=False) for form in (path, path + "/")]
            assert [answer.status_code for answer in answers] == [200, 200], path
            assert answers[0].json() == answers[1].json()


async def test_the_api_document_can_be_read_without_a_network(tmp_path):
    async with client_of(tmp_path) as client:
        page = await client.http.get("/docs")
        assert page.status_code == 200
        assert "http://" not in page.text
        assert "https://" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        document = (await client.http.get("/openapi.json")).json()
        assert {"/v1/agents", "/v1/blocks", "/v1/tools", "/v1/agents/{agent_id}/messages"} <= set(document["paths"])
        operations = [operation for path in document["paths"].values() for operation in path.values()]
        assert all(operation["summary"] for operation in operations)
        names = [operation["operationId"] for operation in operations]
        assert len(names) == len(set(names))
