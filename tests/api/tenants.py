"""A server with an operator's key, and clients with keys of different organisations."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
from letta_client import AsyncLetta

from loci.testing.live import Live, live_settings, serving

OPERATOR_KEY = "the-operator"


@dataclass(frozen=True, slots=True)
class Tenants:
    """The server, as its operator sees it."""

    live: Live
    http: httpx2.AsyncClient
    """With the operator's key."""

    async def post(self, path: str, **body: Any) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def organization(self, name: str) -> str:
        made = await self.post("/v1/admin/orgs/", name=name)
        return str(made["id"])

    async def key(self, organization_id: str, **fields: Any) -> str:
        made = await self.post("/v1/admin/keys", **{"name": "a key", "organization_id": organization_id, **fields})
        return str(made["key"])

    @asynccontextmanager
    async def asking(self, key: str) -> AsyncIterator["Asking"]:
        """Somebody with a key."""
        async with (
            AsyncLetta(base_url=self.live.url, api_key=key, max_retries=0) as sdk,
            httpx2.AsyncClient(base_url=self.live.url, headers=bearer(key), timeout=30.0) as http,
        ):
            yield Asking(sdk, http)

    async def trust(self, organization_id: str, *, far: bool = True) -> None:
        """Trust an organisation with the machine, or do so no longer."""
        changed = await self.http.patch(
            "/v1/admin/orgs/", params={"org_id": organization_id}, json={"privileged_tools": far}
        )
        assert changed.json()["privileged_tools"] is far, changed.text

    async def status(self, key: str, path: str = "/v1/agents/", **headers: str) -> int:
        """What the server says to a key."""
        answer = await self.http.get(path, headers={**bearer(key), **headers})
        return answer.status_code


@dataclass(frozen=True, slots=True)
class Asking:
    """Two ways to ask with one key."""

    sdk: Any
    http: httpx2.AsyncClient


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@asynccontextmanager
async def tenants(folder: Path, *, chosen: Mapping[str, Any] | None = None, **options: Any) -> AsyncIterator[Tenants]:
    settings = replace(live_settings(folder), api_key=OPERATOR_KEY, **(chosen or {}))
    async with (
        serving(folder, settings=settings, **options) as live,
        httpx2.AsyncClient(base_url=live.url, headers=bearer(OPERATOR_KEY), timeout=30.0) as http,
    ):
        yield Tenants(live, http)
