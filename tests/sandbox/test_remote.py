"""Hired machines: what is sent where, what is kept and given back, and each way in which a service fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loci.cli import checks
from loci.clock import FakeClock
from loci.config import Account, SandboxSettings, load
from loci.errors import AddressRefused, FetchFailed, LociError, NotAvailable, SandboxBusy, SandboxFailed
from loci.net import Door
from loci.sandbox.base import Bounds, Environment, Program, Ran
from loci.sandbox.providers import E2B, Daytona
from loci.sandbox.remote import WARM_MAX, RemoteSandbox
from loci.testing.live import live_settings
from tests.api.clients import client_of
from tests.sandbox.hired import KEY, TOKEN, FakeDaytona, FakeE2B, Service, ok, serving
from tests.sandbox.wheels import offered

BOTH = pytest.mark.parametrize("kind", ["e2b", "daytona"])
RUN_AT = {"e2b": "POST /execute", "daytona": "POST /toolbox"}
RENT_AT = {"e2b": "POST /sandboxes", "daytona": "POST /api/sandbox"}
COUNT = "import builtins\ndef f():\n    return 'ran'\n"


@asynccontextmanager
async def hired(
    folder: Path, kind: str, *, key: str = KEY, **more: Any
) -> AsyncIterator[tuple[RemoteSandbox, Service]]:
    with serving(FakeE2B(folder) if kind == "e2b" else FakeDaytona(folder)) as service:
        door, clock = Door(allowed_hosts=frozenset({"127.0.0.1"})), FakeClock()
        if kind == "e2b":
            machines = E2B(Account(key=key, url=service.url, machine_url=service.url), door, clock)
        else:
            machines = Daytona(Account(key=key, url=f"{service.url}/api"), door, clock)
        sandbox = RemoteSandbox(machines, Bounds(wall_s=10.0, result_bytes=100_000), **more)
        try:
            yield sandbox, service
        finally:
            await sandbox.close()


async def run(sandbox: RemoteSandbox, source: str = COUNT, organization_id: str = "org-1", **more: Any) -> Ran:
    return await sandbox.run(organization_id, Program(source=source, name="f", **more))


@BOTH
async def test_a_machine_serves_one_organisation_and_is_used_again(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        for organization_id in ("org-1", "org-1", "org-2", "org-1"):
            assert (await run(sandbox, organization_id=organization_id)).value == "ran"
        assert len(service.bodies(RENT_AT[kind])) == 2
        assert len(service.machines) == 2
    assert service.machines == {}


@BOTH
async def test_few_are_kept_and_not_for_long(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind, idle_s=0.2) as (sandbox, service):
        for number in range(WARM_MAX + 2):
            await run(sandbox, organization_id=f"org-{number}")
        async with asyncio.timeout(10):
            while len(service.machines) > WARM_MAX:
                await asyncio.sleep(0.01)
            while service.machines:
                await asyncio.sleep(0.01)
        assert (await run(sandbox)).value == "ran"


@BOTH
async def test_the_network_is_only_there_for_packages_and_for_those_who_were_granted_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered(tmp_path / "wheels", monkeypatch)
    closed = {"allow_internet_access": False} if kind == "e2b" else {"networkBlockAll": True}
    name, shut = next(iter(closed.items()))
    async with hired(tmp_path / "m", kind) as (sandbox, service):
        await run(sandbox)
        await run(sandbox, network=True)
        await run(sandbox, environment=Environment(pip=("greeting==1.2",)))
        assert [body[name] for body in service.bodies(RENT_AT[kind])] == [shut, not shut, not shut]
        assert [machine[name] for machine in service.machines.values()] == [shut, not shut, shut]


@BOTH
async def test_only_what_the_program_is_given_is_sent(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "s3cr3t")
    source = "import os\ndef f():\n    return dict(os.environ)"
    async with hired(tmp_path, kind) as (sandbox, service):
        seen = json.loads(str((await run(sandbox, source, variables={"MINE": "1"})).value))
        assert set(seen) == {"PATH", "LANG", "HOME", "TMPDIR", "MINE"}
        for _, _, headers, body in service.asked:
            assert "s3cr3t" not in f"{headers} {body}"
        if kind == "e2b":  # the key of the account is for the API; a machine has a token of its own
            told = [(path, h.get("x-api-key"), h.get("x-access-token")) for _, path, h, _ in service.asked]
            assert told == [("/sandboxes", KEY, None), ("/execute", None, TOKEN)]


FAILURES: list[tuple[str, type[LociError], str]] = [
    ("401", NotAvailable, "refuses the key"),
    ("429", SandboxBusy, "says to wait 120 seconds"),
    ("500", SandboxFailed, "answered 500: out of luck"),
    ("html", SandboxFailed, "cannot be read: <html>"),
    ("empty", SandboxFailed, "without '"),
    ("die", FetchFailed, "could not be reached"),
]


@BOTH
@pytest.mark.parametrize(("failure", "error", "words"), FAILURES)
async def test_a_machine_that_cannot_be_had_is_an_error_that_says_why(
    tmp_path: Path, kind: str, failure: str, error: type[LociError], words: str
) -> None:
    answers: dict[str, Any] = {
        "401": ok({"message": "no such key"}, 401),
        "429": (429, {"Retry-After": "120"}, b'{"message": "too many"}'),
        "500": ok({"message": "out of luck"}, 500),
        "html": (200, {}, b"<html>"),
        "empty": ok({}),
        "die": "die",
    }
    async with hired(tmp_path, kind) as (sandbox, service):
        service.next[RENT_AT[kind]] = [answers[failure]]
        with pytest.raises(error, match=words):
            await run(sandbox)
        assert (await run(sandbox)).value == "ran"


@BOTH
async def test_a_service_that_is_busy_for_a_moment_is_asked_again(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        service.next[RENT_AT[kind]] = [(429, {"Retry-After": "3"}, b""), (429, {}, b"")]
        assert (await run(sandbox)).value == "ran"
        clock = sandbox._machines._line.clock  # pyright: ignore[reportAttributeAccessIssue]
        assert clock.slept_s[:2] == [3, 1]


@BOTH
async def test_a_machine_that_went_between_calls_is_replaced(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        await run(sandbox)
        service.machines.clear()
        assert (await run(sandbox)).value == "ran"
        assert len(service.bodies(RENT_AT[kind])) == 2


RENEW_AT = {"e2b": "POST /sandboxes/", "daytona": "POST /api/sandbox/"}


@BOTH
async def test_a_machine_whose_time_cannot_be_prolonged_is_given_back(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        await run(sandbox)
        for answer in ("die", ok({"message": "out of luck"}, 500), (429, {"Retry-After": "120"}, b"{}")):
            (former,) = service.machines
            service.next[RENEW_AT[kind]] = [answer]
            assert (await run(sandbox)).value == "ran"
            async with asyncio.timeout(5):
                while former in service.machines:
                    await asyncio.sleep(0.01)
        service.next[RENEW_AT[kind]] = ["hang"]
        call = asyncio.create_task(run(sandbox))
        async with asyncio.timeout(5):
            while service.next[RENEW_AT[kind]]:
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(5):
            while service.machines:
                await asyncio.sleep(0.01)


@BOTH
async def test_the_time_of_a_machine_begins_with_its_last_use(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind, idle_s=1.5) as (sandbox, service):
        started = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < started + 3:
            assert (await run(sandbox)).value == "ran"
        assert len(service.bodies(RENT_AT[kind])) == 1


@BOTH
async def test_a_service_that_takes_too_long_is_an_error_that_says_so(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        service.next[RENT_AT[kind]] = [ok({"message": "timed out"}, 408)]
        with pytest.raises(SandboxFailed, match="was not there after"):
            await run(sandbox)


@BOTH
async def test_a_machine_that_goes_while_a_tool_runs_is_no_error_of_the_server(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        gone = {"sandboxId": "m", "message": "The sandbox was not found", "code": 502}
        for answer in ("die", ok(gone, 502), ok({"message": "not found"}, 404)):
            service.next[RUN_AT[kind]] = [answer]
            assert (await run(sandbox)).error == "Error: the sandbox ended while the tool ran."
        assert (await run(sandbox)).value == "ran"
        async with asyncio.timeout(5):
            while len(service.machines) > 1:  # none of those that broke was kept
                await asyncio.sleep(0.01)


def report(text: str) -> bytes:
    return json.dumps({"type": "stdout", "text": text, "timestamp": 1, "result": text, "exitCode": 0}).encode()


BROKEN: list[tuple[str, bytes]] = [
    ("no JSON", b"<html>oops"),
    ("half a line", b'{"type": "stdout", "te'),
    ("no report", report("hello")),
    ("no base64", report("loci-report:???")),
    ("no zip", report("loci-report:aGVsbG8=")),
    ("nothing", report("")),
]


@BOTH
@pytest.mark.parametrize("body", [body for _, body in BROKEN], ids=[what for what, _ in BROKEN])
async def test_an_answer_that_makes_no_sense_is_an_error_that_says_so(tmp_path: Path, kind: str, body: bytes) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        if kind == "daytona":  # the file is taken, and what runs it is what answers
            service.next["POST /toolbox"] = [ok({}), (200, {}, body)]
        else:
            service.next[RUN_AT[kind]] = [(200, {}, body)]
        with pytest.raises(SandboxFailed, match=r"no readable report|cannot be read|without 'result'"):
            await run(sandbox)
        assert (await run(sandbox)).value == "ran"


async def test_what_the_interpreter_there_says_is_told(tmp_path: Path) -> None:
    async with hired(tmp_path, "e2b") as (sandbox, service):
        lines = [{"type": "error", "name": "MemoryError", "value": "full", "traceback": ""}]
        service.next["POST /execute"] = [(200, {}, b"\n".join(json.dumps(line).encode() for line in lines))]
        with pytest.raises(SandboxFailed, match="MemoryError: full"):
            await run(sandbox)
        service.next["POST /execute"] = [(200, {}, b'{"type": "unexpected_end_of_execution"}')]
        assert (await run(sandbox)).error == "Error: the sandbox ended while the tool ran."


@BOTH
async def test_an_answer_without_end_is_cut(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        great = (200, {}, b"x" * 3_000_000)
        service.next[RUN_AT[kind]] = [ok({}), great] if kind == "daytona" else [great]
        assert (await run(sandbox)).beyond == "result"


async def test_a_machine_that_does_not_start_is_given_back(tmp_path: Path) -> None:
    async with hired(tmp_path, "daytona") as (sandbox, service):
        service.next["GET /api/sandbox"] = [ok({"state": "error", "errorReason": "no room"})]
        with pytest.raises(SandboxFailed, match=r"did not start: it is error\. no room"):
            await run(sandbox)
        assert service.machines == {}
        for answer in ("die", ok({"message": "out of luck"}, 500), (200, {}, b"<html>")):
            service.next["GET /api/sandbox"] = [answer]
            with pytest.raises((SandboxFailed, FetchFailed)):
                await run(sandbox)
            assert service.machines == {}


@BOTH
async def test_a_call_that_is_given_up_gives_its_machine_back(tmp_path: Path, kind: str) -> None:
    async with hired(tmp_path, kind) as (sandbox, service):
        call = asyncio.create_task(run(sandbox, "import time\ndef f():\n    time.sleep(2)"))
        async with asyncio.timeout(10):
            while not any(machine["calls"] for machine in service.machines.values()):
                await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(10):
            while service.machines:
                await asyncio.sleep(0.01)


async def test_a_service_on_a_private_host_must_be_named_by_the_operator(tmp_path: Path) -> None:
    with serving(FakeE2B(tmp_path)) as service:
        sandbox = RemoteSandbox(E2B(Account(key=KEY, url=service.url), Door(), FakeClock()), Bounds())
        with pytest.raises(AddressRefused):
            await run(sandbox)


def settings_of(tmp_path: Path, service: Service, kind: str, **more: str) -> Any:
    env = {
        "LOCI_SANDBOX": kind,
        "E2B_API_KEY": KEY,
        "E2B_API_URL": service.url,
        "E2B_SANDBOX_URL": service.url,
        "DAYTONA_API_KEY": KEY,
        "DAYTONA_API_URL": f"{service.url}/api",
        **more,
    }
    return replace(live_settings(tmp_path), sandbox=load(env, home=tmp_path).sandbox)


WHERE = 'import os\ndef where() -> str:\n    """Say where."""\n    return os.environ.get("PLACE", "here")\n'


@BOTH
async def test_the_operator_has_all_tools_run_there(tmp_path: Path, kind: str) -> None:
    with serving(FakeE2B(tmp_path / "m") if kind == "e2b" else FakeDaytona(tmp_path / "m")) as service:
        async with client_of(tmp_path, settings=settings_of(tmp_path, service, kind)) as client:
            asked = {"source_code": WHERE, "args": {}, "env_vars": {"PLACE": "there"}}
            assert (await client.http.post("/v1/tools/run", json=asked)).json()["tool_return"] == "there"
            agent = await client.sdk.agents.create(tools=["run_code"], include_base_tools=False)
            code = {"args": {"code": "6 * 7", "language": "python"}}
            ran = (await client.http.post(f"/v1/agents/{agent.id}/tools/run_code/run", json=code)).json()
            assert json.loads(ran["func_return"])["results"] == ["42"]
            assert len(service.bodies(RENT_AT[kind])) == 1
            service.next[RENT_AT[kind]] = [ok({"message": "no such key"}, 401)]
            refused = await client.http.post("/v1/tools/run", json={**asked, "pip_requirements": [{"name": "x"}]})
            assert (refused.status_code, "refuses the key" in refused.text) == (501, True)
        assert service.machines == {}


async def test_an_organisation_that_sets_e2b_up_has_its_tools_run_there(tmp_path: Path) -> None:
    with serving(FakeE2B(tmp_path / "m")) as service:
        async with client_of(tmp_path, settings=settings_of(tmp_path, service, "auto")) as client:

            async def where() -> str:
                answer = await client.http.post("/v1/tools/run", json={"source_code": WHERE, "args": {}})
                return str(answer.json()["tool_return"])

            assert await where() == "here"
            config = (await client.http.post("/v1/sandbox-config/e2b/default")).json()
            changed = {"config": {"template": "mine", "timeout": 7}}
            await client.http.patch(f"/v1/sandbox-config/{config['id']}", json=changed)
            path = f"/v1/sandbox-config/{config['id']}/environment-variable"
            await client.http.post(path, json={"key": "PLACE", "value": "at E2B"})
            assert await where() == "at E2B"
            assert service.bodies("POST /sandboxes")[0]["templateID"] == "mine"
            await client.http.delete(f"/v1/sandbox-config/{config['id']}")
            assert await where() == "here"


async def test_the_doctor_says_where_tools_run_and_what_is_missing(tmp_path: Path) -> None:
    with serving(FakeE2B(tmp_path / "m")) as service:
        (found, files) = await checks.sandbox(settings_of(tmp_path, service, "e2b"))
        assert (found.level, "machines of E2B" in found.message, files.check) == ("ok", True, "files")
        wrong = settings_of(tmp_path, service, "e2b", E2B_API_KEY="other")
        (found, _) = await checks.sandbox(wrong)
        assert (found.level, found.hint) == ("warn", "Check E2B_API_KEY.")
        assert "refuses the key" in found.message
        (_, both, _) = await checks.sandbox(settings_of(tmp_path, service, "auto"))
        assert "an organisation has set E2B up" in both.message
    none = replace(live_settings(tmp_path), sandbox=SandboxSettings(kind="daytona"))
    (found, _) = await checks.sandbox(none)
    assert (found.level, found.hint) == ("warn", "Set DAYTONA_API_KEY.")
