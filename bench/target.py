"""A server under measurement: an address, a model handle, and short ways to ask it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

START_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 120.0


@dataclass(slots=True, kw_only=True)
class Target:
    """Where to measure. `pid` is known only for servers that the benchmark started itself or was told of."""

    name: str
    url: str
    model: str
    embedding: str | None = None
    api_key: str | None = None
    pid: int | None = None
    model_pid: int | None = None
    """The instant model that answers it."""
    started_s: float | None = None
    agents: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def client(self, connections: int = 100) -> AsyncIterator[httpx2.AsyncClient]:
        """An HTTP client with the headers that the public SDK sends."""
        headers = {"x-stainless-package-version": "1.12.1", "content-type": "application/json"}
        if self.api_key:
            headers["authorization"] = f"Bearer {self.api_key}"
        limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx2.AsyncClient(
            base_url=self.url, headers=headers, timeout=REQUEST_TIMEOUT_S, limits=limits, follow_redirects=True
        ) as http:
            yield http

    async def new_agent(self, http: httpx2.AsyncClient, **fields: Any) -> str:
        """Make a plain agent; it is deleted when the benchmark ends."""
        body = {
            "name": "bench",
            "model": self.model,
            "embedding": self.embedding,
            "memory_blocks": [
                {"label": "human", "value": "Name unknown."},
                {"label": "persona", "value": "I am a test agent."},
            ],
            **fields,
        }
        answer = await http.post("/v1/agents/", json=body)
        answer.raise_for_status()
        agent_id = str(answer.json()["id"])
        self.agents.append(agent_id)
        return agent_id

    async def forget(self) -> None:
        """Delete the agents that the benchmark made."""
        async with self.client() as http:
            for agent_id in self.agents:
                await http.delete(f"/v1/agents/{agent_id}")
        self.agents.clear()

    def rss_mb(self) -> float | None:
        """Resident memory of the server now, in MB; Linux only."""
        if self.pid is None:
            return None
        try:
            text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return None
        line = next((line for line in text.splitlines() if line.startswith("VmRSS:")), None)
        return None if line is None else int(line.split()[1]) / 1024

    def cpu_s(self) -> float | None:
        """Processor seconds that the server has used; Linux only."""
        return None if self.pid is None else cpu_s(self.pid)


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used; Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(arguments: list[str], ready_url: str, environment: dict[str, str]) -> Iterator[tuple[int, float]]:
    """A child process, once it answers; its id and the seconds that took. It is ended with the block."""
    began_s = time.perf_counter()
    child = subprocess.Popen(
        arguments, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                httpx2.get(ready_url, timeout=1.0).raise_for_status()
                break
            except httpx2.HTTPError:
                if time.perf_counter() - began_s > START_TIMEOUT_S or child.poll() is not None:
                    raise RuntimeError(f"{arguments} did not come up") from None
                time.sleep(0.01)
        yield child.pid, time.perf_counter() - began_s
    finally:
        child.terminate()
        child.wait(timeout=20)


@contextmanager
def fake_model(port: int, tokens: int = 1) -> Iterator[tuple[str, int]]:
    """An instant model server; its base URL and process."""
    arguments = [sys.executable, "-m", "loci.testing.fake_openai", "--port", str(port), "--tokens", str(tokens)]
    with process(arguments, f"http://127.0.0.1:{port}/v1/models", {}) as (pid, _):
        yield f"http://127.0.0.1:{port}/v1", pid


@contextmanager
def own_server(model_url: str, name: str = "loci") -> Iterator[Target]:
    """A fresh Loci in a folder of its own, at work on the fake model."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="loci-bench-") as home:
        environment = {"LOCI_HOME": home, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "bench"}
        arguments = [sys.executable, "-m", "loci.cli.main", "server", "--port", str(port)]
        url = f"http://127.0.0.1:{port}"
        with process(arguments, f"{url}/v1/health/", environment) as (pid, started_s):
            yield Target(name=name, url=url, model="", embedding="loci/wordllama", pid=pid, started_s=started_s)
