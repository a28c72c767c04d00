"""The doctor sees what is there and what is wrong, says where it comes from, and knows what to do about it."""

import asyncio
import os
import socket
from pathlib import Path

import apsw
import pytest

from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import served as fake_served
from loci.types.actor import DEFAULT_ORGANIZATION, Actor
from loci.vault import Vault
from tests.cli.command import Done, loci
from tests.cli.served import served

KEY = "sk-0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "loci-home"


@pytest.fixture
def database(home: Path) -> "apsw.Connection":
    """A data file that Loci has made, with an agent in it, open for damage."""
    assert loci("agents", "create", "ada").status == 0
    return apsw.Connection(str(home / "loci.db"))


def levels(done: Done) -> dict[str, str]:
    return {finding["check"]: finding["level"] for finding in done.data["findings"]}


def finding(done: Done, check: str, level: str) -> dict[str, str]:
    return next(each for each in done.data["findings"] if (each["check"], each["level"]) == (check, level))


def test_a_fresh_set_up_is_well_and_knows_what_it_lacks():
    done = loci("doctor", "--json", LOCI_PORT="0")

    assert done.status == 0
    assert done.data["worst"] == "warn"
    found = levels(done)
    assert {name: found[name] for name in ("loci", "sqlite", "access", "server", "data", "embedding")} == dict.fromkeys(
        ("loci", "sqlite", "access", "server", "data", "embedding"), "ok"
    )
    assert "set OPENAI_API_KEY" in finding(done, "model", "warn")["hint"]
    assert done.data["settings"]["home"]["from"] == "LOCI_HOME"
    assert done.data["settings"]["port"] == {"value": "0", "from": "LOCI_PORT"}


def test_it_changes_nothing(home: Path):
    loci("doctor", LOCI_PORT="0")

    assert not home.exists()


def test_for_people_every_finding_is_a_line_with_its_mark():
    done = loci("doctor", LOCI_PORT="0")

    assert "✓ sqlite" in done.out
    assert "! model" in done.out
    assert "LOCI_PORT" in done.out
    assert "It works, with 1 warning." in done.out
    assert "\x1b" not in done.out


async def test_a_provider_is_asked_and_told_with_its_models_and_where_it_was_set():
    fake = FakeOpenAI(models=["small", "unheard-of"], api_key=KEY)
    async with fake_served(fake) as url:
        done = await asyncio.to_thread(
            loci, "doctor", "--json", OPENAI_BASE_URL=f"{url}/v1", OPENAI_API_KEY=KEY, LOCI_MODEL="openai/small"
        )

    provider = finding(done, "openai", "ok")
    assert "2 models" in provider["message"]
    assert "OPENAI_" in provider["message"]
    assumed = finding(done, "openai", "warn")
    assert "openai/unheard-of" in assumed["message"]
    assert "context_window" in assumed["hint"]
    assert "openai/small" in finding(done, "model", "ok")["message"]
    assert "LOCI_MODEL" in finding(done, "model", "ok")["message"]
    assert KEY not in done.out + done.talk


async def test_a_provider_that_refuses_the_key_and_a_model_that_is_not_there_are_problems():
    fake = FakeOpenAI(models=["small"], api_key="another")
    async with fake_served(fake) as url:
        done = await asyncio.to_thread(
            loci, "doctor", "--json", OPENAI_BASE_URL=f"{url}/v1", OPENAI_API_KEY=KEY, LOCI_MODEL="nobody/model"
        )
        unchosen = await asyncio.to_thread(
            loci, "doctor", "--json", OPENAI_BASE_URL=f"{url}/v1", OPENAI_API_KEY=KEY, LOCI_PORT="0"
        )

    assert done.status == 1
    assert finding(done, "openai", "problem")["hint"]
    assert "Incorrect API key" in finding(unchosen, "model", "warn")["hint"]
    assert "nobody/model" in finding(done, "model", "problem")["message"]
    assert KEY not in done.out + done.talk


def test_an_open_door_is_a_problem_and_a_weak_lock_a_warning():
    open_door = loci("doctor", "--json", LOCI_HOST="0.0.0.0", LOCI_PORT="0")
    weak_lock = loci("doctor", "--json", LOCI_HOST="0.0.0.0", LOCI_PORT="0", LOCI_API_KEY="short")

    assert open_door.status == 1
    assert "Set LOCI_API_KEY" in finding(open_door, "access", "problem")["hint"]
    assert "only 5 characters" in finding(weak_lock, "access", "warn")["message"]
    assert weak_lock.data["settings"]["api_key"] == {"value": "set", "from": "LOCI_API_KEY"}


def test_a_taken_port_is_a_problem():
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = loci("doctor", "--json", LOCI_PORT=str(other.getsockname()[1]))

    assert "taken by another program" in finding(done, "server", "problem")["message"]


def test_a_running_server_is_seen_and_not_disturbed(home: Path):
    with served(home) as server:
        server.agent("ada")
        done = loci("doctor", "--json")

        assert server.url in finding(done, "server", "ok")["message"]
        assert "1 agent," in finding(done, "data", "ok")["message"]
        assert [agent.name for agent in server.client.agents.list().items] == ["ada"]


def test_a_block_over_its_limit_and_an_unfinished_run_are_named(database: "apsw.Connection"):
    database.execute("update blocks set limit_chars = 10 where label = 'persona'")
    database.execute(
        "insert into runs (id, organization_id, agent_id, conversation_id, status, background, request, metadata,"
        " usage, step_count, cancel_requested, created_at) select 'run-1', organization_id, agent_id, id, 'running',"
        " 0, '{}', '{}', '{}', 0, 0, created_at from conversations limit 1"
    )
    database.close()

    done = loci("doctor", "--json", LOCI_PORT="0")
    assert "Block 'persona' of ada is over its limit" in finding(done, "blocks", "warn")["message"]
    assert finding(done, "runs", "ok")["message"] == "1 run will go on at the next start."


def test_a_brought_provider_whose_key_cannot_be_read_is_a_problem(home: Path, database: "apsw.Connection"):
    sealed = [Vault(home).seal(Actor(), f"provider-{name}/api_key", "sk") for name in ("sound", "broken")]
    for name, key in zip(("sound", "broken"), sealed, strict=True):
        database.execute(
            "insert into providers (id, organization_id, name, provider_type, api_key, created_at, updated_at)"
            " values (?, ?, ?, 'openai', ?, '', '')",
            (f"provider-{name}", DEFAULT_ORGANIZATION, name, key),
        )
    database.execute("update providers set api_key = 'nonsense' where name = 'broken'")
    one = loci("doctor", "--json", LOCI_PORT="0")
    (home / "secret.key").unlink()
    both = loci("doctor", "--json", LOCI_PORT="0")
    database.close()

    (told,) = [each for each in one.data["findings"] if each["check"] == "providers"]
    assert f"Of {DEFAULT_ORGANIZATION}: The provider 'broken' cannot be used" in told["message"]
    assert "PATCH /v1/providers/provider-broken" in told["hint"]
    assert len([each for each in both.data["findings"] if each["check"] == "providers"]) == 2
    assert not (home / "secret.key").exists()


def test_a_newer_file_is_a_problem(database: "apsw.Connection"):
    database.execute("update meta set value = '9999' where key = 'schema_version'")
    database.close()

    assert "schema 9999" in finding(loci("doctor", "--json"), "schema", "problem")["message"]


def test_a_damaged_file_is_a_problem(home: Path, database: "apsw.Connection"):
    database.execute("pragma wal_checkpoint(truncate)")
    database.close()
    file = home / "loci.db"
    with file.open("r+b") as handle:
        handle.seek(file.stat().st_size // 2)
        handle.write(os.urandom(40_000))

    done = loci("doctor", "--json", LOCI_PORT="0")
    assert done.status == 1
    assert {"data", "integrity"} & {each["check"] for each in done.data["findings"] if each["level"] == "problem"}


def test_something_else_in_the_place_of_the_data_is_a_problem(home: Path):
    home.mkdir()
    (home / "loci.db").write_text("this is no database " * 100)

    assert "cannot be read" in finding(loci("doctor", "--json"), "data", "problem")["message"]


def test_data_that_others_can_read_is_a_warning(home: Path, database: "apsw.Connection"):
    database.close()
    home.chmod(0o755)

    assert "chmod 700" in finding(loci("doctor", "--json"), "privacy", "warn")["hint"]
    home.chmod(0o700)
    assert "privacy" not in levels(loci("doctor", "--json"))


def test_a_file_of_settings_that_cannot_be_read_is_the_finding(home: Path):
    home.mkdir()
    (home / "config.toml").write_text("port = ")
    done = loci("doctor", "--json")

    assert done.status == 1
    assert "is not valid TOML" in finding(done, "settings", "problem")["message"]
