"""The folders of an agent, and which of their files it has open."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.agent_views import wire_one
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import AgentId, Cursor, FileId, FolderId, NewestFirst, Order, page, page_of
from loci.api.routes.folders import all_shown, two_names
from loci.api.shapes_agents import AgentShape
from loci.api.shapes_files import AgentFilesShape, FolderShape
from loci.api.wire_files import wire_view
from loci.files import holding
from loci.store import agents, file_views, folders
from loci.store.base import Transaction
from loci.types.agents import Agent
from loci.types.files import File, FileView

router = new_router("agents")

FILES_A_PAGE = 100
FILES_A_PAGE_MAX = 500


@two_names(router, "PATCH", "/agents/{agent_id}/{family}/attach/{folder_id}", AgentShape)
async def attach_folder(agent_id: AgentId, folder_id: FolderId, services: Services, actor: Actor) -> Response:
    """Give a folder to an agent, with the tools that read files. Its files are opened as far as there is room."""

    def attach(tx: Transaction) -> None:
        agent = agents.get(tx, actor, agent_id)
        holding.attach(tx, actor, author_of(actor), agent, folder_id, services.clock.now())

    await services.store.write(attach)
    return json_answer(await wire_one(services, actor, agent_id))


@two_names(router, "PATCH", "/agents/{agent_id}/{family}/detach/{folder_id}", AgentShape)
async def detach_folder(agent_id: AgentId, folder_id: FolderId, services: Services, actor: Actor) -> Response:
    """Take a folder off an agent; the folder stays. With the last one go the tools that read files."""

    def detach(tx: Transaction) -> None:
        agents.get(tx, actor, agent_id)
        holding.detach(tx, actor, author_of(actor), agent_id, folder_id, services.clock.now())

    await services.store.write(detach)
    return json_answer(await wire_one(services, actor, agent_id))


@two_names(router, "GET", "/agents/{agent_id}/{family}", list[FolderShape])
async def list_agent_folders(agent_id: AgentId, services: Services, actor: Actor, page: NewestFirst) -> Response:
    """The folders of an agent, the one attached last first unless asked otherwise."""
    await services.store.read(agents.get, actor, agent_id)
    held = page_of(await services.store.read(folders.of_agent, actor, agent_id), page)
    return json_answer(await all_shown(services, actor, held))


@router.get("/agents/{agent_id}/files", response_model=AgentFilesShape)
async def list_agent_files(  # noqa: PLR0917  one argument for each query parameter
    agent_id: AgentId,
    services: Services,
    actor: Actor,
    before: Cursor = None,
    after: Cursor = None,
    limit: Annotated[int | None, Query(ge=0, le=10_000)] = None,
    order: Order = "desc",
    cursor: Cursor = None,
    is_open: bool | None = None,
) -> Response:
    """The files that an agent can open, the newest first unless asked otherwise."""
    await services.store.read(agents.get, actor, agent_id)
    most = max(1, min(FILES_A_PAGE if limit is None else limit, FILES_A_PAGE_MAX))
    wanted = page(before, after or cursor, most + 1, order)

    found = await services.store.read(file_views.listing, actor, agent_id, wanted, is_open=is_open)
    # Before a cursor the page lies at its other end.
    kept = found[-most:] if before and not wanted.after else found[:most]
    more = len(found) > most
    return json_answer(
        {
            "files": [wire_view(agent_id, seen) for seen in kept],
            "next_cursor": kept[-1].file.id if more else None,
            "has_more": more,
        }
    )


@router.patch("/agents/{agent_id}/files/close-all", response_model=list[str])
async def close_all_files(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """Close every file of an agent; the names of those that were open."""

    def close(tx: Transaction) -> list[File]:
        agents.get(tx, actor, agent_id)
        return holding.close_all(tx, actor, agent_id)

    return json_answer([file.path for file in await services.store.write(close)])


@router.patch("/agents/{agent_id}/files/{file_id}/open", response_model=list[str])
async def open_file(agent_id: AgentId, file_id: FileId, services: Services, actor: Actor) -> Response:
    """Put a file before an agent; the names of those that were closed to make room."""

    def look(tx: Transaction) -> tuple[Agent, FileView]:
        agent, held = agents.get(tx, actor, agent_id), holding.found(tx, actor, agent_id, file_id)
        return agent, holding.seen(tx, actor, agent, held.file)

    closed = await services.store.write(
        holding.open_file, actor, *await services.store.read(look), services.clock.now()
    )
    return json_answer([file.path for file in closed])


@router.patch("/agents/{agent_id}/files/{file_id}/close")
async def close_file(agent_id: AgentId, file_id: FileId, services: Services, actor: Actor) -> Response:
    """Take a file from before an agent."""

    def close(tx: Transaction) -> None:
        holding.found(tx, actor, agent_id, file_id)
        file_views.close(tx, actor, agent_id, [file_id])

    await services.store.write(close)
    return json_answer(None)
