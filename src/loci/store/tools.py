"""Tools as rows, and which agents have them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from loci.store import journal
from loci.store.base import Transaction
from loci.store.page import Where
from loci.store.rows import Record, bit, time_text, within
from loci.types.actor import Actor
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page
from loci.types.tools import Tool

_ROWS = Record(Tool, "tools", "t", missing="Tool {} not found.")
COLUMNS = _ROWS.columns
BY_NAME = _ROWS.select + " and t.name = :name"
OF_AGENTS = f"""
select a.agent_id as holder_id, {COLUMNS} from agent_tools a join tools t on t.id = a.tool_id
where a.agent_id in (select value from json_each(:ids)) and a.organization_id = :organization_id order by a.position"""
ATTACH = """
insert into agent_tools (agent_id, tool_id, organization_id, project_id, position)
select a.id, :tool_id, :organization_id, :project_id,
    coalesce((select max(position) + 1 from agent_tools where agent_id = :agent_id), 0)
from agents a where a.id = :agent_id and a.organization_id = :organization_id
on conflict (agent_id, tool_id) do nothing"""
DETACH = """
delete from agent_tools where agent_id = :agent_id and tool_id = :tool_id and organization_id = :organization_id"""
BUMP_AGENT = """
update agents set memory_version = memory_version + 1, updated_at = :now
where id = :agent_id and organization_id = :organization_id"""
BUMP_HOLDERS = """
update agents set memory_version = memory_version + 1
where id in (select agent_id from agent_tools where tool_id = :tool_id) and organization_id = :organization_id"""


from_row, get = _ROWS.value, _ROWS.get


def by_name(tx: Transaction, actor: Actor, name: str) -> Tool | None:
    """The tool with this name, if there is one."""
    return _ROWS.one(tx, BY_NAME, within(actor, name=name))


def by_names(tx: Transaction, actor: Actor, names: Sequence[str]) -> dict[str, Tool]:
    """The tools that exist of those named, by name."""
    where = _ROWS.where(actor).among("t.name", "name", names)
    return {tool.name: tool for tool in _ROWS.all(tx, f"select {COLUMNS} from tools t where {where.sql}", where.params)}


def tools_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Tool]:
    """The tools of an agent in the order of attachment."""
    return tools_of_agents(tx, actor, [agent_id])[agent_id]


def tools_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[Tool]]:
    """The tools of several agents at once, by agent."""
    return _ROWS.by_holder(tx, actor, OF_AGENTS, agent_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFilter:
    """Which tools to list. None means any."""

    name: str | None = None
    names: tuple[str, ...] | None = None
    tool_ids: tuple[str, ...] | None = None
    search: str | None = None
    tool_types: tuple[str, ...] | None = None
    exclude_tool_types: tuple[str, ...] | None = None
    letta: bool | None = None
    """Whether they come with the server."""


def listing(tx: Transaction, actor: Actor, chosen: ToolFilter, page: Page) -> list[Tool]:
    """One page of tools. Raises NotFound for a cursor that is not a tool."""
    return _ROWS.page(tx, actor, _where(actor, chosen), page)


def count(tx: Transaction, actor: Actor, chosen: ToolFilter) -> int:
    """How many tools the filter lets through."""
    return _ROWS.count(tx, _where(actor, chosen))


def _where(actor: Actor, chosen: ToolFilter) -> Where:
    where = _ROWS.where(actor).equal("t.", name=chosen.name)
    where.having("t.name || ' ' || t.description", "search", chosen.search)
    where.among("t.name", "names", chosen.names).among("t.id", "ids", chosen.tool_ids)
    where.among("t.tool_type", "types", chosen.tool_types).among("t.tool_type not", "others", chosen.exclude_tool_types)
    return where.also("(t.tool_type like 'letta%') = :letta", letta=bit(chosen.letta))


def insert(tx: Transaction, actor: Actor, author: Author, tool: Tool, now: datetime) -> Tool:
    """Store a new tool. Raises Conflict when the name is taken."""
    stored = _ROWS.insert(tx, actor, tool, now)
    _note(tx, actor, author, stored, "create", now)
    return stored


def update(tx: Transaction, actor: Actor, author: Author, tool: Tool, now: datetime) -> Tool:
    """Store what a tool has become; agents that have it are shown the new one from their next step.

    Raises NotFound, and Conflict when the name is taken.
    """
    stored = _ROWS.update(tx, actor, tool, now)
    tx.run(BUMP_HOLDERS, {"tool_id": tool.id, "organization_id": actor.organization_id})
    _note(tx, actor, author, tool, "update", now)
    return stored


def delete(tx: Transaction, actor: Actor, author: Author, tool_id: str, now: datetime) -> None:
    """Forget a tool and take it off every agent. Raises NotFound."""
    tool = get(tx, actor, tool_id)
    tx.run(BUMP_HOLDERS, {"tool_id": tool_id, "organization_id": actor.organization_id})
    _ROWS.delete(tx, actor, tool_id)
    _note(tx, actor, author, tool, "delete", now)


def attach(
    tx: Transaction, actor: Actor, author: Author, agent_id: str, given: Iterable[Tool], *, now: datetime
) -> None:
    """Give tools to an agent, after its others. Giving one twice changes nothing. The caller bumps the agent."""
    new = [tool for tool in given if tx.run(ATTACH, within(actor, agent_id=agent_id, tool_id=tool.id))]
    journal.record(tx, actor, [_attachment(author, agent_id, tool, "attach") for tool in new], now)


def detach(tx: Transaction, actor: Actor, author: Author, agent_id: str, tool: Tool, *, now: datetime) -> None:
    """Take a tool off an agent; the tool stays. The caller bumps the agent."""
    if tx.run(DETACH, within(actor, agent_id=agent_id, tool_id=tool.id)):
        journal.record(tx, actor, [_attachment(author, agent_id, tool, "detach")], now)


def bump(tx: Transaction, actor: Actor, agent_id: str, now: datetime) -> None:
    """Note that the agent's prompt or tools may have changed."""
    tx.run(BUMP_AGENT, {"agent_id": agent_id, "organization_id": actor.organization_id, "now": time_text(now)})


def _note(tx: Transaction, actor: Actor, author: Author, tool: Tool, action: str, now: datetime) -> None:
    after = (
        None
        if action == "delete"
        else {"name": tool.name, "json_schema": tool.json_schema, "source_code": tool.source_code}
    )
    entry = JournalEntry(
        subject=Subject.TOOL, subject_id=tool.id, action=action, before=None, after=after, author=author
    )
    journal.record(tx, actor, [entry], now)


def _attachment(author: Author, agent_id: str, tool: Tool, action: str) -> JournalEntry:
    fact = {"tool_id": tool.id, "name": tool.name}
    return JournalEntry(
        subject=Subject.ATTACHMENT,
        subject_id=tool.id,
        agent_id=agent_id,
        action=f"{action}_tool",
        before=fact if action == "detach" else None,
        after=fact if action == "attach" else None,
        author=author,
    )
