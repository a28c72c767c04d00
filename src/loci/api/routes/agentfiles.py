"""Agent files: an agent as one JSON file that can be kept, moved and shared, and such a file as an agent."""

import asyncio
from functools import partial
from typing import Annotated, Any, cast

import orjson
from fastapi import File, Form, Header, Query, UploadFile
from pydantic import Field
from starlette.responses import Response

from loci.agent.agentfile import exported, import_file
from loci.api.agent_views import embedding_info, model_info
from loci.api.agentfile_in import Wishes, parse, read_file
from loci.api.agentfile_out import wire_file
from loci.api.answers import JSON, json_answer
from loci.api.bodies import new_router, read_json
from loci.api.core import Actor, Core, Services
from loci.api.parameters import AgentId
from loci.api.requests_agents import LIST_MAX, Body, Name
from loci.api.shapes_apart import AgentFileShape, ImportedShape
from loci.api.wire_agents import unknown_model
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.errors import Unprocessable
from loci.types import actor as actors
from loci.types.json import JsonObject

router = new_router("agents")

MAIN_THREAD = "default"


class SkillIn(Body):
    """A skill that goes along."""

    name: Name
    files: dict[str, str] | None = None
    source_url: str | None = None


class ExportIn(Body):
    """What to export with the agent."""

    skills: Annotated[list[SkillIn], Field(max_length=LIST_MAX)] = []  # noqa: RUF012  pydantic copies it
    conversation_id: str | None = None
    scrub_messages: bool = False
    scrub_folders: bool = False


@router.get("/agents/{agent_id}/export", response_model=AgentFileShape)
async def export_agent(  # noqa: PLR0917  one argument for each query parameter
    agent_id: AgentId,
    services: Services,
    actor: Actor,
    conversation_id: str | None = None,
    scrub_messages: bool = False,
    use_legacy_format: Annotated[bool, Query(deprecated=True)] = False,
    max_steps: Annotated[int | None, Query(deprecated=True)] = None,
) -> Response:
    """An agent as a file: its settings, tools, memory, folders, and what was said in its main or the named thread."""
    asked = ExportIn(conversation_id=conversation_id, scrub_messages=scrub_messages)
    return await _exported(services, actor, agent_id, asked)


@router.post("/agents/{agent_id}/export", response_model=AgentFileShape)
async def export_agent_with_skills(
    agent_id: AgentId, services: Services, actor: Actor, body: ExportIn | None = None
) -> Response:
    """An agent as a file, with skills that the client has."""
    return await _exported(services, actor, agent_id, body or ExportIn())


async def _exported(core: Core, actor: actors.Actor, agent_id: str, asked: ExportIn) -> Response:
    document = await file_of(core, actor, agent_id, asked)
    return Response(await asyncio.to_thread(orjson.dumps, document, option=orjson.OPT_INDENT_2), media_type=JSON)


async def file_of(core: Core, actor: actors.Actor, agent_id: str, asked: ExportIn) -> WireObject:
    """The file of an agent. Raises NotFound."""
    thread = None if asked.conversation_id == MAIN_THREAD else asked.conversation_id
    wanted = {"with_messages": not asked.scrub_messages, "with_folders": not asked.scrub_folders}
    found = await core.store.read(exported, actor, agent_id, thread, **wanted)
    model = await model_info(core, actor, found.agent.model) or unknown_model(found.agent)
    embedding = await embedding_info(core, actor, found.agent.embedding)
    skills = [cast("JsonObject", skill.model_dump()) for skill in asked.skills]
    at = wire_moment(core.clock.now())
    return await asyncio.to_thread(wire_file, found, model, embedding, skills=skills, exported_at=at)


@router.post("/agents/import", response_model=ImportedShape)
async def import_agents(  # noqa: PLR0917  one argument for each field of the form
    services: Services,
    actor: Actor,
    file: Annotated[UploadFile, File()],
    append_copy_suffix: Annotated[bool, Form()] = True,
    name: Annotated[str | None, Form(max_length=1_000)] = None,
    override_name: Annotated[str | None, Form(max_length=1_000)] = None,
    override_existing_tools: Annotated[bool, Form()] = True,
    model: Annotated[str | None, Form()] = None,
    override_model_handle: Annotated[str | None, Form()] = None,
    embedding: Annotated[str | None, Form()] = None,
    override_embedding_handle: Annotated[str | None, Form()] = None,
    x_override_embedding_model: Annotated[str | None, Header()] = None,
    project_id: Annotated[str | None, Form()] = None,
    strip_messages: Annotated[bool, Form()] = False,
    secrets: Annotated[str | None, Form()] = None,
    env_vars_json: Annotated[str | None, Form()] = None,
) -> Response:
    """Make the agents that a file holds, all or none. What could not be taken over as it was stands in `warnings`."""
    wishes = Wishes(
        name=name or override_name,
        copy_suffix=append_copy_suffix,
        model=model or override_model_handle,
        embedding=embedding or override_embedding_handle or x_override_embedding_model,
        project_id=project_id,
        strip_messages=strip_messages,
        secrets=_secrets("env_vars_json", env_vars_json) | _secrets("secrets", secrets),
    )
    for handle in filter(None, [wishes.model]):
        await services.models.model(actor, handle)
    for handle in filter(None, [wishes.embedding]):
        await services.models.embedder(actor, handle)
    document = await asyncio.to_thread(parse, await file.read())
    imported = await imported_from(services, actor, document, wishes, override_tools=override_existing_tools)
    return json_answer(imported)


async def imported_from(
    core: Core, actor: actors.Actor, document: JsonObject, wishes: Wishes, *, override_tools: bool
) -> WireObject:
    """Make the agents of a document; their ids, and warnings."""
    read = await asyncio.to_thread(read_file, document, wishes, partial(core.vault.seal, actor), core.clock.now())
    made = await import_file(core.kit, actor, read, override_tools=override_tools, also=core.jobs.wake)
    return {"agent_ids": list(made.agent_ids), "warnings": list(made.warnings)}


def _secrets(field: str, given: str | None) -> dict[str, str]:
    if not given:
        return {}
    value: Any = read_json(given.encode(), field)
    if not isinstance(value, dict):
        raise Unprocessable(f"{field} must be a JSON object of names and values.")
    return {str(key): str(text) for key, text in cast("dict[str, Any]", value).items()}
