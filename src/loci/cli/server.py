"""`loci server`: the application behind uvicorn, on one event loop in this process.

One Ctrl-C ends it within a second or two, whatever is under way: runs are stored step by step and go on at the next
start. Nothing but this machine can reach it unless an API key is set.
"""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
import uvloop
from fastapi import FastAPI

from loci.api.core import Core
from loci.app import build
from loci.cli import banner, screen
from loci.cli.logs import configure_log
from loci.cli.options import commands
from loci.config import Settings, load
from loci.errors import BadRequest, Conflict, Forbidden, LociError
from loci.store import runs
from loci.store.base import MEMORY
from loci.store.owner import database_file, owned, owner_of

app = commands()

GRACE_S = 1
"""How long answers that are being sent may go on after Ctrl-C."""
SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter while another wants it. The event loop shares it with the thread that
writes to the database. With Python's 5 ms, the slowest twentieth of the turns of 32 agents at once took 2.3 times as
long as the median one, with this 1.8 times as long (two cores, three runs); the throughput is the same.
"""
_BACKLOG = 2_048


@app.command()
def server(
    host: Annotated[str | None, typer.Option(help="Address to listen on; any but loopback needs an API key.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = None,
    database: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The data file, or :memory: for one that is gone afterwards."),
    ] = None,
) -> None:
    """
    Start the server.

    It speaks the Letta V1 API: point letta-client (PyPI) or
    @letta-ai/letta-client (npm) at its address.

    Options beat the environment (LOCI_HOST, LOCI_PORT, LOCI_DATABASE_URL),
    which beats config.toml in the data folder.

    Examples:
      loci server
      loci server --port 9000 --database ./trial.db
      LOCI_API_KEY=$(openssl rand -hex 24) loci server --host 0.0.0.0
    """
    settings = _chosen(load(), host, port, database)
    configure_log(settings)
    check_exposure(settings)
    with listening(settings) as listener:
        address = address_of(listener)
        with owned(settings.database_url, address):
            sys.setswitchinterval(SWITCH_INTERVAL_S)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(settings, listener, address))


def _chosen(settings: Settings, host: str | None, port: int | None, database: str | None) -> Settings:
    chosen = replace(settings, host=host or settings.host, port=settings.port if port is None else port)
    if database is None:
        return chosen
    if "://" in database:
        return replace(chosen, database_url=database)
    place = database if database == MEMORY else f"/{Path(database).expanduser().absolute()}"
    return replace(chosen, database_url=f"sqlite://{place}")


def check_exposure(settings: Settings) -> None:
    """Refuse to be reachable from elsewhere without a key. Raises Forbidden."""
    if settings.is_loopback or settings.api_key:
        return
    raise Forbidden(
        f"Listening on {settings.host} would let anyone who can reach this machine read and change all memories, "
        "because no API key is set.",
        hint="Set LOCI_API_KEY to a long random text (openssl rand -hex 24), or listen on 127.0.0.1.",
    )


@contextlib.contextmanager
def listening(settings: Settings) -> Generator[socket.socket]:
    """A socket that waits for clients. Raises LociError if the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadRequest(f"'{settings.host}' is no address of this machine: {error.strerror}.") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise _not_bound(settings, error) from error
        yield listener


def _not_bound(settings: Settings, error: OSError) -> LociError:
    file = database_file(settings.database_url)
    owner = owner_of(file) if file else None
    if error.errno == errno.EADDRINUSE and owner and (owner.address or "").endswith(f":{settings.port}"):
        return Conflict(f"Loci already runs at {owner.address} (process {owner.pid}).", hint="Use it as it is.")
    if error.errno == errno.EADDRINUSE:
        return LociError(
            f"Port {settings.port} is taken by another program.",
            hint=f"`loci status` tells whether that is Loci. Another port: loci server --port {settings.port + 1}",
        )
    if error.errno == errno.EACCES:
        return LociError(f"Port {settings.port} may not be opened by this user.", hint="Choose one above 1023.")
    return LociError(f"{settings.host}:{settings.port} cannot be opened: {error.strerror}.")


def address_of(listener: socket.socket) -> str:
    """The URL under which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://{here}:{port}"


class _Server(uvicorn.Server):
    """uvicorn, with a greeting, and with signals that end it without being raised once more afterwards."""

    def __init__(self, config: uvicorn.Config, core: Core, address: str) -> None:
        super().__init__(config)
        self._core = core
        self._address = address
        self._greeting: asyncio.Future[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept clients, and say so."""
        await super().startup(sockets=sockets)
        self._greeting = asyncio.ensure_future(banner.announce(self._core, self._address))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting clients and let go of those that are there."""
        if self._greeting is not None:
            self._greeting.cancel()
        # Answers that are cut off now are no errors: their runs go on. uvicorn would log a traceback for each.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        # Before connections are cut, so that whoever waits for a run is told what becomes of it.
        await self._core.jobs.close()
        await self._core.runs.close()
        await super().shutdown(sockets=sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Let Ctrl-C and SIGTERM end the server, while the block lasts."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def _serve(settings: Settings, listener: socket.socket, address: str) -> None:
    application = build(settings)
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",  # ours is entered below, so that what fails there is told in one sentence
        log_config=None,
        access_log=settings.log_level == "debug",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    async with application.router.lifespan_context(application):
        core = _core(application)
        server = _Server(config, core, address)
        await server.serve(sockets=[listener])
        left = len(await core.store.read(runs.unfinished))
    if left:
        screen.note(f"Stopped. {screen.amount(left, 'run')} will go on at the next start.")
    else:
        screen.note("Stopped.")


def _core(application: FastAPI) -> Core:
    core: Core = application.state.core
    return core
