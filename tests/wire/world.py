"""A live server, the unmodified client in its strict mode, and a record of every answer.

Strict means that the client raises where an answer is not what its types declare.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx  # noqa: TID251  what the client is built on
from anyio.from_thread import start_blocking_portal
from letta_client import Letta

from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import served
from tests.sdk.processes import Process, running
from tests.wire.published import faults, operation_of

ROLL = '''def roll(sides: int) -> str:
    """Roll a die.

    Args:
        sides: How many sides it has.

    Returns:
        What it shows.
    """
    return str(sides)
'''


@dataclass
class World:
    """`sdk` is the client, `http` plain HTTP; the answers of both are recorded and judged."""

    process: Process
    provider_url: str
    """Where a model provider is that speaks the chat-completions wire."""
    sdk: Any
    http: httpx.Client
    answered: set[str] = field(default_factory=set[str])
    """The operations that gave a good answer."""
    wrong: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What the published schema has against answers, by operation."""
    kept: dict[str, str] = field(default_factory=dict[str, str])
    """Ids of what takes long to make and is used more than once."""
    numbers: Any = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return self.process.url

    def name(self, kind: str) -> str:
        """A name that nobody has yet."""
        return f"{kind}-{next(self.numbers)}"

    def judge(self, response: httpx.Response) -> None:
        """Record an answer, and what is wrong with it."""
        name = operation_of(response.request.method, response.request.url.path)
        if name is None or not response.is_success:
            return
        self.answered.add(name)
        if response.headers.get("content-type", "").startswith("application/json"):
            found = faults(name, json.loads(response.read()))
            if found:
                self.wrong.setdefault(name, found)

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """A plain request; the decoded answer. Fails for anything but success."""
        response = self.http.request(method, path, json=body, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        if not response.headers.get("content-type", "").startswith("application/json"):
            return response.text
        return response.json()

    def agent(self, **fields: Any) -> Any:
        """A new agent with a block, an attached archive and no embedding model to wait for."""
        plain = {
            "name": self.name("agent"),
            "model": "scripted/default",
            "memory_blocks": [{"label": "human", "value": "Sam."}],
            "tags": ["a-tag"],
        }
        return self.sdk.agents.create(**{**plain, **fields})

    def turn(self, agent_id: str, words: str = "@say Hello.") -> Any:
        """One answered message."""
        return self.sdk.agents.messages.create(agent_id, input=words)

    def run(self, agent_id: str, words: str = "@say Hello.") -> Any:
        """The run of one answered message."""
        self.turn(agent_id, words)
        return next(iter(self.sdk.runs.list(agent_id=agent_id)))

    def step(self, agent_id: str) -> Any:
        """The step of one answered message."""
        return next(iter(self.sdk.runs.steps.list(self.run(agent_id).id)))

    def tool(self) -> Any:
        """A new tool from source."""
        name = self.name("roll").replace("-", "_")
        return self.sdk.tools.create(source_code=ROLL.replace("roll", name, 1))

    def conversation(self) -> Any:
        """A new conversation with one answered message."""
        made = self.sdk.conversations.create(agent_id=self.agent().id)
        list(self.sdk.conversations.messages.create(made.id, input="@say Hello."))
        return made


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Start a server and a model provider, and look at the server with both clients."""
    with (
        running(folder) as process,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(served(FakeOpenAI())) as provider_url,
    ):
        world = look_at(process, f"{provider_url}/v1")
        try:
            yield world
        finally:
            world.http.close()
            world.sdk.close()


def look_at(process: Process, provider_url: str, key: str = "none") -> World:
    """A server as it is seen with a key."""
    hooks: dict[str, list[Any]] = {"response": []}
    sdk = Letta(
        base_url=process.url,
        api_key=key,
        max_retries=0,
        http_client=httpx.Client(event_hooks=hooks, follow_redirects=False, timeout=60.0),
        _strict_response_validation=True,
    )
    headers = {"authorization": f"Bearer {key}"}
    http = httpx.Client(base_url=process.url, event_hooks=hooks, timeout=60.0, headers=headers)
    world = World(process, provider_url, sdk, http)
    hooks["response"].append(world.judge)
    sdk._client.event_hooks = hooks
    http.event_hooks = hooks
    return world
