"""Agents as rows, with their tags.

Deleting an agent keeps its blocks; its messages, runs and attachments go with it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from loci.errors import NotFound
from loci.store import identities, journal, scopes
from loci.store.base import Params, Transaction
from loci.store.identities import ANYBODY, AttachedTo
from loci.store.page import Where
from loci.store.rows import Codec, Record, dump, integer, load_object, load_objects, text, within
from loci.store.rules import rule_from_json, rule_to_json
from loci.store.scopes import ScopeKey, ScopeKind
from loci.types.actor import Actor
from loci.types.agents import Agent, CompactionSettings, ModelSettings
from loci.types.json import JsonObject
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.paging import Page

_SETTINGS = {
    "tool_rules": Codec(
        lambda stored: tuple(rule_from_json(item) for item in load_objects(stored)),
        lambda rules: dump([rule_to_json(rule) for rule in rules]),
    ),
    "model_settings": Codec(
        lambda stored: model_settings_from(load_object(stored)), lambda settings: dump(settings_json(settings))
    ),
    "compaction_settings": Codec(
        lambda stored: _compaction_settings(load_object(stored)), lambda settings: dump(settings_json(settings))
    ),
}
_TAGS = "(select json_group_array(g.tag) from (select tag from agent_tags where agent_id = a.id order by tag) g)"
_ROWS = Record(
    Agent,
    "agents",
    "a",
    missing="Agent not found: {}.",
    is_put_away=True,
    special=_SETTINGS,
    found={"tags": _TAGS},
)
UPDATE = _ROWS.changing(besides={"memory_version"}, also=", memory_version = memory_version + 1")
INSERT_TAG = """
insert into agent_tags (agent_id, organization_id, project_id, tag)
values (:agent_id, :organization_id, :project_id, :tag) on conflict (agent_id, tag) do nothing"""
DELETE_TAGS = "delete from agent_tags where agent_id = :agent_id and organization_id = :organization_id"
VERSION = "select memory_version from agents where id = :id and organization_id = :organization_id"
TAGS = "select distinct tag from agent_tags where organization_id = :organization_id order by tag"
_BY_LAST_RUN = """(select agents.*, coalesce((select max(r.completed_at) from runs r where r.agent_id = agents.id), '')
    as last_run_completion from agents) as a"""
"""Agents as a table with one more column; those that never ran come first, as if it were long ago."""

get = _ROWS.get


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
    folder_id: str | None = None
    last_stop_reason: str | None = None
    created_by: str | None = None
    show_hidden: bool = False


def listing(
    tx: Transaction, actor: Actor, chosen: AgentFilter, page: Page, *, order_by: str = "created_at"
) -> list[Agent]:
    """One page of agents. `order_by` is created_at, updated_at or last_run_completion. Raises NotFound for a cursor
    that is not an agent.
    """
    table = _BY_LAST_RUN if order_by == "last_run_completion" else "agents as a"
    column = order_by if order_by in ("updated_at", "last_run_completion") else "created_at"
    return _ROWS.page(tx, actor, _where(actor, chosen), page, order_by=column, table=table)


def count(tx: Transaction, actor: Actor, chosen: AgentFilter) -> int:
    """How many agents the filter lets through."""
    return _ROWS.count(tx, _where(actor, chosen))


def _where(actor: Actor, chosen: AgentFilter) -> Where:
    where = _ROWS.where(actor)
    if not chosen.show_hidden:
        where.also("coalesce(a.hidden, 0) = 0")
    for column in ("name", "template_id", "base_template_id", "created_by"):
        where.equal("a.", **{column: getattr(chosen, column)})
    where.in_project("a.project_id", chosen.project_id)
    where.having("a.name", "query_text", chosen.query_text)
    identities.narrow(where, "agent", "a.id", chosen.attached_to)
    for held in ("block", "archive", "folder"):
        holders = f"select agent_id from agent_{held}s where {held}_id = :{held}_id"
        where.also(f"a.id in ({holders})", **{f"{held}_id": getattr(chosen, f"{held}_id")})
    last = "select r.stop_reason from runs r where r.agent_id = a.id order by r.created_at desc limit 1"
    where.also(f"({last}) = :last_stop_reason", last_stop_reason=chosen.last_stop_reason)
    where.among("a.id", "id", chosen.ids)
    for prefix, wanted, every in (("tag", chosen.tags, chosen.match_all_tags), ("some", chosen.some_tags, False)):
        if wanted:
            tags = {f"{prefix}{n}": tag for n, tag in enumerate(dict.fromkeys(wanted))}
            found = f"select count(*) from agent_tags g where g.agent_id = a.id and g.tag in (:{', :'.join(tags)})"
            where.also(f"({found}) >= {len(tags) if every else 1}", **tags)
    return where


def insert(tx: Transaction, actor: Actor, agent: Agent, now: datetime) -> None:
    """Store a new agent."""
    _ROWS.insert(tx, actor, agent, now)
    _set_tags(tx, actor, agent)


def update(tx: Transaction, actor: Actor, author: Author, agent: Agent, now: datetime) -> Agent:
    """Store what an agent has become, and what it was before in the journal. Raises NotFound."""
    before = get(tx, actor, agent.id)
    tx.run(UPDATE, _ROWS.params(actor, _ROWS.changed(actor, agent, now)))
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
    scopes.drop(tx, actor, ScopeKey(ScopeKind.AGENT, agent_id))
    _ROWS.delete(tx, actor, agent_id)
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
    rows: list[Params] = [within(actor, agent_id=agent.id, tag=tag) for tag in dict.fromkeys(agent.tags)]
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
