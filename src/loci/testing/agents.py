"""An agent server without HTTP, for tests: a real store, scripted models, and short ways to talk."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from loci.agent import creating
from loci.agent.creating import NewAgent, NewBlock
from loci.agent.request import NewMessage, RunRequest
from loci.agent.runs import LiveRun, Runs
from loci.agent.turn import Kit
from loci.clock import Clock, FakeClock
from loci.memory.archive import ArchiveSearch
from loci.memory.recall import Recall
from loci.model.base import Embedder, Models
from loci.model.scripted import DoubleStep, ScriptedModel
from loci.store import messages
from loci.store.base import Store
from loci.store.conversations import default_id
from loci.store.messages import MessageFilter
from loci.testing.models import FixedModels
from loci.testing.runners import NoRunner
from loci.testing.stores import open_store
from loci.tools.base import BuiltinTool
from loci.tools.builtin.memory import memory_builtins
from loci.tools.core import CORE_BUILTINS
from loci.tools.registry import ensure_builtins
from loci.types.actor import Actor
from loci.types.events import Event, MessageStored, RunEnded
from loci.types.memory import ActorKind, Author
from loci.types.messages import Message, Text
from loci.types.paging import Page
from loci.types.runs import Limits

ACTOR = Actor()
SYSTEM = Author(kind=ActorKind.SYSTEM, id="test")


@dataclass(slots=True)
class Bench:
    """A kit with one scripted model, its runs, and one agent to talk with."""

    kit: Kit
    runs: Runs
    model: ScriptedModel
    agent_id: str = ""

    async def create(self, wanted: NewAgent | None = None) -> str:
        """Make an agent; it is the one talked with from now on."""
        made = await creating.create(self.kit, ACTOR, wanted or standard_agent())
        self.agent_id = made.agent.id
        return made.agent.id

    async def start(self, words: str, *steps: DoubleStep, request: RunRequest | None = None) -> LiveRun:
        """Say something and let the model play these steps."""
        if steps:
            self.model.add(*steps)
        said = (NewMessage(parts=(Text(words),)),) if words else ()
        asked = replace(request or RunRequest(), messages=said + (request.messages if request else ()))
        return await self.runs.start(ACTOR, self.agent_id, None, asked)

    async def send(self, words: str, *steps: DoubleStep, request: RunRequest | None = None) -> list[Event]:
        """Say something, let the model play these steps, and wait for the end; all events."""
        return await events_of(await self.start(words, *steps, request=request))

    async def stored(self) -> list[Message]:
        """All messages of the agent, oldest first."""
        chosen = MessageFilter(conversation_id=default_id(self.agent_id))
        return await self.kit.store.read(messages.listing, ACTOR, chosen, Page(limit_rows=1_000, ascending=True))


def standard_agent() -> NewAgent:
    """An agent of the default type with the two usual blocks."""
    blocks = (NewBlock(label="human", value="Unknown."), NewBlock(label="persona", value="I am kind."))
    return NewAgent(model="scripted/default", embedding_given=True, blocks=blocks)


async def events_of(live: LiveRun) -> list[Event]:
    """Every event of a run."""
    return [event async for batch in live.follow() for event in batch]


def ending_of(events: Sequence[Event]) -> RunEnded:
    """The one last event."""
    last = events[-1]
    if not isinstance(last, RunEnded):
        raise TypeError(f"the run ended with {last}")
    return last


def messages_of(events: Sequence[Event]) -> list[Message]:
    """The messages that were told."""
    return [event.message for event in events if isinstance(event, MessageStored)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a bench is made of, where it is not the usual."""

    limits: Limits = field(default_factory=Limits)
    model: ScriptedModel | None = None
    embedder: Embedder | None = None
    wrap: Callable[[Store], Store] | None = None


Tools = Mapping[str, BuiltinTool] | Callable[[Store, Models, Clock], Mapping[str, BuiltinTool]]
"""The built-in tools of a bench, or how to make them."""


def memory_tools(store: Store, models: Models, clock: Clock) -> dict[str, BuiltinTool]:
    """All tools that come with the server."""
    found = memory_builtins(Recall(store, models, clock), ArchiveSearch(store, models, clock))
    return {**CORE_BUILTINS, **found}


@asynccontextmanager
async def bench(folder: Path, tools: Tools, setup: Setup | None = None) -> AsyncGenerator[Bench]:
    """A kit on a database in that folder; what is unfinished there is not taken up by itself."""
    clock, chosen = FakeClock(), setup or Setup()
    scripted = chosen.model or ScriptedModel.of(clock=clock)
    async with open_store(folder) as real:
        store = chosen.wrap(real) if chosen.wrap else real
        models = FixedModels(scripted, embedder=chosen.embedder)
        builtins = tools(store, models, clock) if callable(tools) else tools
        kit = Kit(
            store=store,
            models=models,
            clock=clock,
            builtins=builtins,
            runner=NoRunner(),
            limits=chosen.limits,
        )
        await real.write(ensure_builtins, ACTOR, SYSTEM, builtins, clock.now())
        runs = Runs(kit)
        try:
            yield Bench(kit=kit, runs=runs, model=scripted)
        finally:
            await runs.close()
