"""Models that can be had now, and whether the server is well."""

from importlib.metadata import version
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.services import Actor, Services
from loci.api.wire_values import wire_embedding, wire_model
from loci.store import agents
from loci.store.base import Transaction

router = new_router("models")


@router.get("/models")
async def list_models(
    services: Services,
    provider_name: str | None = None,
    provider_category: Annotated[list[str] | None, Query()] = None,
    provider_type: str | None = None,
) -> Response:
    """Language models that are really there, asked of their servers."""
    found = (
        await services.models.list_models()
        if provider_category in (None, []) or "base" in (provider_category or ())
        else []
    )
    return json_answer(
        [
            wire_model(info)
            for info in found
            if provider_name in (None, info.provider) and provider_type in (None, info.provider_type)
        ]
    )


@router.get("/models/embedding")
async def list_embedding_models(services: Services) -> Response:
    """Embedding models that are really there."""
    return json_answer([wire_embedding(info) for info in await services.models.list_embedders()])


@router.get("/health")
async def check_health() -> Response:
    """Whether the server answers."""
    return json_answer({"version": version("loci-agents"), "status": "ok"})


@router.get("/ready")
async def check_ready(services: Services) -> Response:
    """Whether the database answers."""

    def ping(tx: Transaction) -> None:
        tx.one("select 1 as one")

    await services.store.read(ping)
    return json_answer({"version": version("loci-agents"), "status": "ready"})


@router.get("/tags")
async def list_tags(services: Services, actor: Actor, query_text: str | None = None, limit: int = 50) -> Response:
    """Tags of agents that are in use."""
    found = await services.store.read(agents.all_tags, actor)
    return json_answer([tag for tag in found if not query_text or query_text.lower() in tag.lower()][: max(0, limit)])
