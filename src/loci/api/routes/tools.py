"""Tools: stored, described, listed. Code of users never runs in this process."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from fastapi import Depends, Query
from pydantic import Field
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import NewestFirst, ToolId
from loci.api.requests_agents import INTEGER_MAX, Body, LongText, Name, Names
from loci.api.shapes import FoundToolShape, ToolShape
from loci.api.wire_values import wire_tool
from loci.errors import BadRequest
from loci.ids import new_id
from loci.store import tools
from loci.store.base import Transaction
from loci.store.terms import query_terms
from loci.store.tools import ToolFilter
from loci.tools.registry import ensure_builtins
from loci.tools.schema import schema_from_source
from loci.types import actor as actors
from loci.types.json import JsonObject
from loci.types.paging import PAGE_MAX_ROWS, Page
from loci.types.tools import Tool, ToolType

router = new_router("tools")

Objects = Annotated[list[dict[str, Any]], Field(max_length=1_000)]


SourceType = Literal["python", "typescript", "javascript", "json"]


class ToolFields(Body):
    """What a tool may be given."""

    description: LongText | None = None
    tags: Names | None = None
    source_type: SourceType | None = None
    json_schema: dict[str, Any] | None = None
    args_json_schema: dict[str, Any] | None = None
    return_char_limit: Annotated[int, Field(ge=1, le=INTEGER_MAX)] | None = None
    pip_requirements: Objects | None = None
    npm_requirements: Objects | None = None
    default_requires_approval: bool | None = None
    enable_parallel_execution: bool | None = None
    metadata_: dict[str, Any] | None = None


class ToolIn(ToolFields):
    """A tool to be stored."""

    source_code: LongText
    name: Name | None = None


class ToolChangeIn(ToolFields):
    """What a tool shall become; what is not named stays."""

    source_code: LongText | None = None
    name: Name | None = None


def described(body: ToolIn | ToolChangeIn, source_code: str) -> JsonObject:
    """The JSON schema of a tool: as the client gives it, else read from the source. Raises BadRequest."""
    given = body.json_schema
    if given is not None:
        if not isinstance(given.get("name"), str) or not given["name"]:
            raise BadRequest("'json_schema' needs a 'name'.", hint="Send {name, description, parameters}.")
        return cast("JsonObject", given)
    if body.source_type in ("typescript", "javascript"):
        raise BadRequest(
            f"A tool in {body.source_type} needs 'json_schema'.", hint="Send {name, description, parameters}."
        )
    schema = schema_from_source(source_code, body.name)
    parameters = cast("JsonObject", body.args_json_schema or schema.parameters)
    return {"name": schema.name, "description": body.description or schema.description, "parameters": parameters}


def named_fields(body: ToolIn | ToolChangeIn) -> dict[str, Any]:
    """What the body sets of a tool, besides its source and its schema."""
    fields: dict[str, Any] = {
        "tags": None if body.tags is None else tuple(dict.fromkeys(body.tags)),
        "source_type": body.source_type,
        "args_json_schema": body.args_json_schema,
        "return_limit_chars": body.return_char_limit,
        "pip_requirements": None if body.pip_requirements is None else tuple(body.pip_requirements),
        "npm_requirements": None if body.npm_requirements is None else tuple(body.npm_requirements),
        "default_requires_approval": body.default_requires_approval,
        "enable_parallel_execution": body.enable_parallel_execution,
        "metadata": body.metadata_,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _upsert(tx: Transaction, actor: actors.Actor, body: ToolIn, now: datetime) -> Tool:
    schema = described(body, body.source_code)
    name = str(schema["name"])
    stored = tools.by_name(tx, actor, name)
    if stored is not None and stored.tool_type is not ToolType.CUSTOM:
        raise BadRequest(f"'{name}' is a built-in tool.", hint="Give your function another name.")
    base = stored or Tool(id=new_id("tool"), name=name, tool_type=ToolType.CUSTOM, description="", json_schema={})
    tool = replace(
        base,
        description=body.description or str(schema.get("description") or ""),
        json_schema=schema,
        source_code=body.source_code,
        **named_fields(body),
    )
    save = tools.update if stored else tools.insert
    return save(tx, actor, author_of(actor), tool, now)


@router.post("/tools", response_model=ToolShape)
@router.put("/tools", response_model=ToolShape)
async def create_tool(body: ToolIn, services: Services, actor: Actor) -> Response:
    """Store a tool from its source. One of the same name is replaced."""
    return json_answer(wire_tool(await services.store.write(_upsert, actor, body, services.clock.now())))


List = Annotated[list[str] | None, Query()]


async def _chosen(  # noqa: PLR0917  one argument for each query parameter
    name: str | None = None,
    names: List = None,
    tool_ids: List = None,
    search: str | None = None,
    tool_types: List = None,
    exclude_tool_types: List = None,
    return_only_letta_tools: bool = False,
    exclude_letta_tools: bool | None = False,
) -> ToolFilter:
    return ToolFilter(
        name=name,
        names=tuple(names) if names else None,
        tool_ids=tuple(tool_ids) if tool_ids else None,
        search=search,
        tool_types=tuple(tool_types) if tool_types else None,
        exclude_tool_types=tuple(exclude_tool_types) if exclude_tool_types else None,
        letta=True if return_only_letta_tools else False if exclude_letta_tools else None,
    )


Chosen = Annotated[ToolFilter, Depends(_chosen)]


@router.get("/tools", response_model=list[ToolShape])
async def list_tools(services: Services, actor: Actor, page: NewestFirst, chosen: Chosen) -> Response:
    """Tools, the newest first unless asked otherwise."""
    found = await services.store.read(tools.listing, actor, chosen, page)
    return json_answer([wire_tool(tool) for tool in found])


@router.get("/tools/count", response_model=int)
async def count_tools(services: Services, actor: Actor, chosen: Chosen) -> Response:
    """How many tools there are."""
    return json_answer(await services.store.read(tools.count, actor, chosen))


class ToolSearchIn(Body):
    """What to look for among tools."""

    query: Name | None = None
    tool_types: Names | None = None
    tags: Names | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    search_mode: str | None = None


@router.post("/tools/search", response_model=list[FoundToolShape])
async def search_tools(body: ToolSearchIn, services: Services, actor: Actor) -> Response:
    """Find tools by the words of their names and descriptions: those with the most words of the query first."""
    chosen = ToolFilter(tool_types=tuple(body.tool_types) if body.tool_types else None)
    found = await services.store.read(tools.listing, actor, chosen, Page(limit_rows=PAGE_MAX_ROWS))
    terms, tags = query_terms(body.query or ""), set(body.tags or ())
    # A word of the name counts twice.
    told = {tool.id: (tool.name.lower(), f"{tool.name} {tool.description}".lower()) for tool in found}
    counts = {key: sum(term.text in text for term in terms for text in texts) for key, texts in told.items()}
    hits = [tool for tool in found if (counts[tool.id] or not body.query) and (not tags or tags & set(tool.tags))]
    hits.sort(key=lambda tool: -counts[tool.id])
    return json_answer(
        [
            {
                "tool": wire_tool(tool),
                "embedded_text": None,
                "fts_rank": n,
                "vector_rank": None,
                "combined_score": 1.0 / n,
            }
            for n, tool in enumerate(hits[: body.limit], 1)
        ]
    )


@router.post("/tools/add-base-tools", response_model=list[ToolShape])
async def add_base_tools(services: Services, actor: Actor) -> Response:
    """Store the built-in tools, should any be missing."""
    now = services.clock.now()
    await services.store.write(ensure_builtins, actor, author_of(actor), services.builtins, now)
    chosen = ToolFilter(letta=True)
    found = await services.store.read(tools.listing, actor, chosen, Page(limit_rows=1_000))
    return json_answer([wire_tool(tool) for tool in found])


@router.get("/tools/{tool_id}", response_model=ToolShape)
async def retrieve_tool(tool_id: ToolId, services: Services, actor: Actor) -> Response:
    """One tool."""
    return json_answer(wire_tool(await services.store.read(tools.get, actor, tool_id)))


@router.patch("/tools/{tool_id}", response_model=ToolShape)
async def modify_tool(tool_id: ToolId, body: ToolChangeIn, services: Services, actor: Actor) -> Response:
    """Change a tool. Its schema follows its source, unless the body gives one."""

    def change(tx: Transaction) -> Tool:
        tool = tools.get(tx, actor, tool_id)
        fields = named_fields(body)
        if body.source_code is not None or body.json_schema is not None:
            if tool.tool_type is not ToolType.CUSTOM:
                raise BadRequest(f"'{tool.name}' comes with the server.", hint="Store your own under another name.")
            schema = described(body, body.source_code or tool.source_code or "")
            fields |= {
                "json_schema": schema,
                "name": str(schema["name"]),
                "description": str(schema.get("description") or tool.description),
            }
            fields["source_code"] = body.source_code or tool.source_code
        if body.description is not None:
            fields["description"] = body.description
        return tools.update(tx, actor, author_of(actor), replace(tool, **fields), services.clock.now())

    return json_answer(wire_tool(await services.store.write(change)))


@router.delete("/tools/{tool_id}")
async def delete_tool(tool_id: ToolId, services: Services, actor: Actor) -> Response:
    """Forget a tool and take it off every agent."""
    await services.store.write(tools.delete, actor, author_of(actor), tool_id, services.clock.now())
    return json_answer(None)
