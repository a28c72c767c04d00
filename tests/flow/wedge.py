"""A whole server in this process that can die at any write, and a model that does what a test planned.

Nothing of a server that died writes any more, so the next one on the same file finds what a killed process leaves.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx2
from fastapi import FastAPI

from loci.agent.creating import NewAgent, NewBlock, create
from loci.app import Doubles, running
from loci.config import Settings, TraceSettings
from loci.errors import ModelFault
from loci.model.base import Finished, ModelEvent, ModelRequest
from loci.model.scripted import failure, scripted_info
from loci.store.base import Store, Transaction
from loci.store.sqlite import SQLiteStore
from loci.testing.crashing import Crash
from loci.testing.models import FixedModels
from loci.types.actor import Actor
from loci.types.messages import Part, Role, Text, ToolCall
from loci.types.tools import RequiresApproval
from loci.types.usage import Usage

P = ParamSpec("P")
T = TypeVar("T")

ASKED, FREE, CLIENT = "memory_insert", "memory_replace", "Bash"
CLIENT_TOOL = {"name": CLIENT, "description": "Runs a command.", "parameters": {"type": "object", "properties": {}}}
ARGUMENTS = {
    ASKED: '{"label": "human", "new_string": "More."}',
    FREE: '{"label": "human", "old_string": "Nowhere", "new_string": "x"}',
    CLIENT: "{}",
    "conversation_search": '{"query": "tea"}',
    "unknown_tool": "{}",
}


class MortalStore:
    """Passes everything on until it dies: at once, or with the n-th write from now, before or after it is stored."""

    def __init__(self, real: Store) -> None:
        self.real = real
        self.dead = False
        self.writes_left: int | None = None
        self.stores_last = False

    async def open(self) -> None:
        await self.real.open()

    async def close(self) -> None:
        await self.real.close()

    async def read(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._live()
        return await self.real.read(verb, *args, **kwargs)

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._live()
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                self.dead = True
                if self.stores_last:
                    await self.real.write(verb, *args, **kwargs)
                raise Crash
        return await self.real.write(verb, *args, **kwargs)

    def _live(self) -> None:
        if self.dead:
            raise Crash


@dataclass
class PlannedModel:
    """Answers with the tools planned next, else in words; waits at the gate while it is shut.

    It notes every history that a provider would refuse: a call that is not directly followed by exactly its results.
    """

    info = scripted_info()
    plans: list[tuple[str, ...]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    broken: list[str] = field(default_factory=list)
    count: int = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        self._look(request)
        await self.gate.wait()
        plan = self.plans.pop(0) if self.plans and request.tools else ()
        if plan == ("fail",):
            yield failure(ModelFault.BAD_REQUEST)
            return
        parts: list[Part] = [Text("As you say.")]
        for name in plan:
            self.count += 1
            parts.append(ToolCall(f"call-{self.count}", name, ARGUMENTS[name]))
        yield Finished(parts=tuple(parts), usage=Usage(prompt_tokens=10, completion_tokens=1))

    def _look(self, request: ModelRequest) -> None:
        messages = [message for message in request.messages if message.role is not Role.APPROVAL]
        for place, message in enumerate(messages):
            calls = [call.id for call in message.tool_calls]
            following = messages[place + 1] if place + 1 < len(messages) else None
            results = [result.call_id for result in following.tool_results] if following else []
            if calls and calls != results:
                self.broken.append(f"calls {calls} are followed by {results}")
            if message.role is Role.TOOL and not (place and messages[place - 1].tool_calls):
                self.broken.append(f"results {[item.call_id for item in message.tool_results]} follow no call")


@dataclass
class House:
    """The server of this moment, on one file that outlives it."""

    folder: Path
    app: FastAPI
    """What speaks HTTP. It knows nothing from one life to the next, and takes long to make."""
    model: PlannedModel = field(default_factory=PlannedModel)
    agent_id: str = ""
    lives: int = 0
    _stack: AsyncExitStack | None = None

    async def open(self) -> None:
        self.model.gate.set()
        self.lives += 1
        settings = Settings(
            home=self.folder,
            database_url="",
            default_embedding=None,
            durability="normal",
            traces=TraceSettings(kept=False),
        )
        self.store = MortalStore(SQLiteStore(self.folder / "loci.db", durability="normal"))
        self._stack = AsyncExitStack()
        doubles = Doubles(store=self.store, models=FixedModels(self.model))
        self.core = await self._stack.enter_async_context(running(settings, doubles))
        self.app.state.core = self.core
        transport = httpx2.ASGITransport(app=self.app)
        self.http = await self._stack.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url="http://localhost")
        )
        if not self.agent_id:
            await self._settle_in()

    async def _settle_in(self) -> None:
        wanted = NewAgent(
            model="scripted/default",
            embedding_given=True,
            blocks=(NewBlock(label="human", value="Unknown."),),
            tool_rules=(RequiresApproval(tool_name=ASKED),),
        )
        self.agent_id = (await create(self.core.kit, Actor(), wanted)).agent.id

    async def kill(self) -> None:
        """Die, and start again on the same file."""
        await self.die()
        await self.open()

    async def die(self) -> None:
        self.store.dead = True
        if self._stack is not None:
            with suppress(Crash, Exception):
                await self._stack.aclose()
            with suppress(Exception):
                await self.store.real.close()

    async def post(self, path: str, body: Any = None, method: str = "POST") -> httpx2.Response | None:
        """An answer, or None when the server died over it."""
        try:
            return await self.http.request(method, path, json=body)
        except Crash:
            return None

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()
