"""Tools from source before they are stored: described, tried, written by a model. What runs, runs in the sandbox."""

from typing import Annotated, Any, cast

from fastapi import Body as FromBody
from pydantic import Field
from starlette.responses import Response

from loci.agent.toolwriting import Wish, write_tool
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.requests_agents import Body, LongText, Name, Names, Secret
from loci.api.routes.tools import ToolIn, described, named_fields
from loci.api.shapes import SchemaShape, ToolReturnShape, WrittenToolShape
from loci.api.tool_runs import try_source
from loci.api.wire_values import wire_tool
from loci.errors import BadRequest
from loci.ids import new_id
from loci.tools.schema import schema_from_source
from loci.types.json import JsonObject
from loci.types.tools import Tool, ToolType

router = new_router("tools")


class RunIn(ToolIn):
    """A tool to be tried."""

    args: dict[str, Any] = Field(default_factory=dict)
    env_vars: dict[Secret, LongText] = Field(default_factory=dict)


def _unstored(body: ToolIn) -> Tool:
    schema = described(body, body.source_code)
    return Tool(
        id=new_id("tool"),
        name=str(schema["name"]),
        tool_type=ToolType.CUSTOM,
        description=str(schema.get("description") or ""),
        json_schema=schema,
        source_code=body.source_code,
        **named_fields(body),
    )


@router.post("/tools/run", response_model=ToolReturnShape)
async def run_source(body: RunIn, services: Services, actor: Actor) -> Response:
    """Try a tool from its source; nothing is stored."""
    args = cast("JsonObject", body.args)
    return json_answer(await try_source(services, actor, _unstored(body), args, body.env_vars))


class SourceIn(Body):
    """Source of a tool."""

    code: LongText
    source_type: str | None = None


@router.post("/tools/generate-schema", response_model=SchemaShape)
async def generate_schema(body: Annotated[SourceIn, FromBody()]) -> Response:
    """The JSON schema of a tool from its source, which is read and not run."""
    if (body.source_type or "python") != "python":
        raise BadRequest("Schemas are read from Python only.", hint="Write 'json_schema' yourself.")
    schema = schema_from_source(body.code)
    return json_answer({"name": schema.name, "description": schema.description, "parameters": schema.parameters})


class WishIn(Body):
    """What a tool shall do."""

    tool_name: Name
    prompt: LongText
    validation_errors: Names
    starter_code: LongText | None = None
    handle: Name | None = None


@router.post("/tools/generate-tool", response_model=WrittenToolShape)
async def generate_tool(body: WishIn, services: Services, actor: Actor) -> Response:
    """Let the default model, or the one named by `handle`, write a tool. It is not stored and not run."""
    wish = Wish(
        name=body.tool_name,
        prompt=body.prompt,
        starter_code=body.starter_code,
        faults=body.validation_errors,
        handle=body.handle,
    )
    written = await write_tool(services.kit, actor, wish)
    schema = written.schema
    tool = Tool(
        id=new_id("tool"),
        name=schema.name,
        tool_type=ToolType.CUSTOM,
        description=schema.description,
        json_schema={"name": schema.name, "description": schema.description, "parameters": schema.parameters},
        source_code=written.source,
    )
    return json_answer({"tool": wire_tool(tool), "sample_args": written.sample_args, "response": written.answer})
