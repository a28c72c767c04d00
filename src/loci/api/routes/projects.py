"""Projects, and which of them a request is about."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query
from pydantic import Field
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.requests_agents import INTEGER_MAX, Body
from loci.api.shapes_apart import ProjectShape, ProjectsShape, SuccessShape
from loci.api.wire_messages import WireObject
from loci.store import projects
from loci.store.projects import DEFAULT, Project

router = new_router("projects")


async def _rows(
    offset: Annotated[int, Query(ge=0, le=INTEGER_MAX)] = 0, limit: Annotated[int, Query(ge=1, le=1_000)] = 50
) -> tuple[int, int]:
    return limit, offset


Rows = Annotated[tuple[int, int], Depends(_rows)]
"""How many rows, and from which on."""


async def _asked(
    services: Services,
    actor: Actor,
    project_id: str | None = None,
    x_project_id: Annotated[str | None, Header()] = None,
    x_project: Annotated[str | None, Header()] = None,
) -> Project:
    named = project_id or x_project_id or x_project
    return DEFAULT if named is None else await services.store.read(projects.find, actor, named)


Asked = Annotated[Project, Depends(_asked)]
"""The project that the path, the query or a header names by id or slug; else the default one."""


ProjectName = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=100, description="Id or slug.")]


class ProjectIn(Body):
    """A project to be made."""

    name: Annotated[str, Field(min_length=3, max_length=50)]


@router.get("/projects", response_model=ProjectsShape)
async def list_projects(services: Services, actor: Actor, rows: Rows, name: str | None = None) -> Response:
    """Projects, the default one first."""
    limit, offset = rows
    found = [item for item in await services.store.read(projects.listing, actor) if name in (None, item.name)]
    shown = [_project(item) for item in found[offset : offset + limit]]
    return json_answer({"projects": shown, "hasNextPage": len(found) > offset + limit})


@router.post("/projects", response_model=ProjectShape, status_code=201)
async def create_project(body: ProjectIn, services: Services, actor: Actor) -> Response:
    """Make a project."""
    made = await services.store.write(projects.insert, actor, body.name, services.clock.now())
    return json_answer(_project(made), 201)


@router.delete("/projects/{project_id}", response_model=SuccessShape)
async def delete_project(project_id: ProjectName, services: Services, actor: Actor) -> Response:
    """Delete a project that nothing belongs to."""
    await services.store.write(projects.delete, actor, project_id)
    return json_answer({"success": True})


def _project(project: Project) -> WireObject:
    return {"id": project.id, "name": project.name, "slug": project.slug}
