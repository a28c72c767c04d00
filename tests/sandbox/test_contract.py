"""What every sandbox promises, wherever it runs: this machine, E2B or Daytona."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from loci.clock import FakeClock
from loci.config import Account
from loci.errors import BadRequest
from loci.net import Door
from loci.sandbox.base import Bounds, Environment, Program, Ran, Sandbox
from loci.sandbox.local import LocalSandbox, Place
from loci.sandbox.providers import E2B, Daytona
from loci.sandbox.remote import RemoteSandbox
from tests.sandbox.hired import KEY, FakeDaytona, FakeE2B, serving
from tests.sandbox.wheels import offered

BOUNDS = Bounds(wall_s=10.0, result_bytes=100_000, output_bytes=2_000)
NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="JavaScript needs Node")


@pytest.fixture(params=["local", "e2b", "daytona"])
async def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sandbox]:
    made: Sandbox
    if request.param == "local":
        made = LocalSandbox(Place(home=tmp_path, door=Door(), bounds=BOUNDS))
        yield made
        await made.close()
        return
    service = FakeE2B(tmp_path / "machines") if request.param == "e2b" else FakeDaytona(tmp_path / "machines")
    with serving(service):
        door = Door(allowed_hosts=frozenset({"127.0.0.1"}))
        if request.param == "e2b":
            machines = E2B(Account(key=KEY, url=service.url, machine_url=service.url), door, FakeClock())
        else:
            machines = Daytona(Account(key=KEY, url=f"{service.url}/api"), door, FakeClock())
        made = RemoteSandbox(machines, BOUNDS)
        yield made
        await made.close()
        assert service.machines == {}, "every machine was given back"


async def run(sandbox: Sandbox, source: str, name: str | None = "f", **more: object) -> Ran:
    return await sandbox.run("org-1", Program(source=source, name=name, **more))  # pyright: ignore[reportArgumentType]


async def test_a_function_is_called_and_what_it_says_and_gives_comes_back(sandbox: Sandbox) -> None:
    source = (
        "import sys\ndef f(a, b):\n    print('out', a)\n    print('err', file=sys.stderr)\n    return {'sum': [a, b]}"
    )
    ran = await run(sandbox, source, args={"b": 2, "a": "ä\x1b"})
    assert (ran.value, ran.error, ran.stdout, ran.stderr) == ('{"sum": ["ä\\u001b", 2]}', None, "out ä\n", "err\n")
    lines = await run(sandbox, "n = 6\nn * 7", name=None)
    assert (lines.value, lines.error) == ("42", None)


async def test_what_goes_wrong_is_told(sandbox: Sandbox) -> None:
    failed = await run(sandbox, "def f():\n    raise ValueError('no tea')")
    assert (failed.value, failed.error) == (None, "Error executing function f: ValueError: no tea")
    assert "raise ValueError('no tea')" in failed.stderr
    assert "no function 'f'" in str((await run(sandbox, "def g(): pass")).error)
    left = await run(sandbox, "import os\ndef f():\n    os._exit(3)")
    assert left.error == "Error: the tool ended without a result (exit status 3)."


async def test_limits_hold(sandbox: Sandbox) -> None:
    slow = await run(sandbox, "import time\ndef f():\n    time.sleep(60)", wall_s=0.5)
    assert (slow.beyond, slow.error) == ("time", "Error: the tool took longer than 0.5 seconds and was stopped.")
    great = await run(sandbox, "def f():\n    return 'x' * 1_000_000")
    assert (great.beyond, great.error) == ("result", "Error: the result is larger than the 100000 bytes it may have.")
    loud = await run(sandbox, "def f():\n    print('y' * 1_000_000)")
    assert (loud.value, loud.stdout[:2_000].strip("y")) == ("None", "")
    assert loud.stdout.endswith("998001 more bytes were not kept")
    many = "def f():\n    data = []\n    while True:\n        data.append(bytearray(50_000_000))"
    assert (await run(sandbox, many)).error is not None


async def test_it_sees_its_own_variables_and_none_of_the_host(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "s3cr3t")
    source = "import os\ndef f():\n    return [os.environ.get(n) for n in ('TOKEN', 'HOST_SECRET', 'E2B_API_KEY')]"
    assert (await run(sandbox, source, variables={"TOKEN": "mine"})).value == '["mine", null, null]'
    assert (await run(sandbox, source)).value == "[null, null, null]"


async def test_nothing_is_left_in_the_program_for_the_next_call(sandbox: Sandbox) -> None:
    source = "import builtins, os\ndef f():\n    seen = hasattr(builtins, 'n'), os.path.exists('note')\n"
    source += "    builtins.n = 1\n    open('note', 'w').write('x')\n    return seen"
    assert [(await run(sandbox, source)).value for _ in range(2)] == ["[false, false]"] * 2


async def test_the_agent_is_shown_and_what_is_changed_in_its_blocks_comes_back(sandbox: Sandbox) -> None:
    source = (
        "def f(agent_state):\n    agent_state.memory.update_block_value('human', 'Ada')\n    return agent_state.name"
    )
    block = {"id": "block-1", "label": "human", "value": "Bob"}
    ran = await run(
        sandbox, source, agent_state={"name": "Tea", "blocks": [block, {**block, "id": "b2", "label": "x"}]}
    )
    assert (ran.value, ran.blocks) == ("Tea", {"block-1": "Ada"})


async def test_packages_are_installed_for_those_that_ask(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(tmp_path / "wheels", monkeypatch)
    source = "import greeting\ndef f():\n    return greeting.words"
    needs = Environment(pip=("greeting==1.2",))
    assert [(await run(sandbox, source, environment=needs)).value for _ in range(2)] == ["good morning"] * 2
    assert "No module named 'greeting'" in str((await run(sandbox, source)).error)
    with pytest.raises(BadRequest, match=r"absent==9 could not be installed"):
        await run(sandbox, source, environment=Environment(pip=("absent==9",)))
    with pytest.raises(BadRequest, match="no requirement"):
        await run(sandbox, source, environment=Environment(pip=("git+https://x",)))


@NEEDS_NODE
async def test_javascript_runs_too(sandbox: Sandbox) -> None:
    source = "async function f(a, b) { console.log('hi'); return { sum: a + b } }"
    ran = await run(sandbox, source, language="javascript", args={"b": 2, "a": 1}, order=("a", "b"))
    assert (ran.value, ran.error, ran.stdout) == ('{"sum":3}', None, "hi\n")


async def test_it_says_that_it_stands(sandbox: Sandbox) -> None:
    assert (await sandbox.standing()).ok
