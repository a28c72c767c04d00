"""Blocks of core memory and their attachment to agents.

Each change of a block is journaled here, makes its version one larger, and bumps `memory_version` of every agent that
holds it, so that their prompts are compiled anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.errors import Conflict, NotFound, VersionConflict
from loci.store import identities, journal
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.identities import ANYBODY, AttachedTo
from loci.store.page import like_pattern, page_clause
from loci.store.rows import (
    bit,
    dump,
    flag,
    integer,
    load_object,
    load_texts,
    maybe_flag,
    maybe_moment,
    maybe_text,
    maybe_time_text,
    text,
    time_text,
)
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import BLOCK_LIMIT_CHARS, Author, Block, JournalEntry, Subject
from loci.types.paging import Page

COLUMNS = """b.id, b.label, b.value, b.description, b.limit_chars, b.read_only, b.hidden, b.tags, b.metadata,
    b.template_name, b.is_template, b.version, b.created_at, b.updated_at, b.created_by, b.updated_by"""

BY_ID = (
    f"select {COLUMNS} from blocks b where b.id = :id and b.organization_id = :organization_id and deleted_at is null"
)
INSERT = """
insert into blocks (id, organization_id, project_id, label, value, description, limit_chars, read_only, hidden, tags,
    metadata, template_name, is_template, version, created_at, updated_at, created_by, updated_by)
values (:id, :organization_id, :project_id, :label, :value, :description, :limit_chars, :read_only, :hidden, :tags,
    :metadata, :template_name, :is_template, :version, :created_at, :updated_at, :created_by, :updated_by)"""
UPDATE = """
update blocks set label = :label, value = :value, description = :description, limit_chars = :limit_chars,
    read_only = :read_only, hidden = :hidden, tags = :tags, metadata = :metadata, template_name = :template_name,
    is_template = :is_template, version = :version, deleted_at = null, updated_at = :updated_at,
    updated_by = :updated_by
where id = :id and organization_id = :organization_id"""
DELETE = """
update blocks set deleted_at = :now, version = version + 1 where id = :id and organization_id = :organization_id"""
DELETED = """
select version from blocks where id = :id and organization_id = :organization_id and deleted_at is not null"""

OF_AGENT = f"""
select {COLUMNS} from agent_blocks ab join blocks b on b.id = ab.block_id
where ab.agent_id = :agent_id and ab.organization_id = :organization_id and b.deleted_at is null
order by ab.position, b.id"""
OF_AGENTS = f"""
select ab.agent_id as holder_id, {COLUMNS} from agent_blocks ab join blocks b on b.id = ab.block_id
where ab.agent_id in (select value from json_each(:ids)) and ab.organization_id = :organization_id
    and b.deleted_at is null
order by ab.position, b.id"""
AGENTS_OF = """
select ab.agent_id from agent_blocks ab join agents a on a.id = ab.agent_id
where ab.block_id = :id and ab.organization_id = :organization_id and a.deleted_at is null
order by a.created_at, a.id"""
HOLDERS = """(select count(*) from agent_blocks ab join agents a on a.id = ab.agent_id
    where ab.block_id = b.id and a.deleted_at is null)"""

DETACH_ALL = "delete from agent_blocks where block_id = :id and organization_id = :organization_id"
RENAME = "update agent_blocks set label = :label where block_id = :id and organization_id = :organization_id"
NAMED_ALIKE = """
select other.agent_id from agent_blocks mine join agent_blocks other on other.agent_id = mine.agent_id
where mine.block_id = :id and mine.organization_id = :organization_id and other.block_id <> :id
    and other.label = :label"""

BUMP_HOLDERS = """
update agents set memory_version = memory_version + 1 where organization_id = :organization_id
    and (id in (select agent_id from agent_blocks where block_id = :id)
        or id in (select agent_id from conversation_blocks where block_id = :id))"""


def from_row(row: Row) -> Block:
    """A stored block."""
    return Block(
        id=text(row, "id"),
        label=text(row, "label"),
        value=text(row, "value"),
        description=maybe_text(row, "description"),
        limit_chars=integer(row, "limit_chars"),
        read_only=flag(row, "read_only"),
        hidden=maybe_flag(row, "hidden"),
        tags=load_texts(row["tags"]),
        metadata=load_object(row["metadata"]),
        template_name=maybe_text(row, "template_name"),
        is_template=flag(row, "is_template"),
        version=integer(row, "version"),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
        updated_by=maybe_text(row, "updated_by"),
    )


def _params(actor: Actor, block: Block) -> Params:
    return {
        "id": block.id,
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "label": block.label,
        "value": block.value,
        "description": block.description,
        "limit_chars": block.limit_chars,
        "read_only": bit(block.read_only),
        "hidden": bit(block.hidden),
        "tags": dump(block.tags),
        "metadata": dump(block.metadata),
        "template_name": block.template_name,
        "is_template": bit(block.is_template),
        "version": block.version,
        "created_at": maybe_time_text(block.created_at),
        "updated_at": maybe_time_text(block.updated_at),
        "created_by": block.created_by,
        "updated_by": block.updated_by,
    }


def snapshot(block: Block) -> JsonObject:
    """A block as the journal keeps it: everything that an edit can change."""
    return {
        "label": block.label,
        "value": block.value,
        "description": block.description,
        "limit_chars": block.limit_chars,
        "read_only": block.read_only,
        "hidden": block.hidden,
        "tags": list(block.tags),
        "metadata": block.metadata,
        "template_name": block.template_name,
        "is_template": block.is_template,
        "version": block.version,
    }


def from_snapshot(block_id: str, state: JsonObject) -> Block:
    """The block that the journal kept."""
    metadata, tags, version = state.get("metadata"), state.get("tags"), state.get("version")
    limit_chars, description, hidden = state.get("limit_chars"), state.get("description"), state.get("hidden")
    template_name = state.get("template_name")
    return Block(
        id=block_id,
        label=str(state.get("label") or ""),
        value=str(state.get("value") or ""),
        description=description if isinstance(description, str) else None,
        limit_chars=limit_chars if isinstance(limit_chars, int) else BLOCK_LIMIT_CHARS,
        read_only=state.get("read_only") is True,
        hidden=hidden if isinstance(hidden, bool) else None,
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        template_name=template_name if isinstance(template_name, str) else None,
        is_template=state.get("is_template") is True,
        version=version if isinstance(version, int) else 1,
    )


def get(tx: Transaction, actor: Actor, block_id: str) -> Block:
    """One block. Raises NotFound."""
    row = tx.one(BY_ID, {"id": block_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Block {block_id} not found.")
    return from_row(row)


def blocks_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Block]:
    """The blocks that an agent holds, in the order of its prompt."""
    rows = tx.all(OF_AGENT, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def blocks_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[Block]]:
    """The blocks of several agents at once, by agent."""
    params: Params = {"ids": dump(list(agent_ids)), "organization_id": actor.organization_id}
    found: dict[str, list[Block]] = {agent_id: [] for agent_id in agent_ids}
    for row in tx.all(OF_AGENTS, params):
        found[text(row, "holder_id")].append(from_row(row))
    return found


def agents_of_block(tx: Transaction, actor: Actor, block_id: str) -> list[str]:
    """The ids of the agents that hold a block, oldest agent first."""
    rows = tx.all(AGENTS_OF, {"id": block_id, "organization_id": actor.organization_id})
    return [text(row, "agent_id") for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFilter:
    """Which blocks to list. None means any; the searches look for a part of the text, in any case of letters."""

    label: str | None = None
    templates_only: bool = False
    template_name: str | None = None
    project_id: str | None = None
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    read_only: bool | None = None
    include_hidden: bool = False
    agent_id: str | None = None
    label_search: str | None = None
    description_search: str | None = None
    value_search: str | None = None
    connected_to_agents_count_gt: int | None = None
    connected_to_agents_count_lt: int | None = None
    connected_to_agents_count_eq: tuple[int, ...] = ()
    attached_to: AttachedTo = ANYBODY


def listing(tx: Transaction, actor: Actor, chosen: BlockFilter, page: Page) -> list[Block]:
    """One page of blocks. Raises NotFound for a cursor that is not a block."""
    where, params = _where(actor, chosen)
    clause = page_clause(tx, actor, page, "blocks", alias="b")
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from blocks b where {where}", params)]


def count(tx: Transaction, actor: Actor, chosen: BlockFilter) -> int:
    """How many blocks the filter lets through."""
    where, params = _where(actor, chosen)
    row = tx.one(f"select count(*) as n from blocks b where {where}", params)
    return 0 if row is None else integer(row, "n")


def _where(actor: Actor, chosen: BlockFilter) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    parts = ["b.organization_id = :organization_id", "b.deleted_at is null"]
    tests: list[tuple[str, str, SqlValue]] = [
        ("b.label = :label", "label", chosen.label),
        ("b.template_name = :template_name", "template_name", chosen.template_name),
        ("b.project_id = :project_id", "project_id", chosen.project_id),
        ("b.read_only = :read_only", "read_only", bit(chosen.read_only)),
        ("b.is_template = :is_template", "is_template", 1 if chosen.templates_only else None),
        ("lower(b.label) like lower(:label_search) escape '!'", "label_search", _pattern(chosen.label_search)),
        (
            "lower(b.description) like lower(:description_search) escape '!'",
            "description_search",
            _pattern(chosen.description_search),
        ),
        ("lower(b.value) like lower(:value_search) escape '!'", "value_search", _pattern(chosen.value_search)),
        (f"{HOLDERS} > :holders_gt", "holders_gt", chosen.connected_to_agents_count_gt),
        (f"{HOLDERS} < :holders_lt", "holders_lt", chosen.connected_to_agents_count_lt),
        ("b.id in (select block_id from agent_blocks where agent_id = :agent_id)", "agent_id", chosen.agent_id),
    ]
    for condition, name, value in tests:
        if value is not None:
            parts.append(condition)
            params[name] = value
    parts += identities.conditions("block", "b.id", chosen.attached_to, params)
    if not chosen.include_hidden:
        parts.append("coalesce(b.hidden, 0) = 0")
    if chosen.connected_to_agents_count_eq:
        names = {f"holders_{n}": wanted for n, wanted in enumerate(chosen.connected_to_agents_count_eq)}
        parts.append(f"{HOLDERS} in ({', '.join(f':{name}' for name in names)})")
        params |= names
    if chosen.tags:
        # A tag stands in the column as a JSON text; its quotes make a part of a longer tag no match.
        wanted = [f"replace(b.tags, :tag_{n}, '') <> b.tags" for n in range(len(chosen.tags))]
        parts.append("(" + (" and " if chosen.match_all_tags else " or ").join(wanted) + ")")
        params |= {f"tag_{n}": dump(tag) for n, tag in enumerate(chosen.tags)}
    return " and ".join(parts), params


def _pattern(part: str | None) -> str | None:
    return None if part is None else like_pattern(part)


def insert(
    tx: Transaction, actor: Actor, author: Author, block: Block, now: datetime, *, change_set_id: str | None = None
) -> Block:
    """Store a new block. Raises Conflict if the id is taken."""
    stored = replace(
        block,
        created_at=block.created_at or now,
        updated_at=block.updated_at or now,
        created_by=block.created_by or actor.user_id,
        updated_by=block.updated_by or actor.user_id,
    )
    tx.run(INSERT, _params(actor, stored))
    _note(tx, actor, _Note(author, "create", None, stored, change_set_id), now)
    return stored


def update(
    tx: Transaction, actor: Actor, author: Author, block: Block, now: datetime, *, change_set_id: str | None = None
) -> Block:
    """Store a changed block; its `version` says which state was changed. Returns it with the new version.

    Raises:
        NotFound: There is no such block.
        VersionConflict: The block has another version by now.
        Conflict: An agent that holds it has another block with the new label.
    """
    current = get(tx, actor, block.id)
    if current.version != block.version:
        raise VersionConflict(
            f"Block '{current.label}' is at version {current.version} by now; the edit was made for {block.version}."
        )
    stored = replace(block, version=current.version + 1, updated_at=now, updated_by=actor.user_id)
    if stored.label != current.label:
        _rename(tx, actor, stored)
    tx.run(UPDATE, _params(actor, stored))
    tx.run(BUMP_HOLDERS, {"id": block.id, "organization_id": actor.organization_id})
    _note(tx, actor, _Note(author, "update", current, stored, change_set_id), now)
    return stored


def _rename(tx: Transaction, actor: Actor, block: Block) -> None:
    params: Params = {"id": block.id, "label": block.label, "organization_id": actor.organization_id}
    taken = tx.one(NAMED_ALIKE, params)
    if taken is not None:
        raise Conflict(
            f"Agent {taken['agent_id']} holds another block with the label '{block.label}'.",
            hint="Choose another label, or detach one of the two.",
        )
    tx.run(RENAME, params)


def delete(
    tx: Transaction, actor: Actor, author: Author, block_id: str, now: datetime, *, change_set_id: str | None = None
) -> list[str]:
    """Delete a block and detach it everywhere. Returns the ids of the agents that held it. Raises NotFound."""
    current = get(tx, actor, block_id)
    holders = agents_of_block(tx, actor, block_id)
    params: Params = {"id": block_id, "organization_id": actor.organization_id}
    tx.run(BUMP_HOLDERS, params)
    tx.run(DETACH_ALL, params)
    tx.run(DELETE, {**params, "now": time_text(now)})
    _note(tx, actor, _Note(author, "delete", current, None, change_set_id, tuple(holders)), now)
    return holders


def restore(
    tx: Transaction, actor: Actor, author: Author, block: Block, now: datetime, *, change_set_id: str | None = None
) -> Block:
    """Bring back a deleted block with these contents; it is attached to nobody. Raises NotFound."""
    row = tx.one(DELETED, {"id": block.id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"There is no deleted block {block.id}.")
    stored = replace(block, version=integer(row, "version") + 1, updated_at=now, updated_by=actor.user_id)
    tx.run(UPDATE, _params(actor, stored))
    _note(tx, actor, _Note(author, "restore", None, stored, change_set_id), now)
    return stored


@dataclass(frozen=True, slots=True)
class _Note:
    author: Author
    action: str
    before: Block | None
    after: Block | None
    change_set_id: str | None
    holders: tuple[str, ...] = ()


def _note(tx: Transaction, actor: Actor, note: _Note, now: datetime) -> None:
    changed = note.after or note.before
    if changed is None:
        return
    before = None if note.before is None else snapshot(note.before)
    if before is not None and note.after is None:
        before = {**before, "agent_ids": list(note.holders)}
    entry = JournalEntry(
        subject=Subject.BLOCK,
        subject_id=changed.id,
        action=note.action,
        before=before,
        after=None if note.after is None else snapshot(note.after),
        author=note.author,
        change_set_id=note.change_set_id,
    )
    journal.record(tx, actor, [entry], now)
