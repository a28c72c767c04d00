"""The sandbox on this machine: warm, without memory, with packages and the network where they are granted."""

import asyncio
import http.server
import shutil
import statistics
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from loci.errors import BadRequest, NotAvailable
from loci.net import Door
from loci.sandbox.base import Bounds, Environment, Program
from loci.sandbox.local import CALLS_MAX, ZYGOTES_MAX, LocalSandbox, Place
from tests.sandbox.wheels import offered
from tests.sdk import processes

COUNT = "import builtins\ndef f():\n    builtins.n = getattr(builtins, 'n', 0) + 1\n    return builtins.n\n"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[LocalSandbox]:
    made = LocalSandbox(Place(home=tmp_path, door=Door(), bounds=Bounds(wall_s=20.0)))
    yield made
    await made.close()


def program(source: str, **more: object) -> Program:
    return Program(source=source, name="f", **more)  # pyright: ignore[reportArgumentType]


async def test_nothing_is_left_from_one_call_for_the_next(sandbox: LocalSandbox) -> None:
    assert [(await sandbox.run("org-1", program(COUNT))).value for _ in range(3)] == ["1", "1", "1"]


async def test_organisations_have_processes_of_their_own_and_few_are_kept(sandbox: LocalSandbox) -> None:
    for number in range(ZYGOTES_MAX + 2):
        await sandbox.run(f"org-{number}", program(COUNT))
    assert len(sandbox._zygotes) == ZYGOTES_MAX
    assert len({zygote.process.pid for zygote in sandbox._zygotes.values()}) == ZYGOTES_MAX


async def test_many_calls_at_once_all_get_their_own_answer(sandbox: LocalSandbox) -> None:
    source = "import time\ndef f(n):\n    time.sleep(0.05)\n    return n\n"
    asked = [program(source, args={"n": n}) for n in range(CALLS_MAX * 2)]
    ran = await asyncio.gather(*(sandbox.run("org-1", one) for one in asked))
    assert [one.value for one in ran] == [str(n) for n in range(CALLS_MAX * 2)]


async def test_a_call_that_is_given_up_ends_at_once(sandbox: LocalSandbox, tmp_path: Path) -> None:
    await sandbox.run("org-1", program(COUNT))
    call = asyncio.create_task(sandbox.run("org-1", program("import time\ndef f():\n    time.sleep(60)\n")))
    (zygote,) = sandbox._zygotes.values()
    while not below(zygote.process.pid):
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(5):
        while below(zygote.process.pid):
            await asyncio.sleep(0.01)


async def test_a_sandbox_process_that_died_is_replaced(sandbox: LocalSandbox) -> None:
    await sandbox.run("org-1", program(COUNT))
    (zygote,) = sandbox._zygotes.values()
    zygote.process.kill()
    await zygote.process.wait()
    assert (await sandbox.run("org-1", program(COUNT))).value == "1"


async def test_a_server_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    source = 'def wait() -> str:\n    """Wait."""\n    import time\n    time.sleep(300)\n'
    with processes.running(tmp_path / "home") as server:
        async with httpx2.AsyncClient(base_url=server.url) as client:
            asked = asyncio.create_task(client.post("/v1/tools/run", json={"source_code": source, "args": {}}))
            async with asyncio.timeout(20):
                while len(below(server.pid)) < 3:  # the zygote, a warden, the program
                    await asyncio.sleep(0.05)
            started = {pid: since(pid) for pid in below(server.pid)}
            server.kill()
            with pytest.raises(httpx2.HTTPError):
                await asked
    async with asyncio.timeout(5):
        while any(since(pid) == start for pid, start in started.items()):
            await asyncio.sleep(0.02)


def below(pid: int) -> list[int]:
    """What runs below a process."""
    try:
        threads = [thread.name for thread in Path(f"/proc/{pid}/task").iterdir()]
        children = [
            int(child)
            for thread in threads
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        ]
    except OSError:
        return []
    return [found for child in children for found in (child, *below(child))]


def since(pid: int) -> str | None:
    """When a process began, which tells it from another with its number; None for one that has ended."""
    try:
        _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
    except OSError:
        return None
    return None if rest[0] == "Z" else rest.split()[19]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return offered(tmp_path / "wheels", monkeypatch, planted=tmp_path / "planted")


async def test_packages_are_installed_once_and_run_behind_the_walls_only(
    sandbox: LocalSandbox, wheels: Path, tmp_path: Path
) -> None:
    source = "import greeting\ndef f():\n    return greeting.words\n"
    needs = Environment(pip=("greeting==1.2",))
    both = await asyncio.gather(*(sandbox.run("org-1", program(source, environment=needs)) for _ in range(2)))
    assert [ran.value for ran in both] == ["good morning"] * 2
    assert not (tmp_path / "planted").exists()
    shutil.rmtree(wheels)
    assert (await sandbox.run("org-2", program(source, environment=needs))).value == "good morning"
    without = await sandbox.run("org-1", program(source))
    assert without.error is not None
    assert "No module named 'greeting'" in without.error
    with pytest.raises(BadRequest, match=r"greeting==1\.2 could not be installed"):
        await sandbox.rebuild(needs)


@pytest.mark.parametrize(
    "requirement",
    [
        "../x",
        "x @ https://example.org/x.whl",
        "-r /etc/passwd",
        "--index-url=http://x",
        "x; import os",
        "git+https://x",
        "",
    ],
)
async def test_only_names_and_versions_are_requirements(sandbox: LocalSandbox, requirement: str) -> None:
    for environment in (Environment(pip=(requirement,)), Environment(npm=(requirement,))):
        with pytest.raises(BadRequest, match="no requirement"):
            await sandbox.run("org-1", program(COUNT, environment=environment))


@pytest.fixture
def page() -> Iterator[int]:
    """A web server on this machine."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(f"hello {self.path}".encode())

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


FETCH = """
import urllib.request, urllib.error, socket
def f(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"no: {error}"
"""
DIRECT = "import socket\ndef f(port):\n    socket.create_connection(('127.0.0.1', port), 2)\n    return 'reached'\n"


async def test_the_network_goes_through_the_guarded_door(tmp_path: Path, page: int) -> None:
    door = Door(allowed_hosts=frozenset({f"pages.test:{page}"}), resolver=_here)
    sandbox = LocalSandbox(Place(home=tmp_path, door=door))
    try:
        if (await sandbox.standing()).means != "namespaces":
            with pytest.raises(NotAvailable, match="network"):
                await sandbox.run("org-1", program(FETCH, args={"url": "http://x"}, network=True))
            return
        url = f"http://pages.test:{page}/a?b=1"
        granted = await sandbox.run("org-1", program(FETCH, args={"url": url}, network=True))
        assert granted.value == "hello /a?b=1"
        for refused in (f"http://127.0.0.1:{page}/", "http://169.254.169.254/latest", "https://10.0.0.1/"):
            ran = await sandbox.run("org-1", program(FETCH, args={"url": refused}, network=True))
            assert ran.value is not None
            assert "403" in ran.value, ran
        direct = await sandbox.run("org-1", program(DIRECT, args={"port": page}, network=True))
        assert direct.error is not None
        without = await sandbox.run("org-1", program(FETCH, args={"url": url}))
        assert without.value is not None
        assert without.value.startswith("no:")
    finally:
        await sandbox.close()


async def _here(name: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.skipif(shutil.which("node") is None, reason="JavaScript tools need Node")
async def test_javascript_tools(sandbox: LocalSandbox) -> None:
    source = "import os from 'os'; async function f(a, b) { console.log('hi'); return { sum: a + b, at: os.tmpdir() } }"
    done = await sandbox.run("org-1", program(source, language="javascript", args={"b": 2, "a": 1}, order=("a", "b")))
    assert (done.stdout, done.error) == ("hi\n", None)
    assert (done.value or "").startswith('{"sum":3,"at":"')
    failed = await sandbox.run("org-1", program("function f() { throw new Error('no') }", language="javascript"))
    assert failed.error == "Error executing function f: Error: no"
    held = "import fs from 'node:fs'\nfunction f() { return fs.readFileSync('/etc/passwd', 'utf8') }\n"
    assert "Error" in str((await sandbox.run("org-1", program(held, language="javascript"))).error)
    typed = await sandbox.run(
        "org-1", program("function f(a: number): number { return a }", language="typescript", args={"a": 1})
    )
    assert typed.value == "1" or "npm requirement 'typescript'" in str(typed.error)


@pytest.mark.timing
async def test_a_warm_call_costs_about_as_much_as_starting_python(sandbox: LocalSandbox) -> None:
    await sandbox.run("org-1", program(COUNT))
    warm, bare = list[float](), list[float]()
    for _ in range(21):
        start = time.perf_counter()
        await sandbox.run("org-1", program(COUNT))
        warm.append(time.perf_counter() - start)
        start = time.perf_counter()
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
        assert await child.wait() == 0
        bare.append(time.perf_counter() - start)
    print(f"warm p50 {statistics.median(warm) * 1e3:.1f} ms, bare Python {statistics.median(bare) * 1e3:.1f} ms")
    assert statistics.median(warm) < 2 * statistics.median(bare)
