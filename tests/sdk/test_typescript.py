"""The unmodified public TypeScript client against a real server process, before and after a kill."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.sdk.processes import running

FOLDER = Path(__file__).parent.parent / "typescript"
NODE, NPM = shutil.which("node"), shutil.which("npm")


@pytest.mark.skipif(NODE is None or NPM is None, reason="Node.js is not installed")
def test_a_typescript_client_finds_its_agent_again_after_a_kill(tmp_path: Path) -> None:
    build()
    with running(tmp_path / "home") as server:
        agent_id = run(["node", "dist/first-hour.js", server.url, "before"])
        server.kill()
        server.start()
        assert run(["node", "dist/first-hour.js", server.url, "after", agent_id]) == "ok"


@pytest.mark.skipif(NODE is None or NPM is None, reason="Node.js is not installed")
def test_the_main_groups_work_for_a_typescript_client(tmp_path: Path) -> None:
    build()
    with running(tmp_path / "home") as server:
        assert run(["node", "dist/main-groups.js", server.url]) == "agents"


@cache
def build() -> None:
    if not (FOLDER / "node_modules").is_dir():
        run(["npm", "ci", "--no-audit", "--no-fund"])
    run(["npx", "--no-install", "tsc"])


def run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().split("\n")[-1]
