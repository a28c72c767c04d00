"""Folders and their files. Each route stands twice: clients of older versions call folders sources."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, File, Path, UploadFile
from pydantic import Field
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.agent_views import embedding_infos
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import FileId, FolderId, NewestFirst, OldestFirst, paged
from loci.api.requests_agents import Body, LongText, Object, handle_in
from loci.api.routes.archives import ArchiveIn
from loci.api.shapes_files import ChunkShape, FileShape, FolderShape, SizesShape
from loci.api.wire_files import WORDS_ONLY, wire_chunk, wire_file, wire_folder, wire_sizes
from loci.api.wire_messages import WireObject
from loci.api.wire_values import CHUNK_TOKENS
from loci.errors import Unprocessable
from loci.files import holding
from loci.files.intake import Duplicates, Upload
from loci.ids import new_id
from loci.store import agents, chunks, files, folders
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types import files as values
from loci.types.files import Folder
from loci.types.json import JsonObject
from loci.types.paging import PAGE_MAX_ROWS, Page

router = new_router("folders")

SIZES_MAX = 100_000
NAME_MAX_CHARS = 200
CONTENTS_A_PAGE = 50
"""Texts are large, so a page with them is short."""

FolderName = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS, pattern=r'^[^<>"/\x00-\x1f]+$')]
"""It stands in prompts and before a slash in the names of files."""

Handler = TypeVar("Handler", bound=Callable[..., Any])


def two_names(
    router: APIRouter,
    method: str,
    path: str,
    shape: Any = None,  # noqa: ANN401  any type
    status: int = 200,
) -> Callable[[Handler], Handler]:
    """Serve a path with `{family}` in it for both names of a folder."""

    def register(handler: Handler) -> Handler:
        for family in ("folders", "sources"):
            router.add_api_route(
                path.replace("{family}", family),
                handler,
                methods=[method],
                response_model=shape,
                status_code=status,
                deprecated=family == "sources" or None,
            )
        return handler

    return register


class FolderIn(ArchiveIn):
    """A folder to be made. Its embedding model is the usual one unless one is named; null means words only."""

    name: FolderName
    instructions: LongText | None = None
    metadata: Object | None = None
    embedding_chunk_size: int | None = None

    def check(self) -> None:
        """Raise Unprocessable for pieces of another size than files are cut into."""
        for asked in (self.embedding_chunk_size, (self.embedding_config or {}).get("embedding_chunk_size")):
            if asked not in (None, CHUNK_TOKENS):
                raise Unprocessable(
                    f"Files are not cut into pieces of {asked} tokens.",
                    hint=f"A piece has about {CHUNK_TOKENS}; leave embedding_chunk_size out.",
                )


class FolderChangeIn(Body):
    """What a folder shall become; what is not named stays."""

    name: FolderName | None = None
    description: LongText | None = None
    instructions: LongText | None = None
    metadata: Object | None = None
    embedding_config: Object | None = None

    def changed(self, folder: Folder) -> Folder:
        """The folder with what is named. Raises Unprocessable for another embedding model."""
        if self.embedding_config and handle_in(self.embedding_config) not in (folder.embedding, WORDS_ONLY.handle):
            raise Unprocessable("A folder keeps its embedding model.", hint="Make another folder for another model.")
        fields: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("name", "description", "instructions", "metadata")
            if name in self.model_fields_set and (getattr(self, name) is not None or name != "name")
        }
        if "metadata" in fields:
            fields["metadata"] = fields["metadata"] or {}
        return replace(folder, **fields)


async def all_shown(core: Core, actor: actors.Actor, found: Sequence[Folder]) -> list[WireObject]:
    """Folders as clients see them."""
    embeddings = await embedding_infos(core, actor, (folder.embedding for folder in found))
    return [wire_folder(folder, embeddings[folder.embedding]) for folder in found]


async def shown(core: Core, actor: actors.Actor, folder: Folder) -> WireObject:
    """One of them."""
    return (await all_shown(core, actor, [folder]))[0]


@two_names(router, "GET", "/{family}", list[FolderShape])
async def list_folders(services: Services, actor: Actor, page: OldestFirst, name: str | None = None) -> Response:
    """Folders, the oldest first unless asked otherwise."""
    found = await services.store.read(folders.listing, actor, page, name=name)
    return json_answer(await all_shown(services, actor, found))


@two_names(router, "POST", "/{family}", FolderShape)
async def create_folder(body: FolderIn, services: Services, actor: Actor) -> Response:
    """Make a folder."""
    body.check()
    handle = await body.known(services, actor, services.models.default_embedder)
    folder = Folder(
        id=new_id("source"),
        name=body.name,
        description=body.description,
        instructions=body.instructions,
        embedding=handle,
        metadata=cast("JsonObject", body.metadata or {}),
    )
    made = await services.store.write(folders.insert, actor, folder, services.clock.now())
    return json_answer(await shown(services, actor, made))


@two_names(router, "GET", "/{family}/count", int)
async def count_folders(services: Services, actor: Actor) -> Response:
    """How many folders there are."""
    return json_answer(await services.store.read(folders.count, actor))


@two_names(router, "GET", "/{family}/metadata", SizesShape)
async def retrieve_sizes(
    services: Services, actor: Actor, include_detailed_per_source_metadata: bool = False
) -> Response:
    """How much is in all folders; on wish also in each, for the oldest 100,000 folders and files."""
    most = SIZES_MAX if include_detailed_per_source_metadata else 0
    return json_answer(wire_sizes(*await services.store.read(folders.sizes, actor, most)))


@two_names(router, "GET", "/{family}/name/{folder_name}", str)
async def retrieve_folder_id(
    folder_name: Annotated[str, Path(max_length=NAME_MAX_CHARS)], services: Services, actor: Actor
) -> Response:
    """The id of the folder of that name."""
    return json_answer((await services.store.read(folders.named, actor, folder_name)).id)


@two_names(router, "GET", "/{family}/{folder_id}", FolderShape)
async def retrieve_folder(folder_id: FolderId, services: Services, actor: Actor) -> Response:
    """One folder."""
    return json_answer(await shown(services, actor, await services.store.read(folders.get, actor, folder_id)))


@two_names(router, "PATCH", "/{family}/{folder_id}", FolderShape)
async def modify_folder(folder_id: FolderId, body: FolderChangeIn, services: Services, actor: Actor) -> Response:
    """Change a folder. Agents that hold it see the change from their next step on."""

    def change(tx: Transaction) -> Folder:
        folder = body.changed(folders.get(tx, actor, folder_id))
        return folders.update(tx, actor, folder, services.clock.now())

    return json_answer(await shown(services, actor, await services.store.write(change)))


@two_names(router, "DELETE", "/{family}/{folder_id}")
async def delete_folder(folder_id: FolderId, services: Services, actor: Actor) -> Response:
    """Delete a folder with its files, and take it off every agent."""
    now = services.clock.now()
    await services.store.write(holding.delete_folder, actor, author_of(actor), folder_id, now)
    return json_answer(None)


@two_names(router, "GET", "/{family}/{folder_id}/agents", list[str])
async def list_folder_agents(folder_id: FolderId, services: Services, actor: Actor, page: NewestFirst) -> Response:
    """The ids of the agents that hold a folder."""
    await services.store.read(folders.get, actor, folder_id)
    chosen = AgentFilter(folder_id=folder_id, show_hidden=True)
    return json_answer([agent.id for agent in await services.store.read(agents.listing, actor, chosen, page)])


@two_names(router, "GET", "/{family}/{folder_id}/passages", list[ChunkShape])
async def list_folder_passages(
    folder_id: FolderId, services: Services, actor: Actor, page: Annotated[Page, Depends(paged("desc", 100))]
) -> Response:
    """What search finds in a folder, stretch by stretch."""
    await services.store.read(folders.get, actor, folder_id)
    found = await services.store.read(chunks.listing, actor, folder_id, page)
    return json_answer([wire_chunk(chunk) for chunk in found])


@two_names(router, "GET", "/{family}/{folder_id}/files", list[FileShape])
async def list_files(
    folder_id: FolderId,
    services: Services,
    actor: Actor,
    page: Annotated[Page, Depends(paged("desc", PAGE_MAX_ROWS))],
    include_content: bool = False,
) -> Response:
    """The files in a folder, the newest first unless asked otherwise."""
    await services.store.read(folders.get, actor, folder_id)
    wanted = replace(page, limit_rows=min(page.limit_rows, CONTENTS_A_PAGE if include_content else PAGE_MAX_ROWS))

    def found(tx: Transaction) -> list[WireObject]:
        listed = files.listing(tx, actor, [folder_id], wanted)
        return [wire_file(file, files.text_of(tx, actor, file.id) if include_content else None) for file in listed]

    return json_answer(list(await services.store.read(found)))


@two_names(router, "POST", "/{family}/{folder_id}/upload", FileShape)
async def upload_file(
    folder_id: FolderId,
    services: Services,
    actor: Actor,
    file: Annotated[UploadFile, File()],
    duplicate_handling: Duplicates = "suffix",
    name: Annotated[str | None, Field(max_length=1_000)] = None,
) -> Response:
    """Put a file into a folder. It is read in the background: `processing_status` says how far that is."""
    sent = (file.filename or "file")[:1_000]
    upload = Upload(name=name or sent, original_name=sent, read=file.read, duplicates=duplicate_handling)
    return json_answer(wire_file(await services.intake.take(actor, folder_id, upload)))


@two_names(router, "GET", "/{family}/{folder_id}/files/{file_id}", FileShape)
async def retrieve_file(
    folder_id: FolderId, file_id: FileId, services: Services, actor: Actor, include_content: bool = False
) -> Response:
    """One file of a folder, with its text if that is asked for."""

    def found(tx: Transaction) -> WireObject:
        file = files.get(tx, actor, file_id, folder_id=folder_id)
        return wire_file(file, files.text_of(tx, actor, file_id) if include_content else None)

    return json_answer(await services.store.read(found))


@two_names(router, "DELETE", "/{family}/{folder_id}/{file_id}", status=204)
async def delete_file(folder_id: FolderId, file_id: FileId, services: Services, actor: Actor) -> Response:
    """Delete a file. Agents no longer see it, from their next step on."""

    def forget(tx: Transaction) -> values.File:
        file = files.get(tx, actor, file_id, folder_id=folder_id)
        files.delete(tx, actor, file)
        return file

    await services.store.write(forget)
    return Response(status_code=204)
