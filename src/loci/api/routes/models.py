"""Models that can be had now, and whether the server is well."""

from importlib.metadata import version
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import Limit, Order
from loci.api.shapes import EmbeddingModelShape, HealthShape
from loci.api.shapes_agents import ModelShape
from loci.api.wire_values import provider_kind, wire_embedding, wire_model
from loci.store import agents
from loci.store.base import Transaction

router = new_router("models")


@router.get("/models", response_model=list[ModelShape])
async def list_models(
    services: Services,
    actor: Actor,
    provider_name: str | None = None,
    provider_category: Annotated[list[str] | None, Query()] = None,
    provider_type: str | None = None,
) -> Response:
    """Language models that are really there, asked of their servers."""
    return json_answer(
        [
            wire_model(info)
            for info in await services.models.list_models(actor)
            if provider_name in {None, info.provider}
            and provider_type in {None, info.provider_type, provider_kind(info.provider_type)}
            and (not provider_category or ("byok" if info.brought else "base") in provider_category)
        ]
    )


@router.get("/models/embeddings", response_model=list[EmbeddingModelShape])
@router.get("/models/embedding", response_model=list[EmbeddingModelShape])
async def list_embedding_models(services: Services, actor: Actor) -> Response:
    """Embedding models that are really there."""
    return json_answer([wire_embedding(info) for info in await services.models.list_embedders(actor)])


@router.get("/health", response_model=HealthShape)
async def check_health() -> Response:
    """Whether the server answers."""
    return json_answer({"version": version("loci-agents"), "status": "ok"})


@router.get("/ready", response_model=HealthShape)
async def check_ready(services: Services) -> Response:
    """Whether the database answers."""

    def ping(tx: Transaction) -> None:
        tx.one("select 1 as one")

    await services.store.read(ping)
    return json_answer({"version": version("loci-agents"), "status": "ready"})


@router.get("/tags", response_model=list[str])
async def list_tags(  # noqa: PLR0917  one argument for each query parameter
    services: Services,
    actor: Actor,
    name: str | None = None,
    query_text: str | None = None,
    before: str | None = None,
    after: str | None = None,
    limit: Limit = 50,
    order: Order = "asc",
) -> Response:
    """Tags of agents that are in use, in alphabetical order; a tag is its own cursor."""
    part = (query_text or name or "").lower()
    found = [tag for tag in await services.store.read(agents.all_tags, actor) if part in tag.lower()]
    if order == "desc":
        found.reverse()
    behind = [tag for tag in found if after is None or ((tag < after) if order == "desc" else (tag > after))]
    kept = [tag for tag in behind if before is None or ((tag > before) if order == "desc" else (tag < before))]
    return json_answer(list(kept[:limit]))
