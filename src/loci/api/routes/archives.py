"""Archives: shelves of notes that any number of agents search, and search over all notes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Header
from pydantic import Field
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.agent_views import embedding_infos, wire_agents
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import AgentId, ArchiveId, Included, Moment, NewestFirst, PassageId
from loci.api.requests_agents import LIST_MAX, Body, LongText, Name, Names, Object, handle_in
from loci.api.routes.agent_memory import PassageIn
from loci.api.shapes import ArchiveShape, PassageShape, ScoredPassageShape
from loci.api.shapes_agents import AgentShape
from loci.api.wire_messages import WireObject
from loci.api.wire_values import wire_archive, wire_passage
from loci.errors import BadRequest, NotFound
from loci.ids import new_id
from loci.memory.archive import ArchiveQuery
from loci.store import agents, archives, passages, vectors
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.memory import Archive
from loci.types.paging import Page

router = new_router("archives")

ARCHIVES_SEARCHED_MAX = 500
"""In how many archives one search looks."""

Unit = Literal["B", "KB", "MB", "GB", "TB"]
UNIT_BYTES: dict[Unit, int] = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


async def _all(core: Core, actor: actors.Actor, found: Sequence[Archive]) -> list[WireObject]:
    embeddings = await embedding_infos(core, actor, (archive.embedding for archive in found))
    return [wire_archive(archive, actor.organization_id, embeddings[archive.embedding]) for archive in found]


async def _wire(core: Core, actor: actors.Actor, archive: Archive) -> WireObject:
    return (await _all(core, actor, [archive]))[0]


class EmbeddedIn(Body):
    """How notes are embedded. null means words only."""

    embedding: Name | None = None
    embedding_config: Object | None = None

    def handle(self, default: str | None) -> str | None:
        """The embedding model that is meant; the default when none is named."""
        given = {"embedding", "embedding_config"} & self.model_fields_set
        return self.embedding or handle_in(self.embedding_config) if given else default

    async def known(self, core: Core, actor: actors.Actor, default: str | None) -> str | None:
        """The same, of which there is one. Raises NotFound, or ModelFailure if its server fails when tried."""
        handle = self.handle(default)
        if handle is not None:
            await core.models.embedder(actor, handle)
        return handle


class ArchiveIn(EmbeddedIn):
    """An archive to be made. Its embedding model is the usual one unless one is named."""

    name: Annotated[Name, Field(min_length=1)]
    description: LongText | None = None


class ArchiveChangeIn(EmbeddedIn):
    """What an archive shall become; what is not named stays. With another model its notes are embedded anew."""

    name: Annotated[Name, Field(min_length=1)] | None = None
    description: LongText | None = None

    def changed(self, archive: Archive) -> Archive:
        """The archive with what is named."""
        described = self.description if "description" in self.model_fields_set else archive.description
        handle = self.handle(archive.embedding)
        return replace(archive, name=self.name or archive.name, description=described, embedding=handle)


@router.get("/archives", response_model=list[ArchiveShape])
async def list_archives(
    services: Services, actor: Actor, page: NewestFirst, name: str | None = None, agent_id: str | None = None
) -> Response:
    """Archives, the newest first unless asked otherwise."""
    found = await services.store.read(archives.listing, actor, page, name=name, agent_id=agent_id)
    return json_answer(await _all(services, actor, found))


@router.post("/archives", response_model=ArchiveShape)
async def create_archive(body: ArchiveIn, services: Services, actor: Actor) -> Response:
    """Make an archive; it is attached to nobody."""
    handle = await body.known(services, actor, services.models.default_embedder)
    archive = Archive(id=new_id("archive"), name=body.name, description=body.description, embedding=handle)
    now = services.clock.now()
    made = await services.store.write(archives.insert, actor, author_of(actor), archive, now)
    return json_answer(await _wire(services, actor, made))


@router.get("/archives/{archive_id}", response_model=ArchiveShape)
async def retrieve_archive(archive_id: ArchiveId, services: Services, actor: Actor) -> Response:
    """One archive."""
    return json_answer(await _wire(services, actor, await services.store.read(archives.get, actor, archive_id)))


@router.patch("/archives/{archive_id}", response_model=ArchiveShape)
async def modify_archive(archive_id: ArchiveId, body: ArchiveChangeIn, services: Services, actor: Actor) -> Response:
    """Change the name, the description or the embedding model of an archive. It can be searched all the time."""
    await body.known(services, actor, None)

    def change(tx: Transaction) -> Archive:
        archive = body.changed(archives.get(tx, actor, archive_id))
        return archives.update(tx, actor, author_of(actor), archive, services.clock.now())

    return json_answer(await _wire(services, actor, await services.store.write(change)))


@router.delete("/archives/{archive_id}", status_code=204)
async def delete_archive(archive_id: ArchiveId, services: Services, actor: Actor) -> Response:
    """Delete an archive with all its notes, and take it off every agent."""
    await services.store.write(archives.delete, actor, author_of(actor), archive_id, services.clock.now())
    return Response(status_code=204)


@router.get("/archives/{archive_id}/agents", response_model=list[AgentShape])
async def list_archive_agents(
    archive_id: ArchiveId, services: Services, actor: Actor, page: NewestFirst, included: Included
) -> Response:
    """The agents that search an archive."""
    await services.store.read(archives.get, actor, archive_id)
    chosen = AgentFilter(archive_id=archive_id, show_hidden=True)
    found = await services.store.read(agents.listing, actor, chosen, page)
    return json_answer(await wire_agents(services, actor, found, included))


@router.patch("/agents/{agent_id}/archives/attach/{archive_id}")
async def attach_archive(agent_id: AgentId, archive_id: ArchiveId, services: Services, actor: Actor) -> Response:
    """Let an agent search an archive."""
    now = services.clock.now()
    await services.store.write(archives.attach, actor, author_of(actor), agent_id, archive_id, now)
    return json_answer(None)


@router.patch("/agents/{agent_id}/archives/detach/{archive_id}")
async def detach_archive(agent_id: AgentId, archive_id: ArchiveId, services: Services, actor: Actor) -> Response:
    """Take an archive off an agent; the archive stays."""
    now = services.clock.now()
    await services.store.write(archives.detach, actor, author_of(actor), agent_id, archive_id, now)
    return json_answer(None)


async def _keep(core: Core, actor: actors.Actor, archive_id: str, new: list[PassageIn]) -> list[WireObject]:
    notes, now = [item.note(archive_id) for item in new], core.clock.now()
    kept = await core.store.write(passages.insert, actor, author_of(actor), archive_id, notes, now)
    return [wire_passage(passage) for passage in kept]


@router.post("/archives/{archive_id}/passages", response_model=PassageShape)
async def create_archive_passage(archive_id: ArchiveId, body: PassageIn, services: Services, actor: Actor) -> Response:
    """Keep a note in an archive."""
    return json_answer((await _keep(services, actor, archive_id, [body]))[0])


class PassagesIn(Body):
    """Notes to keep."""

    passages: Annotated[list[PassageIn], Field(max_length=LIST_MAX)]


@router.post("/archives/{archive_id}/passages/batch", response_model=list[PassageShape])
async def create_archive_passages(
    archive_id: ArchiveId, body: PassagesIn, services: Services, actor: Actor
) -> Response:
    """Keep notes in an archive: all of them or none."""
    return json_answer(await _keep(services, actor, archive_id, body.passages))


@router.delete("/archives/{archive_id}/passages/{passage_id}", status_code=204)
async def delete_archive_passage(
    archive_id: ArchiveId, passage_id: PassageId, services: Services, actor: Actor
) -> Response:
    """Forget a note; the journal keeps it."""

    def forget(tx: Transaction) -> None:
        archives.get(tx, actor, archive_id)
        if passages.get(tx, actor, passage_id).archive_id != archive_id:
            raise NotFound(f"Archive {archive_id} has no passage {passage_id}.")
        passages.delete(tx, actor, author_of(actor), passage_id, services.clock.now())

    await services.store.write(forget)
    return Response(status_code=204)


class SearchIn(Body):
    """What to find. Without a query, the newest; without an agent or an archive, in all archives."""

    query: Annotated[str, Field(max_length=10_000)] | None = None
    agent_id: Name | None = None
    archive_id: Name | None = None
    tags: Names | None = None
    tag_match_mode: Literal["any", "all"] = "any"
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    start_date: Moment | None = None
    end_date: Moment | None = None

    def wanted(self) -> ArchiveQuery:
        """Our value."""
        return ArchiveQuery(
            text=self.query or "",
            tags=tuple(self.tags or ()),
            match_all_tags=self.tag_match_mode == "all",
            since=self.start_date,
            until=self.end_date,
            limit=self.limit,
        )


def _meant(tx: Transaction, actor: actors.Actor, body: SearchIn) -> list[Archive]:
    """The archives that are meant; of an agent and an archive, the agent decides."""
    if body.agent_id is not None:
        agents.get(tx, actor, body.agent_id)
        return archives.archives_of_agent(tx, actor, body.agent_id)
    if body.archive_id is not None:
        return [archives.get(tx, actor, body.archive_id)]
    found = archives.listing(tx, actor, Page(limit_rows=ARCHIVES_SEARCHED_MAX + 1))
    if len(found) > ARCHIVES_SEARCHED_MAX:
        raise BadRequest(
            f"There are more than {ARCHIVES_SEARCHED_MAX} archives, too many for one search.",
            hint="Name an agent_id or an archive_id.",
        )
    return found


@router.post("/passages/search", response_model=list[ScoredPassageShape])
async def search_all_passages(body: SearchIn, services: Services, actor: Actor) -> Response:
    """Find notes by meaning and words, the best first: of an archive, of an agent, or of all."""
    held = await services.store.read(_meant, actor, body)
    found = await services.archive.search_archives(actor, held, body.wanted())
    results: list[WireObject] = [
        {"passage": wire_passage(hit.passage), "score": hit.score, "metadata": {}} for hit in found.hits
    ]
    return json_answer(results)


@router.get("/embeddings/total_storage_size", response_model=float, tags=["embeddings"])
async def total_storage_size(
    services: Services, actor: Actor, storage_unit: Annotated[Unit, Header()] = "GB"
) -> Response:
    """How much room all vectors take, in the unit that the header `storage-unit` names."""
    size = await services.store.read(vectors.size_bytes, actor)
    return json_answer(size / UNIT_BYTES[storage_unit])
