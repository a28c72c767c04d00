"""The command as people and scripts run it: another process, with an environment of its own."""

import json
import os
import signal
import tempfile
import threading
from dataclasses import dataclass
from typing import Any

from tests.cli import nursery

TIMEOUT_S = 60
# No test may find a server or a model that happens to run on this machine.
ALONE = {"LOCI_PORT": "9", "LOCI_MODEL": "scripted/default", "COLUMNS": "100"}


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    talk: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def loci(*words: str, said: str | None = None, **environment: str) -> Done:
    """Run it to its end; `said` is its standard input (nothing, and no terminal, by default)."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as talk:
        given.write((said or "").encode())
        given.seek(0)
        streams = (given.fileno(), out.fileno(), talk.fileno())
        child = nursery.start(words, {**os.environ, **ALONE, **environment}, streams)
        deadline = threading.Timer(TIMEOUT_S, child.signal, [signal.SIGKILL])
        deadline.start()
        try:
            status = child.wait()
        finally:
            deadline.cancel()
            child.close()
        out.seek(0)
        talk.seek(0)
        return Done(status, out.read().decode(), talk.read().decode())
