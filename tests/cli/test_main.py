"""The command as a whole: quick where nothing has to be done, helpful where something was typed wrongly."""

import subprocess
import sys

import pytest

from loci import __version__
from loci.cli.main import COMMANDS
from tests.cli.command import loci

HEAVY = "{'fastapi', 'prompt_toolkit', 'letta_client', 'pydantic', 'uvicorn', 'apsw'}"


def test_the_version():
    done = loci("--version")

    assert (done.status, done.out, done.talk) == (0, f"loci {__version__}\n", "")


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_what_needs_no_server_imports_none(words: list[str]):
    code = (
        "import sys; from loci.cli.main import main\n"
        f"sys.argv = ['loci', *{words}]\n"
        "try: main()\n"
        f"except SystemExit: print(sorted({HEAVY} & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr == "[]\n"


def test_the_help_names_every_command_with_what_it_is_for():
    done = loci("--help")

    assert done.status == 0
    for name, (_, summary) in COMMANDS.items():
        assert f"{name} " in done.out
        assert summary in done.out


@pytest.mark.parametrize("words", [["chat"], ["server"], ["models"], ["status"], ["doctor"], ["agents", "create"]])
def test_the_help_of_a_command_shows_how_it_is_used(words: list[str]):
    done = loci(*words, "--help")

    assert done.status == 0
    assert "Example" in done.out
    assert f"\n   loci {' '.join(words)}" in done.out.split("Example")[1]


def test_a_wrong_word_is_answered_with_one_near_to_it():
    done = loci("memroy")

    assert done.status == 2
    assert "Did you mean 'memory'?" in done.talk
    assert done.out == ""


@pytest.mark.parametrize("words", [["agents", "show"], ["server", "--port", "many"], ["memory", "ls", "a", "b"]])
def test_wrong_arguments_are_a_status_of_their_own(words: list[str]):
    assert loci(*words).status == 2


def test_a_wrong_setting_is_told_in_one_sentence_and_not_as_a_traceback():
    done = loci("status", LOCI_PORT="many")

    assert done.status == 1
    assert done.talk == "Error: The port is 'many', but must be a number from 0 to 65535.\n"
