"""Agents: made, listed, read, changed, forgotten; and their tools."""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, cast

from fastapi import Depends, Query
from pydantic import AliasChoices, Field
from starlette.responses import Response

from loci.agent import creating, updating
from loci.agent.updating import AgentChange
from loci.api.agent_views import embedding_info, model_info, wire_agents, wire_one
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import (
    AgentId,
    Attached,
    Cursor,
    Included,
    Limit,
    Order,
    OrderBy,
    People,
    ToolId,
    page,
    page_of,
)
from loci.api.requests_agents import AgentChangeIn, AgentFields, AgentIn, Body, merged_settings
from loci.api.shapes import MessageShape, ToolRunShape, ToolShape
from loci.api.shapes_agents import AgentShape
from loci.api.tool_runs import run_tool
from loci.api.wire_agents import AgentView, wire_agent
from loci.api.wire_values import wire_tool
from loci.errors import Busy, Conflict, Forbidden, Unprocessable
from loci.store import agents, groups, runs, tools
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.agents import Agent
from loci.types.json import JsonObject
from loci.types.runs import Run

router = new_router("agents")

Tags = Annotated[list[str] | None, Query()]
_ENDING_TRIES = 20
"""How often the runs of a doomed agent are ended that began since it was last tried."""


def _filter(  # noqa: PLR0917  one argument for each query parameter
    attached_to: People,
    name: str | None = None,
    tags: Tags = None,
    match_all_tags: bool = False,
    query_text: str | None = None,
    project_id: str | None = None,
    template_id: str | None = None,
    base_template_id: str | None = None,
    last_stop_reason: str | None = None,
    created_by_id: str | None = None,
    show_hidden_agents: bool = False,
) -> AgentFilter:
    return AgentFilter(
        name=name,
        tags=tuple(tags) if tags else None,
        match_all_tags=match_all_tags,
        query_text=query_text,
        project_id=project_id,
        template_id=template_id,
        base_template_id=base_template_id,
        attached_to=attached_to,
        last_stop_reason=last_stop_reason,
        created_by=created_by_id,
        show_hidden=show_hidden_agents,
    )


Chosen = Annotated[AgentFilter, Depends(_filter)]


@router.get("/agents", response_model=list[AgentShape])
async def list_agents(  # noqa: PLR0917  one argument for each query parameter
    services: Services,
    actor: Actor,
    included: Included,
    chosen: Chosen,
    before: Cursor = None,
    after: Cursor = None,
    limit: Limit = None,
    order: Order | None = None,
    ascending: bool = False,
    order_by: OrderBy | None = None,
    sort_by: OrderBy | None = None,
) -> Response:
    """Agents, the newest first unless asked otherwise."""
    wanted = page(before, after, limit, order or ("asc" if ascending else "desc"))
    by = order_by or sort_by or "created_at"
    found = await services.store.read(agents.listing, actor, chosen, wanted, order_by=by)
    return json_answer(await wire_agents(services, actor, found, included))


@router.post("/agents", response_model=AgentShape)
async def create_agent(body: AgentIn, services: Services, actor: Actor) -> Response:
    """Make an agent."""
    sealed = sealed_secrets(services, actor, body)
    made = await creating.create(services.kit, actor, body.new_agent(sealed or {}))
    if body.folders():
        return json_answer(await wire_one(services, actor, made.agent.id))
    view = AgentView(
        agent=made.agent,
        blocks=made.blocks,
        tools=made.tools,
        message_ids=made.message_ids,
        identity_ids=[identity.id for identity in made.identities],
        identities=made.identities,
        group=made.group,
        secrets=body.environment() or {},
        model=await model_info(services, actor, made.agent.model),
        embedding=await embedding_info(services, actor, made.agent.embedding),
    )
    return json_answer(wire_agent(view))


@router.get("/agents/count", response_model=int)
async def count_agents(services: Services, actor: Actor, chosen: Chosen) -> Response:
    """How many agents there are."""
    return json_answer(await services.store.read(agents.count, actor, chosen))


@router.get("/agents/{agent_id}", response_model=AgentShape)
async def retrieve_agent(agent_id: AgentId, services: Services, actor: Actor, included: Included) -> Response:
    """One agent."""
    return json_answer(await wire_one(services, actor, agent_id, included))


@router.patch("/agents/{agent_id}", response_model=AgentShape)
async def modify_agent(agent_id: AgentId, body: AgentChangeIn, services: Services, actor: Actor) -> Response:
    """Change an agent; what is not named stays."""
    if actor.limited and any(getattr(body, name) is not None for name in _HELD):
        raise Forbidden("A token cannot change what an agent holds.", hint="A key of a user can.")
    handle = body.handle()
    if handle is not None:
        await services.models.model(actor, handle)
    if body.embedding is not None:
        await services.models.embedder(actor, body.embedding)
    sealed = sealed_secrets(services, actor, body)
    change = AgentChange(
        agent_id=agent_id,
        become=lambda agent: _changed(agent, body, sealed),
        tool_ids=None if body.tool_ids is None else tuple(body.tool_ids),
        block_ids=None if body.block_ids is None else tuple(body.block_ids),
        identity_ids=None if body.identity_ids is None else tuple(body.identity_ids),
        folder_ids=body.folders(),
        message_ids=None if body.message_ids is None else tuple(body.message_ids),
    )
    await services.store.write(updating.update, actor, change, now=services.clock.now())
    return json_answer(await wire_one(services, actor, agent_id))


def sealed_secrets(core: Core, actor: actors.Actor, body: AgentFields) -> JsonObject | None:
    """Secrets as they are kept; None when the body has none."""
    plain = body.environment()
    return None if plain is None else {key: core.vault.seal(actor, key, text) for key, text in plain.items()}


_HELD = ("tool_ids", "block_ids", "identity_ids", "folder_ids", "source_ids")
_PLAIN = (
    "name",
    "system",
    "description",
    "metadata",
    "embedding",
    "response_format",
    "timezone",
    "message_buffer_autoclear",
    "enable_sleeptime",
    "hidden",
    "max_files_open",
    "project_id",
    "template_id",
    "base_template_id",
)
_NULLABLE = frozenset({"description", "response_format", "embedding", "hidden", "enable_sleeptime"})


def _changed(current: Agent, body: AgentChangeIn, sealed: JsonObject | None) -> Agent:
    """The agent with what the body names. Null means: not named, except where nothing is a value."""
    given = {name: getattr(body, name) for name in _PLAIN if name in body.model_fields_set}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None or name in _NULLABLE}
    if handle := body.handle():
        fields["model"] = handle
    if window := body.window_tokens():
        fields["context_window_tokens"] = window
    if body.tags is not None:
        fields["tags"] = tuple(dict.fromkeys(body.tags))
    if body.per_file_view_window_char_limit is not None:
        fields["per_file_view_window_limit_chars"] = body.per_file_view_window_char_limit
    if body.compaction_settings is not None:
        fields["compaction_settings"] = body.compaction_settings.settings()
    if (rules := body.rules()) is not None:
        fields["tool_rules"] = rules
    if sealed is not None:
        fields["tool_exec_environment"] = sealed
    return replace(current, model_settings=merged_settings(current.model_settings, body), **fields)


@router.delete("/agents/{agent_id}", response_model=MessageShape)
async def delete_agent(agent_id: AgentId, services: Services, actor: Actor) -> Response:
    """Forget an agent with its messages, and its sleep-time agent. Its blocks, tools and archives stay."""
    await forget_agent(services, actor, agent_id)
    return json_answer({"message": f"Agent id={agent_id} successfully deleted"})


async def forget_agent(core: Core, actor: actors.Actor, agent_id: str) -> None:
    """End what the agent does, and delete it and what is there for it alone. Raises NotFound, Busy."""
    ended: set[str] = set()

    def forget(tx: Transaction) -> tuple[list[str], list[Run]]:
        gone = [agent_id, *groups.companions(tx, actor, agent_id)]
        under_way = [run for doomed in gone for run in runs.active_of_agent(tx, actor, doomed) if run.id not in ended]
        for doomed in () if under_way else gone:
            agents.delete(tx, actor, creating.author_of(actor), doomed, core.clock.now())
        return gone, under_way

    for _ in range(_ENDING_TRIES):
        gone, under_way = await core.store.write(forget)
        if not under_way:
            for deleted in gone:
                await core.memfs.forget(deleted)
            return
        for run in under_way:
            with suppress(Conflict):  # it ended by itself
                await core.runs.cancel(actor, run.agent_id, run_ids=[run.id])
            ended.add(run.id)
    raise Busy("Runs of the agent begin faster than they can be ended.")


@router.get("/agents/{agent_id}/tools", response_model=list[ToolShape])
async def list_agent_tools(agent_id: AgentId, services: Services, actor: Actor, wanted: Attached) -> Response:
    """The tools of an agent, in the order of attachment."""
    await services.store.read(agents.get, actor, agent_id)
    found = await services.store.read(tools.tools_of_agent, actor, agent_id)
    return json_answer([wire_tool(tool) for tool in page_of(found, wanted)])


@router.patch("/agents/{agent_id}/tools/attach/{tool_id}", response_model=AgentShape)
async def attach_tool(agent_id: AgentId, tool_id: ToolId, services: Services, actor: Actor) -> Response:
    """Give a tool to an agent."""
    await services.store.write(updating.attach_tool, actor, agent_id, tool_id, now=services.clock.now())
    return json_answer(await wire_one(services, actor, agent_id))


@router.patch("/agents/{agent_id}/tools/detach/{tool_id}", response_model=AgentShape)
async def detach_tool(agent_id: AgentId, tool_id: ToolId, services: Services, actor: Actor) -> Response:
    """Take a tool off an agent."""
    await services.store.write(updating.detach_tool, actor, agent_id, tool_id, now=services.clock.now())
    return json_answer(await wire_one(services, actor, agent_id))


class ApprovalIn(Body):
    """Whether to ask. The TypeScript client sends the name that the field has among its own parameters."""

    requires_approval: bool | None = Field(
        default=None, validation_alias=AliasChoices("requires_approval", "body_requires_approval")
    )


@router.patch("/agents/{agent_id}/tools/approval/{tool_name}", response_model=AgentShape)
async def modify_approval(
    agent_id: AgentId,
    tool_name: str,
    services: Services,
    actor: Actor,
    body: ApprovalIn | None = None,
    requires_approval: Annotated[bool | None, Query(deprecated=True)] = None,
) -> Response:
    """Say whether a person is asked before this tool of an agent runs; what the body says counts."""
    now, asks = services.clock.now(), requires_approval
    if body is not None and body.requires_approval is not None:
        asks = body.requires_approval
    if asks is None:
        raise Unprocessable("Say whether to ask.", hint='Send {"requires_approval": true} or false.')
    await services.store.write(updating.set_approval, actor, agent_id, tool_name, asks=asks, now=now)
    return json_answer(await wire_one(services, actor, agent_id))


class ToolRunIn(Body):
    """Arguments for a tool."""

    args: dict[str, Any] = Field(default_factory=dict)


@router.post("/agents/{agent_id}/tools/{tool_name}/run", response_model=ToolRunShape)
async def run_agent_tool(
    agent_id: AgentId, tool_name: str, body: ToolRunIn, services: Services, actor: Actor
) -> Response:
    """Run a tool of an agent, as the agent would."""
    return json_answer(await run_tool(services, actor, agent_id, tool_name, cast("JsonObject", body.args)))
