"""An agent, its repository at a server, and people with clones: git itself does what they do."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.api.clients import Client, client_of

GIT = shutil.which("git")
needs_git = pytest.mark.skipif(GIT is None, reason="git is not installed here: nothing of this was tried")


@dataclass(frozen=True)
class Done:
    """What a command printed, and whether it was content."""

    ok: bool
    text: str


@dataclass(frozen=True)
class Stop:
    """A git for the server that stops at one of its commands. Its folder belongs first into PATH."""

    folder: Path

    @classmethod
    def at(cls, folder: Path, words: str) -> "Stop":
        folder.mkdir()
        for name in ("reached", "go"):
            os.mkfifo(folder / name)
        script = f"""#!/bin/sh
case "$GIT_DIR $* " in
    /*" {words} "*) echo > {folder}/reached; cat {folder}/go; [ -e {folder}/full ] && exit 1 ;;
esac
exec {GIT} "$@"
"""
        (folder / "git").write_text(script, encoding="utf-8")
        (folder / "git").chmod(0o755)
        return cls(folder)

    async def reached(self) -> None:
        await asyncio.to_thread((self.folder / "reached").read_bytes)

    async def go(self) -> None:
        await asyncio.to_thread((self.folder / "go").write_bytes, b"")


@dataclass(frozen=True)
class Clone:
    """A person's copy of an agent's memory."""

    folder: Path
    person: str

    async def git(self, *words: str, ok: bool | None = True) -> Done:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        who = ("-c", f"user.name={self.person}", "-c", f"user.email={self.person.lower()}@example.org")
        done = await asyncio.to_thread(
            subprocess.run,
            ["git", *who, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = Done(done.returncode == 0, done.stdout + done.stderr)
        assert ok is None or found.ok is ok, found.text
        return found

    def read(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def write(self, path: str, text: str | bytes) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())

    def body(self, path: str, text: str) -> None:
        """Write a new text under the front matter that the file has."""
        head = self.read(path).split("---\n")[1]
        self.write(path, f"---\n{head}---\n{text}\n")

    async def commit(self, message: str) -> None:
        await self.git("add", "-A")
        await self.git("commit", "--quiet", "--allow-empty", "-m", message)

    async def push(self, *words: str, ok: bool | None = True) -> str:
        return (await self.git("push", *words, "origin", "main", ok=ok)).text

    async def log(self) -> list[str]:
        """The commits, newest first, as `author: subject`."""
        return (await self.git("log", "--format=%an: %s")).text.splitlines()

    def files(self) -> dict[str, str]:
        paths = (path for path in self.folder.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {str(path.relative_to(self.folder)): path.read_text(encoding="utf-8") for path in sorted(paths)}


@dataclass(frozen=True)
class Room:
    """A server with one agent."""

    client: Client
    agent_id: str
    folder: Path

    @property
    def url(self) -> str:
        return f"{self.client.live.url}/v1/git/{self.agent_id}/state.git"

    async def clone(self, person: str = "Ana") -> Clone:
        number = len(list(self.folder.iterdir()))
        folder = self.folder / f"{person.lower()}-{number}"
        folder.mkdir()
        clone = Clone(folder, person)
        await clone.git("clone", "--quiet", self.url, ".")
        return clone

    async def blocks(self) -> dict[str, Any]:
        found = await self.client.get(f"/v1/agents/{self.agent_id}/core-memory/blocks")
        return {block["label"]: block for block in found}

    async def values(self) -> dict[str, str]:
        return {label: block["value"] for label, block in (await self.blocks()).items()}

    async def edit(self, label: str, **change: Any) -> None:
        await self.client.sdk.blocks.update((await self.blocks())[label]["id"], **change)


@asynccontextmanager
async def room(
    folder: Path, *, blocks: list[dict[str, Any]] | None = None, key: str = "x", **options: Any
) -> AsyncIterator[Room]:
    given = [
        {"label": "persona", "value": "I am Loci.", "description": "Who you are"},
        {"label": "human", "value": "Likes tea.\nLives in Rome.", "description": "The person"},
    ]
    clones = folder / "clones"
    clones.mkdir()
    async with client_of(folder / "data", **options) as client:
        sdk = client.sdk.with_options(api_key=key)
        agent = await sdk.agents.create(name="ada", memory_blocks=given if blocks is None else blocks)
        yield Room(client, agent.id, clones)
