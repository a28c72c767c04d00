"""`loci server`: says where it is, refuses what is unsafe, ends at once, and goes on where it was."""

import json
import signal
import socket
import time
from pathlib import Path
from typing import Any

import apsw
import httpx2
import letta_client
import pytest
from letta_client import Letta

from loci import __version__
from tests.cli.command import loci
from tests.cli.served import Served, served


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "loci-home"


def until(stream: Any, message_type: str) -> Any:
    return next(event for event in stream if event.message_type == message_type)


def under_way(server: Served) -> tuple[str, str, Any]:
    """A run that has saved something and now waits for a long time: agent, run, the stream that tells it."""
    agent = server.agent("ada")
    script = '@call memory_insert {"label": "human", "new_string": "Likes tea"}\n@then\n@wait 3600\n@say never'
    stream = server.client.agents.messages.create(agent, streaming=True, input=script)
    run_id = until(stream, "ping").run_id
    assert until(stream, "tool_return_message").status == "success"
    return agent, run_id, stream


def test_the_greeting_tells_all_that_is_needed(home: Path):
    with served(home, LOCI_MODEL="") as server:
        for words in (
            f"Loci {__version__}",
            f"{server.url}/v1",
            f"{server.url}/docs",
            str(home / "loci.db"),
            "only this machine can connect",
            "Talk: loci chat   Stop: Ctrl-C",
        ):
            assert words in server.greeting
        assert httpx2.get(f"{server.url}/docs").status_code == 200
        assert home.stat().st_mode & 0o077 == 0


def test_a_scripted_stand_in_is_called_one(home: Path):
    with served(home) as server:
        assert "a stand-in that understands a few phrases" in server.greeting
        assert "set OPENAI_API_KEY" in server.greeting


def test_ctrl_c_ends_it_at_once_and_the_run_goes_on_at_the_next_start(home: Path):
    with served(home) as server:
        agent, run_id, stream = under_way(server)
        began_s = time.monotonic()
        status, talk = server.stop(signal.SIGINT)
        spent_s = time.monotonic() - began_s
        stream.close()

    assert status == 0
    assert talk == "Stopped. 1 run will go on at the next start."
    assert spent_s < 10

    with served(home) as server:
        assert server.client.runs.retrieve(run_id).status == "running"
        assert "Likes tea" in server.client.agents.blocks.retrieve("human", agent_id=agent).value
        server.client.agents.messages.cancel(agent, run_ids=[run_id])
        assert server.stop(signal.SIGTERM) == (0, "Stopped.")


def test_it_warns_when_tools_from_source_would_not_be_isolated(home: Path):
    with served(home, LOCI_SANDBOX="off") as server:
        status, talk = server.stop()
    assert status == 0
    assert "Tools from source are not run: LOCI_SANDBOX is off" in talk


def test_a_kill_loses_nothing_that_was_told(home: Path):
    with served(home) as server:
        agent, run_id, stream = under_way(server)
        server.stop(signal.SIGKILL)
        stream.close()

    with served(home) as server:
        assert "Likes tea" in server.client.agents.blocks.retrieve("human", agent_id=agent).value
        assert server.client.runs.retrieve(run_id).status == "running"


def test_it_is_not_opened_to_others_without_a_key():
    done = loci("server", "--host", "0.0.0.0")

    assert done.status == 1
    assert "no API key is set" in done.talk
    assert "Set LOCI_API_KEY" in done.talk


def test_with_a_key_it_is_and_asks_for_it(home: Path):
    with served(home, "--host", "0.0.0.0", LOCI_API_KEY="a-long-enough-key") as server:
        assert "clients must send the API key" in server.greeting
        assert "a-long-enough-key" not in server.greeting
        with pytest.raises(letta_client.AuthenticationError):
            server.client.agents.list()
        with Letta(base_url=server.url, api_key="a-long-enough-key") as client:
            assert client.agents.list().items == []

        assert "wants an API key" in loci("agents", "list", LOCI_BASE_URL=server.url).talk
        assert loci("agents", "list", "--json", LOCI_BASE_URL=server.url, LOCI_API_KEY="a-long-enough-key").data == []


def test_a_port_that_is_taken_is_told_with_another():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = loci("server", "--port", str(port))

    assert done.status == 1
    assert done.talk.startswith(f"Error: Port {port} is taken by another program.\n")
    assert f"--port {port + 1}" in done.talk


def test_a_second_server_is_told_of_the_first(home: Path):
    with served(home) as server:
        port = server.url.rpartition(":")[2]
        same_port = loci("server", "--port", port)
        other_port = loci("server", "--port", "0")

    assert same_port.status == other_port.status == 1
    assert same_port.talk.startswith(f"Error: Loci already runs at {server.url} (process {server.child.pid}).")
    assert f"which serves {server.url}" in other_port.talk


def test_commands_find_the_server_on_whatever_port_it_is(home: Path):
    with served(home) as server:
        server.agent("ada")

        status = loci("status", "--json")
        assert status.status == 0
        assert status.data["address"] == server.url
        assert status.data["process"] == server.child.pid
        assert [agent["name"] for agent in loci("agents", "list", "--json").data] == ["ada"]

    stopped = loci("status")
    assert stopped.status == 1
    assert "No server runs. Start it with: loci server" in stopped.out
    assert loci("status", "--json").data["running"] is False


def test_another_data_file_can_be_named(home: Path, tmp_path: Path):
    with served(home, "--database", str(tmp_path / "trial.db")) as server:
        server.agent("ada")
    with served(home, "--database", ":memory:") as server:
        assert "in memory only" in server.greeting
        assert server.client.agents.list().items == []

    assert (tmp_path / "trial.db").exists()
    assert not (home / "loci.db").exists()


def test_the_log_as_json_is_json_from_the_first_line(home: Path):
    with served(home, LOCI_LOG_FORMAT="json") as server:
        lines = [json.loads(line) for line in server.greeting.splitlines()]

    assert lines[-1]["message"] == "listening"
    assert lines[-1]["address"] == server.url


def test_a_database_of_a_newer_loci_is_refused_in_one_sentence(home: Path):
    assert loci("agents", "create", "ada").status == 0
    connection = apsw.Connection(str(home / "loci.db"))
    connection.execute("update meta set value = '9999' where key = 'schema_version'")
    connection.close()

    done = loci("server", "--port", "0")
    assert done.status == 1
    assert done.talk.startswith("Error: The database has schema version 9999")
    assert "Traceback" not in done.talk
