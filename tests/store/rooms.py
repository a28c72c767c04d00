"""A database with a few agents and tools in it, for tests of the verbs on them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loci.errors import NotFound
from loci.ids import new_id
from loci.store import agents, journal, tools
from loci.store.base import Store
from loci.testing.stores import open_store
from loci.types.actor import Actor
from loci.types.agents import Agent, AgentType
from loci.types.memory import ActorKind, Author, JournalEntry, Subject
from loci.types.tools import Tool, ToolType

Attempts = Sequence[tuple[Callable[..., object], tuple[Any, ...]]]
"""Verbs with their arguments after the actor."""

ME = Actor()
AUTHOR = Author(kind=ActorKind.USER, id=ME.user_id)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def an_agent(name: str = "Ada", **fields: Any) -> Agent:
    plain = Agent(id=new_id("agent"), name=name, agent_type=AgentType.LETTA_V1, system="Be brief.", model="x/y")
    return replace(plain, **fields)


def a_tool(name: str = "look_up", **fields: Any) -> Tool:
    schema = {"name": name, "description": "Looks up.", "parameters": {"type": "object", "properties": {}}}
    plain = Tool(id=new_id("tool"), name=name, tool_type=ToolType.CUSTOM, description="Looks up.", json_schema=schema)
    return replace(plain, **fields)


@dataclass(frozen=True, slots=True)
class Room:
    """Short ways to the verbs, for one actor."""

    store: Store
    actor: Actor = ME

    async def agent(self, agent: Agent, now: datetime = START) -> Agent:
        await self.store.write(agents.insert, self.actor, agent, now)
        return await self.read_agent(agent.id)

    async def read_agent(self, agent_id: str) -> Agent:
        return await self.store.read(agents.get, self.actor, agent_id)

    async def change(self, agent_id: str, now: datetime = START, **fields: Any) -> Agent:
        new = replace(await self.read_agent(agent_id), **fields)
        return await self.store.write(agents.update, self.actor, AUTHOR, new, now)

    async def tool(self, tool: Tool, now: datetime = START) -> Tool:
        return await self.store.write(tools.insert, self.actor, AUTHOR, tool, now)

    async def attach(self, agent: Agent, *given: Tool) -> None:
        for tool in given:
            await self.store.write(tools.attach, self.actor, AUTHOR, agent.id, [tool], now=START)

    async def names_of(self, agent: Agent) -> list[str]:
        return [tool.name for tool in await self.store.read(tools.tools_of_agent, self.actor, agent.id)]

    async def version(self, agent: Agent) -> int:
        return await self.store.read(agents.memory_version, self.actor, agent.id)

    async def refuses(self, actor: Actor, attempts: Attempts) -> None:
        """Nothing of what is tried exists for that actor."""
        for verb, arguments in attempts:
            with pytest.raises(NotFound):
                await self.store.write(verb, actor, *arguments)

    async def journal(self, subject: Subject, subject_id: str) -> list[JournalEntry]:
        return await self.store.read(journal.of_subject, self.actor, subject, subject_id)


async def pages(read: Callable[[str | None], Any]) -> list[str]:
    """The ids on all pages; `read` is given the last id of the page before."""
    found: list[str] = []
    while page := await read(found[-1] if found else None):
        found += [item.id for item in page]
        assert len(found) < 1_000, "the list never ends"
    return found


@asynccontextmanager
async def room(folder: Path) -> AsyncGenerator[Room]:
    async with open_store(folder) as store:
        yield Room(store)
