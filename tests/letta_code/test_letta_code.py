"""The unmodified Letta Code command line works, turn by turn, against a real server process.

Each turn is a new process of the client, and each test has a home folder of its own: what is known later, the server
kept. The scripted model calls the client's tools by their names; which set of them is offered depends on the model.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from letta_client import Letta

from tests.sdk.processes import running

CLIENT = Path(__file__).parent / ".venv" / "bin" / "letta"
TURN_TIMEOUT_S = 90.0
WRITE = """@call exec_command {"cmd": "echo kept > %s", "description": "Write a note"}
@then
@say Done."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert CLIENT.exists(), "Letta Code is not installed: make tests/letta_code/.venv/.installed says why."
    with running(tmp_path_factory.mktemp("letta-code") / "home") as server:
        yield server.url


@dataclass(frozen=True)
class Terminal:
    """A person's machine: a home folder, a project folder, and where the server is."""

    url: str
    home: Path
    project: Path
    memory_in_files: bool = False

    def run(self, *arguments: str) -> Any:
        """What the client prints: always JSON."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LETTA_BASE_URL": self.url,
            "LETTA_API_KEY": "anything",
            "LETTA_CODE_TELEM": "0",
            "DISABLE_AUTOUPDATER": "1",
        }
        if self.memory_in_files:
            environment |= {"LETTA_MEMFS_LOCAL": "1", "LETTA_MEMFS_BASE_URL": self.url}
        done = subprocess.run(
            [str(CLIENT), *arguments],
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TURN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def turn(self, prompt: str, *arguments: str) -> dict[str, Any]:
        """One headless turn that has to end well."""
        answer = self.run("-p", prompt, "--output-format", "json", *arguments)
        assert (answer["subtype"], answer["is_error"]) == ("success", False), answer
        return answer


@pytest.fixture
def terminal(url: str, tmp_path: Path) -> Terminal:
    folders = tmp_path / "person", tmp_path / "project"
    for folder in folders:
        folder.mkdir()
    return Terminal(url, *folders)


@pytest.fixture
def sdk(url: str) -> Iterator[Letta]:
    with Letta(base_url=url) as client:
        yield client


def test_tools_run_at_the_client_and_only_if_it_allows_them(terminal: Terminal) -> None:
    first = terminal.turn(WRITE % "note.txt", "--new-agent", "--model", "letta/auto", "--yolo")

    assert first["result"] == "Done."
    assert (terminal.project / "note.txt").read_text() == "kept\n"

    agent, conversation = first["agent_id"], first["conversation_id"]
    refused = terminal.turn(
        WRITE % "other.txt", "--conversation", conversation, "--yolo", "--disallowedTools", "Bash,exec_command"
    )

    assert (refused["agent_id"], refused["conversation_id"]) == (agent, conversation)
    assert not (terminal.project / "other.txt").exists()
    listed = terminal.run("messages", "list", "--agent", agent, "--conversation", conversation, "--limit", "50")
    kinds = [message["message_type"] for message in listed]
    round_trip = [
        "user_message",
        "approval_request_message",
        "approval_response_message",
        "tool_return_message",
        "assistant_message",
    ]
    assert kinds == ["system_message", *round_trip, *round_trip]
    assert [m["status"] for m in listed if m["message_type"] == "tool_return_message"] == ["success", "error"]
    assert "Permission denied" in listed[-2]["tool_return"]


def test_a_transcript_is_in_the_order_of_what_happened(terminal: Terminal, sdk: Letta) -> None:
    agent = sdk.agents.create(model="letta/auto-fast")
    conversation = sdk.conversations.create(agent_id=agent.id)
    for word in ("one", "two"):
        sdk.conversations.messages.create(conversation.id, input=f"@say The answer {word}.", streaming=False)

    told = terminal.run("messages", "transcript", "--conversation", conversation.id)["transcript"]

    places = [told.index(f"@say The answer {word}.") for word in ("one", "two")]
    answers = [told.rindex(f"The answer {word}.") for word in ("one", "two")]
    assert [places[0], answers[0], places[1], answers[1]] == sorted([*places, *answers])


def test_an_agent_with_memory_knows_a_fact_in_a_later_process(terminal: Terminal, sdk: Letta) -> None:
    agent = sdk.agents.create(model="letta/auto-memory", memory_blocks=[{"label": "human", "value": "Unknown."}])
    here = ("--agent", agent.id, "--conv", "default")

    assert terminal.turn("My name is Ana.", *here)["conversation_id"] == "default"
    assert "Ana" in terminal.turn("Who am I?", *here)["result"]

    assert "Name: Ana" in sdk.agents.blocks.retrieve("human", agent_id=agent.id).value
    assert "What do you think?" in terminal.turn("What do you think?", *here)["result"]


def test_a_subagent_is_an_agent_of_its_own(terminal: Terminal, sdk: Letta) -> None:
    told = handing_over("general-purpose", 'Bash {"command": "touch done", "description": "Report"}')
    parent = terminal.turn(told, "--new-agent", "--model", "scripted/default", "--yolo")

    assert parent["result"] == "It has worked."
    tags = [f"parent:{parent['agent_id']}", "role:subagent"]
    found = sdk.agents.list(tags=tags, match_all_tags=True, extra_query={"show_hidden_agents": True}).items
    assert [child.hidden for child in found] == [True]
    said = sdk.agents.messages.list(found[0].id, order="asc").items
    assert "I am the child." in [m.content for m in said if m.message_type == "assistant_message"]


def test_a_fork_knows_what_was_said_before_it(terminal: Terminal, sdk: Letta) -> None:
    agent = sdk.agents.create(model="scripted/default")
    conversation = sdk.conversations.create(agent_id=agent.id)
    sdk.conversations.messages.create(conversation.id, input="@say The password is plum.", streaming=False)
    told = handing_over("fork", 'exec_command {"cmd": "touch done", "description": "Report"}')

    assert terminal.turn(told, "--conversation", conversation.id, "--yolo")["result"] == "It has worked."

    query = ("--query", "I am the child.", "--agent", agent.id, "--mode", "fts")
    hits = [hit for hit in terminal.run("messages", "search", *query) if hit["content"] == "I am the child."]
    assert len(hits) == 1
    assert hits[0]["conversation_id"] != conversation.id
    fork = sdk.conversations.messages.list(hits[0]["conversation_id"], order="asc").items
    said = [message.content for message in fork if message.message_type == "assistant_message"]
    assert said[:2] == ["The password is plum.", "I am the child."]


def test_memory_in_files_is_pushed_and_pulled(terminal: Terminal, sdk: Letta) -> None:
    person = replace(terminal, memory_in_files=True)
    agent_id = person.turn("@say Hello.", "--new-agent", "--model", "letta/auto", "--yolo")["agent_id"]
    here = ("--agent", agent_id, "--conv", "default", "--yolo")
    memory = person.home / ".letta" / "agents" / agent_id / "memory"
    assert "git-memory-enabled" in (sdk.agents.retrieve(agent_id, include=["agent.tags"]).tags or [])
    assert {"MEMORY.md", "human.md", "persona.md"} <= {path.name for path in memory.iterdir()}

    note = "---\nname: Friends\ndescription: Whom I know\n---\nBob.\n"
    keep = f"cd {memory} && printf -- '{note}' > friends.md && git add friends.md && git commit -qm 'Note a friend'"
    script = f"@call exec_command {json.dumps({'cmd': keep, 'description': 'Note'})}\n@then\n@say Noted."
    assert person.turn(script, *here)["result"] == "Noted."

    assert sdk.agents.blocks.retrieve("friends", agent_id=agent_id).value == "Bob."
    sdk.agents.blocks.update("human", agent_id=agent_id, value="Her name is Ana.")
    person.turn("@say Good morning.", *here)
    assert (memory / "human.md").read_text(encoding="utf-8").endswith("Her name is Ana.\n")


def handing_over(kind: str, report: str) -> str:
    """A script that starts a subagent and waits until it reports: the client ends its children when it ends."""
    task = {"subagent_type": kind, "description": "Say it", "prompt": f"@say I am the child.\n@call {report}"}
    wait = {"cmd": "until [ -e done ]; do sleep 0.1; done", "description": "Wait"}
    return f"@call Agent {json.dumps(task)}\n@then\n@call exec_command {json.dumps(wait)}\n@then\n@say It has worked."
