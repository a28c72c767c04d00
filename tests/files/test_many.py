"""Folders with more files than one list holds, and with more holders than one page."""

from typing import Any

from loci.ids import new_id
from loci.store import files
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.files import File
from tests.api.clients import Client, client_of
from tests.files.room import folder_of, holder, opened, prompt, use

ME = Actor()


async def fill(client: Client, folder_id: str, texts: dict[str, str]) -> None:
    """Put many files into a folder at once, as if they had been read."""
    now = client.live.core.clock.now()

    def put(tx: Transaction) -> None:
        for name, words in texts.items():
            new = File(
                id=new_id("file"),
                folder_id=folder_id,
                folder_name="",
                name=name,
                original_name=name,
                media_type="text/plain",
                size_bytes=len(words),
            )
            files.set_text(tx, ME, files.insert(tx, ME, new, now), words, 0, now)
            files.set_status(tx, ME, new.id, "completed", now)

    await client.live.core.store.write(put)


async def test_the_holders_of_a_folder_come_page_by_page(tmp_path: Any):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        held = [await holder(client, folder_id) for _ in range(5)]
        hidden = await holder(client, folder_id, hidden=True)
        await client.sdk.agents.create()
        for family in ("folders", "sources"):
            path = f"/v1/{family}/{folder_id}/agents"
            assert await client.get(path) == [hidden, *held[::-1]]
            assert await client.get(path, order="asc", limit=2) == held[:2]
            assert await client.get(path, order="asc", limit=2, after=held[1]) == held[2:4]
            assert await client.get(path, order="asc", limit=2, before=held[4]) == held[2:4]
            assert (await client.http.get(path, params={"limit": 10_001})).status_code == 422


async def test_sizes_are_those_of_all_files(tmp_path: Any):
    async with client_of(tmp_path) as client:
        one, two = await folder_of(client, "one"), await folder_of(client, "two")
        await fill(client, one, {"a.txt": "12345", "b.txt": "123"})
        total = {"total_sources": 2, "total_files": 2, "total_size": 8}
        assert await client.get("/v1/folders/metadata") == {**total, "sources": []}
        found = await client.get("/v1/sources/metadata", include_detailed_per_source_metadata=True)
        names = [
            file.pop("file_id") and (file["file_name"], file["file_size"]) for file in found["sources"][0]["files"]
        ]
        assert sorted(names) == [("one/a.txt", 5), ("one/b.txt", 3)]
        del found["sources"][0]["files"]
        assert found == {
            **total,
            "sources": [
                {"source_id": one, "source_name": "one", "file_count": 2, "total_size": 8},
                {"source_id": two, "source_name": "two", "file_count": 0, "total_size": 0, "files": []},
            ],
        }


async def test_every_file_of_thousands_is_opened_searched_and_counted(tmp_path: Any):
    async with client_of(tmp_path) as client:
        first, second = await folder_of(client, "first"), await folder_of(client, "second")
        await fill(client, first, {f"{number:04}.txt": f"Note {number}." for number in range(1_200)})
        await fill(client, second, {"last.md": "The needle."})
        agent_id = await holder(client, first, second, max_files_open=2)
        shown = await prompt(client, agent_id)
        assert "[998 more files: find them with grep_files or semantic_search_files]" in shown
        for name in ("first/1199.txt", "1150.txt", "last.md"):
            assert (await use(client, agent_id, "open_files", file_requests=[{"file_name": name}])).startswith("Opened")
        assert await opened(client, agent_id) == ["first/1150.txt", "second/last.md"]
        assert "first/1199.txt, line 1:\n> 1: Note 1199." in await use(client, agent_id, "grep_files", pattern="1199")
        assert "second/last.md, line 1" in await use(client, agent_id, "grep_files", pattern="needle")
        assert await use(client, agent_id, "grep_files", pattern="needle", include="first/*") == "No line matches."


async def test_a_search_says_which_files_it_did_not_look_at(tmp_path: Any):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        await fill(client, folder_id, {f"{name}.txt": "x" * 20_000_000 for name in "ab"})
        await fill(client, folder_id, {"c.txt": "needle\n" + "x" * 10_000_000, "d.txt": "needle"})
        agent_id = await holder(client, folder_id)
        said = await use(client, agent_id, "grep_files", pattern="needle")
        assert said == (
            "No line matches. Not looked at: docs/c.txt and the files after it, by folder and name; one search looks "
            "through 50,000,000 characters. Narrow it with 'include'."
        )
        assert "docs/c.txt, line 1" in await use(client, agent_id, "grep_files", pattern="needle", include="[cd].txt")


async def test_attaching_a_folder_reads_only_so_much_text_while_others_wait(tmp_path: Any):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        await fill(client, folder_id, {"a.txt": "a" * 3_000_000, "b.txt": "b\n" * 1_500_000, "c.txt": "Small."})
        agent_id = await holder(client, folder_id)
        assert await opened(client, agent_id) == ["docs/a.txt", "docs/c.txt"]
        page = await client.sdk.agents.files.list(agent_id, is_open=False)
        await client.sdk.agents.files.open(page.files[0].file_id, agent_id=agent_id)
        assert "1: b\n2: b\n3: b" in await prompt(client, agent_id)
