"""Tools as rows, and which agents have them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.errors import NotFound
from loci.store import journal
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import like_pattern, page_clause
from loci.store.rows import (
    dump,
    flag,
    integer,
    load_maybe_object,
    load_object,
    load_objects,
    load_texts,
    maybe_dump,
    maybe_moment,
    maybe_text,
    text,
    time_text,
)
from loci.types.actor import Actor
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page
from loci.types.tools import Tool, ToolType

_NAMES = [
    "id",
    "name",
    "tool_type",
    "description",
    "json_schema",
    "tags",
    "source_code",
    "source_type",
    "args_json_schema",
    "return_limit_chars",
    "pip_requirements",
    "npm_requirements",
    "default_requires_approval",
    "enable_parallel_execution",
    "metadata",
    "created_at",
    "updated_at",
    "created_by",
]
COLUMNS = ", ".join(f"t.{name}" for name in _NAMES)
INSERT = f"""
insert into tools (organization_id, project_id, {", ".join(_NAMES)})
values (:organization_id, :project_id, {", ".join(f":{name}" for name in _NAMES)})"""
_SET = ", ".join(f"{name} = :{name}" for name in _NAMES if name not in {"id", "created_at", "created_by"})
UPDATE = f"update tools set {_SET} where id = :id and organization_id = :organization_id"
BY_ID = f"select {COLUMNS} from tools t where t.id = :id and t.organization_id = :organization_id"
BY_NAME = f"select {COLUMNS} from tools t where t.name = :name and t.organization_id = :organization_id"
OF_AGENT = f"""
select {COLUMNS} from agent_tools a join tools t on t.id = a.tool_id
where a.agent_id = :agent_id and a.organization_id = :organization_id order by a.position"""
OF_AGENTS = f"""
select a.agent_id, {COLUMNS} from agent_tools a join tools t on t.id = a.tool_id
where a.agent_id in (select value from json_each(:ids)) and a.organization_id = :organization_id order by a.position"""
DELETE = "delete from tools where id = :id and organization_id = :organization_id"
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


def from_row(row: Row) -> Tool:
    """A stored tool."""
    return Tool(
        id=text(row, "id"),
        name=text(row, "name"),
        tool_type=ToolType(text(row, "tool_type")),
        description=text(row, "description"),
        json_schema=load_object(row["json_schema"]),
        tags=load_texts(row["tags"]),
        source_code=maybe_text(row, "source_code"),
        source_type=text(row, "source_type"),
        args_json_schema=load_maybe_object(row["args_json_schema"]),
        return_limit_chars=integer(row, "return_limit_chars"),
        pip_requirements=load_objects(row["pip_requirements"]),
        npm_requirements=load_objects(row["npm_requirements"]),
        default_requires_approval=flag(row, "default_requires_approval"),
        enable_parallel_execution=flag(row, "enable_parallel_execution"),
        metadata=load_object(row["metadata"]),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
    )


def _params(actor: Actor, tool: Tool, now: datetime) -> dict[str, SqlValue]:
    return {
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "id": tool.id,
        "name": tool.name,
        "tool_type": tool.tool_type.value,
        "description": tool.description,
        "json_schema": dump(tool.json_schema),
        "tags": dump(tool.tags),
        "source_code": tool.source_code,
        "source_type": tool.source_type,
        "args_json_schema": maybe_dump(tool.args_json_schema),
        "return_limit_chars": tool.return_limit_chars,
        "pip_requirements": dump(tool.pip_requirements),
        "npm_requirements": dump(tool.npm_requirements),
        "default_requires_approval": int(tool.default_requires_approval),
        "enable_parallel_execution": int(tool.enable_parallel_execution),
        "metadata": dump(tool.metadata),
        "created_at": time_text(tool.created_at or now),
        "updated_at": time_text(now),
        "created_by": tool.created_by or actor.user_id,
    }


def get(tx: Transaction, actor: Actor, tool_id: str) -> Tool:
    """One tool. Raises NotFound."""
    row = tx.one(BY_ID, {"id": tool_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Tool {tool_id} not found.")
    return from_row(row)


def by_name(tx: Transaction, actor: Actor, name: str) -> Tool | None:
    """The tool with this name, if there is one."""
    row = tx.one(BY_NAME, {"name": name, "organization_id": actor.organization_id})
    return None if row is None else from_row(row)


def by_names(tx: Transaction, actor: Actor, names: Sequence[str]) -> dict[str, Tool]:
    """The tools that exist of those named, by name."""
    if not names:
        return {}
    params: dict[str, SqlValue] = {f"name{n}": name for n, name in enumerate(names)}
    listed = ", ".join(f":{name}" for name in params)
    params["organization_id"] = actor.organization_id
    sql = f"select {COLUMNS} from tools t where t.organization_id = :organization_id and t.name in ({listed})"
    return {text(row, "name"): from_row(row) for row in tx.all(sql, params)}


def tools_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Tool]:
    """The tools of an agent in the order of attachment."""
    rows = tx.all(OF_AGENT, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def tools_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[Tool]]:
    """The tools of several agents at once, by agent."""
    params: Params = {"ids": dump(list(agent_ids)), "organization_id": actor.organization_id}
    found: dict[str, list[Tool]] = {agent_id: [] for agent_id in agent_ids}
    for row in tx.all(OF_AGENTS, params):
        found[text(row, "agent_id")].append(from_row(row))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFilter:
    """Which tools to list. None means any."""

    name: str | None = None
    names: tuple[str, ...] | None = None
    tool_ids: tuple[str, ...] | None = None
    search: str | None = None
    tool_types: tuple[str, ...] | None = None
    exclude_tool_types: tuple[str, ...] | None = None
    letta_only: bool = False


def listing(tx: Transaction, actor: Actor, chosen: ToolFilter, page: Page) -> list[Tool]:
    """One page of tools. Raises NotFound for a cursor that is not a tool."""
    where, params = _where(actor, chosen)
    clause = page_clause(tx, actor, page, "tools", alias="t")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from tools t where {where}", params)]


def count(tx: Transaction, actor: Actor, chosen: ToolFilter) -> int:
    """How many tools the filter lets through."""
    where, params = _where(actor, chosen)
    row = tx.one(f"select count(*) as n from tools t where {where}", params)
    return 0 if row is None else integer(row, "n")


def _where(actor: Actor, chosen: ToolFilter) -> tuple[str, dict[str, SqlValue]]:
    parts = ["t.organization_id = :organization_id"]
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    if chosen.name is not None:
        parts.append("t.name = :name")
        params["name"] = chosen.name
    if chosen.search:
        parts.append("lower(t.name || ' ' || t.description) like lower(:search) escape '!'")
        params["search"] = like_pattern(chosen.search)
    lists = (("t.name", "in", chosen.names), ("t.id", "in", chosen.tool_ids), ("t.tool_type", "in", chosen.tool_types))
    for number, (column, word, values) in enumerate((*lists, ("t.tool_type", "not in", chosen.exclude_tool_types))):
        if values is not None:
            named = {f"list{number}_{n}": value for n, value in enumerate(values)}
            params |= named
            listed = ", ".join(f":{name}" for name in named)
            parts.append(f"{column} {word} ({listed})")
    if chosen.letta_only:
        parts.append("t.tool_type like 'letta%'")
    return " and ".join(parts), params


def insert(tx: Transaction, actor: Actor, author: Author, tool: Tool, now: datetime) -> Tool:
    """Store a new tool. Raises Conflict when the name is taken."""
    stored = replace(
        tool, created_at=tool.created_at or now, updated_at=now, created_by=tool.created_by or actor.user_id
    )
    tx.run(INSERT, _params(actor, stored, now))
    _note(tx, actor, author, stored, "create", now)
    return stored


def update(tx: Transaction, actor: Actor, author: Author, tool: Tool, now: datetime) -> Tool:
    """Store what a tool has become; agents that have it are shown the new one from their next step.

    Raises NotFound, and Conflict when the name is taken.
    """
    if not tx.run(UPDATE, _params(actor, tool, now)):
        raise NotFound(f"Tool {tool.id} not found.")
    tx.run(BUMP_HOLDERS, {"tool_id": tool.id, "organization_id": actor.organization_id})
    _note(tx, actor, author, tool, "update", now)
    return replace(tool, updated_at=now)


def delete(tx: Transaction, actor: Actor, author: Author, tool_id: str, now: datetime) -> None:
    """Forget a tool and take it off every agent. Raises NotFound."""
    tool = get(tx, actor, tool_id)
    tx.run(BUMP_HOLDERS, {"tool_id": tool_id, "organization_id": actor.organization_id})
    tx.run(DELETE, {"id": tool_id, "organization_id": actor.organization_id})
    _note(tx, actor, author, tool, "delete", now)


def attach(tx: Transaction, actor: Actor, author: Author, agent_id: str, tool: Tool, *, now: datetime) -> None:
    """Give a tool to an agent, after its others. Giving it twice changes nothing. The caller bumps the agent."""
    params: Params = {
        "agent_id": agent_id,
        "tool_id": tool.id,
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
    }
    if tx.run(ATTACH, params):
        _note_attachment(tx, actor, author, agent_id, tool, "attach", now=now)


def detach(tx: Transaction, actor: Actor, author: Author, agent_id: str, tool: Tool, *, now: datetime) -> None:
    """Take a tool off an agent; the tool stays. The caller bumps the agent."""
    params: Params = {"agent_id": agent_id, "tool_id": tool.id, "organization_id": actor.organization_id}
    if tx.run(DETACH, params):
        _note_attachment(tx, actor, author, agent_id, tool, "detach", now=now)


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


def _note_attachment(  # noqa: PLR0913  one fact
    tx: Transaction, actor: Actor, author: Author, agent_id: str, tool: Tool, action: str, *, now: datetime
) -> None:
    fact = {"tool_id": tool.id, "name": tool.name}
    entry = JournalEntry(
        subject=Subject.ATTACHMENT,
        subject_id=tool.id,
        agent_id=agent_id,
        action=f"{action}_tool",
        before=fact if action == "detach" else None,
        after=fact if action == "attach" else None,
        author=author,
    )
    journal.record(tx, actor, [entry], now)
