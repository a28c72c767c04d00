"""Archives through the public client in its strict mode: shared by agents, filled, searched, deleted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import letta_client
import pytest
from letta_client import AsyncLetta

from loci.model.embed import BuiltInEmbedder
from tests.api.clients import MISSING, Client, client_of


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with client_of(tmp_path) as plain:
        strict = AsyncLetta(base_url=plain.live.url, api_key="x", max_retries=0, _strict_response_validation=True)
        async with strict:
            yield Client(plain.live, strict, plain.http)


async def texts(client: Client, **query: Any) -> list[str]:
    return [hit.passage.text for hit in await client.sdk.passages.search(**query)]


async def listed(client: Client, **query: Any) -> list[str]:
    return [item.id async for item in client.sdk.archives.list(**query)]


async def changes(client: Client, subject_id: str) -> list[str]:
    def read(tx: Any) -> list[str]:
        rows = tx.all("select action from journal where subject_id = :id order by seq", {"id": subject_id})
        return [row["action"] for row in rows]

    return await client.live.core.store.read(read)


async def test_an_archive_is_made_changed_and_deleted_with_all_that_is_in_it(client):
    made = await client.sdk.archives.create(name="Recipes", description="What we cook.")
    assert (made.name, made.description, made.vector_db_provider) == ("Recipes", "What we cook.", "native")
    assert await client.sdk.archives.retrieve(made.id) == made
    renamed = await client.sdk.archives.update(made.id, name="Cooking")
    assert (renamed.name, renamed.description) == ("Cooking", "What we cook.")
    assert (await client.sdk.archives.update(made.id, description=None)).description is None
    note = await client.sdk.archives.passages.create(made.id, text="Salt the water.")
    agent = await client.sdk.agents.create()
    await client.sdk.agents.archives.attach(made.id, agent_id=agent.id)
    await client.sdk.archives.delete(made.id)
    with pytest.raises(letta_client.NotFoundError):
        await client.sdk.archives.retrieve(made.id)
    assert await texts(client, query="salt") == []
    assert await client.sdk.agents.passages.list(agent.id) == []
    assert await changes(client, made.id) == ["create", "update", "update", "attach", "delete"]
    assert await changes(client, note.id) == ["create"]


async def test_an_archive_is_found_also_after_its_embedding_model_was_changed(tmp_path):
    async with client_of(tmp_path, embedder=BuiltInEmbedder()) as client:
        made = await client.sdk.archives.create(name="Instruments", embedding=None)
        assert made.embedding_config is None
        await client.sdk.archives.passages.create(made.id, text="A cello from Cremona.")
        assert await texts(client, query="violin") == []
        at = f"/v1/archives/{made.id}"
        changed = await client.http.patch(at, json={"embedding": "loci/wordllama"})
        assert changed.json()["embedding_config"] is not None, changed.text
        assert (await client.http.patch(at, json={"name": "Strings"})).json()["embedding_config"] is not None
        assert await texts(client, query="cello") == await texts(client, query="violin") == ["A cello from Cremona."]
        assert (await client.http.patch(at, json={"embedding": None})).json()["embedding_config"] is None
        assert await texts(client, query="violin") == []
        assert await texts(client, query="cello") == ["A cello from Cremona."]


async def test_archives_are_listed_by_time_name_and_agent(client):
    ids = [(await client.sdk.archives.create(name=name)).id for name in ("a", "b", "a")]
    assert await listed(client) == ids[::-1]
    assert await listed(client, order="asc", limit=1) == ids
    assert await listed(client, name="a", order="asc") == [ids[0], ids[2]]
    agent = await client.sdk.agents.create()
    await client.sdk.agents.archives.attach(ids[1], agent_id=agent.id)
    assert await listed(client, agent_id=agent.id) == [ids[1]]
    holders = await client.get(f"/v1/archives/{ids[1]}/agents")
    assert [holder["id"] for holder in holders] == [agent.id]
    assert await client.get(f"/v1/archives/{ids[0]}/agents") == []


async def test_an_agent_searches_all_archives_that_are_attached_to_it(client):
    agent, other = await client.sdk.agents.create(), await client.sdk.agents.create()
    await client.sdk.agents.passages.create(agent.id, text="Own: the peanuts are for Ada.")
    shared = await client.sdk.archives.create(name="Shared")
    made = await client.sdk.archives.passages.create_many(
        shared.id, passages=[{"text": "Shared: Sam is allergic to peanuts."}, {"text": "Shared: the door is green."}]
    )
    assert [note.archive_id for note in made] == [shared.id] * 2
    for holder in (agent, other):
        await client.sdk.agents.archives.attach(shared.id, agent_id=holder.id)
        await client.sdk.agents.archives.attach(shared.id, agent_id=holder.id)
    found = await client.sdk.agents.passages.search(agent.id, query="peanuts")
    assert {hit.content[:4] for hit in found.results[:2]} == {"Own:", "Shar"}
    assert (await texts(client, query="peanuts", agent_id=other.id))[0] == made[0].text
    assert (await texts(client, query="peanuts", archive_id=shared.id))[0] == made[0].text
    assert set((await texts(client, query="peanuts"))[:2]) == {"Own: the peanuts are for Ada.", made[0].text}
    await client.sdk.agents.archives.detach(shared.id, agent_id=other.id)
    assert await texts(client, query="peanuts", agent_id=other.id) == []
    assert await changes(client, shared.id) == ["create", "attach", "attach", "detach"]
    with pytest.raises(letta_client.NotFoundError):
        await client.sdk.agents.archives.detach(shared.id, agent_id=other.id)


async def test_a_search_is_narrowed_by_tags_and_times(client):
    shelf = await client.sdk.archives.create(name="Places")
    notes = [
        {"text": "Moved to Bonn.", "tags": ["home", "past"], "created_at": "2020-05-01T00:00:00Z"},
        {"text": "Moved to Rome.", "tags": ["home"], "created_at": "2024-05-01T00:00:00Z", "metadata": {"k": 1}},
        {"text": "Moved the desk.", "created_at": "2024-06-01T00:00:00Z"},
    ]
    await client.sdk.archives.passages.create_many(shelf.id, passages=notes)
    asked: dict[str, Any] = {"query": "moved", "archive_id": shelf.id}
    assert set(await texts(client, **asked, tags=["home", "past"])) == {"Moved to Bonn.", "Moved to Rome."}
    assert await texts(client, **asked, tags=["home", "past"], tag_match_mode="all") == ["Moved to Bonn."]
    assert await texts(client, **asked, start_date=datetime(2024, 5, 15, tzinfo=UTC)) == ["Moved the desk."]
    assert await texts(client, **asked, end_date="2021-01-01") == ["Moved to Bonn."]
    assert await texts(client, archive_id=shelf.id, limit=1) == ["Moved the desk."]
    best = (await client.sdk.passages.search(query="Rome", archive_id=shelf.id))[0]
    assert (best.passage.metadata, best.passage.tags, best.score > 0) == ({"k": 1}, ["home"], True)


async def test_a_note_is_forgotten_only_through_its_own_archive(client):
    first, second = [await client.sdk.archives.create(name=name) for name in ("a", "b")]
    note = await client.sdk.archives.passages.create(first.id, text="Salt the water.")
    with pytest.raises(letta_client.NotFoundError):
        await client.sdk.archives.passages.delete(note.id, archive_id=second.id)
    assert await texts(client, query="salt") == ["Salt the water."]
    await client.sdk.archives.passages.delete(note.id, archive_id=first.id)
    assert await texts(client, query="salt") == []
    assert await changes(client, note.id) == ["create", "delete"]


async def test_vectors_take_room(tmp_path):
    async with client_of(tmp_path, embedder=BuiltInEmbedder()) as client:
        shelf = await client.sdk.archives.create(name="a")
        assert await client.get("/v1/embeddings/total_storage_size") == 0
        await client.sdk.archives.passages.create(shelf.id, text="Salt the water.")
        assert await texts(client, query="salty water") == ["Salt the water."]
        sizes = [
            (await client.http.get("/v1/embeddings/total_storage_size", headers={"storage-unit": unit})).json()
            for unit in ("B", "KB")
        ]
        assert sizes[0] == sizes[1] * 1024 > 0


async def test_what_means_nothing_is_refused(client):
    shelf = (await client.sdk.archives.create(name="a")).id
    agent = (await client.sdk.agents.create()).id
    none = f"archive-{MISSING}"
    for method, path, body, status in (
        ("POST", "/v1/archives", {}, 422),
        ("POST", "/v1/archives", {"name": ""}, 422),
        ("POST", "/v1/archives", {"name": "a", "embedding": "nobody/nothing"}, 404),
        ("GET", "/v1/archives/nonsense", None, 422),
        ("GET", f"/v1/archives?after={none}", None, 404),
        ("PATCH", f"/v1/archives/{shelf}", {"name": ""}, 422),
        ("PATCH", f"/v1/archives/{shelf}", {"embedding": "nobody/nothing"}, 404),
        ("PATCH", f"/v1/archives/{none}", {"name": "b"}, 404),
        ("DELETE", f"/v1/archives/{none}", None, 404),
        ("GET", f"/v1/archives/{none}/agents", None, 404),
        ("POST", f"/v1/archives/{none}/passages", {"text": "x"}, 404),
        ("POST", f"/v1/archives/{none}/passages/batch", {"passages": []}, 404),
        ("POST", f"/v1/archives/{shelf}/passages", {"text": ""}, 422),
        ("POST", f"/v1/archives/{shelf}/passages/batch", {"passages": [{"text": "x"}, {}]}, 422),
        ("DELETE", f"/v1/archives/{shelf}/passages/passage-{MISSING}", None, 404),
        ("PATCH", f"/v1/agents/{agent}/archives/attach/{none}", None, 404),
        ("PATCH", f"/v1/agents/agent-{MISSING}/archives/attach/{shelf}", None, 404),
        ("PATCH", f"/v1/agents/{agent}/archives/detach/{shelf}", None, 404),
        ("POST", "/v1/passages/search", {"agent_id": "nobody"}, 404),
        ("POST", "/v1/passages/search", {"archive_id": none}, 404),
        ("POST", "/v1/passages/search", {"limit": 0}, 422),
        ("POST", "/v1/passages/search", {"start_date": "yesterday"}, 422),
    ):
        answer = await client.http.request(method, path, json=body)
        assert answer.status_code == status, (method, path, body, answer.text)
    bad = await client.http.get("/v1/embeddings/total_storage_size", headers={"storage-unit": "miles"})
    assert bad.status_code == 422
    assert await texts(client, archive_id=shelf) == []
