"""A warm process that waits behind walls, to fork a fresh one for each call."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from loci.errors import NotAvailable


@dataclass(slots=True)
class Zygote:
    """A warm process. `calls` are under way; it goes when it was idle for a while."""

    process: asyncio.subprocess.Process
    control: socket.socket
    calls: int = 0
    used_at_s: float = 0.0

    def hand_over(self, connection: socket.socket, document: socket.socket | None) -> None:
        """Begin a call, whose end of the connection this is. Raises NotAvailable if the process is gone."""
        handles = [item.fileno() for item in (connection, document) if item is not None]
        try:
            socket.send_fds(self.control, [b"c"], handles)
        except OSError as error:
            self.end()
            raise NotAvailable("The sandbox is gone; the next call starts it anew.") from error

    def end(self) -> None:
        """Let it go. Closing its socket is enough; the signal is for one that does not listen."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def end_unwanted(task: asyncio.Task[Zygote]) -> None:
    """Let go of a process that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().end()


@asynccontextmanager
async def feeding(document: AsyncIterator[bytes] | None) -> AsyncGenerator[socket.socket | None]:
    """What a program reads its document from; it is sent for the time of the block. Raises what the document raises."""
    if document is None:
        yield None
        return
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.shutdown(socket.SHUT_WR)  # it is there to be read, not to be answered
    sending = asyncio.create_task(_send(ours, document))
    try:
        with theirs:
            yield theirs
    finally:
        sending.cancel()
        await asyncio.wait([sending])
    if not sending.cancelled():
        sending.result()


async def _send(ours: socket.socket, document: AsyncIterator[bytes]) -> None:
    with ours, contextlib.suppress(ConnectionError):  # whoever reads no further says why, or does not
        async for piece in document:
            await asyncio.get_running_loop().sock_sendall(ours, piece)
