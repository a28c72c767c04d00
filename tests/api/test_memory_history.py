"""The past of memory over the API: seen, explained, read as it was, and taken back."""

import pytest

from tests.api.clients import MISSING, client_of


async def test_each_change_is_told_with_its_author_and_its_diff(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Likes tea."}])
        block = agent.blocks[0]
        await client.sdk.blocks.update(block.id, value="Likes tea.\nLives in Rome.")
        await client.http.post(
            f"/v1/agents/{agent.id}/tools/memory_insert/run",
            json={"args": {"label": "human", "new_string": "Has a cat."}},
        )
        newest, edit, made = await client.get(f"/v1/blocks/{block.id}/history")
        assert [change["author"]["kind"] for change in (made, edit)] == ["user", "user"]
        assert "+Has a cat." in newest["diff"]
        assert (edit["action"], edit["label"], edit["subject_id"]) == ("update", "human", block.id)
        assert "+Lives in Rome." in edit["diff"]
        assert "-Likes" not in edit["diff"]
        assert edit["before"]["value"] == "Likes tea."
        everything = await client.get(f"/v1/agents/{agent.id}/memory/history")
        assert [change["id"] for change in everything if change["subject"] == "block"] == [
            newest["id"],
            edit["id"],
            made["id"],
        ]
        blame = await client.get(f"/v1/blocks/{block.id}/blame")
        assert [line["change_id"] for line in blame] == [made["id"], edit["id"], newest["id"]]
        assert await client.get(f"/v1/memory/changes/{edit['id']}") == [edit]


async def test_a_page_of_the_past_goes_on_where_the_last_one_ended(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="x", value="0")
        for number in range(1, 6):
            await client.sdk.blocks.update(block.id, value=str(number))
        path = f"/v1/blocks/{block.id}/history"
        ids = [change["id"] for change in await client.get(path)]
        assert len(ids) == 6
        after = await client.get(path, limit=2, after=ids[1])
        before = await client.get(path, limit=2, before=ids[4])
        upwards = await client.get(path, limit=2, order="asc")
        assert [[change["id"] for change in page] for page in (after, before, upwards)] == [
            ids[2:4],
            ids[2:4],
            ids[:3:-1],
        ]
        assert await client.get(path, after=ids[-1]) == []


async def test_memory_is_read_as_it_was(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Old"}])
        block = agent.blocks[0]
        await client.sdk.blocks.update(block.id, value="New")
        edit, made = await client.get(f"/v1/blocks/{block.id}/history")
        await client.sdk.blocks.delete(block.id)
        then = await client.get(f"/v1/agents/{agent.id}/memory/blocks", as_of=edit["at"])
        assert [held["value"] for held in then] == ["New"]
        assert (await client.get(f"/v1/blocks/{block.id}/past", as_of=edit["at"]))["value"] == "New"
        assert await client.get(f"/v1/agents/{agent.id}/memory/blocks", as_of="2000-01-01") == []
        for moment in ("2000-01-01", "2100-01-01"):
            gone = await client.http.get(f"/v1/blocks/{block.id}/past", params={"as_of": moment})
            assert gone.status_code == 404
        assert len(await client.get(f"/v1/blocks/{block.id}/history")) == 3
        assert made["at"] <= edit["at"]


async def test_an_undo_keeps_what_came_later_and_can_be_undone(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="human", value="a\nb\nc\nd\ne")
        await client.sdk.blocks.update(block.id, value="A\nb\nc\nd\ne")
        first = (await client.get(f"/v1/blocks/{block.id}/history"))[0]
        await client.sdk.blocks.update(block.id, value="A\nb\nc\nd\nE")
        undone = (await client.http.post(f"/v1/memory/changes/{first['id']}/undo")).json()
        assert (await client.sdk.blocks.retrieve(block.id)).value == "a\nb\nc\nd\nE"
        assert undone["changes"] == await client.get(f"/v1/memory/changes/{undone['change_set_id']}")
        assert undone["changes"][0]["reason"] == f"Undo of {first['id']}"
        again = await client.http.post(f"/v1/memory/changes/{undone['change_set_id']}/undo")
        assert again.status_code == 200
        assert (await client.sdk.blocks.retrieve(block.id)).value == "A\nb\nc\nd\nE"


async def test_an_undo_that_would_lose_something_is_refused_and_writes_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="human", value="one")
        await client.sdk.blocks.update(block.id, value="two")
        edit = (await client.get(f"/v1/blocks/{block.id}/history"))[0]
        await client.sdk.blocks.update(block.id, value="three")
        refused = await client.http.post(f"/v1/memory/changes/{edit['id']}/undo")
        assert refused.status_code == 409
        assert "three" in refused.json()["detail"]
        assert (await client.sdk.blocks.retrieve(block.id)).value == "three"
        assert len(await client.get(f"/v1/blocks/{block.id}/history")) == 3


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/blocks/block-{MISSING}/history", 404),
        (f"/v1/blocks/block-{MISSING}/blame", 404),
        (f"/v1/blocks/block-{MISSING}/past?as_of=2100-01-01", 404),
        (f"/v1/blocks/block-{MISSING}/past", 422),
        (f"/v1/blocks/block-{MISSING}/past?as_of=soon", 422),
        (f"/v1/agents/agent-{MISSING}/memory/history", 404),
        (f"/v1/agents/agent-{MISSING}/memory/blocks?as_of=2100-01-01", 404),
        (f"/v1/memory/changes/change-{MISSING}", 404),
        ("/v1/memory/changes/999999999999999999", 404),
        ("/v1/memory/changes/9999999999999999999", 422),
        ("/v1/memory/changes/nothing", 422),
    ],
)
async def test_what_never_was_is_refused(tmp_path, path, status):
    async with client_of(tmp_path) as client:
        assert (await client.http.get(path)).status_code == status
        if "/changes/" in path:
            assert (await client.http.post(f"{path}/undo")).status_code == status


async def test_a_cursor_that_is_no_entry_is_refused(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="x", value="0")
        for cursor in ("nothing", "9" * 150, "-1"):
            answer = await client.http.get(f"/v1/blocks/{block.id}/history", params={"after": cursor})
            assert answer.status_code == 404
