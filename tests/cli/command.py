"""The command as people and scripts run it: another process, with an environment of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 60
COMMAND = (sys.executable, "-m", "loci.cli.main")
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
    done = subprocess.run(
        [*COMMAND, *words],
        check=False,
        input=said or "",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, **ALONE, **environment},
    )
    return Done(done.returncode, done.stdout, done.stderr)
