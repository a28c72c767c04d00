"""Groups of agents: made, listed, changed, forgotten; their shared blocks and messages."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import Field
from starlette.responses import Response

from loci.agent import grouping
from loci.agent.rounds import Turns
from loci.api.answers import heard, json_answer, wire_failed
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.message_edits import EditIn, edited
from loci.api.message_pages import MessagePage, wire_page
from loci.api.parameters import AgentId, BlockId, GroupId, MessageId, NewestFirst, OldestFirst
from loci.api.requests_agents import Body, LongText, Name
from loci.api.routes.messages import AskedPage, AskedView
from loci.api.shapes import MessageShape
from loci.api.shapes_agents import GroupShape
from loci.api.sse import EventStream, Tell, told
from loci.api.wire_events import RunTeller, Telling, wire_answer
from loci.api.wire_groups import group_request, wire_group
from loci.api.wire_messages import View, WireObject
from loci.api.wire_requests import SendIn, telling_of, view_of
from loci.errors import Unprocessable
from loci.ids import new_id
from loci.store import agents, groups
from loci.store.base import Transaction
from loci.store.groups import GroupFilter
from loci.store.messages import MessageFilter
from loci.types import actor as actors
from loci.types.agents import Agent
from loci.types.events import RunEnded
from loci.types.groups import MEMBERS_MAX, TURNS_MAX, Group, GroupType
from loci.types.json import JsonObject
from loci.types.usage import Usage

router = new_router("groups")

BLOCKS_MAX = 100
FREQUENCY_MAX = 10_000

Members = Annotated[list[Name], Field(max_length=MEMBERS_MAX)]
Blocks = Annotated[list[Name], Field(max_length=BLOCKS_MAX)]
Often = Annotated[int, Field(ge=1, le=FREQUENCY_MAX)]


class LeadIn(Body):
    """Who decides which agent speaks next. Which fields mean something depends on the type."""

    manager_type: GroupType = GroupType.ROUND_ROBIN
    manager_agent_id: Name | None = None
    max_turns: Annotated[int, Field(ge=1, le=TURNS_MAX)] | None = None
    termination_token: Name | None = None
    sleeptime_agent_frequency: Often | None = None
    max_message_buffer_length: Often | None = None
    min_message_buffer_length: Often | None = None


class GroupChangeIn(Body):
    """What a group shall become; what is not named stays."""

    agent_ids: Members | None = None
    description: LongText | None = None
    manager_config: LeadIn | None = None
    shared_block_ids: Blocks | None = None
    hidden: bool | None = None
    project_id: Name | None = None

    def changed(self, group: Group) -> Group:
        """The group with what is named."""
        fields: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("description", "hidden", "project_id")
            if getattr(self, name) is not None
        }
        for name in ("agent_ids", "shared_block_ids"):
            if (ids := getattr(self, name)) is not None:
                fields[name] = tuple(dict.fromkeys(ids))
        if self.manager_config is not None:
            given = self.manager_config.model_fields_set - ({"manager_agent_id"} if group.manager_agent_id else set())
            fields |= {name: getattr(self.manager_config, name) for name in given}
            fields["manager_agent_id"] = self.manager_config.manager_agent_id or group.manager_agent_id
        return replace(group, **fields)


class GroupIn(GroupChangeIn):
    """A group to be made."""

    agent_ids: Members  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]  a new one needs it
    description: LongText  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]  likewise


@router.get("/groups", response_model=list[GroupShape])
async def list_groups(
    services: Services,
    actor: Actor,
    page: OldestFirst,
    manager_type: GroupType | None = None,
    project_id: str | None = None,
) -> Response:
    """Groups, the oldest first unless asked otherwise."""
    chosen = GroupFilter(manager_type=manager_type, project_id=project_id)
    found = await services.store.read(groups.listing, actor, chosen, page)
    return json_answer([wire_group(group) for group in found])


@router.post("/groups", response_model=GroupShape)
async def create_group(body: GroupIn, services: Services, actor: Actor) -> Response:
    """Make a group of agents that are there."""
    group = body.changed(Group(id=new_id("group")))
    return json_answer(wire_group(await services.store.write(grouping.create, actor, group, services.clock.now())))


@router.get("/groups/count", response_model=int)
async def count_groups(services: Services, actor: Actor) -> Response:
    """How many groups there are."""
    return json_answer(await services.store.read(groups.count, actor))


@router.get("/groups/{group_id}", response_model=GroupShape)
async def retrieve_group(group_id: GroupId, services: Services, actor: Actor) -> Response:
    """One group."""
    return json_answer(wire_group(await services.store.read(groups.get, actor, group_id)))


@router.patch("/groups/{group_id}", response_model=GroupShape)
async def modify_group(group_id: GroupId, body: GroupChangeIn, services: Services, actor: Actor) -> Response:
    """Change a group; what is not named stays."""
    now = services.clock.now()
    return json_answer(wire_group(await services.store.write(grouping.change, actor, group_id, body.changed, now)))


@router.delete("/groups/{group_id}", response_model=MessageShape)
async def delete_group(group_id: GroupId, services: Services, actor: Actor) -> Response:
    """Forget a group. Its agents and what they said stay."""
    await services.store.write(grouping.delete, actor, group_id, services.clock.now())
    return json_answer({"message": f"Group id={group_id} successfully deleted"})


@router.post("/groups/{group_id}/messages")
async def send_group_message(group_id: GroupId, body: SendIn, services: Services, actor: Actor) -> Response:
    """Say something to a group and get all that its agents say: whole, or as a stream with `streaming`."""
    return await _send(services, actor, group_id, body, streaming=body.streaming is True)


@router.post("/groups/{group_id}/messages/stream")
async def stream_group_message(group_id: GroupId, body: SendIn, services: Services, actor: Actor) -> Response:
    """Say something to a group and get all that its agents say as a stream: one run after the other."""
    return await _send(services, actor, group_id, body, streaming=True)


async def _send(services: Core, actor: actors.Actor, group_id: str, body: SendIn, *, streaming: bool) -> Response:
    wanted = body.model_copy(update={"streaming": streaming}).model_dump(
        exclude={"agent_id"}, exclude_unset=True, mode="json"
    )
    asked, now = cast("JsonObject", wanted), services.clock.now
    request = group_request(asked)
    if not request.messages or request.approvals:
        raise Unprocessable("Say something to the group; calls of a tool are answered in the thread of their agent.")
    talk = await services.rounds.talk(actor, group_id, asked)
    if streaming:
        return EventStream(_told(talk, now), services.clock, None)
    said: list[WireObject] = []
    ends: list[RunEnded] = []
    async with aclosing(talk):
        async for agent, live in talk:
            teller = RunTeller(live.run.id, Telling(view=view_of(live.run)), now)
            items, end = await heard(live, _naming(agent, teller))
            said += items
            ends.append(end)
    if ends[-1].ending.error_type is not None and not said:
        return wire_failed(ends[-1].ending)
    usage, steps = sum((end.usage for end in ends), Usage()), sum(end.step_count for end in ends)
    return json_answer(wire_answer(replace(ends[-1], usage=usage, step_count=steps), said))


async def _told(talk: Turns, now: Callable[[], datetime]) -> AsyncGenerator[bytes]:
    async with aclosing(talk):
        async for agent, live in talk:
            teller = RunTeller(live.run.id, telling_of(live.run, thinks_in_calls=live.thinks_in_calls), now)
            async with aclosing(told(live, _naming(agent, teller))) as writes:
                async for piece in writes:
                    yield piece


def _naming(agent: Agent, teller: RunTeller) -> Tell:
    """Tells a run, and who says what in it."""
    who: WireObject = {"name": agent.name, "sender_id": agent.id}
    return lambda event: [item | who if "sender_id" in item else item for item in teller.tell(event)]


@router.get("/groups/{group_id}/messages")
async def list_group_messages(
    group_id: GroupId, services: Services, actor: Actor, page: AskedPage, view: AskedView
) -> Response:
    """What the agents of a group said to each other, the newest first unless asked otherwise."""
    return json_answer(await services.store.read(_said, actor, group_id, page.in_order("desc"), view))


def _said(tx: Transaction, actor: actors.Actor, group_id: str, page: MessagePage, view: View) -> list[WireObject]:
    places = grouping.threads(tx, actor, groups.get(tx, actor, group_id))
    return wire_page(tx, actor, MessageFilter(conversation_ids=tuple(places.values())), page, view)


@router.patch("/groups/{group_id}/messages/{message_id}")
async def modify_group_message(
    group_id: GroupId, message_id: MessageId, body: EditIn, services: Services, actor: Actor
) -> Response:
    """Change what a message of an agent of the group says."""
    group = await services.store.read(groups.get, actor, group_id)
    return await edited(services, actor, {*group.agent_ids, group.manager_agent_id or ""}, message_id, body)


@router.patch("/groups/{group_id}/reset-messages")
async def reset_group_messages(group_id: GroupId, services: Services, actor: Actor) -> None:
    """Empty the windows of a group. What was said stays in recall memory."""
    await services.store.write(grouping.reset_messages, actor, group_id, services.clock.now())


@router.patch("/groups/{group_id}/blocks/attach/{block_id}")
async def attach_group_block(group_id: GroupId, block_id: BlockId, services: Services, actor: Actor) -> None:
    """Put a block into the prompts of all members of a group."""
    await services.store.write(grouping.attach_block, actor, group_id, block_id, services.clock.now())


@router.patch("/groups/{group_id}/blocks/detach/{block_id}")
async def detach_group_block(group_id: GroupId, block_id: BlockId, services: Services, actor: Actor) -> None:
    """Take a block off all members of a group; the block stays."""
    await services.store.write(grouping.detach_block, actor, group_id, block_id, services.clock.now())


@router.get("/agents/{agent_id}/groups", response_model=list[GroupShape])
async def list_agent_groups(
    agent_id: AgentId, services: Services, actor: Actor, page: NewestFirst, manager_type: GroupType | None = None
) -> Response:
    """The groups that an agent belongs to or manages."""
    await services.store.read(agents.get, actor, agent_id)
    chosen = GroupFilter(agent_id=agent_id, manager_type=manager_type)
    found = await services.store.read(groups.listing, actor, chosen, page)
    return json_answer([wire_group(group) for group in found])
