"""A real server process, to be killed for real."""

import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.cli import served
from tests.cli.served import Served


@dataclass
class Process:
    """`loci server` in a process of its own."""

    server: Served
    lives: bool = True

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def pid(self) -> int:
        return self.server.child.pid

    def kill(self) -> None:
        """No warning, no chance to clean up."""
        if self.lives:
            self.lives = False
            self.server.child.signal(signal.SIGKILL)
            self.server.child.wait()
            self.server.client.close()
            self.server.child.close()


def start(home: Path) -> Process:
    """Start a server and wait until it answers; what it says is kept beside its data."""
    server = served.start(home)
    threading.Thread(target=_keep, args=(server, home.parent / f"{home.name}.log"), daemon=True).start()
    return Process(server)


def _keep(server: Served, log: Path) -> None:
    with server.talk, log.open("a", encoding="utf-8") as kept:
        shutil.copyfileobj(server.talk, kept)
