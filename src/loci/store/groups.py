"""Groups of agents as rows: who belongs to them, and in which thread each talks with the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from loci.errors import NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import page_clause
from loci.store.rows import bit, dump, integer, load_texts, maybe_flag, maybe_moment, text, time_text
from loci.types.actor import Actor
from loci.types.groups import Group, GroupType
from loci.types.paging import Page

_SAME = (
    "manager_agent_id, description, max_turns, termination_token, sleeptime_agent_frequency, turns_counter, "
    "last_processed_message_id, max_message_buffer_length, min_message_buffer_length, project_id, template_id, "
    "base_template_id, deployment_id"
)
_PLAIN = _SAME.split(", ")
"""Columns that hold what the fields of these names hold."""
_SET = ["manager_type", "shared_block_ids", "hidden", *_PLAIN]
_NAMES = ["id", "created_at", *_SET]
_MEMBERS = """(select json_group_array(m.agent_id) from (
    select agent_id from group_agents where group_id = g.id order by position) m) as agent_ids"""
_OURS = f"""
select {", ".join(f"g.{name}" for name in _NAMES)}, {_MEMBERS}
from agent_groups g where g.organization_id = :organization_id"""
BY_ID = _OURS + " and g.id = :id"
LED_BY = _OURS + " and g.manager_agent_id in (select value from json_each(:agent_ids)) order by g.created_at, g.id"
_SLEEPS = "('sleeptime', 'voice_sleeptime')"
INSERT = f"""
insert into agent_groups (organization_id, {", ".join(_NAMES)})
values (:organization_id, {", ".join(f":{name}" for name in _NAMES)})"""
UPDATE = f"""
update agent_groups set {", ".join(f"{name} = :{name}" for name in _SET)}
where id = :id and organization_id = :organization_id"""
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


def from_row(row: Row) -> Group:
    """A stored group."""
    plain = cast("dict[str, Any]", {name: row[name] for name in ("id", *_PLAIN)})
    return Group(
        manager_type=GroupType(text(row, "manager_type")),
        agent_ids=load_texts(row["agent_ids"]),
        shared_block_ids=load_texts(row["shared_block_ids"]),
        hidden=maybe_flag(row, "hidden"),
        created_at=maybe_moment(row, "created_at"),
        **plain,
    )


def _params(actor: Actor, group: Group) -> dict[str, SqlValue]:
    plain: dict[str, SqlValue] = {name: getattr(group, name) for name in _PLAIN}
    return plain | {
        "id": group.id,
        "organization_id": actor.organization_id,
        "project_id": group.project_id or actor.project_id,
        "manager_type": group.manager_type.value,
        "shared_block_ids": dump(group.shared_block_ids),
        "hidden": bit(group.hidden),
    }


def _place(actor: Actor, group_id: str) -> dict[str, SqlValue]:
    return {"id": group_id, "organization_id": actor.organization_id, "project_id": actor.project_id}


def insert(tx: Transaction, actor: Actor, group: Group, now: datetime) -> None:
    """Store a new group with its members."""
    tx.run(INSERT, {**_params(actor, group), "created_at": time_text(now)})
    _set_members(tx, actor, group)


def update(tx: Transaction, actor: Actor, group: Group) -> None:
    """Store what a group has become."""
    tx.run(UPDATE, _params(actor, group))
    tx.run(DELETE_MEMBERS, {"id": group.id, "organization_id": actor.organization_id})
    _set_members(tx, actor, group)


def _set_members(tx: Transaction, actor: Actor, group: Group) -> None:
    rows: list[Params] = [
        {**_place(actor, group.id), "agent_id": agent_id, "position": position}
        for position, agent_id in enumerate(dict.fromkeys(group.agent_ids))
    ]
    if rows:
        tx.many(INSERT_MEMBER, rows)


def delete(tx: Transaction, actor: Actor, group_id: str) -> None:
    """Forget a group; its agents and what they said stay."""
    tx.run(DELETE, {"id": group_id, "organization_id": actor.organization_id})


def get(tx: Transaction, actor: Actor, group_id: str) -> Group:
    """One group. Raises NotFound."""
    row = tx.one(BY_ID, {"id": group_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Group {group_id} not found.")
    return from_row(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFilter:
    """Which groups to list. None means any; hidden ones are left out."""

    manager_type: str | None = None
    project_id: str | None = None
    agent_id: str | None = None
    """Those that this agent manages or is a member of."""


def _where(actor: Actor, chosen: GroupFilter) -> tuple[str, dict[str, SqlValue]]:
    where, params = " and coalesce(g.hidden, 0) = 0", {"organization_id": actor.organization_id}
    if chosen.manager_type is not None:
        where += " and g.manager_type = :manager_type"
        params["manager_type"] = chosen.manager_type
    if chosen.project_id is not None:
        where += " and g.project_id = :project_id"
        params["project_id"] = chosen.project_id
    if chosen.agent_id is not None:
        member = "select 1 from group_agents m where m.group_id = g.id and m.agent_id = :agent_id"
        where += f" and (g.manager_agent_id = :agent_id or exists ({member}))"
        params["agent_id"] = chosen.agent_id
    return where, {**params}


def listing(tx: Transaction, actor: Actor, chosen: GroupFilter, page: Page) -> list[Group]:
    """One page of groups. Raises NotFound for a cursor that is not a group."""
    where, params = _where(actor, chosen)
    clause = page_clause(tx, actor, page, "agent_groups", alias="g")
    return [from_row(row) for row in clause.read(tx, _OURS + where, params)]


def count(tx: Transaction, actor: Actor) -> int:
    """How many groups there are."""
    where, params = _where(actor, GroupFilter())
    sql = f"select count(*) as n from agent_groups g where g.organization_id = :organization_id{where}"
    row = tx.one(sql, params)
    return 0 if row is None else integer(row, "n")


def led_by(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, Group]:
    """The group that each of these agents manages, by agent: the one for its sleep before any other."""
    rows = tx.all(LED_BY, {"agent_ids": dump(list(agent_ids)), "organization_id": actor.organization_id})
    found = sorted(map(from_row, rows), key=lambda group: group.manager_type.sleeps)
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
    tx.run(SET_THREAD, {**_place(actor, group_id), "agent_id": agent_id, "conversation_id": conversation_id})
