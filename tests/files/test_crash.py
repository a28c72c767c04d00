"""A server that dies while it reads a file reads it after the next start."""

import json
import time
from pathlib import Path
from typing import Any

from letta_client import Letta

from tests.files.samples import TEA, pdf
from tests.sdk.processes import running

WAIT_S = 60.0


def until(client: Any, folder_id: str, file_id: str, *wanted: str) -> Any:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        seen = client.folders.files.retrieve(file_id, folder_id=folder_id, include_content=True)
        if seen.processing_status in wanted:
            return seen
    raise AssertionError(f"the file is {seen.processing_status}")


def test_a_file_is_read_to_the_end_after_a_crash(tmp_path: Path):
    with running(tmp_path / "home") as server:
        with Letta(base_url=server.url, api_key="x") as client:
            folder_id = client.folders.create(name="docs").id
            data = pdf(*[f"{TEA} Page {number}." for number in range(400)])
            made: Any = client.folders.files.upload(folder_id, file=("a.pdf", data))
            half = until(client, folder_id, made.id, "parsing")
            assert half.content is None
            server.kill()

        server.start()
        with Letta(base_url=server.url, api_key="x") as client:
            seen = until(client, folder_id, made.id, "completed", "error")
            assert (seen.processing_status, seen.content.count("[Page ")) == ("completed", 400)
            assert seen.total_chunks == seen.chunks_embedded > 10
            passages = client.get(f"/v1/folders/{folder_id}/passages?limit=1000", cast_to=list[Any])
            assert len(passages) == seen.total_chunks


def test_a_file_that_an_agent_file_brought_is_searchable_after_a_crash(tmp_path: Path):
    words = "\n\n".join(f"{TEA} Paragraph {number}. {'Steep it well. ' * 60}" for number in range(3_000))
    source = {"id": "source-0", "name": "docs", "embedding": None}
    file = {"id": "file-0", "source_id": "source-0", "file_name": "docs/a.md", "content": words}
    document = {"agents": [{"id": "a", "source_ids": ["source-0"]}], "sources": [source], "files": [file]}
    with running(tmp_path / "home") as server:
        with Letta(base_url=server.url, api_key="x") as client:
            client.agents.import_file(file=("a.af", json.dumps(document).encode()))
            server.kill()

        server.start()
        with Letta(base_url=server.url, api_key="x") as client:
            (folder,) = client.folders.list()
            (made,) = client.folders.files.list(folder.id)
            seen = until(client, folder.id, str(made.id), "completed", "error")
            assert (seen.processing_status, seen.content) == ("completed", words)
            assert seen.total_chunks == seen.chunks_embedded == 3_000
