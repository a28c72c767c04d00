"""The client with its server inside: everything a served agent can do, in one process, on one file."""

import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import letta_client
import pytest
from letta_client import Letta
from letta_client.types import CreateBlockParam
from letta_client.types.agents import AssistantMessage

from loci import Loci
from loci.config import Settings
from loci.errors import BadRequest
from loci.store.owner import DataInUse, owned, owner_of

ADA = [CreateBlockParam(label="human", value="Name: Ada")]


def agent_id(client: Letta) -> str:
    return client.agents.create(name="ada", model="scripted/default", memory_blocks=ADA).id


def said(messages: Any) -> str:
    return "".join(str(message.content) for message in messages if isinstance(message, AssistantMessage))


def until(stream: Any, message_type: str) -> Any:
    return next(event for event in stream if event.message_type == message_type)


def test_what_was_said_is_there_when_the_file_is_opened_again(tmp_path: Path):
    file = tmp_path / "deep" / "loci.db"
    with Loci(file) as client:
        agent = agent_id(client)
        answer = client.agents.messages.create(agent, input="I like tea")
        assert "Likes tea" in said(answer.messages)

    with Loci(file) as client:
        assert "Likes tea" in client.agents.blocks.retrieve("human", agent_id=agent).value
        assert "Likes tea" in said(client.agents.messages.create(agent, input="what do you know about me?").messages)


def test_the_data_folder_of_the_settings_is_the_default(tmp_path: Path):
    with Loci() as client:
        agent_id(client)

    assert (tmp_path / "loci-home" / "loci.db").exists()


def test_in_memory_nothing_is_left(tmp_path: Path):
    for _ in range(2):
        with Loci(":memory:") as client:
            assert client.agents.list().items == []
            agent_id(client)

    assert list(tmp_path.rglob("*.db")) == []


def test_words_arrive_while_the_run_goes_on_and_other_requests_are_answered_meanwhile():
    with Loci(":memory:") as client:
        agent = agent_id(client)
        stream = client.agents.messages.create(
            agent, streaming=True, input="@say first\n@wait 3600\n@say never", stream_tokens=True
        )
        events = iter(stream)
        run_id = until(events, "ping").run_id
        assert until(events, "assistant_message").content.strip() == "first"

        assert client.runs.retrieve(run_id).status == "running"
        client.agents.messages.cancel(agent, run_ids=[run_id])

        assert until(events, "stop_reason").stop_reason == "cancelled"
        assert client.runs.retrieve(run_id).status == "cancelled"


def test_a_reader_that_goes_away_leaves_the_run_alone():
    with Loci(":memory:") as client:
        agent = agent_id(client)
        with client.agents.messages.create(
            agent, streaming=True, input="@repeat 3000 tea", stream_tokens=True
        ) as stream:
            run_id = until(stream, "ping").run_id

        # The next message has to wait for the run, which nobody reads any more, to end.
        assert client.agents.messages.create(agent, input="@say after").stop_reason.stop_reason == "end_turn"
        assert client.runs.retrieve(run_id).stop_reason == "end_turn"


def test_a_slow_reader_gets_every_piece_of_a_long_answer():
    with Loci(":memory:") as client:
        agent = agent_id(client)
        busy = threading.Event()
        stream = client.agents.messages.create(agent, streaming=True, input="@repeat 5000 tea", stream_tokens=True)
        words = 0
        for event in stream:
            if event.message_type == "assistant_message":
                words += str(event.content).count("tea")
                if words == 10:
                    # While this reader pauses, somebody else is served: the pieces wait, and hold up nobody.
                    client.agents.list()
                    busy.set()

        assert busy.is_set()
        assert words == 5000


def test_many_threads_share_one_client():
    with Loci(":memory:") as client:
        agents = [agent_id(client) for _ in range(8)]
        with ThreadPoolExecutor(8) as threads:
            answers = list(
                threads.map(
                    lambda agent: said(client.agents.messages.create(agent, input=f"@say {agent}").messages), agents
                )
            )

    assert answers == agents


def test_closing_in_the_middle_of_a_run_loses_nothing(tmp_path: Path):
    with Loci(tmp_path / "loci.db") as client:
        agent = agent_id(client)
        script = '@call memory_insert {"label": "human", "new_string": "Likes tea"}\n@then\n@wait 3600\n@say never'
        events = iter(client.agents.messages.create(agent, streaming=True, input=script, stream_tokens=True))
        run_id = until(events, "ping").run_id
        assert until(events, "tool_return_message").status == "success"

    with Loci(tmp_path / "loci.db") as client:
        assert "Likes tea" in client.agents.blocks.retrieve("human", agent_id=agent).value
        assert client.runs.retrieve(run_id).status == "running"
        client.agents.messages.cancel(agent, run_ids=[run_id])
        assert client.runs.retrieve(run_id).status == "cancelled"


def test_a_stream_that_is_read_when_the_client_closes_breaks_off_instead_of_hanging():
    client = Loci(":memory:")
    stream = client.agents.messages.create(
        agent_id(client), streaming=True, input="@say first\n@wait 3600", stream_tokens=True
    )
    events = iter(stream)
    until(events, "assistant_message")
    closing = threading.Thread(target=client.close)
    closing.start()

    with pytest.raises(Exception, match="broke off"):
        list(events)
    closing.join()


def test_errors_are_those_of_the_public_client():
    with Loci(":memory:", max_retries=0) as client:
        with pytest.raises(letta_client.NotFoundError):
            client.agents.retrieve("agent-123e4567-e89b-42d3-8456-426614174000")
        with pytest.raises(letta_client.UnprocessableEntityError):
            client.agents.messages.create(agent_id(client))


def test_a_copy_with_other_options_talks_to_the_same_data():
    with Loci(":memory:") as client:
        agent_id(client)

        assert [agent.name for agent in client.with_options(max_retries=7).agents.list().items] == ["ada"]


def test_an_api_key_in_the_settings_is_sent_by_itself(tmp_path: Path):
    settings = Settings(home=tmp_path, database_url="sqlite://:memory:", host="192.0.2.1", api_key="a key")
    with Loci(settings=settings) as client:
        assert client.agents.list().items == []


def test_a_closed_client_says_so():
    client = Loci(":memory:", max_retries=0)
    client.close()
    client.close()

    with pytest.raises((letta_client.APIConnectionError, RuntimeError)):
        client.agents.list()


def test_one_file_is_open_in_one_place_only(tmp_path: Path):
    file = tmp_path / "loci.db"
    with (
        Loci(file),
        pytest.raises(DataInUse, match=r"is open in another process .*\. Close it\. .*`loci server`"),
    ):
        Loci(file)
    with Loci(file) as client:
        assert client.agents.list().items == []


def test_the_server_that_has_the_file_is_named(tmp_path: Path):
    file = tmp_path / "loci.db"
    with owned(f"sqlite:///{file}", "http://127.0.0.1:9000"):
        with pytest.raises(DataInUse, match=r"serves http://127\.0\.0\.1:9000"):
            Loci(file)
        owner = owner_of(file)
    assert owner is not None
    assert owner.address == "http://127.0.0.1:9000"
    assert owner_of(file) is None


def test_a_client_that_is_forgotten_lets_the_file_go(tmp_path: Path):
    client = Loci(tmp_path / "loci.db")
    assert owner_of(tmp_path / "loci.db") is not None
    del client
    gc.collect()

    assert owner_of(tmp_path / "loci.db") is None


def test_what_keeps_it_from_starting_is_raised_and_leaves_no_thread_behind(tmp_path: Path):
    before = set(threading.enumerate())
    with pytest.raises(BadRequest, match="The database address 'mysql:…' is not known"):
        Loci(settings=Settings(home=tmp_path, database_url="mysql://there/loci"))

    assert [thread.name for thread in threading.enumerate() if thread not in before] == []


def test_a_program_that_forgets_to_close_it_ends_all_the_same(tmp_path: Path):
    program = (
        "from loci import Loci\n"
        f"client = Loci({str(tmp_path / 'loci.db')!r})\n"
        "agent = client.agents.create(name='ada', model='scripted/default', memory_blocks=[])\n"
        "stream = client.agents.messages.create(agent.id, streaming=True, input='@say x\\n@wait 3600')\n"
        "print(next(iter(stream)).message_type)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout, done.stderr) == (0, "ping\n", "")
