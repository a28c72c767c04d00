"""No hostile program gets out, sees a secret, stays behind, or harms the server; with each kind of walls there is.

A machine on which nothing isolates fails here, with the reason: the walls are the point of it.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from loci.net import Door
from loci.sandbox.base import Bounds, Program, Ran
from loci.sandbox.local import LocalSandbox, Place
from loci.sandbox.walls import candidates
from tests.sandbox.hostile import CORPUS, Hostile

MARKER = "s3cr3t-of-the-host-4711"
BOUNDS = Bounds(wall_s=6.0, cpu_s=4, memory_bytes=500_000_000, disk_bytes=50_000_000, result_bytes=1_000_000)


@asynccontextmanager
async def sandbox_of(home: Path, choice: str) -> AsyncIterator[LocalSandbox]:
    sandbox = LocalSandbox(Place(home=home, choice=choice, door=Door(), bounds=BOUNDS))
    try:
        yield sandbox
    finally:
        await sandbox.close()


def filled(source: str, facts: dict[str, object]) -> str:
    for name, value in facts.items():
        source = source.replace("{" + name + "}", str(value))
    return source


def faults(hostile: Hostile, ran: Ran) -> list[str]:
    """What did not hold."""
    everything = " ".join(filter(None, [ran.value, ran.error, ran.stdout, ran.stderr]))
    found = [word for word in ("escaped", MARKER) if word in everything]
    if hostile.ends != "any" and (ran.error is not None) != (hostile.ends == "error"):
        found.append(f"should end with a {hostile.ends}")
    if hostile.says is not None and hostile.says not in everything:
        found.append(f"should say {hostile.says!r}")
    if "\x1b" in everything or "\x00" in everything:
        found.append("control characters came through")
    return [f"{hostile.name}: {', '.join(found)}: {everything[:300]}"] if found else []


@pytest.mark.parametrize("choice", [walls.name for walls in candidates()])
async def test_the_walls_hold(tmp_path: Path, choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_SECRET", MARKER)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("loci.db", "secret.key", "private.txt"):
        (home / name).write_text(MARKER)
        (home / name).chmod(0o644)
    abstract = f"loci-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as named:
        named.bind(str(home / "s"))
        named.listen()
        with socket.socket(socket.AF_UNIX) as hidden:
            if sys.platform == "linux":
                hidden.bind("\0" + abstract)
                hidden.listen()
            facts: dict[str, object] = {
                "home": home,
                "secret_file": home / "private.txt",
                "server_pid": os.getpid(),
                "parent_pid": os.getppid(),
                "port": tcp.getsockname()[1],
                "unix_socket": home / "s",
                "abstract": abstract,
                "base": sys.base_prefix,
                "tmp": tmp_path,
                "marker": MARKER,
                "shm_key": 0x10C1,
            }
            async with sandbox_of(home, choice) as sandbox:
                standing = await sandbox.standing()
                if not standing.ok and choice != "landlock":
                    pytest.skip(f"{choice} does not work here, which is tested as that: {standing.message}")
                assert standing.ok, f"This machine cannot isolate tools at all: {standing.message}"
                before = (home / "private.txt").stat()
                limit = asyncio.Semaphore(4)

                async def attack(hostile: Hostile) -> list[str]:
                    source = filled(hostile.source, facts)
                    program = Program(source=source, name="attack", wall_s=hostile.seconds)
                    async with limit:
                        return faults(hostile, await sandbox.run("org-1", program))

                failed = [fault for found in await asyncio.gather(*map(attack, CORPUS)) for fault in found]
                assert not failed, "\n".join(failed)
                left = Program(source="def f():\n    return 'alive'", name="f")
                assert (await sandbox.run("org-1", left)).value == "alive"
                zygotes = [zygote.process.pid for zygote in sandbox._zygotes.values()]
                async with asyncio.timeout(5):
                    while len(descendants(*zygotes)) > (1 if choice == "bubblewrap" else 0):
                        await asyncio.sleep(0.02)
        after = (home / "private.txt").stat()
    assert (after.st_mode, after.st_uid, after.st_mtime, after.st_size) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime,
        before.st_size,
    )
    assert not list(tmp_path.rglob("planted"))  # noqa: ASYNC240  nothing else runs any more
    assert {path.name for path in home.iterdir()} <= {"loci.db", "secret.key", "private.txt", "s", "sandbox"}
    assert not list((home / "sandbox" / "calls").glob("*") if (home / "sandbox" / "calls").exists() else [])


def descendants(*pids: int) -> list[int]:
    """What runs below these processes; bubblewrap's own not counted."""
    found: list[int] = []
    for pid in pids:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            name = Path(f"/proc/{child}/comm").read_text().strip()
            found += ([child] if name != "bwrap" else []) + descendants(child)
    return found


def test_the_corpus_is_large():
    assert len(CORPUS) >= 100
    assert len({hostile.name for hostile in CORPUS}) == len(CORPUS)
