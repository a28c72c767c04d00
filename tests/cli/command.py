"""The command as people and scripts run it: another process, with an environment of its own."""

import json
import os
import signal
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
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
    return _done(words, {**os.environ, **ALONE, **environment}, said or "", None)


def python(program: Path, **environment: str) -> Done:
    """Run a Python program to its end."""
    return _done((), {**os.environ, **environment}, "", program)


def _done(words: Sequence[str], environment: Mapping[str, str], said: str, program: Path | None) -> Done:
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as talk:
        given.write(said.encode())
        given.seek(0)
        streams = (given.fileno(), out.fileno(), talk.fileno())
        child = nursery.start(words, environment, streams, program=program)
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
