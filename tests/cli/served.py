"""`loci server` as it runs: another process, on a free port, with its data in a folder of the test."""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from letta_client import Letta
from letta_client.types import CreateBlockParam

from tests.cli import nursery
from tests.cli.command import ALONE, TIMEOUT_S
from tests.cli.nursery import Child


@dataclass(slots=True)
class Served:
    """A running server; `greeting` is what it said when it started."""

    child: Child
    talk: TextIO
    greeting: str
    url: str
    client: Letta

    def agent(self, name: str, **wanted: object) -> str:
        """A new agent that answers by the script."""
        block = CreateBlockParam(label="human", value="")
        return self.client.agents.create(name=name, model="scripted/default", memory_blocks=[block], **wanted).id  # pyright: ignore[reportArgumentType]

    def kill(self) -> None:
        """No warning, no chance to clean up."""
        with contextlib.suppress(ProcessLookupError):
            self.child.signal(signal.SIGKILL)
        with self.talk:
            self.talk.read()
        self.client.close()
        self.child.close()

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal and wait for the end: status, and what was said since the greeting."""
        self.child.signal(number)
        deadline = threading.Timer(TIMEOUT_S, self.child.signal, [signal.SIGKILL])
        deadline.start()
        talk = self.talk.read()
        deadline.cancel()
        return self.child.wait(), talk.strip()


def start(home: Path, *words: str, **environment: str) -> Served:
    """Start it and wait for its greeting. What it says then has to be read, or it waits for a reader."""
    ours, theirs = os.pipe()
    surroundings = {**os.environ, **ALONE, "LOCI_HOME": str(home), **environment}
    with Path(os.devnull).open("r+b") as nothing:
        child = nursery.start(
            ("server", "--port", "0", *words), surroundings, (nothing.fileno(), nothing.fileno(), theirs)
        )
    os.close(theirs)
    talk, greeting = os.fdopen(ours, encoding="utf-8"), ""
    deadline = threading.Timer(TIMEOUT_S, child.signal, [signal.SIGKILL])
    deadline.start()
    for line in talk:
        greeting += line
        if "Ctrl-C" in line or '"message":"listening"' in line:
            break
    deadline.cancel()
    found = re.search(r"http://127\.0\.0\.1:\d+", greeting)
    url = found[0] if found else ""
    server = Served(child, talk, greeting, url, Letta(base_url=url, api_key="none"))
    if not url:
        server.kill()
        raise AssertionError(greeting)
    return server


@contextmanager
def served(home: Path, *words: str, **environment: str) -> Iterator[Served]:
    """Run it for the time of the block."""
    server = start(home, *words, **environment)
    try:
        yield server
    finally:
        server.kill()
