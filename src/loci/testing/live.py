"""A whole server on a port of this machine, for tests that talk to it as a client does."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from loci.api.core import Core
from loci.app import Doubles, build
from loci.config import Settings
from loci.model.base import Embedder
from loci.model.scripted import ScriptedModel
from loci.store.base import Store
from loci.testing.models import FixedModels


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A server that answers at `url`. `core` is what it works with; `model` plays the steps that a test adds."""

    url: str
    core: Core
    model: ScriptedModel


def live_settings(folder: Path) -> Settings:
    """Settings for a server whose data are in that folder."""
    return Settings(
        home=folder,
        database_url=f"sqlite:///{folder / 'loci.db'}",
        durability="normal",
        default_model="scripted/default",
    )


@asynccontextmanager
async def serving(  # noqa: PLR0913  what a test may choose
    folder: Path,
    *,
    model: ScriptedModel | None = None,
    settings: Settings | None = None,
    embedder: Embedder | None = None,
    store: Store | None = None,
    any_handle: bool = True,
    real_models: bool = False,
) -> AsyncGenerator[Live]:
    """Serve until the block is left. By default the model is a double without steps: `live.model.add(...)`, and stands
    for every handle, unless `any_handle` is False. With `real_models` there are those that the settings name.
    """
    chosen = model or ScriptedModel.of()
    models = None if real_models else FixedModels(chosen, embedder=embedder, any_handle=any_handle)
    app = build(settings or live_settings(folder), Doubles(models=models, store=store))
    # The protocol is named because asyncio turns off Nagle's delay only for sockets that say they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        async with _running(app, listener):
            port = listener.getsockname()[1]
            yield Live(url=f"http://127.0.0.1:{port}", core=app.state.core, model=chosen)


class _Server(uvicorn.Server):
    """Says when it is up, and stops at once where uvicorn would look every tenth of a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        await self.on_tick(0)
        self.up.set()
        await self.stop.wait()


@asynccontextmanager
async def _running(app: FastAPI, listener: socket.socket) -> AsyncGenerator[None]:
    server = _Server(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1))
    serving_task = asyncio.ensure_future(server.serve(sockets=[listener]))
    up = asyncio.ensure_future(server.up.wait())
    await asyncio.wait([serving_task, up], return_when=asyncio.FIRST_COMPLETED)
    if serving_task.done():
        up.cancel()
        serving_task.result()
    try:
        yield
    finally:
        server.stop.set()
        await serving_task
