"""Applying a ChangeSet: all of it or nothing, in the caller's transaction, every change in the journal.

An edit says which version of a block it was made for. If somebody else was faster, the two are merged line by line; if
that cannot be done nothing is written, and the refusal carries both texts. Taking changes back: `loci.memory.undo`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from loci.errors import VersionConflict
from loci.ids import new_id
from loci.memory import edits
from loci.memory.merge import merge
from loci.store import archives, attachments, blocks, journal, passages
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.store.part import part
from loci.types.actor import Actor
from loci.types.memory import (
    Author,
    Block,
    BlockCreate,
    BlockDetach,
    BlockEdit,
    Change,
    ChangeSet,
    Passage,
    PassageInsert,
    Subject,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """Who changes whose memory, when, and under which id the journal keeps the changes together."""

    actor: Actor
    author: Author
    change_set_id: str
    now: datetime


def apply(tx: Transaction, actor: Actor, author: Author, agent_id: str, change_set: ChangeSet, *, now: datetime) -> str:
    """Carry out the changes; the id under which the journal keeps them together.

    If one of them is refused, none is made, also when the caller goes on with its transaction.

    Raises VersionConflict with both texts, BlockTooLong or BlockReadOnly for what a block has become meanwhile, and
    Conflict for a label that is taken.
    """
    editor = Editor(actor=actor, author=author, change_set_id=new_id("change"), now=now)
    with part(tx):
        for change in change_set.changes:
            _apply_one(tx, editor, agent_id, change)
    return editor.change_set_id


def _apply_one(tx: Transaction, editor: Editor, agent_id: str, change: Change) -> None:
    actor, author, now, change_set_id = editor.actor, editor.author, editor.now, editor.change_set_id
    match change:
        case BlockEdit():
            blocks.update(tx, actor, author, _edited(tx, actor, change), now, change_set_id=change_set_id)
        case BlockCreate():
            block = Block(
                id=new_id("block"),
                label=change.label,
                value=change.value,
                description=change.description,
                limit_chars=change.limit_chars,
            )
            blocks.insert(tx, actor, author, block, now, change_set_id=change_set_id)
            place = Attachment(agent_id=agent_id, block_id=block.id, change_set_id=change_set_id)
            attachments.attach(tx, actor, author, place, now)
        case BlockDetach():
            place = Attachment(agent_id=agent_id, block_id=change.block_id, change_set_id=change_set_id)
            attachments.detach(tx, actor, author, place, now)
        case PassageInsert():
            archive = archives.archive_to_write(tx, actor, author, agent_id, now)
            note = Passage(
                id=new_id("passage"),
                archive_id=archive.id,
                text=change.text,
                tags=change.tags,
                trust=author.trust,
            )
            passages.insert(tx, actor, author, archive.id, [note], now, change_set_id=change_set_id)


def _edited(tx: Transaction, actor: Actor, change: BlockEdit) -> Block:
    """The block as it shall be, on top of what it is now."""
    current = blocks.get(tx, actor, change.block_id)
    value = change.value
    if current.version != change.version:
        base = value_at(tx, actor, change.block_id, change.version)
        merged = None if base is None else merge(base, change.value, current.value)
        if merged is None:
            raise VersionConflict(
                f"Block '{current.label}' was changed in the meantime (version {current.version}, the edit was made "
                f"for {change.version}). It holds now:\n{current.value}\nThe edit would have made it:\n{change.value}"
            )
        value = edits.changed(current, merged).value
    return replace(
        current,
        value=value,
        label=change.label or current.label,
        description=current.description if change.description is None else change.description,
        limit_chars=change.limit_chars or current.limit_chars,
    )


def value_at(tx: Transaction, actor: Actor, block_id: str, version: int) -> str | None:
    """What a block held at a version, from the journal."""
    for entry in journal.of_subject(tx, actor, Subject.BLOCK, block_id):
        if isinstance(entry.after, Mapping) and entry.after.get("version") == version:
            value = entry.after.get("value")
            return value if isinstance(value, str) else None
    return None
