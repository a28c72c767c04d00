"""A warm process that waits behind walls, to fork a fresh one for each call."""

import asyncio
import contextlib
import os
import signal
import socket
from dataclasses import dataclass


@dataclass(slots=True)
class Zygote:
    """A warm process. `calls` are under way; it goes when it was idle for a while."""

    process: asyncio.subprocess.Process
    control: socket.socket
    calls: int = 0
    used_at_s: float = 0.0

    def end(self) -> None:
        """Let it go. Closing its socket is enough; the signal is for one that does not listen."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def end_unwanted(task: asyncio.Task[Zygote]) -> None:
    """Let go of a process that nobody waits for any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().end()
