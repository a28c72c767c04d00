"""A real server process, to be killed for real."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx2

START_TIMEOUT_S = 30.0


@dataclass
class Process:
    """`loci server` in a process of its own."""

    url: str
    child: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """No warning, no chance to clean up."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


def start(home: Path, port: int | None = None) -> Process:
    """Start a server and wait until it answers."""
    chosen = port or free_port()
    environment = {**os.environ, "LOCI_HOME": str(home), "LOCI_MODEL": "scripted/default"}
    command = [sys.executable, "-m", "loci.cli.main", "server", "--port", str(chosen)]
    with (home.parent / f"{home.name}.log").open("ab") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{chosen}"
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        if child.poll() is not None:
            break
        try:
            httpx2.get(f"{url}/v1/health/", timeout=1.0).raise_for_status()
        except httpx2.HTTPError:
            continue
        return Process(url, child)
    child.kill()
    raise AssertionError((home.parent / f"{home.name}.log").read_text(encoding="utf-8"))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
