"""A real server process, to be killed for real and started again on what it left behind."""

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli import served
from tests.cli.served import Served


class Process:
    """`loci server` in a process of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.start()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def pid(self) -> int:
        return self._server.child.pid

    def start(self) -> None:
        """Wait until it answers; what it says is kept beside its data."""
        self._server = served.start(self._home)
        self._lives = True
        log = self._home.parent / f"{self._home.name}.log"
        threading.Thread(target=_keep, args=(self._server, log), daemon=True).start()

    def kill(self) -> None:
        """No warning, no chance to clean up."""
        if self._lives:
            self._lives = False
            self._server.child.signal(signal.SIGKILL)
            self._server.child.wait()
            self._server.client.close()
            self._server.child.close()


@contextmanager
def running(home: Path) -> Iterator[Process]:
    """A server with its data in this folder, which is made; it is gone at the end."""
    home.mkdir(exist_ok=True)
    process = Process(home)
    try:
        yield process
    finally:
        process.kill()


def _keep(server: Served, log: Path) -> None:
    with server.talk, log.open("a", encoding="utf-8") as kept:
        shutil.copyfileobj(server.talk, kept)
