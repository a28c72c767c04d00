"""The flow budget: what one plain message enters and executes. A change of these numbers is seen in review.

The list is printed with `pytest -s tests/flow/test_budget.py`.
"""

import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Self

import httpx2
import pytest
from fastapi import FastAPI

import loci
from loci.agent.creating import NewAgent, NewBlock, create
from loci.app import Doubles, build
from loci.config import Settings
from loci.model.base import Finished, ModelEvent, ModelRequest
from loci.model.scripted import scripted_info
from loci.store.sqlite import SQLiteStore
from loci.testing.counting import CountingStore
from loci.testing.models import FixedModels
from loci.types.actor import Actor
from loci.types.messages import Text
from loci.types.usage import Usage

FILES_MAX = 31
FUNCTIONS_MAX = 125
STATEMENTS_MAX = 8
WRITES_MAX = 2

HOME = str(Path(loci.__file__).parent)
OUTSIDE = (f"{HOME}/testing/",)
"""Doubles of the test itself are no part of the path."""


class Profiler:
    """Notes every function of ours that is entered, on any thread. Comprehensions are lines of their function."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        ours = code.co_filename.startswith(HOME) and not code.co_filename.startswith(OUTSIDE)
        if event == "call" and ours and not code.co_name.startswith("<"):
            self.calls.append((code.co_filename.removeprefix(HOME + "/"), code.co_qualname))

    def __enter__(self) -> Self:
        threading.setprofile(self)
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    @property
    def functions(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys(self.calls))

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(file for file, _ in self.calls))


class Instant:
    """A model that answers at once."""

    info = scripted_info()

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        usage = Usage(prompt_tokens=len(request.messages), completion_tokens=1)
        yield Finished(parts=(Text("Hi."),), usage=usage)


@pytest.fixture
def profiler() -> Iterator[Profiler]:
    """On from before the server starts, so that the threads of the store are seen too."""
    with Profiler() as made:
        yield made


@pytest.fixture
async def server(tmp_path: Path, profiler: Profiler) -> AsyncIterator[tuple[FastAPI, CountingStore, str]]:
    """A server whose model answers at once, behind the port: what a provider's adapter costs is its own matter."""
    settings = Settings(home=tmp_path, database_url="", default_embedding=None)
    store = CountingStore(SQLiteStore(tmp_path / "loci.db"))
    app = build(settings, Doubles(store=store, models=FixedModels(Instant())))
    async with app.router.lifespan_context(app):
        wanted = NewAgent(model="scripted/default", blocks=(NewBlock(label="human", value="x"),))
        made = await create(app.state.core.kit, Actor(), wanted)
        yield app, store, made.agent.id


async def test_a_plain_message_keeps_to_its_budget(
    server: tuple[FastAPI, CountingStore, str], profiler: Profiler
) -> None:
    app, store, agent_id = server
    transport = httpx2.ASGITransport(app=app)
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for _ in range(2):  # the second one is a plain message: agent and window are in memory
            answer = await http.post(f"/v1/agents/{agent_id}/messages", json=body)
            assert answer.status_code == 200, answer.text
        store.reset()
        profiler.calls.clear()
        answer = await http.post(f"/v1/agents/{agent_id}/messages", json=body)
        profiler.__exit__()
    assert answer.json()["messages"][0]["message_type"] == "assistant_message"

    report(profiler, store)
    assert store.writes <= WRITES_MAX
    assert len(store.statements) <= STATEMENTS_MAX
    assert len(profiler.files) <= FILES_MAX
    assert len(profiler.functions) <= FUNCTIONS_MAX


def report(profiler: Profiler, store: CountingStore) -> None:
    print(f"\n{len(profiler.files)} files, {len(profiler.functions)} functions, {len(profiler.calls)} calls")
    for file in profiler.files:
        names = [name for where, name in profiler.functions if where == file]
        print(f"  {file}: {', '.join(names)}")
    print(f"{len(store.statements)} statements in {store.writes} transactions")
    for statement in store.statements:
        print("  " + " ".join(statement.split())[:110])
