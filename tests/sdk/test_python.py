"""The unmodified public Python client against a real server process, which is killed in the middle of a turn."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from letta_client import Letta

from loci.embedded import Loci
from tests.sdk import first_hour
from tests.sdk.processes import Process, running

SLOW = """Note it, think for long, then speak.
@call memory_insert {"label": "human", "new_string": "Plays the cello."}
@then
@wait 2
@say Noted, after a while."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    with running(tmp_path / "home") as process:
        yield process


def client_of(process: Process) -> Letta:
    return Letta(base_url=process.url, api_key="none", max_retries=0)


def test_an_agent_outlives_a_process_that_is_killed_in_the_middle_of_a_turn(server: Process) -> None:
    client = client_of(server)
    agent_id = first_hour.before(client)
    known = set(first_hour.pages(client, agent_id))

    seen: list[str] = []

    def follow() -> None:
        stream = client.agents.messages.create(agent_id, messages=[{"role": "user", "content": SLOW}], streaming=True)
        try:
            for event in stream:
                seen.append(str(event.message_type))
                if event.message_type == "tool_return_message":
                    acknowledged.set()
        except Exception:
            return

    acknowledged = threading.Event()
    thread = threading.Thread(target=follow)
    thread.start()
    assert acknowledged.wait(20)
    server.kill()
    thread.join()
    client.close()
    assert "assistant_message" not in seen

    server.start()
    client = client_of(server)
    runs = client.runs.list(agent_id=agent_id)
    newest = next(iter(runs))
    while newest.status not in ("completed", "failed", "cancelled"):
        newest = client.runs.retrieve(newest.id)
    assert newest.status == "completed"
    block = client.agents.blocks.retrieve("human", agent_id=agent_id).value
    assert block.count("Plays the cello.") == 1
    messages = list(client.agents.messages.list(agent_id, limit=100, order="asc"))
    assert known <= {message.id for message in messages}
    assert getattr(messages[-1], "content", None) == "Noted, after a while."
    first_hour.after(client, agent_id)
    client.close()


def test_the_data_are_one_sound_file(server: Process, tmp_path: Path) -> None:
    with client_of(server) as client:
        first_hour.before(client)
    server.kill()

    with closing(sqlite3.connect(tmp_path / "home" / "loci.db")) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("pragma foreign_key_check").fetchall() == []


def test_the_same_client_works_without_a_server(tmp_path: Path) -> None:
    with Loci(tmp_path / "loci.db") as client:
        agent_id = first_hour.before(client)
    with Loci(tmp_path / "loci.db") as client:
        first_hour.after(client, agent_id)
