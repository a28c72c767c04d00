"""The composition root: the only file that names concrete drivers and puts a server together."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
from fastapi import FastAPI

from loci.agent import rounds, sleeping
from loci.agent.colleagues import Colleagues
from loci.agent.runs import Runs
from loci.agent.tracing import TraceBounds, Traces
from loci.agent.turn import CALLS_MAX, Kit
from loci.api import batching, callbacks, scheduling
from loci.api.core import Core
from loci.api.keyring import Keyring
from loci.api.server import create_app
from loci.api.streams import Streams
from loci.api.wire_groups import group_request
from loci.clock import Clock, SystemClock
from loci.config import LOOPBACK, NO_WALLS, Account, SandboxSettings, Settings
from loci.errors import BadRequest
from loci.files.finding import FolderSearch
from loci.files.intake import Intake
from loci.files.reading import NICENESS, Reader, packages
from loci.files.reading import Bounds as ReadingBounds
from loci.jobs.worker import Jobs
from loci.mcp.base import Limits as McpLimits
from loci.mcp.servers import DOOR_HINT, McpServers, Outside
from loci.memfs.repository import Repositories
from loci.memory.archive import ArchiveSearch
from loci.memory.recall import Recall
from loci.model.base import Models, ProviderConfig
from loci.model.brought import DOOR_HINT as PROVIDER_HINT
from loci.model.brought import BroughtModels
from loci.model.brought import Outside as ProviderOutside
from loci.model.providers import ProviderRegistry, build_models
from loci.net import Door, Doors
from loci.sandbox.base import Bounds, Sandbox
from loci.sandbox.local import LocalSandbox, Place
from loci.sandbox.providers import E2B, Daytona
from loci.sandbox.remote import RemoteSandbox
from loci.sandbox.walls import candidates
from loci.store import organizations
from loci.store.base import MEMORY, Store, Transaction
from loci.store.sqlite import SQLiteStore
from loci.tools.base import BuiltinTool, ToolContext, ToolOutcome, ToolRunner
from loci.tools.builtin.agents import agent_builtins
from loci.tools.builtin.code import code_builtins
from loci.tools.builtin.files import file_builtins
from loci.tools.builtin.memory import memory_builtins
from loci.tools.builtin.web import web_builtins
from loci.tools.core import CORE_BUILTINS
from loci.tools.registry import ensure_builtins
from loci.tools.source import SourceRunner
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import SYSTEM
from loci.types.runs import Limits
from loci.types.tools import Tool, ToolType
from loci.vault import Vault

log = logging.getLogger(__name__)

_SQLITE = "sqlite://"


@dataclass(slots=True)
class Doubles:
    """Stand-ins for outside things, for tests and embedding. None means the real one."""

    models: Models | None = None
    clock: Clock = field(default_factory=SystemClock)
    store: Store | None = None
    door: Door = field(default_factory=Door)


def build(settings: Settings, doubles: Doubles | None = None) -> FastAPI:
    """The whole server as an ASGI application; its lifespan opens and closes what stands behind it."""
    chosen = doubles or Doubles()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with running(settings, chosen) as core:
            app.state.core = core
            yield

    return create_app(settings, lifespan)


def open_store(settings: Settings) -> Store:
    """The database that the settings name. Raises BadRequest for an address of an unknown kind."""
    url = settings.database_url
    if not url.startswith(_SQLITE):
        raise BadRequest(
            f"The database address '{url.partition(':')[0]}:…' is not known.",
            hint="Use sqlite:///path/to/loci.db, or leave LOCI_DATABASE_URL unset.",
        )
    place = url.removeprefix(_SQLITE)
    path = MEMORY if place == MEMORY else Path(place.removeprefix("/"))
    return SQLiteStore(path, durability=settings.durability)


@asynccontextmanager
async def running(settings: Settings, doubles: Doubles) -> AsyncGenerator[Core]:
    """A server's parts, opened in order and closed in reverse."""
    clock = doubles.clock
    store = doubles.store or open_store(settings)
    await store.open()
    registry, vault = build_models(settings, clock=clock), Vault(settings.home)
    brought = BroughtModels(registry, _provider_outside(settings, clock, store, vault))
    core = _assemble(settings, doubles, store, vault, brought)
    background = Background(core)
    try:
        await store.write(_ensure, core)
        core.runs.observers.append(core.streams.observe)
        core.runs.after_run.append(background.after_run)
        core.streams.open()
        core.traces.open()
        if doubles.models is None:
            registry.start()
        await core.runs.resume()
        core.jobs.register(scheduling.KIND, scheduling.Saying(core), attempts_max=scheduling.ATTEMPTS_MAX)
        core.jobs.register(sleeping.KIND, sleeping.Sleeping(store, core.runs, clock))
        core.jobs.register(callbacks.KIND, core.callbacks, attempts_max=callbacks.ATTEMPTS_MAX)
        core.jobs.register(rounds.KIND, core.rounds, given_up=core.rounds.given_up, at_once=rounds.AT_ONCE)
        await core.intake.open()
        await core.memfs.open()
        work = batching.Batches(core)
        core.jobs.register(batching.KIND, work, given_up=work.given_up, at_once=batching.AT_ONCE)
        await core.jobs.start()
        yield core
    finally:
        await core.jobs.close()
        await core.intake.close()
        await core.memfs.close()
        await core.runs.close()
        await core.traces.close()
        await background.close()
        await core.recall.close()
        await core.archive.close()
        await core.mcp.close()
        await core.streams.close()
        await core.source_tools.close()
        await brought.aclose()
        await registry.aclose()
        await store.close()


def _ensure(tx: Transaction, core: Core) -> None:
    """The first organisation, and the built-in tools of this version for each."""
    now = core.clock.now()
    for organization in organizations.ensure_first(tx, now):
        ensure_builtins(tx, Actor(organization_id=organization.id), SYSTEM, core.builtins, now)


def _assemble(settings: Settings, doubles: Doubles, store: Store, vault: Vault, brought: BroughtModels) -> Core:
    clock, models, door = doubles.clock, doubles.models or brought, doubles.door
    recall, archive = Recall(store, models, clock), ArchiveSearch(store, models, clock)
    folder_search, jobs = FolderSearch(store, models, clock), Jobs(store, clock)
    calling = callbacks.Callbacks(door, jobs)
    source_tools = _source_tools(settings, clock, store, vault)
    builtins: dict[str, BuiltinTool] = {
        **CORE_BUILTINS,
        **memory_builtins(recall, archive),
        **code_builtins(source_tools.place),
        **file_builtins(store, clock, folder_search),
        **web_builtins(settings.web, vault),
    }
    mcp = McpServers(_mcp_outside(settings, clock, store, vault))
    runner = Runners(source_tools, mcp)
    limits = Limits(
        steps_max=settings.run_steps_max,
        total_tokens_max=settings.run_tokens_max,
        cost_usd_max=settings.run_cost_usd_max,
        duration_s_max=settings.run_duration_s_max,
    )
    kit = Kit(
        store=store,
        models=models,
        clock=clock,
        builtins=builtins,
        runner=runner,
        limits=limits,
        after_turn=sleeping.Counting(jobs),
        call_back=calling.run_ended,
        calls=deque(maxlen=CALLS_MAX) if settings.traces.kept else None,
    )
    runs = Runs(kit)
    # These tools start runs, and runs use tools: they join the others as soon as there are runs.
    builtins.update(agent_builtins(Colleagues(store, runs)))
    return Core(
        settings=settings,
        clock=clock,
        store=store,
        models=models,
        brought=brought,
        kit=kit,
        runs=runs,
        callbacks=calling,
        rounds=rounds.Rounds(store, runs, jobs, clock, group_request),
        jobs=jobs,
        traces=Traces(kit, _trace_bounds(settings)),
        streams=Streams(store, clock, retention_s=settings.stream_retention_s),
        recall=recall,
        archive=archive,
        intake=Intake(store, jobs, clock, folder_search, build_reader(settings, door)),
        builtins=builtins,
        runner=runner,
        source_tools=source_tools,
        door=door,
        vault=vault,
        mcp=mcp,
        memfs=Repositories(store, clock, settings.home / "git"),
        keyring=Keyring(store, clock),
    )


def _trace_bounds(settings: Settings) -> TraceBounds:
    return TraceBounds(kept_s=settings.traces.kept_days * DAY_S, kept_bytes=settings.traces.kept_bytes)


def _source_tools(settings: Settings, clock: Clock, store: Store, vault: Vault) -> SourceRunner:
    return SourceRunner(
        store=store,
        vault=vault,
        sandbox=build_sandbox(settings, clock),
        kind="e2b" if settings.sandbox.kind == "e2b" else "local",
        hired=build_hired(settings, clock),
        network_allowed=settings.sandbox.network,
        walled=settings.sandbox.kind != NO_WALLS,
    )


def _provider_outside(settings: Settings, clock: Clock, store: Store, vault: Vault) -> ProviderOutside:
    bare = replace(settings, providers=(), default_model=None, default_embedding=None, aliases={})

    def build_one(config: ProviderConfig, transport: httpx2.AsyncBaseTransport) -> ProviderRegistry:
        return build_models(replace(bare, providers=(config,)), clock=clock, transport=transport)

    doors = _doors(settings, settings.provider_hosts, PROVIDER_HINT)
    return ProviderOutside(store=store, vault=vault, clock=clock, doors=doors, build=build_one)


def _doors(settings: Settings, hosts: Sequence[str], hint: str) -> Doors:
    """To the hosts that the operator names for all. A server for this machine alone also reaches what runs on it, for
    those that the operator trusts; one that others reach must not do it for anybody.
    """
    named = frozenset(hosts)
    here = LOOPBACK if settings.is_loopback else frozenset[str]()
    trusted = Door(allowed_hosts=here | named, hint=hint)
    return Doors(trusted=trusted, others=Door(allowed_hosts=named, hint=hint, wider=trusted))


def _mcp_outside(settings: Settings, clock: Clock, store: Store, vault: Vault) -> Outside:
    asked = settings.mcp
    return Outside(
        store=store,
        vault=vault,
        clock=clock,
        doors=_doors(settings, asked.hosts, DOOR_HINT),
        limits=McpLimits(
            connect_timeout_s=asked.connect_timeout_s, call_timeout_s=asked.call_timeout_s, idle_s=asked.idle_s
        ),
        allow_stdio=settings.is_loopback if asked.stdio is None else asked.stdio,
    )


class Runners:
    """Each stored tool goes to what can run it: its MCP server, or the sandbox."""

    def __init__(self, sandbox: ToolRunner, mcp: ToolRunner) -> None:
        self._sandbox = sandbox
        self._mcp = mcp

    async def run(self, tool: Tool, context: ToolContext, args: JsonObject) -> ToolOutcome:
        """Run it there."""
        chosen = self._mcp if tool.tool_type is ToolType.EXTERNAL_MCP else self._sandbox
        return await chosen.run(tool, context, args)


def build_sandbox(settings: Settings, clock: Clock) -> Sandbox:
    """Where tools from source run, as the settings say."""
    asked = settings.sandbox
    bounds = Bounds(wall_s=asked.call_timeout_s)
    match asked.kind:
        case "e2b":
            return _e2b(settings, clock)
        case "daytona":
            return RemoteSandbox(Daytona(asked.daytona, _door_to(asked, asked.daytona), clock), bounds)
        case _:
            door = Door(allowed_hosts=frozenset(asked.tool_hosts))
            return LocalSandbox(Place(home=settings.home, choice=asked.kind, door=door, bounds=bounds))


def build_hired(settings: Settings, clock: Clock) -> Sandbox | None:
    """E2B for organisations that set it up, where the operator has a key for it and leaves the choice to them."""
    return _e2b(settings, clock) if settings.sandbox.kind == "auto" and settings.sandbox.e2b.key else None


def _e2b(settings: Settings, clock: Clock) -> Sandbox:
    asked = settings.sandbox
    return RemoteSandbox(E2B(asked.e2b, _door_to(asked, asked.e2b), clock), Bounds(wall_s=asked.call_timeout_s))


def _door_to(asked: SandboxSettings, account: Account) -> Door:
    """Lets requests out to where the operator says that machines are, be it private."""
    named = [httpx2.URL(url) for url in (account.url, account.machine_url) if url]
    return Door(allowed_hosts=frozenset(asked.hosts) | {url.netloc.decode().lower() for url in named})


def build_reader(settings: Settings, door: Door, bounds: ReadingBounds | None = None) -> Reader:
    """What reads uploaded files: on this machine, behind the walls that the settings name or the best there are."""
    asked, reading = settings.sandbox.kind, bounds or ReadingBounds()
    place = Place(
        home=settings.home,
        choice=asked if asked in {walls.name for walls in candidates()} else "auto",
        door=door,
        bounds=reading.of_sandbox(),
        folder="reading",
        read=tuple(packages()),
        niceness=NICENESS,
    )
    return Reader(LocalSandbox(place), reading)


class Background:
    """Work on memory after a run: indexing what was said, so that the next search finds it at once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def after_run(self, actor: Actor, agent_id: str) -> None:
        """Index soon, once for all runs that end in the meantime."""
        if agent_id not in self._tasks:
            task = asyncio.create_task(self._index(actor, agent_id))
            self._tasks[agent_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(agent_id, None))

    async def _index(self, actor: Actor, agent_id: str) -> None:
        await self._core.clock.sleep(INDEX_DELAY_S)
        await self._core.recall.index(actor, agent_id)
        await self._core.archive.index(actor, agent_id)

    async def close(self) -> None:
        """Stop; what is not indexed is caught up with before the next search."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


DAY_S = 86_400.0
INDEX_DELAY_S = 2.0
"""How long after a run its messages are indexed, so that a busy agent is indexed in batches."""
