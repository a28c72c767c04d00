"""A talk in the terminal, as a person has it."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from letta_client import Letta

from tests.cli.command import loci
from tests.cli.served import Served, served
from tests.cli.terminal import ALT_ENTER, CTRL_C, CTRL_D, CTRL_T, ENTER, UP, Terminal, terminal


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def client(server: Served) -> Letta:
    return server.client


def talk(server: Served, agent: str, *words: str, **environment: str) -> AbstractContextManager[Terminal]:
    return terminal("chat", agent, *words, LOCI_BASE_URL=server.url, **environment)  # pyright: ignore[reportArgumentType]  variables of the environment


def ready(screen: Terminal) -> None:
    screen.sees("Ctrl-D leaves")
    screen.sees(">")


def leave(screen: Terminal) -> None:
    screen.say("/quit")
    assert screen.ends() == 0


def test_the_first_minute_of_somebody_who_has_nothing_yet(tmp_path: Path):
    with terminal("chat") as screen:
        screen.sees("Made an agent called 'memo'.")
        screen.sees("Talking to memo (scripted/default)")
        screen.sees("opened here because no server runs")
        screen.sees("This agent has no language model")
        screen.sees("set OPENAI_API_KEY")
        screen.sees(">")
        screen.say("my name is Ada")
        screen.sees("● saved to human: Name: Ada")
        screen.sees("I have written “Name: Ada” into my memory")
        screen.sees("tokens read")
        screen.say("/memory")
        screen.sees("human")
        screen.sees("Name: Ada")
        leave(screen)

    # The next talk, in another process and another conversation: the memory is the same.
    with terminal("chat", "--new") as screen:
        ready(screen)
        assert "Made an agent" not in screen.text
        screen.say("what do you know about me?")
        screen.sees("Name: Ada")
        leave(screen)
        assert "loci chat memo --conversation conv-" in " ".join(screen.text.split())

    history = tmp_path / "loci-home" / "chat_history"
    assert "my name is Ada" in history.read_text("utf-8")
    assert history.stat().st_mode & 0o077 == 0


def test_a_talk_is_taken_up_where_it_was_left(server: Served):
    server.agent("again")
    with talk(server, "again") as screen:
        ready(screen)
        screen.say("remember that tea is best")
        screen.sees("tokens read")
        screen.sees(">")
        screen.type(CTRL_D)
        assert screen.ends() == 0

    with talk(server, "again") as screen:
        screen.sees("you: remember that tea is best")
        screen.sees("again: I have written")
        screen.sees(">")
        screen.type(UP)
        screen.sees("remember that tea is best")


def test_thinking_is_folded_and_unfolds_on_demand(server: Served):
    server.agent("thinker")
    with talk(server, "thinker") as screen:
        ready(screen)
        screen.say("@think deep thought\\\r@say aloud")
        screen.sees("∴ thought for ")
        screen.sees("aloud")
        screen.sees("tokens read")
        assert "deep thought" not in screen.text.split("(Ctrl-T shows it)")[1]
        screen.type(CTRL_T)
        screen.sees("deep thought")
        screen.say("/think on")
        screen.sees("Thinking is shown from now on.")
        screen.type("@think another one" + ALT_ENTER + "@repeat 2 aloud" + ENTER)
        screen.sees("\nanother one\n")
        screen.sees("aloud aloud\n")


def test_ctrl_c_stops_the_answer_and_not_the_program(server: Served, client: Letta):
    agent = server.agent("stopped")
    with talk(server, "stopped") as screen:
        ready(screen)
        screen.say("@repeat 2 word\\\r@wait 3600\\\r@say never")
        screen.sees("word word")
        screen.type(CTRL_C)
        screen.sees("Stopped.")
        screen.say("@repeat 2 still")
        screen.sees("still still\n")
        screen.sees(">")
        screen.type(CTRL_C)
        screen.sees("Ctrl-D or /quit leaves.")
        leave(screen)

    assert sorted(run.stop_reason or "" for run in client.runs.list(agent_id=agent).items) == ["cancelled", "end_turn"]


def test_a_failure_is_explained_and_the_talk_goes_on(server: Served):
    server.agent("failing")
    with talk(server, "failing") as screen:
        ready(screen)
        screen.say("@fail auth")
        screen.sees("Error: ")
        screen.sees(">")
        screen.say("@repeat 2 well")
        screen.sees("well well\n")


def test_a_call_is_one_line_with_its_result(server: Served):
    server.agent("calling", tools=["archival_memory_insert"])
    with talk(server, "calling") as screen:
        ready(screen)
        screen.say('@call memory_replace {"label":"human","old_string":"absent","new_string":"x"}\\\r@then\\\r@say hm')
        screen.sees("✗ memory_replace(label=human, old_string=absent, new_string=x) → ")
        screen.sees("hm\n")
        screen.say('@call archival_memory_insert {"content":"Met in Porto"}\\\r@then\\\r@say kept')
        screen.sees("● saved to archive: Met in Porto\n")
        screen.sees("kept\n")
        screen.say("/search Porto")
        screen.sees("archive")
        screen.sees("Met in Porto")


def test_the_commands_of_a_talk(server: Served):
    server.agent("obeying")
    with talk(server, "obeying") as screen:
        ready(screen)
        screen.say("/help")
        screen.sees("/search TEXT")
        screen.say("/serach tea")
        screen.sees("There is no /serach.\nDid you mean /search?")
        screen.say("/model")
        screen.sees("● scripted/default")
        screen.say("/model nobody/model")
        screen.sees("Error: ")
        screen.say("/new")
        screen.sees("A new conversation.")
        screen.say("/agents")
        screen.sees("● obeying")
        screen.say("/agents nobody-at-all")
        screen.sees("There is no agent 'nobody-at-all'.")
        screen.say("/stop")
        screen.sees("Nothing is under way here.")
        leave(screen)


def test_an_agent_that_does_not_exist_is_made_after_a_yes(server: Served, client: Letta):
    with talk(server, "grace") as screen:
        screen.sees("There is no agent 'grace'. Make it?")
        screen.say("y")
        screen.sees("Talking to grace (scripted/default)")
        screen.sees(">")
        leave(screen)

    assert [agent.name for agent in client.agents.list(name="grace").items] == ["grace"]


@pytest.mark.parametrize(("answer", "value"), [("yes", "Likes tea"), ("because I said so", "")])
def test_a_call_that_needs_a_yes_is_asked_about(server: Served, client: Letta, answer: str, value: str):
    name = f"asks-{len(value)}"
    agent = server.agent(name, tool_rules=[{"type": "requires_approval", "tool_name": "memory_insert"}])
    with talk(server, name) as screen:
        ready(screen)
        screen.say('@call memory_insert {"label":"human","new_string":"Likes tea"}\\\r@then\\\r@say so be it')
        screen.sees("memory_insert(label=human, new_string=Likes tea)\nMay it do that?")
        screen.say(answer)
        screen.sees("so be it\n")
        leave(screen)

    assert client.agents.blocks.retrieve("human", agent_id=agent).value.strip() == value


def test_a_question_of_an_earlier_talk_is_asked_again(server: Served, client: Letta):
    agent = server.agent("patient", tool_rules=[{"type": "requires_approval", "tool_name": "memory_insert"}])
    script = '@call memory_insert {"label":"human","new_string":"Likes tea"}\n@then\n@repeat 2 done'
    assert loci("chat", "patient", "-m", script, LOCI_BASE_URL=server.url).status == 1

    with talk(server, "patient") as screen:
        screen.sees("memory_insert(label=human, new_string=Likes tea)\nMay it do that?")
        screen.say("yes")
        screen.sees("● saved to human: Likes tea")
        screen.sees("done done\n")
        leave(screen)
    assert client.agents.blocks.retrieve("human", agent_id=agent).value.strip() == "Likes tea"


def test_without_colours_nothing_is_coloured(server: Served):
    server.agent("grey", tools=["memory_insert"])
    with talk(server, "grey", NO_COLOR="1") as screen:
        ready(screen)
        screen.say("my name is Ada")
        screen.sees("● saved to human: Name: Ada")
        screen.sees("tokens read")
        leave(screen)
        assert re.findall(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|38;[0-9;]*|9[0-7])m", screen.raw) == []


def test_what_a_model_writes_cannot_command_the_terminal(server: Served):
    server.agent("wild")
    with talk(server, "wild", "-m", "@say one\x1b[41mtwo\x1b]0;title\x07three\x9b2Jfour") as screen:
        assert screen.ends() == 0
        assert "onetwothree2Jfour" in screen.text
        assert "\x1b[41m" not in screen.raw
        assert "\x1b]0;" not in screen.raw


def test_a_named_server_that_does_not_answer_is_an_error_and_nothing_is_opened_instead(tmp_path: Path):
    done = loci("chat", "-m", "hello", "--server", "http://127.0.0.1:9")

    assert done.status == 1
    assert done.talk.startswith("Error: No server answers at http://127.0.0.1:9.")
    mistyped = loci("chat", "-m", "hello", "--server", "notaurl")
    assert (mistyped.status, "'notaurl' is no URL" in mistyped.talk) == (1, True)
    assert "--server http://localhost:" in mistyped.talk
    assert not (tmp_path / "loci-home" / "loci.db").exists()
