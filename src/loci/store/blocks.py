"""Blocks of core memory and their attachment to agents.

Each change of a block is journaled here, makes its version one larger, and bumps `memory_version` of every agent that
holds it, so that their prompts are compiled anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from loci.errors import Conflict, NotFound, VersionConflict
from loci.store import identities, journal
from loci.store.base import Params, Transaction
from loci.store.identities import ANYBODY, AttachedTo
from loci.store.page import Where
from loci.store.rows import Record, bit, dump, integer, text, time_text
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Author, Block, JournalEntry, Subject
from loci.types.paging import Page

_ORIGIN = """(select json_object('template_id', d.template_id, 'base_template_id', d.base_template_id,
    'deployment_id', d.deployment_id, 'entity_id', d.entity_id) from deployment_blocks d where d.block_id = b.id)"""
_ROWS = Record(Block, "blocks", "b", missing="Block {} not found.", is_put_away=True, found={"origin": _ORIGIN})
COLUMNS = _ROWS.columns
UPDATE = _ROWS.changing(also=", deleted_at = null")
DELETE = """
update blocks set deleted_at = :now, version = version + 1 where id = :id and organization_id = :organization_id"""
DELETED = """
select version from blocks where id = :id and organization_id = :organization_id and deleted_at is not null"""

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


from_row, get = _ROWS.value, _ROWS.get


_KEPT = """label value description limit_chars read_only hidden tags metadata template_name is_template
project_id version""".split()  # noqa: SIM905  a list of so many words is easier to read like this
"""What an edit can change."""


def snapshot(block: Block) -> JsonObject:
    """A block as the journal keeps it: everything that an edit can change."""
    state: dict[str, JsonValue] = {name: getattr(block, name) for name in _KEPT}
    return {**state, "tags": list(block.tags)}


def from_snapshot(block_id: str, state: JsonObject) -> Block:
    """The block that the journal kept."""
    kept: dict[str, Any] = {"label": "", "value": "", "tags": ()}
    kept |= {name: state[name] for name in _KEPT if state.get(name) is not None}
    kept["tags"] = tuple(kept["tags"])
    return Block(id=block_id, **kept)


def blocks_of_agent(tx: Transaction, actor: Actor, agent_id: str) -> list[Block]:
    """The blocks that an agent holds, in the order of its prompt."""
    return blocks_of_agents(tx, actor, [agent_id])[agent_id]


def blocks_of_agents(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[Block]]:
    """The blocks of several agents at once, by agent."""
    return _ROWS.by_holder(tx, actor, OF_AGENTS, agent_ids)


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
    return _ROWS.page(tx, actor, _where(actor, chosen), page)


def count(tx: Transaction, actor: Actor, chosen: BlockFilter) -> int:
    """How many blocks the filter lets through."""
    return _ROWS.count(tx, _where(actor, chosen))


def _where(actor: Actor, chosen: BlockFilter) -> Where:
    where = _ROWS.where(actor)
    where.equal("b.", label=chosen.label, template_name=chosen.template_name)
    where.in_project("b.project_id", chosen.project_id)
    where.equal("b.", read_only=bit(chosen.read_only), is_template=1 if chosen.templates_only else None)
    where.having("b.label", "label_search", chosen.label_search)
    where.having("b.description", "description_search", chosen.description_search)
    where.having("b.value", "value_search", chosen.value_search)
    where.also(f"{HOLDERS} > :holders_gt", holders_gt=chosen.connected_to_agents_count_gt)
    where.also(f"{HOLDERS} < :holders_lt", holders_lt=chosen.connected_to_agents_count_lt)
    where.among(HOLDERS, "holders", chosen.connected_to_agents_count_eq or None)
    where.also("b.id in (select block_id from agent_blocks where agent_id = :agent_id)", agent_id=chosen.agent_id)
    identities.narrow(where, "block", "b.id", chosen.attached_to)
    if not chosen.include_hidden:
        where.also("coalesce(b.hidden, 0) = 0")
    if chosen.tags:
        # A tag stands in the column as a JSON text; its quotes make a part of a longer tag no match.
        tags = {f"tag_{n}": dump(tag) for n, tag in enumerate(chosen.tags)}
        wanted = [f"replace(b.tags, :{name}, '') <> b.tags" for name in tags]
        where.also("(" + (" and " if chosen.match_all_tags else " or ").join(wanted) + ")", **tags)
    return where


def insert(
    tx: Transaction, actor: Actor, author: Author, block: Block, now: datetime, *, change_set_id: str | None = None
) -> Block:
    """Store a new block. Raises Conflict if the id is taken."""
    stored = _ROWS.insert(tx, actor, block, now)
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
    stored = _ROWS.changed(actor, replace(block, version=current.version + 1), now)
    if stored.label != current.label:
        _rename(tx, actor, stored)
    tx.run(UPDATE, _ROWS.params(actor, stored))
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
    stored = _ROWS.changed(actor, replace(block, version=integer(row, "version") + 1), now)
    tx.run(UPDATE, _ROWS.params(actor, stored))
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
