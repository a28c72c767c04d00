"""Groups of agents as rows: who belongs to them, and in which thread each talks with the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loci.store.base import Params, Transaction
from loci.store.page import Where
from loci.store.rows import Record, dump, integer, text, within
from loci.types.actor import Actor
from loci.types.groups import Group
from loci.types.paging import Page

_MEMBERS = """(select json_group_array(m.agent_id) from (
    select agent_id from group_agents where group_id = g.id order by position) m)"""
_ROWS = Record(Group, "agent_groups", "g", missing="Group {} not found.", found={"agent_ids": _MEMBERS})
LED_BY = f"""{_ROWS.select}
and g.manager_agent_id in (select value from json_each(:agent_ids)) order by g.created_at, g.id"""
_SLEEPS = "('sleeptime', 'voice_sleeptime')"
UPDATE = _ROWS.changing()
DELETE = "delete from agent_groups where id = :id and organization_id = :organization_id"
INSERT_MEMBER = """
insert into group_agents (group_id, agent_id, organization_id, project_id, position)
values (:id, :agent_id, :organization_id, :project_id, :position)"""
DELETE_MEMBERS = "delete from group_agents where group_id = :id and organization_id = :organization_id"
COUNT_TURN = f"""
update agent_groups set turns_counter = case
    when coalesce(turns_counter, 0) + 1 >= coalesce(sleeptime_agent_frequency, max_message_buffer_length / 2, 1) then 0
    else coalesce(turns_counter, 0) + 1 end
where manager_agent_id = :agent_id and organization_id = :organization_id and manager_type in {_SLEEPS}
returning id, turns_counter"""
ADVANCE = """
update agent_groups set last_processed_message_id = :message_id
where id = :id and organization_id = :organization_id"""
COMPANIONS = f"""
select a.id from agents a join group_agents m on m.agent_id = a.id join agent_groups g on g.id = m.group_id
where g.manager_agent_id = :agent_id and g.organization_id = :organization_id and g.manager_type in {_SLEEPS}
    and a.agent_type in ('sleeptime_agent', 'voice_sleeptime_agent')
    and (select count(*) from group_agents o where o.agent_id = a.id) = 1"""
THREADS = """
select agent_id, conversation_id from group_threads where group_id = :id and organization_id = :organization_id"""
SET_THREAD = """
insert into group_threads (group_id, agent_id, conversation_id, organization_id, project_id)
values (:id, :agent_id, :conversation_id, :organization_id, :project_id)
on conflict (group_id, agent_id) do update set conversation_id = excluded.conversation_id"""


get = _ROWS.get


def insert(tx: Transaction, actor: Actor, group: Group, now: datetime) -> None:
    """Store a new group with its members."""
    _ROWS.insert(tx, actor, group, now)
    _set_members(tx, actor, group)


def update(tx: Transaction, actor: Actor, group: Group) -> None:
    """Store what a group has become."""
    tx.run(UPDATE, _ROWS.params(actor, group))
    tx.run(DELETE_MEMBERS, within(actor, id=group.id))
    _set_members(tx, actor, group)


def _set_members(tx: Transaction, actor: Actor, group: Group) -> None:
    rows: list[Params] = [
        within(actor, id=group.id, agent_id=agent_id, position=position)
        for position, agent_id in enumerate(dict.fromkeys(group.agent_ids))
    ]
    if rows:
        tx.many(INSERT_MEMBER, rows)


def delete(tx: Transaction, actor: Actor, group_id: str) -> None:
    """Forget a group; its agents and what they said stay."""
    tx.run(DELETE, within(actor, id=group_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFilter:
    """Which groups to list. None means any; hidden ones are left out."""

    manager_type: str | None = None
    project_id: str | None = None
    agent_id: str | None = None
    """Those that this agent manages or is a member of."""


def listing(tx: Transaction, actor: Actor, chosen: GroupFilter, page: Page) -> list[Group]:
    """One page of groups. Raises NotFound for a cursor that is not a group."""
    return _ROWS.page(tx, actor, _where(actor, chosen), page)


def count(tx: Transaction, actor: Actor) -> int:
    """How many groups there are."""
    return _ROWS.count(tx, _where(actor, GroupFilter()))


def _where(actor: Actor, chosen: GroupFilter) -> Where:
    where = _ROWS.where(actor).also("coalesce(g.hidden, 0) = 0")
    where.equal("g.", manager_type=chosen.manager_type).in_project("g.project_id", chosen.project_id)
    member = "select 1 from group_agents m where m.group_id = g.id and m.agent_id = :agent_id"
    return where.also(f"(g.manager_agent_id = :agent_id or exists ({member}))", agent_id=chosen.agent_id)


def led_by(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, Group]:
    """The group that each of these agents manages, by agent: the one for its sleep before any other."""
    led = _ROWS.all(tx, LED_BY, within(actor, agent_ids=dump(list(agent_ids))))
    found = sorted(led, key=lambda group: group.manager_type.sleeps)
    return {group.manager_agent_id: group for group in found if group.manager_agent_id is not None}


def count_turn(tx: Transaction, actor: Actor, agent_id: str) -> list[str]:
    """Note that an agent has done a turn; the ids of the groups whose sleep-time agents are to work now."""
    rows = tx.all(COUNT_TURN, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return [text(row, "id") for row in rows if integer(row, "turns_counter") == 0]


def advance(tx: Transaction, actor: Actor, group_id: str, message_id: str) -> None:
    """Note what the sleep-time agents of a group have read up to."""
    tx.run(ADVANCE, {"id": group_id, "message_id": message_id, "organization_id": actor.organization_id})


def companions(tx: Transaction, actor: Actor, agent_id: str) -> list[str]:
    """The sleep-time agents that are there for this agent alone."""
    rows = tx.all(COMPANIONS, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return [text(row, "id") for row in rows]


def threads(tx: Transaction, actor: Actor, group_id: str) -> Mapping[str, str]:
    """The conversations in which the agents of a group talk, by agent."""
    rows = tx.all(THREADS, {"id": group_id, "organization_id": actor.organization_id})
    return {text(row, "agent_id"): text(row, "conversation_id") for row in rows}


def set_thread(tx: Transaction, actor: Actor, group_id: str, agent_id: str, conversation_id: str) -> None:
    """Choose the conversation in which an agent talks with the others."""
    tx.run(SET_THREAD, within(actor, id=group_id, agent_id=agent_id, conversation_id=conversation_id))
