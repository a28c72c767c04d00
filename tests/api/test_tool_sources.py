"""Tools from source through the API: run by hand, by an agent, tried before they are stored, written by a model."""

from dataclasses import replace

import orjson
import pytest

from loci.config import SandboxSettings, load
from loci.testing.live import live_settings
from tests.api.clients import client_of
from tests.api.talk import call, talking
from tests.sandbox.wheels import offered

ROLL = '''
def roll(sides: int, times: int = 1) -> str:
    """Roll a die.

    Args:
        sides: How many sides it has.
        times: How often it is rolled.
    """
    print("rolling")
    return {"sides": sides, "rolls": [sides] * times}
'''
NOTE = '''
def note(agent_state: "AgentState", label: str, text: str) -> str:
    """Write something down.

    Args:
        label: Which block.
        text: What to write.
    """
    block = agent_state.memory.get_block(label)
    agent_state.memory.update_block_value(label, block.value + "\\n" + text)
    return f"{agent_state.name} knows {len(agent_state.memory.list_block_labels())} blocks"
'''
SECRETS = '''
def secrets() -> dict:
    """Show what it was given."""
    import os
    return {name: value for name, value in os.environ.items() if name.isupper()}
'''


ASKING = '''
def health() -> str:
    """Ask the server how it is."""
    return client.health()
'''
CLIENT = """
import urllib.request
class Letta:
    def __init__(self, base_url, api_key):
        self.asked = urllib.request.Request(base_url + "/v1/health/", headers={"x-key": api_key})
    def health(self):
        return urllib.request.urlopen(self.asked).read().decode() + self.asked.get_header("X-key")
"""


async def tried(client, source, args=None, **more):
    answer = await client.http.post("/v1/tools/run", json={"source_code": source, "args": args or {}, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_tool_of_an_agent_runs_in_the_sandbox(tmp_path):
    async with client_of(tmp_path) as client:
        tool = await client.sdk.tools.create(source_code=ROLL)
        agent = await client.sdk.agents.create(tool_ids=[tool.id])
        done = await client.sdk.agents.tools.run("roll", agent_id=agent.id, args={"sides": 6, "times": 2})
        assert (done.status, done.func_return) == ("success", '{"sides": 6, "rolls": [6, 6]}')
        assert done.stdout == ["rolling\n"]
        wrong = await client.http.post(f"/v1/agents/{agent.id}/tools/roll/run", json={"args": {"faces": 6}})
        assert wrong.status_code == 400
        assert "sides" in wrong.json()["detail"]


async def test_the_model_reads_what_a_tool_returned(tmp_path):
    async with talking(tmp_path) as talk:
        tool = await talk.sdk.tools.create(source_code=ROLL)
        await talk.sdk.agents.tools.attach(tool.id, agent_id=talk.agent_id)
        said = await talk.say("Roll.", [call("roll", '{"sides": 4}')], "Four.")
        returned = next(item for item in said.messages if item.message_type == "tool_return_message")
        assert (returned.status, returned.tool_return) == ("success", '{"sides": 4, "rolls": [4]}')
        assert said.stop_reason.stop_reason == "end_turn"


async def test_a_tool_changes_the_memory_that_it_was_shown(tmp_path):
    async with talking(tmp_path) as talk:
        tool = await talk.sdk.tools.create(source_code=NOTE)
        assert "agent_state" not in str(tool.json_schema)
        await talk.sdk.agents.tools.attach(tool.id, agent_id=talk.agent_id)
        said = await talk.say("Note it.", [call("note", '{"label": "human", "text": "Likes tea."}')], "Done.")
        returned = next(item for item in said.messages if item.message_type == "tool_return_message")
        assert "knows 2 blocks" in returned.tool_return
        block = await talk.sdk.agents.blocks.retrieve("human", agent_id=talk.agent_id)
        assert block.value == "Unknown.\nLikes tea."
        entries = await talk.live.core.store.read(
            lambda tx: tx.all(
                "select actor_kind, tool_call_id from journal where subject_id = :id and action = 'update'",
                {"id": block.id},
            )
        )
        assert [(row["actor_kind"], row["tool_call_id"]) for row in entries] == [("agent", "call-1")]
        by_hand = await talk.sdk.agents.tools.run(
            "note", agent_id=talk.agent_id, args={"label": "human", "text": "Lives in Porto."}
        )
        assert by_hand.status == "success"
        again = await talk.sdk.agents.blocks.retrieve("human", agent_id=talk.agent_id)
        assert again.value == "Unknown.\nLikes tea.\nLives in Porto."


async def test_a_read_only_block_stays_as_it_is(tmp_path):
    async with client_of(tmp_path) as client:
        tool = await client.sdk.tools.create(source_code=NOTE)
        blocks = [{"label": "human", "value": "Sam", "read_only": True}]
        agent = await client.sdk.agents.create(tool_ids=[tool.id], memory_blocks=blocks)
        done = await client.sdk.agents.tools.run("note", agent_id=agent.id, args={"label": "human", "text": "x"})
        assert done.status == "error"
        assert "read-only" in done.func_return
        assert (await client.sdk.agents.blocks.retrieve("human", agent_id=agent.id)).value == "Sam"


async def test_a_tool_sees_the_secrets_of_its_agent_and_its_sandbox_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-host")
    async with client_of(tmp_path) as client:
        tool = await client.sdk.tools.create(source_code=SECRETS)
        agent = await client.sdk.agents.create(tool_ids=[tool.id], secrets={"WEATHER_KEY": "of-the-agent"})
        config = (await client.http.post("/v1/sandbox-config/local/default")).json()
        path = f"/v1/sandbox-config/{config['id']}/environment-variable"
        await client.http.post(path, json={"key": "SHARED", "value": "of-all"})
        done = await client.sdk.agents.tools.run("secrets", agent_id=agent.id, args={})
        seen = orjson.loads(done.func_return)
        assert {name: seen.get(name) for name in ("WEATHER_KEY", "SHARED", "LETTA_AGENT_ID")} == {
            "WEATHER_KEY": "of-the-agent",
            "SHARED": "of-all",
            "LETTA_AGENT_ID": agent.id,
        }
        assert set(seen) - {"WEATHER_KEY", "SHARED", "LETTA_AGENT_ID"} <= {"PATH", "LANG", "HOME", "TMPDIR", "LC_CTYPE"}
        dry = await tried(client, SECRETS, env_vars={"ONLY": "here"})
        assert orjson.loads(dry["tool_return"])["ONLY"] == "here"


@pytest.mark.parametrize(("asked", "version"), [([], "1.99"), ([{"name": "letta_client", "version": "0.9"}], "0.9")])
async def test_a_tool_that_names_a_client_has_one_of_the_server_that_it_is_told(tmp_path, monkeypatch, asked, version):
    offered(tmp_path / "wheels", monkeypatch, name="letta_client", version=version, source=CLIENT)
    opened = load({"LOCI_TOOL_HOSTS": "127.0.0.1"}, home=tmp_path).sandbox
    async with client_of(tmp_path, settings=replace(live_settings(tmp_path), sandbox=opened)) as client:
        if (await client.live.core.source_tools.sandbox.standing()).means != "namespaces":
            pytest.skip("a tool can only be given the network with namespaces")
        granted = {"metadata_": {"network": True}}
        tool = await client.sdk.tools.create(source_code=ASKING, pip_requirements=asked, extra_body=granted)
        told = {"LETTA_BASE_URL": client.live.url, "LETTA_API_KEY": "sk-1"}
        agent = await client.sdk.agents.create(tool_ids=[tool.id], secrets=told)
        done = await client.sdk.agents.tools.run("health", agent_id=agent.id, args={})
        assert done.func_return == '{"version":"0.1.0","status":"ok"}sk-1'
    hired = SandboxSettings(hosts=("127.0.0.1",))  # where machines for hire are is no way for tools
    async with client_of(tmp_path, settings=replace(live_settings(tmp_path), sandbox=hired)) as client:
        told["LETTA_BASE_URL"] = client.live.url
        await client.sdk.agents.update(agent.id, secrets=told)
        done = await client.sdk.agents.tools.run("health", agent_id=agent.id, args={})
        assert (done.status, "403" in str(done.func_return)) == ("error", True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return None", "None"),
        ("return 'as it is'", "as it is"),
        ("return [1, 'ä', None]", '[1, "ä", null]'),
        ("return {'a': (1, 2)}", '{"a": [1, 2]}'),
        ("return {1, }", "[1]"),
        ("return 7", "7"),
        ("return True", "True"),
        ("from datetime import date\n    return {'day': date(2026, 1, 2)}", '{"day": "2026-01-02"}'),
        ("from dataclasses import make_dataclass\n    return make_dataclass('P', ['x'])(3)", '{"x": 3}'),
    ],
)
async def test_values_become_text(sandboxed, body, expected):
    done = await tried(sandboxed, f'def f() -> str:\n    """Give it."""\n    {body}\n')
    assert (done["message_type"], done["status"], done["tool_return"]) == ("tool_return_message", "success", expected)


@pytest.fixture(scope="module")
async def sandboxed(tmp_path_factory):
    async with client_of(tmp_path_factory.mktemp("sandboxed")) as client:
        yield client


async def test_what_goes_wrong_is_told(sandboxed):
    failed = await tried(sandboxed, 'def f() -> str:\n    """Fail."""\n    return 1 / 0\n')
    assert failed["status"] == "error"
    assert failed["tool_return"] == "Error executing function f: ZeroDivisionError: division by zero"
    assert "line 3" in failed["stderr"][0]
    for source, status, words in (
        ("def f(x: int):\n    '''A.'''", 400, "'x'"),
        ("x = 1", 400, "no function"),
    ):
        answer = await sandboxed.http.post("/v1/tools/run", json={"source_code": source, "args": {}})
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True)


async def test_coroutines_models_and_the_return_limit(sandboxed):
    source = '''
import asyncio
from dataclasses import dataclass

@dataclass
class Place:
    city: str

async def visit(places: list, times: int = 2) -> str:
    """Go there.

    Args:
        places: Where.
        times: How often.
    """
    await asyncio.sleep(0)
    return ", ".join(place["city"] for place in places) * times
'''
    done = await tried(sandboxed, source, {"places": [{"city": "Porto"}]})
    assert done["tool_return"] == "PortoPorto"
    cut = await tried(sandboxed, source, {"places": [{"city": "Porto"}], "times": 100}, return_char_limit=20)
    assert cut["tool_return"].startswith("PortoPortoPortoPorto... [NOTE: function output was truncated")
    assert "500 > 20" in cut["tool_return"]


async def test_the_model_runs_code(tmp_path):
    async with talking(tmp_path) as talk:
        found = (await talk.sdk.tools.list(name="run_code")).items[0]
        assert found.tool_type == "letta_builtin"
        await talk.sdk.agents.tools.attach(found.id, agent_id=talk.agent_id)
        code = orjson.dumps({"code": "print('hi')\nx = 20\nx + 1", "language": "python"}).decode()
        said = await talk.say("Count.", [call("run_code", code)], "21.")
        returned = next(item for item in said.messages if item.message_type == "tool_return_message")
        assert orjson.loads(returned.tool_return) == {
            "results": ["21"],
            "logs": {"stdout": ["hi\n"], "stderr": []},
            "error": None,
        }
        bad = await talk.sdk.agents.tools.run(
            "run_code", agent_id=talk.agent_id, args={"code": "1 / 0", "language": "python"}
        )
        assert bad.status == "error"
        assert "ZeroDivisionError" in bad.func_return


async def test_a_model_writes_a_tool_which_is_neither_stored_nor_run(tmp_path):
    answer = f'Here.\n```python{ROLL}```\nTry:\n```json\n{{"sides": 6}}\n```'
    async with client_of(tmp_path) as client:
        client.live.model.add(answer)
        body = {"tool_name": "roll", "prompt": "Roll dice", "validation_errors": ["no docstring"]}
        written = (await client.http.post("/v1/tools/generate-tool", json=body)).json()
        assert (written["tool"]["name"], written["sample_args"], written["response"]) == ("roll", {"sides": 6}, answer)
        assert await client.get("/v1/tools/count", tool_types=["custom"]) == 0
        client.live.model.add("I would rather not.")
        refused = await client.http.post("/v1/tools/generate-tool", json=body)
        assert refused.status_code == 400


async def test_a_schema_is_read_from_python_alone(sandboxed):
    read = await sandboxed.http.post("/v1/tools/generate-schema", json={"code": ROLL})
    assert read.json()["name"] == "roll"
    other = await sandboxed.http.post("/v1/tools/generate-schema", json={"code": "x", "source_type": "typescript"})
    assert other.status_code == 400


async def test_a_server_without_a_sandbox_says_so_and_runs_nothing(tmp_path):
    settings = replace(live_settings(tmp_path), sandbox=SandboxSettings(kind="off"))
    async with client_of(tmp_path, settings=settings) as client:
        tool = await client.sdk.tools.create(source_code=ROLL)
        agent = await client.sdk.agents.create(tool_ids=[tool.id])
        run = await client.http.post(f"/v1/agents/{agent.id}/tools/roll/run", json={"args": {"sides": 6}})
        assert run.status_code == 501
        assert "LOCI_SANDBOX" in run.json()["detail"]
