"""`loci server` as it runs: another process, on a free port, with its data in a folder of the test."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from letta_client import Letta
from letta_client.types import CreateBlockParam

from tests.cli.command import ALONE, COMMAND, TIMEOUT_S


@dataclass(slots=True)
class Served:
    """A running server; `greeting` is what it said when it started."""

    process: "subprocess.Popen[str]"
    greeting: str
    url: str

    @property
    def client(self) -> Letta:
        return Letta(base_url=self.url, api_key="none")

    def agent(self, name: str, **wanted: object) -> str:
        """A new agent that answers by the script."""
        block = CreateBlockParam(label="human", value="")
        return self.client.agents.create(name=name, model="scripted/default", memory_blocks=[block], **wanted).id  # pyright: ignore[reportArgumentType]

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal and wait for the end: status, and what was said since the greeting."""
        self.process.send_signal(number)
        _, talk = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, talk


@contextmanager
def served(home: Path, *words: str, **environment: str) -> Iterator[Served]:
    """Run it for the time of the block."""
    process = subprocess.Popen(
        [*COMMAND, "server", "--port", "0", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ALONE, "LOCI_HOME": str(home), **environment},
    )
    try:
        greeting = _greeting(process)
        found = re.search(r"http://127\.0\.0\.1:\d+", greeting)
        assert found, greeting
        yield Served(process, greeting, found[0])
    finally:
        process.kill()
        process.communicate()


def _greeting(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if "Ctrl-C" in line or '"message":"listening"' in line:
            break
    return "".join(lines)
