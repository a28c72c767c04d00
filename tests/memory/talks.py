"""Handmade talk in a real database: what the tests of search look through, and the questions that it answers."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loci.clock import FakeClock
from loci.ids import new_id
from loci.memory.archive import ArchiveSearch
from loci.memory.recall import Recall
from loci.model.base import Embedder
from loci.store import agents, conversations, messages
from loci.store.base import Store
from loci.store.conversations import default_id
from loci.testing.models import FixedModels
from loci.testing.stores import open_store
from loci.types.actor import Actor
from loci.types.agents import Agent, AgentType, Conversation
from loci.types.memory import ActorKind, Author
from loci.types.messages import Kind, Message, Part, Role, Text, Trust

ME = Actor()
AUTHOR = Author(kind=ActorKind.USER, id=ME.user_id)
SPEAKERS = {"u": Role.USER, "a": Role.ASSISTANT}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the text that answers it."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said."""

    role: Role
    text: str
    at: datetime


def read_talks() -> tuple[list[Turn], list[Question]]:
    turns: list[Turn] = []
    questions: list[Question] = []
    at = datetime(2025, 1, 1, tzinfo=UTC)
    for line in Path(__file__).with_name("talks.txt").read_text("utf-8").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "=":
            at = datetime.fromisoformat(f"{rest}T18:00:00+00:00")
        elif mark in SPEAKERS:
            at += timedelta(minutes=1)
            turns.append(Turn(SPEAKERS[mark], rest, at))
        elif mark == "?":
            questions.append(Question(rest, turns[-1].text))
    return turns, questions


@dataclass(slots=True)
class Study:
    """A store with one agent to talk with, and both searches over it."""

    store: Store
    clock: FakeClock
    recall: Recall
    archive: ArchiveSearch
    agent: Agent
    said: list[Message] = field(default_factory=list)

    async def say(
        self,
        role: Role,
        text: str | tuple[Part, ...],
        *,
        at: datetime | None = None,
        conversation_id: str | None = None,
        kind: Kind = Kind.PLAIN,
        trust: Trust = Trust.USER,
        run_id: str | None = None,
    ) -> Message:
        message = Message(
            id=new_id("message"),
            role=role,
            parts=(Text(text),) if isinstance(text, str) else text,
            created_at=at or self.clock.now(),
            agent_id=self.agent.id,
            conversation_id=conversation_id or default_id(self.agent.id),
            kind=kind,
            trust=trust,
            run_id=run_id,
        )
        await self.store.write(messages.insert, ME, [message])
        self.said.append(message)
        return message

    async def say_all(self, turns: list[Turn]) -> None:
        for turn in turns:
            await self.say(turn.role, turn.text, at=turn.at)

    async def open_conversation(self) -> str:
        thread = Conversation(id=new_id("conv"), agent_id=self.agent.id, is_default=False, created_at=self.clock.now())
        await self.store.write(conversations.insert, ME, thread)
        return thread.id


async def add_agent(store: Store, clock: FakeClock, embedding: str | None, timezone: str = "UTC") -> Agent:
    agent = Agent(
        id=new_id("agent"),
        name="Ada",
        agent_type=AgentType.LETTA_V1,
        system="Be brief.",
        model="x/y",
        embedding=embedding,
        timezone=timezone,
    )
    await store.write(agents.insert, ME, agent, clock.now())
    thread = Conversation(id=default_id(agent.id), agent_id=agent.id, created_at=clock.now())
    await store.write(conversations.insert, ME, thread)
    return agent


@asynccontextmanager
async def study(folder: Path, embedder: Embedder | None = None, timezone: str = "UTC") -> AsyncGenerator[Study]:
    clock = FakeClock(datetime(2026, 2, 1, 12, tzinfo=UTC))
    async with open_store(folder) as store:
        models = FixedModels(embedder=embedder)
        agent = await add_agent(store, clock, None if embedder is None else embedder.info.handle, timezone)
        recall, archive = Recall(store, models, clock), ArchiveSearch(store, models, clock)
        yield Study(store, clock, recall, archive, agent)
        await recall.close()
        await archive.close()
