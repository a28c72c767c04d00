"""A server with a scripted model, and two ways to talk to it: the public client, and plain HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from letta_client import AsyncLetta

from loci.testing.live import Live, serving

MISSING = "00000000-0000-4000-8000-00000000dead"


@dataclass(frozen=True, slots=True)
class Client:
    """`sdk` is letta_client, `http` shows what is really sent. Tests look into answers deeper than the types of the
    client go: there everything may be missing.
    """

    live: Live
    sdk: Any
    http: httpx2.AsyncClient

    async def get(self, path: str, **query: Any) -> Any:
        """What the server answers in plain JSON, without the headers of a client."""
        answer = await self.http.get(path, params=query)
        assert answer.status_code == httpx2.codes.OK, answer.text
        return answer.json()


@asynccontextmanager
async def client_of(folder: Path, **options: Any) -> AsyncIterator[Client]:
    async with (
        serving(folder, **options) as live,
        AsyncLetta(base_url=live.url, api_key="x", max_retries=0) as sdk,
        httpx2.AsyncClient(base_url=live.url) as http,
    ):
        yield Client(live, sdk, http)
