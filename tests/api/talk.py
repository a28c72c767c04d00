"""A server, the public client of it, and an agent to talk with."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
from letta_client import AsyncLetta

from loci.agent import creating
from loci.model.scripted import DoubleStep
from loci.testing.agents import standard_agent
from loci.testing.live import Live, serving
from loci.types.actor import Actor
from loci.types.agents import AgentType
from loci.types.messages import ToolCall


@dataclass(slots=True)
class Talk:
    """`sdk` is an AsyncLetta, untyped because a test knows which type of its unions has come; `http` shows what is
    really sent.
    """

    live: Live
    sdk: Any
    http: httpx2.AsyncClient
    agent_id: str = ""

    async def agent(self, **wanted: Any) -> str:
        made = await creating.create(self.live.core.kit, Actor(), replace(standard_agent(), **wanted))
        self.agent_id = made.agent.id
        return made.agent.id

    def plays(self, *steps: DoubleStep) -> None:
        """What the model answers next."""
        self.live.model.add(*steps)

    async def get(self, path: str, **query: Any) -> Any:
        """What the server answers in plain JSON."""
        answer = await self.http.get(path, params=query)
        assert answer.status_code == httpx2.codes.OK, answer.text
        return answer.json()

    async def say(self, words: str, *steps: DoubleStep, **wanted: Any) -> Any:
        self.plays(*steps)
        return await self.sdk.agents.messages.create(self.agent_id, input=words, **wanted)

    async def stream(self, words: str, *steps: DoubleStep, **wanted: Any) -> list[Any]:
        self.plays(*steps)
        stream = await self.sdk.agents.messages.create(self.agent_id, input=words, streaming=True, **wanted)
        return [event async for event in stream]


@asynccontextmanager
async def talking(folder: Path, **options: Any) -> AsyncGenerator[Talk]:
    async with (
        serving(folder, **options) as live,
        AsyncLetta(base_url=live.url, api_key="x", max_retries=0) as sdk,
        httpx2.AsyncClient(base_url=live.url) as http,
    ):
        talk = Talk(live, sdk, http)
        await talk.agent()
        yield talk


MEMGPT = AgentType.MEMGPT_V2


def call(name: str, arguments: str, call_id: str = "call-1") -> ToolCall:
    return ToolCall(call_id, name, arguments)


def kinds(items: Any) -> list[str]:
    return [item.message_type for item in items]
