"""Agents, memory, models and single messages from a script: data on one stream, talk on the other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Done, loci
from tests.cli.served import Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("home")) as running:
        yield running


def ask(server: Served, *words: str, said: str | None = None, **environment: str) -> Done:
    return loci(*words, said=said, LOCI_BASE_URL=server.url, **environment)


def test_an_agent_from_its_creation_to_its_end(server: Served):
    made = ask(server, "agents", "create", "ada", "--human", "Lives in Porto.", "--json")
    assert made.status == 0
    agent_id = made.data["id"]
    assert made.data["model"] == "scripted/default"

    listed = ask(server, "agents", "list", "--json")
    assert agent_id in [agent["id"] for agent in listed.data]

    shown = ask(server, "agents", "show", "ada")
    assert (shown.status, shown.talk) == (0, "")
    assert "Lives in Porto." in shown.out
    assert agent_id in shown.out
    assert ask(server, "agents", "show", agent_id, "--json").data["name"] == "ada"

    unsure = ask(server, "agents", "delete", "ada")
    assert unsure.status == 1
    assert "--yes" in unsure.talk
    assert ask(server, "agents", "delete", "ada", "--yes").status == 0
    gone = ask(server, "agents", "show", "ada")
    assert (gone.status, gone.out) == (1, "")
    assert gone.talk == "Error: There is no agent 'ada'.\nCreate it: loci agents create ada\n"


def test_an_agent_goes_into_a_file_and_out_of_it(server: Served, tmp_path: Path):
    ask(server, "agents", "create", "traveller", "--human", "Lives in Faro.")
    file = tmp_path / "traveller.af"
    done = ask(server, "agents", "export", "traveller", "-o", str(file))
    assert (done.status, done.out, done.talk) == (0, "", f"'traveller' is in {file}.\n")
    made = ask(server, "agents", "import", str(file), "--name", "arrived", "--json")
    assert made.data["warnings"] == []
    assert "Lives in Faro." in ask(server, "agents", "show", "arrived").out
    assert ask(server, "agents", "export", "arrived", "--no-messages").data["agents"][0]["messages"] == []
    missing = ask(server, "agents", "import", str(tmp_path / "nothing.af"))
    assert (missing.status, "cannot be read" in missing.talk) == (1, True)


def test_a_list_without_a_terminal_is_a_line_for_each_with_nothing_cut_off(server: Served):
    name = "an agent with a name that is far too long for any terminal of a hundred columns, even a very wide one"
    agent_id = server.agent(name)
    listed = ask(server, "agents", "list", "--limit", "1")

    titles, line = listed.out.splitlines()
    assert titles.split() == ["NAME", "MODEL", "CREATED", "ID"]
    assert name in line
    assert line.endswith(agent_id)
    assert "\x1b" not in listed.out + listed.talk


def test_a_name_that_several_have_is_no_guess(server: Served):
    twins = [server.agent("twin"), server.agent("twin")]
    done = ask(server, "agents", "show", "twin")

    assert done.status == 1
    assert "2 agents are called 'twin'." in done.talk
    assert all(agent_id in done.talk for agent_id in twins)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(server: Served):
    server.agent("Konstantinopolis")

    assert "Near to it: Konstantinopolis." in ask(server, "memory", "ls", "Konstantinopel").talk


def test_the_past_of_memory_is_seen_and_taken_back(server: Served):
    server.agent("edith")
    for text in ("Likes tea.", "Likes tea.\nLives in Rome."):
        assert ask(server, "memory", "set", "edith", "human", text).status == 0

    changes = ask(server, "memory", "history", "edith", "human", "--json").data
    newest = changes[0]["id"]
    assert [change["action"] for change in changes] == ["update", "update", "create"]
    everything = ask(server, "memory", "history", "edith").out
    assert "+Lives in Rome." in everything
    assert "attach tool memory_insert" in everything
    assert "attach block human" in everything
    assert "+Lives in Rome." in ask(server, "memory", "diff", newest).out
    lines = ask(server, "memory", "blame", "edith", "human", "--json").data
    assert [line["change_id"] for line in lines] == [changes[1]["id"], newest]

    undone = ask(server, "memory", "undo", newest)
    assert (undone.status, "loci memory undo change-" in undone.talk) == (0, True)
    assert ask(server, "memory", "show", "edith", "human").out == "Likes tea.\n"
    refused = ask(server, "memory", "undo", "999999")
    assert (refused.status, refused.out) == (1, "")
    assert "no entry 999999" in refused.talk


def test_memory_is_read_set_and_searched(server: Served):
    server.agent("grace", tools=["archival_memory_insert"])
    assert ask(server, "memory", "set", "grace", "human", "Likes tea.").status == 0
    text = "Two lines,\nof a pipe\n"
    assert ask(server, "memory", "set", "grace", "pets", "-", said=text).status == 0

    assert ask(server, "memory", "show", "grace", "pets").out == text
    blocks = ask(server, "memory", "ls", "grace", "--json").data
    assert {block["label"]: block["value"] for block in blocks} == {"human": "Likes tea.", "pets": text.rstrip("\n")}
    table = ask(server, "memory", "ls", "grace")
    assert "10 of " in table.out
    assert "Two lines, of a pipe" in table.out
    missing = ask(server, "memory", "show", "grace", "absent")
    assert (missing.status, missing.talk) == (1, "Error: 'grace' has no block 'absent'.\nIt has: human, pets.\n")

    script = '@call archival_memory_insert {"content": "Met in Porto in May"}\n@then\n@say kept'
    assert ask(server, "chat", "grace", "-m", script).status == 0
    hits = ask(server, "memory", "search", "grace", "where", "in", "Porto", "--json").data
    assert ("archive", "Met in Porto in May") in [(hit["kind"], hit["text"]) for hit in hits]
    assert "Met in Porto in May" in ask(server, "memory", "search", "grace", "Porto").out


def test_the_models_as_a_list_and_as_data(server: Served):
    listed = ask(server, "models")
    assert "scripted/default" in listed.out
    assert "loci/wordllama" in listed.out

    data = ask(server, "models", "--json").data
    assert "scripted/default" in [model["handle"] for model in data["models"]]
    assert "loci/wordllama" in [model["handle"] for model in data["embeddings"]]


def test_a_message_is_answered_with_the_words_alone(server: Served):
    server.agent("plain")
    done = ask(server, "chat", "plain", "-m", "@think hm\n@say one\ntwo")

    assert (done.status, done.out, done.talk) == (0, "one\ntwo\n", "")


def test_what_is_saved_is_told_beside_the_answer(server: Served):
    server.agent("saver")
    done = ask(server, "chat", "saver", said="my name is Ada\n")

    assert done.status == 0
    assert done.out.startswith("I have written “Name: Ada” into my memory")
    assert done.talk == "● saved to human: Name: Ada\n"


def test_an_answer_as_data(server: Served):
    agent_id = server.agent("data")
    done = ask(server, "chat", "data", "--json", "-m", '@call conversation_search {"query":"x"}\n@then\n@say found')

    assert done.status == 0
    data = done.data
    assert data["agent_id"] == agent_id
    assert data["run_id"].startswith("run-")
    assert data["stop_reason"] == "end_turn"
    assert data["usage"]["step_count"] == 2
    types = [message["message_type"] for message in data["messages"]]
    assert types == ["tool_call_message", "tool_return_message", "assistant_message"]
    assert data["messages"][2]["content"] == "found"
    assert json.loads(data["messages"][0]["tool_call"]["arguments"]) == {"query": "x"}


def test_a_new_conversation_can_be_gone_on_with(server: Served):
    server.agent("split")
    first = ask(server, "chat", "split", "--new", "--json", "-m", "@say one").data["conversation_id"]
    again = ask(server, "chat", "split", "--conversation", first, "--json", "-m", "@say two").data["conversation_id"]

    assert first.startswith("conv-")
    assert again == first


@pytest.mark.parametrize("words", [["-m", "@fail overloaded"], ["-m", "@fail overloaded", "--json"]])
def test_a_failed_answer_is_a_status_and_a_reason(server: Served, words: list[str]):
    server.agent(f"failing-{len(words)}")
    done = ask(server, "chat", f"failing-{len(words)}", *words)

    assert done.status == 1
    assert done.talk.startswith("Error: ")
    if "--json" in words:
        assert done.data["stop_reason"] == "llm_api_error"


def test_a_call_that_needs_a_yes_waits_for_a_person(server: Served):
    server.agent("careful", tool_rules=[{"type": "requires_approval", "tool_name": "memory_insert"}])
    done = ask(server, "chat", "careful", "-m", '@call memory_insert {"label":"human","new_string":"x"}')

    assert done.status == 1
    assert "It waits for a yes to memory_insert(label=human, new_string=x)" in done.talk


@pytest.mark.parametrize("words", [["chat", "-m", " "], ["chat", "--json", "-m", ""], ["chat"]])
def test_nothing_said_is_an_error(server: Served, words: list[str]):
    assert ask(server, *words).talk == "Error: The message is empty.\n"


def test_another_model_is_kept(server: Served):
    server.agent("changing")
    done = ask(server, "chat", "changing", "--model", "scripted/other", "-m", "@say hello")

    assert done.status == 0
    assert ask(server, "agents", "show", "changing", "--json").data["model"] == "scripted/other"
    wrong = ask(server, "chat", "changing", "--model", "nobody/model", "-m", "@say hello")
    assert wrong.status == 1
    assert "nobody/model" in wrong.talk


def test_without_a_server_the_data_is_opened_and_left_in_order():
    made = loci("agents", "create", "ada")
    assert made.status == 0
    assert made.out.startswith("agent-")
    assert loci("agents", "list", "--json").data[0]["id"] == made.out.strip()
    assert loci("chat", "ada", "-m", "@say hello").out == "hello\n"
