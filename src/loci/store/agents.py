"""Agents as rows, with their tags.

Deleting an agent keeps its blocks; its messages, runs and attachments go with it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from loci.errors import NotFound
from loci.store import identities, journal, scopes
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.identities import ANYBODY, AttachedTo
from loci.store.page import like_pattern, page_clause
from loci.store.rows import (
    bit,
    dump,
    flag,
    integer,
    load_maybe_object,
    load_object,
    load_objects,
    load_texts,
    maybe_dump,
    maybe_flag,
    maybe_moment,
    maybe_text,
    text,
    time_text,
)
from loci.store.rules import rule_from_json, rule_to_json
from loci.store.scopes import ScopeKey, ScopeKind
from loci.types.actor import Actor
from loci.types.agents import Agent, AgentType, CompactionSettings, ModelSettings
from loci.types.json import JsonObject
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page

_NAMES = [
    "id",
    "name",
    "agent_type",
    "system",
    "model",
    "embedding",
    "description",
    "tool_rules",
    "model_settings",
    "compaction_settings",
    "response_format",
    "context_window_tokens",
    "tool_exec_environment",
    "metadata",
    "timezone",
    "message_buffer_autoclear",
    "enable_sleeptime",
    "hidden",
    "max_files_open",
    "per_file_view_window_limit_chars",
    "template_id",
    "base_template_id",
    "deployment_id",
    "entity_id",
    "memory_version",
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
]
COLUMNS = ", ".join(f"a.{name}" for name in ("project_id", *_NAMES)) + (
    ", (select json_group_array(g.tag) from (select tag from agent_tags where agent_id = a.id order by tag) g) as tags"
)
INSERT = f"""
insert into agents (organization_id, project_id, {", ".join(_NAMES)})
values (:organization_id, :project_id, {", ".join(f":{name}" for name in _NAMES)})"""
_FIXED = {"id", "created_at", "created_by", "memory_version"}
_SET = ", ".join(f"{name} = :{name}" for name in _NAMES if name not in _FIXED)
UPDATE = f"""
update agents set {_SET}, memory_version = memory_version + 1
where id = :id and organization_id = :organization_id"""
BY_ID = f"""
select {COLUMNS} from agents a
where a.id = :id and a.organization_id = :organization_id and a.deleted_at is null"""
DELETE = "delete from agents where id = :id and organization_id = :organization_id"
FORGET_WORDS = "delete from message_words where rowid in (select seq from messages where agent_id = :agent_id)"
INSERT_TAG = """
insert into agent_tags (agent_id, organization_id, project_id, tag)
values (:agent_id, :organization_id, :project_id, :tag) on conflict (agent_id, tag) do nothing"""
DELETE_TAGS = "delete from agent_tags where agent_id = :agent_id and organization_id = :organization_id"
VERSION = "select memory_version from agents where id = :id and organization_id = :organization_id"
TAGS = "select distinct tag from agent_tags where organization_id = :organization_id order by tag"
_BY_LAST_RUN = """(select agents.*, coalesce((select max(r.completed_at) from runs r where r.agent_id = agents.id), '')
    as last_run_completion from agents) as a"""
"""Agents as a table with one more column; those that never ran come first, as if it were long ago."""


def from_row(row: Row) -> Agent:
    """A stored agent."""
    return Agent(
        id=text(row, "id"),
        name=text(row, "name"),
        agent_type=AgentType(text(row, "agent_type")),
        system=text(row, "system"),
        model=text(row, "model"),
        embedding=maybe_text(row, "embedding"),
        description=maybe_text(row, "description"),
        tags=load_texts(row["tags"]),
        tool_rules=tuple(rule_from_json(item) for item in load_objects(row["tool_rules"])),
        model_settings=model_settings_from(load_object(row["model_settings"])),
        compaction_settings=_compaction_settings(load_object(row["compaction_settings"])),
        response_format=load_maybe_object(row["response_format"]),
        context_window_tokens=integer(row, "context_window_tokens"),
        tool_exec_environment=load_object(row["tool_exec_environment"]),
        metadata=load_object(row["metadata"]),
        timezone=text(row, "timezone"),
        message_buffer_autoclear=flag(row, "message_buffer_autoclear"),
        enable_sleeptime=maybe_flag(row, "enable_sleeptime"),
        hidden=maybe_flag(row, "hidden"),
        max_files_open=integer(row, "max_files_open"),
        per_file_view_window_limit_chars=integer(row, "per_file_view_window_limit_chars"),
        project_id=maybe_text(row, "project_id"),
        template_id=maybe_text(row, "template_id"),
        base_template_id=maybe_text(row, "base_template_id"),
        deployment_id=maybe_text(row, "deployment_id"),
        entity_id=maybe_text(row, "entity_id"),
        memory_version=integer(row, "memory_version"),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
        updated_by=maybe_text(row, "updated_by"),
    )


def model_settings_from(stored: JsonObject) -> ModelSettings:
    """The settings that a column holds."""
    raw = stored.get("raw")
    known = {key: value for key, value in stored.items() if key in ModelSettings.__dataclass_fields__ and key != "raw"}
    return ModelSettings(**cast("dict[str, Any]", known), raw=raw if isinstance(raw, dict) else {})


def _compaction_settings(stored: JsonObject) -> CompactionSettings:
    known = {key: value for key, value in stored.items() if key in CompactionSettings.__dataclass_fields__}
    return CompactionSettings(**cast("dict[str, Any]", known))


def settings_json(settings: ModelSettings | CompactionSettings) -> JsonObject:
    """Settings as a column holds them."""
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def _params(actor: Actor, agent: Agent, now: datetime) -> dict[str, SqlValue]:
    return {
        "organization_id": actor.organization_id,
        "project_id": agent.project_id or actor.project_id,
        "id": agent.id,
        "name": agent.name,
        "agent_type": agent.agent_type.value,
        "system": agent.system,
        "model": agent.model,
        "embedding": agent.embedding,
        "description": agent.description,
        "tool_rules": dump([rule_to_json(rule) for rule in agent.tool_rules]),
        "model_settings": dump(settings_json(agent.model_settings)),
        "compaction_settings": dump(settings_json(agent.compaction_settings)),
        "response_format": maybe_dump(agent.response_format),
        "context_window_tokens": agent.context_window_tokens,
        "tool_exec_environment": dump(agent.tool_exec_environment),
        "metadata": dump(agent.metadata),
        "timezone": agent.timezone,
        "message_buffer_autoclear": int(agent.message_buffer_autoclear),
        "enable_sleeptime": bit(agent.enable_sleeptime),
        "hidden": bit(agent.hidden),
        "max_files_open": agent.max_files_open,
        "per_file_view_window_limit_chars": agent.per_file_view_window_limit_chars,
        "template_id": agent.template_id,
        "base_template_id": agent.base_template_id,
        "deployment_id": agent.deployment_id,
        "entity_id": agent.entity_id,
        "memory_version": agent.memory_version,
        "created_at": time_text(agent.created_at or now),
        "updated_at": time_text(now),
        "created_by": agent.created_by or actor.user_id,
        "updated_by": actor.user_id,
    }


def get(tx: Transaction, actor: Actor, agent_id: str) -> Agent:
    """One agent. Raises NotFound."""
    row = tx.one(BY_ID, {"id": agent_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Agent not found: {agent_id}.")
    return from_row(row)


def memory_version(tx: Transaction, actor: Actor, agent_id: str) -> int:
    """The agent's memory version, without reading the agent. Raises NotFound."""
    row = tx.one(VERSION, {"id": agent_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Agent not found: {agent_id}.")
    return integer(row, "memory_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFilter:
    """Which agents to list. None means any; hidden ones are left out unless asked for."""

    name: str | None = None
    tags: tuple[str, ...] | None = None
    match_all_tags: bool = False
    some_tags: tuple[str, ...] = ()
    """At least one of these besides; none means any."""
    query_text: str | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    attached_to: AttachedTo = ANYBODY
    ids: tuple[str, ...] | None = None
    block_id: str | None = None
    archive_id: str | None = None
    last_stop_reason: str | None = None
    created_by: str | None = None
    show_hidden: bool = False


def listing(
    tx: Transaction, actor: Actor, chosen: AgentFilter, page: Page, *, order_by: str = "created_at"
) -> list[Agent]:
    """One page of agents. `order_by` is created_at, updated_at or last_run_completion. Raises NotFound for a cursor
    that is not an agent.
    """
    where, params = _where(actor, chosen)
    table = _BY_LAST_RUN if order_by == "last_run_completion" else "agents as a"
    column = order_by if order_by in ("updated_at", "last_run_completion") else "created_at"
    clause = page_clause(tx, actor, page, table, table_time_column=column, alias="a")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from {table} where {where}", params)]


def count(tx: Transaction, actor: Actor, chosen: AgentFilter) -> int:
    """How many agents the filter lets through."""
    where, params = _where(actor, chosen)
    row = tx.one(f"select count(*) as n from agents a where {where}", params)
    return 0 if row is None else integer(row, "n")


def _where(actor: Actor, chosen: AgentFilter) -> tuple[str, dict[str, SqlValue]]:
    parts = ["a.organization_id = :organization_id", "a.deleted_at is null"]
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    if not chosen.show_hidden:
        parts.append("coalesce(a.hidden, 0) = 0")
    for column in ("name", "project_id", "template_id", "base_template_id", "created_by"):
        value: str | None = getattr(chosen, column)
        if value is not None:
            parts.append(f"a.{column} = :{column}")
            params[column] = value
    if chosen.query_text:
        parts.append("lower(a.name) like lower(:query_text) escape '!'")
        params["query_text"] = like_pattern(chosen.query_text)
    parts += identities.conditions("agent", "a.id", chosen.attached_to, params)
    if chosen.block_id is not None:
        parts.append("a.id in (select agent_id from agent_blocks where block_id = :block_id)")
        params["block_id"] = chosen.block_id
    if chosen.archive_id is not None:
        parts.append("a.id in (select agent_id from agent_archives where archive_id = :archive_id)")
        params["archive_id"] = chosen.archive_id
    if chosen.last_stop_reason is not None:
        last = "select r.stop_reason from runs r where r.agent_id = a.id order by r.created_at desc limit 1"
        parts.append(f"({last}) = :last_stop_reason")
        params["last_stop_reason"] = chosen.last_stop_reason
    if chosen.ids is not None:
        params |= {f"id{n}": agent_id for n, agent_id in enumerate(chosen.ids)}
        parts.append(f"a.id in ({', '.join(f':id{n}' for n in range(len(chosen.ids)))})")
    for prefix, wanted, every in (("tag", chosen.tags, chosen.match_all_tags), ("some", chosen.some_tags, False)):
        if wanted:
            tags = list(dict.fromkeys(wanted))
            params |= {f"{prefix}{n}": tag for n, tag in enumerate(tags)}
            listed = ", ".join(f":{prefix}{n}" for n in range(len(tags)))
            found = f"select count(*) from agent_tags g where g.agent_id = a.id and g.tag in ({listed})"
            parts.append(f"({found}) >= {len(tags) if every else 1}")
    return " and ".join(parts), params


def insert(tx: Transaction, actor: Actor, agent: Agent, now: datetime) -> None:
    """Store a new agent."""
    tx.run(INSERT, _params(actor, agent, now))
    _set_tags(tx, actor, agent)


def update(tx: Transaction, actor: Actor, author: Author, agent: Agent, now: datetime) -> Agent:
    """Store what an agent has become, and what it was before in the journal. Raises NotFound."""
    before = get(tx, actor, agent.id)
    tx.run(UPDATE, _params(actor, agent, now))
    if before.tags != agent.tags:
        tx.run(DELETE_TAGS, {"agent_id": agent.id, "organization_id": actor.organization_id})
        _set_tags(tx, actor, agent)
    old, new = snapshot(before), snapshot(agent)
    changed = [key for key in new if old[key] != new[key]]
    entry = JournalEntry(
        subject=Subject.AGENT,
        subject_id=agent.id,
        agent_id=agent.id,
        action="update",
        before={key: old[key] for key in changed},
        after={key: new[key] for key in changed},
        author=author,
    )
    journal.record(tx, actor, [entry] if changed else [], now)
    return replace(agent, memory_version=before.memory_version + 1, updated_at=now)


def delete(tx: Transaction, actor: Actor, author: Author, agent_id: str, now: datetime) -> None:
    """Forget an agent with its messages and runs; its blocks, tools and archives stay. Raises NotFound."""
    agent = get(tx, actor, agent_id)
    scope = scopes.find(tx, actor, ScopeKey(ScopeKind.AGENT, agent_id))
    if scope is not None:
        tx.run(FORGET_WORDS, {"agent_id": agent_id})
        tx.run(scopes.DELETE, {"number": scope.number})
    tx.run(DELETE, {"id": agent_id, "organization_id": actor.organization_id})
    entry = JournalEntry(
        subject=Subject.AGENT,
        subject_id=agent_id,
        agent_id=agent_id,
        action="delete",
        before=snapshot(agent),
        after=None,
        author=author,
    )
    journal.record(tx, actor, [entry], now)


def all_tags(tx: Transaction, actor: Actor) -> list[str]:
    """Every tag in use, in alphabetical order."""
    return [text(row, "tag") for row in tx.all(TAGS, {"organization_id": actor.organization_id})]


def _set_tags(tx: Transaction, actor: Actor, agent: Agent) -> None:
    rows: list[Params] = [
        {"agent_id": agent.id, "organization_id": actor.organization_id, "project_id": actor.project_id, "tag": tag}
        for tag in dict.fromkeys(agent.tags)
    ]
    if rows:
        tx.many(INSERT_TAG, rows)


def snapshot(agent: Agent) -> JsonObject:
    """The settings of an agent as the journal keeps them; secrets by name only."""
    return {
        "name": agent.name,
        "system": agent.system,
        "model": agent.model,
        "embedding": agent.embedding,
        "description": agent.description,
        "tags": list(agent.tags),
        "tool_rules": [rule_to_json(rule) for rule in agent.tool_rules],
        "model_settings": settings_json(agent.model_settings),
        "compaction_settings": settings_json(agent.compaction_settings),
        "response_format": agent.response_format,
        "context_window_tokens": agent.context_window_tokens,
        "tool_exec_environment": sorted(agent.tool_exec_environment),
        "metadata": agent.metadata,
        "timezone": agent.timezone,
        "hidden": agent.hidden,
        "enable_sleeptime": agent.enable_sleeptime,
    }
