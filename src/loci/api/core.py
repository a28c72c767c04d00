"""What a request handler works with, and who is asking. Built once by the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from loci.agent.rounds import Rounds
from loci.agent.runs import Runs
from loci.agent.tracing import Traces
from loci.agent.turn import Kit
from loci.api.callbacks import Callbacks
from loci.api.keyring import Keyring
from loci.api.streams import Streams
from loci.clock import Clock
from loci.config import Settings
from loci.errors import Forbidden
from loci.files.intake import Intake
from loci.jobs.worker import Jobs
from loci.mcp.servers import McpServers
from loci.memfs.repository import Repositories
from loci.memory.archive import ArchiveSearch
from loci.memory.recall import Recall
from loci.model.base import Models
from loci.model.brought import BroughtModels
from loci.net import Door
from loci.store.base import Store
from loci.tools.base import BuiltinTool, ToolRunner
from loci.tools.source import SourceRunner
from loci.types import actor as actors
from loci.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """Everything a server consists of."""

    settings: Settings
    clock: Clock
    store: Store
    models: Models
    brought: BroughtModels
    kit: Kit
    runs: Runs
    callbacks: Callbacks
    rounds: Rounds
    jobs: Jobs
    traces: Traces
    streams: Streams
    recall: Recall
    archive: ArchiveSearch
    intake: Intake
    builtins: Mapping[str, BuiltinTool]
    runner: ToolRunner
    source_tools: SourceRunner
    door: Door
    vault: Vault
    mcp: McpServers
    memfs: Repositories
    keyring: Keyring


async def _core(request: Request) -> Core:
    return cast("Core", request.app.state.core)


async def _actor(request: Request) -> actors.Actor:
    return cast("actors.Actor", request.state.actor)


async def _operator(request: Request) -> None:
    if not request.state.is_operator:
        raise Forbidden("Only the operator of this server may do that.", hint="Use its own key, LOCI_API_KEY.")


Services = Annotated[Core, Depends(_core)]
Actor = Annotated[actors.Actor, Depends(_actor)]
ONLY_OPERATOR = Depends(_operator)
