"""Templates: made from agents or files, saved as versions, and agents made from those.

Each route is there twice: for the project that a header names, and with the project in the path.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal, TypeVar, cast

from fastapi import Path, Query
from starlette.responses import Response

from loci.agent import agentfile
from loci.agent.agentfile import AgentFile
from loci.agent.creating import author_of
from loci.agent.names import random_name
from loci.agent.templates import Keeping, Move, bare, deploy, migrate
from loci.api.agentfile_in import Wishes, read_file
from loci.api.agentfile_old import modern
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.requests_agents import first_messages
from loci.api.requests_templates import (
    DeployIn,
    DescriptionIn,
    FileIn,
    ForkIn,
    MoveIn,
    NameIn,
    SaveIn,
    TemplateIn,
    VersionIn,
)
from loci.api.routes.agentfiles import ExportIn, file_of
from loci.api.routes.internal_templates import DeploymentId
from loci.api.routes.projects import Asked, Rows
from loci.api.shapes_apart import DeployedShape, SuccessShape, TemplateShape, TemplatesShape, VersionsShape
from loci.api.wire_filemessages import OWN_KEY
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.errors import NotFound, Unprocessable
from loci.ids import new_id
from loci.store import deployments, projects, templates
from loci.store.base import Transaction
from loci.store.projects import DEFAULT, Project
from loci.store.templates import CURRENT, LATEST, Template, TemplateFilter, Version
from loci.types import actor as actors
from loci.types.json import JsonObject

router = new_router("templates")

T = TypeVar("T")
TemplateName = Annotated[str, Path(pattern=r"^[a-zA-Z0-9_-]+$", max_length=200, description="Without a version.")]
TemplateVersion = Annotated[
    str, Path(pattern=r"^[a-zA-Z0-9_-]+(:[a-z0-9]+)?$", max_length=300, description="`name` or `name:version`.")
]
"""The API promises to ignore a version in what saves, renames and describes, and knows of none elsewhere."""


@router.get("/templates", response_model=TemplatesShape)
async def list_templates(  # noqa: PLR0917  one argument for each query parameter
    services: Services,
    actor: Actor,
    project: Asked,
    rows: Rows,
    name: str | None = None,
    search: str | None = None,
    template_id: str | None = None,
    project_slug: str | None = None,
    sort_by: Literal["updated_at", "created_at"] = "updated_at",
    exact: bool | None = None,
    version: Annotated[str | None, Query(pattern=r"^(latest|[0-9]{1,9})$")] = None,
) -> Response:
    """Templates of a project, the last changed first; `exact` says whether a name is meant whole."""
    if exact is not None:
        name, search = (name or search, None) if exact else (None, search or name)
    number = int(version) if version not in (None, LATEST) else None
    if project_slug is not None:
        project = await services.store.read(projects.find, actor, project_slug)
    wanted = TemplateFilter(project_id=_id(project), id=template_id, name=name, part=search or "", order_by=sort_by)
    chosen = replace(wanted, version=number)
    found = await services.store.read(templates.listing, actor, chosen, (rows[0] + 1, rows[1]))
    shown = [_shown(item, project, number) for item in found[: rows[0]]]
    return json_answer({"templates": shown, "has_next_page": len(found) > rows[0]})


@router.post("/templates/{project_id}", response_model=TemplateShape, status_code=201)
@router.post("/templates", response_model=TemplateShape, status_code=201)
async def create_template(body: TemplateIn, services: Services, actor: Actor, project: Asked) -> Response:
    """Make a template, with its first version."""
    if body.type == "agent" and body.agent_id is not None:
        document = await file_of(services, actor, body.agent_id, ExportIn(scrub_messages=True, scrub_folders=True))
    elif body.type == "agent_file" and body.agent_file is not None:
        document = modern(cast("JsonObject", body.agent_file))
    else:
        needed = "agent_id" if body.type == "agent" else "agent_file"
        raise Unprocessable(f"A template of type '{body.type}' needs '{needed}'.")
    file = await _read(services, actor, document)
    wanted = Template(id=new_id("template"), name=body.name or random_name(), project_id=_id(project))
    now = services.clock.now()

    def put(tx: Transaction) -> Template:
        if body.update_existing_tools:
            agentfile.put_tools(tx, actor, file, [], now=now, override=True)
        return templates.insert(tx, actor, author_of(actor), wanted, _bare(document), now)

    return json_answer(_shown(await services.store.write(put), project), 201)


@router.post("/templates/{project_id}/{template_version}/agents", response_model=DeployedShape, status_code=201)
@router.post("/templates/{template_version}/agents", response_model=DeployedShape, status_code=201)
async def create_agents_from_template(
    template_version: TemplateVersion, services: Services, actor: Actor, project: Asked, body: DeployIn | None = None
) -> Response:
    """Make the agents of a template, `name:version`; without a version, of the newest one."""
    body = body or DeployIn()
    template, version = await services.store.read(_version, actor, project, template_version)
    wishes = Wishes(
        name=body.agent_name or random_name(), copy_suffix=False, strip_messages=True, secrets=body.tool_variables
    )
    file = await _read(services, actor, version.file, wishes)
    first = first_messages(body.initial_message_sequence)
    made = [
        replace(
            item.new, tags=(*item.new.tags, *body.tags), identity_ids=tuple(body.identity_ids), first_messages=first
        )
        for item in file.agents
    ]
    wanted = replace(file, agents=tuple(replace(item, new=new) for item, new in zip(file.agents, made, strict=True)))
    deployment_id, ids = await deploy(services.kit, actor, (template, version), wanted, body.memory_variables)
    return json_answer({"agent_ids": [*ids], "deployment_id": deployment_id, "group_id": None}, 201)


@router.post("/templates/{project_id}/{template_name}/rollback", response_model=SuccessShape)
@router.post("/templates/{template_name}/rollback", response_model=SuccessShape)
async def roll_back_template(
    template_name: TemplateName, body: VersionIn, services: Services, actor: Actor, project: Asked
) -> Response:
    """Make the working copy what a version was. Changes that are in no version are saved as one before."""
    if body.version in CURRENT:
        raise Unprocessable("A template goes back to a version, and the working copy is none.")
    author, now = author_of(actor), services.clock.now()

    def change(tx: Transaction, template: Template) -> None:
        target = templates.version(tx, actor, template, body.version)
        saved = templates.save_changes(tx, actor, author, template, now)
        templates.set_file(tx, actor, author, saved, target.file, now)

    await _changed(services, actor, project, template_name, change)
    return _done()


@router.post("/templates/{project_id}/{template_name}", response_model=TemplateShape)
@router.post("/templates/{template_name}/save", response_model=TemplateShape)
async def save_template(
    template_name: TemplateVersion, services: Services, actor: Actor, project: Asked, body: SaveIn | None = None
) -> Response:
    """Make the working copy the newest version; agents that were made from the template follow if that is wanted."""
    body = body or SaveIn()

    def change(tx: Transaction, template: Template) -> tuple[Template, Version, list[str]]:
        saved = templates.save(tx, actor, author_of(actor), template, body.message, services.clock.now())
        return saved, templates.version(tx, actor, saved, LATEST), deployments.of_template(tx, actor, saved.id)

    saved, version, deployed = await _changed(services, actor, project, template_name, change)
    if body.migrate_agents:
        keeping = Keeping(
            memories=body.preserve_core_memories_on_migration,
            secrets=body.preserve_environment_variables_on_migration,
            other_blocks=body.block_reconciliation_strategy == "preserve-deleted",
        )
        file = await _read(services, actor, version.file)
        for deployment_id in deployed:
            await migrate(services.kit, actor, file, Move(deployment_id, version, {}, keeping))
    return json_answer(_shown(saved, project))


@router.put("/templates/{project_id}/{template_name}/agent-file", response_model=SuccessShape)
@router.patch("/templates/{template_name}", response_model=SuccessShape)
async def update_template(
    template_name: TemplateName, body: FileIn, services: Services, actor: Actor, project: Asked
) -> Response:
    """Make the working copy what a file says."""
    document = modern(cast("JsonObject", body.agent_file_json))
    file, author, now = await _read(services, actor, document), author_of(actor), services.clock.now()

    def change(tx: Transaction, template: Template) -> None:
        if body.update_existing_tools:
            agentfile.put_tools(tx, actor, file, [], now=now, override=True)
        if body.save_existing_changes:
            template = templates.save_changes(tx, actor, author, template, now)
        templates.set_file(tx, actor, author, template, _bare(document), now)

    await _changed(services, actor, project, template_name, change)
    return _done()


@router.delete("/templates/{project_id}/{template_name}", response_model=SuccessShape)
@router.delete("/templates/{template_name}", response_model=SuccessShape)
async def delete_template(template_name: TemplateName, services: Services, actor: Actor, project: Asked) -> Response:
    """Put a template away with its versions. Agents that were made from it stay."""

    def change(tx: Transaction, template: Template) -> None:
        templates.delete(tx, actor, author_of(actor), template, services.clock.now())

    await _changed(services, actor, project, template_name, change)
    return _done()


@router.patch("/templates/{project_id}/{template_name}/name", response_model=SuccessShape)
async def rename_template(
    template_name: TemplateVersion, body: NameIn, services: Services, actor: Actor, project: Asked
) -> Response:
    """Give a template another name."""
    return await _renamed(services, actor, project, template_name, {"name": body.new_name})


@router.patch("/templates/{project_id}/{template_name}/description", response_model=SuccessShape)
async def describe_template(
    template_name: TemplateVersion, body: DescriptionIn, services: Services, actor: Actor, project: Asked
) -> Response:
    """Say what a template is for."""
    return await _renamed(services, actor, project, template_name, {"description": body.description})


@router.post("/templates/{project_id}/{template_version}/fork", response_model=TemplateShape)
async def fork_template(
    template_version: TemplateVersion, services: Services, actor: Actor, project: Asked, body: ForkIn | None = None
) -> Response:
    """Make a version the first one of a new template."""
    name = (body.name if body else None) or random_name()

    def put(tx: Transaction) -> Template:
        template, version = _version(tx, actor, project, template_version)
        wanted = replace(template, id=new_id("template"), name=name, latest=0)
        return templates.insert(tx, actor, author_of(actor), wanted, version.file, services.clock.now())

    return json_answer(_shown(await services.store.write(put), project))


@router.get("/templates/{project_id}/{name}/versions", response_model=VersionsShape)
async def list_template_versions(
    name: TemplateName, services: Services, actor: Actor, project: Asked, rows: Rows
) -> Response:
    """The versions of a template, the newest first."""

    def read(tx: Transaction) -> WireObject:
        template = templates.get(tx, actor, _id(project), name)
        found = templates.versions(tx, actor, template, rows)
        shown = [item | {"is_latest": item["version"] == str(template.latest)} for item in found]
        return {"versions": [*shown], "has_next_page": template.latest > sum(rows), "total_count": template.latest}

    return json_answer(await services.store.read(read))


@router.post("/templates/{project_id}/{template_name}/deployments/{deployment_id}/migrate", response_model=SuccessShape)
async def migrate_deployment(
    template_name: TemplateName,
    deployment_id: DeploymentId,
    body: MoveIn,
    services: Services,
    actor: Actor,
    project: Asked,
) -> Response:
    """Bring the agents of a deployment to a version of their template."""
    template, version = await services.store.read(_version, actor, project, f"{template_name}:{body.version}")
    if deployment_id not in await services.store.read(deployments.of_template, actor, template.id):
        raise NotFound(f"Template '{template.name}' has no deployment {deployment_id}.")
    keeping = Keeping(memories=body.preserve_core_memories, secrets=body.preserve_tool_variables)
    move = Move(deployment_id, version, body.memory_variables, keeping)
    await migrate(services.kit, actor, await _read(services, actor, version.file), move)
    return _done()


async def _renamed(
    core: Core, actor: actors.Actor, project: Project, name: str, fields: dict[str, str | None]
) -> Response:
    def change(tx: Transaction, template: Template) -> None:
        templates.update(tx, actor, author_of(actor), replace(template, **fields), core.clock.now())

    await _changed(core, actor, project, name, change)
    return _done()


async def _changed(
    core: Core, actor: actors.Actor, project: Project, name: str, change: Callable[[Transaction, Template], T]
) -> T:
    def write(tx: Transaction) -> T:
        return change(tx, templates.get(tx, actor, _id(project), name.partition(":")[0]))

    return await core.store.write(write)


def _version(tx: Transaction, actor: actors.Actor, project: Project, named: str) -> tuple[Template, Version]:
    """What `name:version` stands for. Raises NotFound."""
    name, _, number = named.partition(":")
    template = templates.get(tx, actor, _id(project), name)
    return template, templates.version(tx, actor, template, number or LATEST)


async def _read(core: Core, actor: actors.Actor, document: JsonObject, wishes: Wishes | None = None) -> AgentFile:
    """What the file of a template says. Raises BadRequest and Unprocessable."""
    wanted, seal = wishes or Wishes(copy_suffix=False, strip_messages=True), partial(core.vault.seal, actor)
    return bare(await asyncio.to_thread(read_file, document, wanted, seal, core.clock.now()))


def _bare(document: JsonObject) -> JsonObject:
    """A file that makes sense without what is said in it, what is noted, its folders, and the values of secrets."""
    agents: list[JsonObject] = []
    for item in cast("list[JsonObject]", document["agents"]):
        secrets = item.get("secrets") or item.get("tool_exec_environment_variables")
        own = item.get(OWN_KEY)
        agents.append(
            {
                **item,
                "messages": [],
                "in_context_message_ids": [],
                "secrets": None,
                "tool_exec_environment_variables": dict.fromkeys(secrets, "") if isinstance(secrets, Mapping) else {},
                OWN_KEY: {**own, "archive_ids": []} if isinstance(own, Mapping) else {},
            }
        )
    return {**document, "agents": [*agents], "sources": [], "files": [], OWN_KEY: {}}


def _id(project: Project) -> str | None:
    return None if project == DEFAULT else project.id


def _shown(template: Template, project: Project, version: int | None = None) -> WireObject:
    return {
        "id": template.id,
        "name": template.name,
        "project_id": project.id,
        "project_slug": project.slug,
        "latest_version": str(template.latest),
        "description": template.description or "",
        "template_deployment_slug": f"{project.slug}/{template.name}:{template.latest if version is None else version}",
        "updated_at": wire_moment(template.updated_at),
    }


def _done() -> Response:
    return json_answer({"success": True})
