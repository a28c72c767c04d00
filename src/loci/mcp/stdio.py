"""An MCP server that is a command of this machine: a process with a bare environment, one JSON message a line.

It gets nothing of the server's own environment but where programs and the home folder are. A line has a limit, lines
that are no message are passed over, and what it says on its error output is kept to explain a failure with. It is
asked to end by closing its input; then it is killed, with whatever it started.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectSendStream
from mcp.client._transport import TransportStreams
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from loci.carrier import MESSAGE_MAX_BYTES
from loci.errors import McpFailed
from loci.types.mcp import StdioConfig

log = logging.getLogger(__name__)

Inbox = MemoryObjectSendStream[SessionMessage | Exception]

GARBAGE_LINES_MAX = 1_000
SAID_MAX_BYTES = 2_000
END_TIMEOUT_S = 1.0


@dataclass(slots=True)
class Said:
    """The last of what a process wrote to its error output."""

    last: bytes = b""

    def add(self, chunk: bytes) -> None:
        """Keep the newest."""
        self.last = (self.last + chunk)[-SAID_MAX_BYTES:]

    def __str__(self) -> str:
        return self.last.decode(errors="replace").strip()


@asynccontextmanager
async def stdio_streams(config: StdioConfig, said: Said) -> AsyncGenerator[TransportStreams]:
    """Start the command and speak with it. Raises McpFailed if it cannot be started."""
    process = await _started(config)
    inbox, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, outbox = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        async with inbox:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await _read(process, inbox)

    async def write() -> None:
        if process.stdin is None:
            return
        async with outbox:
            async for message in outbox:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                with contextlib.suppress(ConnectionError):  # it is gone, and the reader notices
                    process.stdin.write(line)
                    await process.stdin.drain()

    tasks = [asyncio.ensure_future(task) for task in (read(), write(), _listen(process, said))]
    try:
        async with incoming, outgoing:
            yield incoming, outgoing
    finally:
        await _end(process)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _started(config: StdioConfig) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            config.command,
            *config.args,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**get_default_environment(), **config.env},
            start_new_session=True,
            limit=MESSAGE_MAX_BYTES,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise McpFailed(
            f"The command '{config.command[:200]}' could not be started: {reason}.",
            hint="It must be installed on the machine of the server, and be found on its PATH.",
        ) from error


async def _read(process: Process, inbox: Inbox) -> None:
    garbage = 0
    while process.stdout is not None and garbage <= GARBAGE_LINES_MAX:
        try:
            line = await process.stdout.readline()
        except ValueError:
            log.warning("an MCP server sent a line of more than %d bytes", MESSAGE_MAX_BYTES)
            return
        if not line:
            return
        if not line.strip():
            continue
        try:
            message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            garbage += 1
            continue
        await inbox.send(SessionMessage(message))


async def _listen(process: Process, said: Said) -> None:
    while process.stderr is not None and (chunk := await process.stderr.read(4_096)):
        said.add(chunk)


async def _end(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_TIMEOUT_S):
            await process.wait()
    _kill(process)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_TIMEOUT_S):
            await process.wait()
    # Pipes that something inherited stay open until then, and nothing public closes them.
    close = getattr(getattr(process, "_transport", None), "close", None)
    if callable(close):
        close()
    await asyncio.sleep(0)


def _kill(process: Process) -> None:
    """The process and all that it started, which may outlive it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
