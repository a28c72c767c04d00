"""Files are taken in: read by kind, cut and found, told apart by name, refused with a reason."""

import asyncio
from datetime import timedelta

import pytest
from letta_client import ConflictError, NotFoundError

from loci.errors import ModelFault
from loci.files.intake import FILE_JOB
from loci.store import files
from loci.store.base import Transaction
from loci.types.jobs import NewJob
from tests.api.clients import MISSING, client_of
from tests.files.room import finished, folder_of, opened, upload, use
from tests.files.samples import KINDS, TEA
from tests.memory.embedders import LetterEmbedder
from tests.store.rooms import ME


async def test_each_kind_of_file_is_read_and_found(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        for name, data in KINDS.items():
            seen = await upload(client, folder_id, name, data)
            assert (name, seen.processing_status, seen.error_message) == (name, "completed", None)
            assert TEA in seen.content, name
            assert (seen.file_name, seen.file_size) == (f"docs/{name}", len(data))
            assert seen.total_chunks == seen.chunks_embedded >= 1
        passages = await client.get(f"/v1/folders/{folder_id}/passages", limit=100)
        assert {passage["file_name"] for passage in passages} == {f"docs/{name}" for name in KINDS}


async def test_what_makes_no_text_is_left_out(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        page = (await upload(client, folder_id, "f.html", KINDS["f.html"])).content
        assert page == f"On tea\n\n# Tea\n\n{TEA} It is **never** boiled."
        assert (await upload(client, folder_id, "g.pdf", KINDS["g.pdf"])).content.splitlines()[0] == "[Page 1]"
        assert (await upload(client, folder_id, "h.docx", KINDS["h.docx"])).content == f"Tea\n\n{TEA}"
        assert (await upload(client, folder_id, "j.txt", KINDS["j.txt"])).content == f"{TEA} Grüße aus Köln"
        assert (await upload(client, folder_id, "x.txt", b"a\x1b[31m\r\nb\rc")).content == "a[31m\nb\nc"


async def test_what_was_sent_is_kept_no_longer_than_it_is_needed(tmp_path):
    def pieces(tx: Transaction) -> int:
        return len(tx.all("select 1 from file_pieces"))

    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        long = await upload(client, folder_id, "long.txt", f"{TEA}\n" * 60_000)  # three pieces
        assert len(long.content) == 60_000 * (len(TEA) + 1)
        assert (await upload(client, folder_id, "bad.pdf", b"%PDF-1.7 nothing more")).processing_status == "error"
        assert await client.live.core.store.read(pieces) == 0


async def test_a_file_that_was_cut_into_chunks_in_part_is_cut_anew(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        file = await upload(client, folder_id, "a.txt", f"{TEA}\n" * 200)
        core = client.live.core

        def begun(tx: Transaction) -> None:
            """As a crash leaves it: some chunks are there, and so is what was sent."""
            now = core.clock.now()
            files.set_status(tx, ME, file.id, "parsing", now)
            files.insert_piece(tx, ME, file.id, 0, f"{TEA}\n".encode() * 200)
            core.jobs.enqueue(tx, ME, NewJob(kind=FILE_JOB, subject_id=file.id), now)

        await core.store.write(begun)
        again = await finished(client, folder_id, file.id)
        passages = await client.get(f"/v1/folders/{folder_id}/passages", limit=1000)
        assert again.total_chunks == file.total_chunks == len(passages) > 3
        assert len({passage["text"] + str(passage["metadata"]) for passage in passages}) == len(passages)


async def test_a_taken_name_is_handled_as_asked(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        first = await upload(client, folder_id, "a.txt", "one")
        again = await upload(client, folder_id, "a.txt", "two")
        third = await upload(client, folder_id, "a.txt", "three", duplicate_handling="suffix")
        assert [again.file_name, third.file_name] == ["docs/a_(1).txt", "docs/a_(2).txt"]
        assert again.original_file_name == "a.txt"
        skipped = await upload(client, folder_id, "a.txt", "four", duplicate_handling="skip")
        assert (skipped.id, skipped.content) == (first.id, "one")
        with pytest.raises(ConflictError, match="already"):
            await upload(client, folder_id, "a.txt", "five", duplicate_handling="error")
        new = await upload(client, folder_id, "a.txt", "six", duplicate_handling="replace")
        assert (new.file_name, new.content) == ("docs/a.txt", "six")
        with pytest.raises(NotFoundError):
            await client.sdk.folders.files.retrieve(first.id, folder_id=folder_id)
        named = await upload(client, folder_id, "a.txt", "seven", name="b.txt")
        assert (named.file_name, named.original_file_name) == ("docs/b.txt", "a.txt")
        names = [file.file_name async for file in client.sdk.folders.files.list(folder_id, order="asc", limit=2)]
        assert names == ["docs/a_(1).txt", "docs/a_(2).txt", "docs/a.txt", "docs/b.txt"]


REFUSED = [
    ("a.xlsx", b"PK\x03\x04....", 415, "Send text"),
    ("a.png", b"\x89PNG\r\n\x1a\n\x00\x00", 415, "Send text"),
    ("a.bin", b"abc\x00def", 415, "Send text"),
    ("a.pdf", b"no header at all", 415, "named like a PDF"),
    ("a.docx", b"\x00\x01", 415, "named like a DOCX"),
    ("..", b"x", 422, "no name for a file"),
    ("\x07\x08", b"x", 422, "no name for a file"),
]


async def test_what_cannot_be_read_is_refused_at_once(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        for name, data, status, words in REFUSED:
            answer = await client.http.post(
                f"/v1/folders/{folder_id}/upload", params={"name": name}, files={"file": ("x", data)}
            )
            assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
        assert [file async for file in client.sdk.folders.files.list(folder_id)] == []


async def test_a_bad_request_says_what_is_wrong(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        missing = await client.http.post(f"/v1/folders/source-{MISSING}/upload", files={"file": ("a.txt", b"x")})
        nothing = await client.http.post(f"/v1/folders/{folder_id}/upload")
        no_id = await client.http.get("/v1/folders/docs")
        odd = await client.http.post(
            f"/v1/folders/{folder_id}/upload?duplicate_handling=maybe", files={"file": ("a.txt", b"x")}
        )
        assert [missing.status_code, nothing.status_code, no_id.status_code, odd.status_code] == [404, 422, 422, 422]
        for name in ("", "a/b", '<b>"', "x" * 500):
            assert (await client.http.post("/v1/folders", json={"name": name})).status_code == 422
        with pytest.raises(ConflictError):
            await folder_of(client)


async def test_folders_are_changed_counted_and_deleted_with_all_that_is_in_them(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client, description="Papers", instructions="Quote them.", metadata={"a": 1})
        await upload(client, folder_id, "a.txt", TEA)
        changed = await client.sdk.folders.update(folder_id, name="papers")
        assert (changed.name, changed.description, changed.instructions) == ("papers", "Papers", "Quote them.")
        assert await client.get("/v1/folders/name/papers") == folder_id
        assert await client.get("/v1/sources/count") == 1
        sizes = await client.get("/v1/folders/metadata", include_detailed_per_source_metadata=True)
        assert (sizes["total_sources"], sizes["total_files"], sizes["total_size"]) == (1, 1, len(TEA))
        assert sizes["sources"][0]["files"][0]["file_name"] == "papers/a.txt"
        agent = await client.sdk.agents.create(folder_ids=[folder_id])
        assert await client.get(f"/v1/folders/{folder_id}/agents") == [agent.id]
        await client.sdk.folders.delete(folder_id)
        assert await client.get(f"/v1/agents/{agent.id}/folders") == []
        assert await opened(client, agent.id) == []

        def left(tx: Transaction) -> dict[str, int]:
            tables = ("folders", "files", "file_texts", "chunks", "agent_files", "search_scopes", "search_rows")
            return {name: len(tx.all(f"select 1 from {name}")) for name in tables}

        assert set((await client.live.core.store.read(left)).values()) == {0}


async def test_a_file_is_found_by_its_words_when_the_embedding_model_is_away(tmp_path):
    embedder = LetterEmbedder()
    async with client_of(tmp_path, embedder=embedder) as client:
        folder_id = await folder_of(client)
        good = await upload(client, folder_id, "a.txt", TEA)
        assert (good.total_chunks, good.chunks_embedded) == (1, 1)
        assert embedder.asked == [f"[docs/a.txt] {TEA}"]
        agent = await client.sdk.agents.create(folder_ids=[folder_id])
        embedder.failing = ModelFault.CONNECTION
        made = await client.sdk.folders.files.upload(folder_id, file=("b.txt", b"Oolong is kept in tins."))
        await finished(client, folder_id, made.id, "embedding")
        found = await use(client, agent.id, "semantic_search_files", query="oolong tins")
        assert "Oolong is kept in tins." in found
        job = next(
            job for job in await client.get("/v1/jobs/", active=True) if job["metadata"]["subject_id"] == made.id
        )
        stopped = (await client.http.patch(f"/v1/jobs/{job['id']}/cancel")).json()
        assert stopped["status"] == "cancelled"
        seen = await client.sdk.folders.files.retrieve(made.id, folder_id=folder_id)
        assert (seen.processing_status, seen.error_message) == ("completed", "Embedding it was cancelled.")


async def test_a_file_is_complete_once_its_vectors_are_there_whoever_fills_them_in(tmp_path):
    embedder = LetterEmbedder()
    async with client_of(tmp_path, embedder=embedder) as client:
        slow, quick = await folder_of(client, "slow"), await folder_of(client, "quick")
        agent = await client.sdk.agents.create(folder_ids=[slow])
        embedder.held["[slow/"] = asyncio.Event()
        made = await client.sdk.folders.files.upload(slow, file=("a.txt", b"The oolong."))
        await finished(client, slow, made.id, "embedding")
        second = await client.sdk.folders.files.upload(slow, file=("b.txt", b"More oolong."))
        await finished(client, slow, second.id, "embedding")
        assert "oolong" in await use(client, agent.id, "semantic_search_files", query="oolong")
        # Nobody else's file waits for that folder.
        assert (await upload(client, quick, "c.txt", TEA)).chunks_embedded == 1
        for file in (made, second):
            seen = await client.sdk.folders.files.retrieve(file.id, folder_id=slow)
            assert (seen.processing_status, seen.chunks_embedded) == ("embedding", 0)
        embedder.held["[slow/"].set()
        for file in (made, second):
            seen = await finished(client, slow, file.id)
            assert (seen.processing_status, seen.error_message, seen.chunks_embedded) == ("completed", None, 1)


async def test_a_search_that_fills_in_vectors_completes_no_file(tmp_path):
    embedder = LetterEmbedder()
    async with client_of(tmp_path, embedder=embedder) as client:
        folder_id = await folder_of(client)
        agent = await client.sdk.agents.create(folder_ids=[folder_id])
        embedder.failing = ModelFault.CONNECTION
        made = await client.sdk.folders.files.upload(folder_id, file=("a.txt", b"The oolong."))
        await finished(client, folder_id, made.id, "embedding")
        jobs = await client.get("/v1/jobs/", active=True)
        while not jobs[0]["metadata"]["error"]:
            jobs = await client.get("/v1/jobs/", active=True)
        embedder.failing, embedder.held["[docs/"] = None, asyncio.Event()
        searching = asyncio.create_task(use(client, agent.id, "semantic_search_files", query="oolong"))
        await asyncio.sleep(2.5)  # by then the job has tried again
        seen = await client.sdk.folders.files.retrieve(made.id, folder_id=folder_id)
        assert (seen.processing_status, seen.chunks_embedded) == ("embedding", 0)
        embedder.held["[docs/"].set()
        assert "oolong" in await searching
        assert (await finished(client, folder_id, made.id)).chunks_embedded == 1


async def test_a_file_that_nobody_goes_on_with_is_no_longer_found(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        agent = await client.sdk.agents.create(folder_ids=[folder_id])
        core = client.live.core
        for attempts, words in ((0, "Reading it was cancelled."), (100, "it was interrupted each time")):
            file = await upload(client, folder_id, "a.txt", f"{TEA}\n" * 200, duplicate_handling="replace")

            def begun(tx: Transaction, file_id: str = file.id, attempts: int = attempts) -> str:
                """As a crash leaves it: some chunks are there; the job is due in an hour, or was tried too often."""
                now = core.clock.now()
                files.set_status(tx, ME, file_id, "parsing", now)
                due = now if attempts else now + timedelta(hours=1)
                job_id = core.jobs.enqueue(tx, ME, NewJob(kind=FILE_JOB, subject_id=file_id, run_at=due), now)
                tx.run("update jobs set attempts = :n where id = :id", {"n": attempts, "id": job_id})
                return job_id

            job_id = await core.store.write(begun)
            if not attempts:
                assert (await client.http.patch(f"/v1/jobs/{job_id}/cancel")).status_code == 200
            seen = await finished(client, folder_id, file.id)
            assert (seen.processing_status, seen.error_message) == ("error", words)
            assert (seen.content, seen.total_chunks) == (None, None)
            assert await client.get(f"/v1/folders/{folder_id}/passages") == []
            assert await use(client, agent.id, "semantic_search_files", query="tea") == "No results found."


async def test_jobs_say_what_became_of_files(tmp_path):
    async with client_of(tmp_path) as client:
        folder_id = await folder_of(client)
        good = await upload(client, folder_id, "a.txt", TEA)
        bad = await upload(client, folder_id, "b.pdf", b"%PDF-1.7 nothing more")
        await client.live.core.jobs.run_due()
        jobs = await client.get("/v1/jobs/", order="asc", source_id=folder_id)
        assert [(job["metadata"]["subject_id"], job["status"]) for job in jobs] == [
            (good.id, "completed"),
            (bad.id, "failed"),
        ]
        assert jobs[1]["metadata"]["error"] == bad.error_message
        assert await client.get("/v1/jobs/", source_id=f"source-{MISSING}") == []
        assert await client.get("/v1/jobs/active") == []
        assert (await client.http.delete(f"/v1/jobs/{jobs[0]['id']}")).json()["id"] == jobs[0]["id"]
        for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", "/cancel")):
            answer = await client.http.request(method, f"/v1/jobs/{jobs[0]['id']}{path}")
            assert answer.status_code == 404
        assert (await client.http.get("/v1/jobs/job-1")).status_code == 422
