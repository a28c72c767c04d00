"""Applying and reverting a ChangeSet: all of it or nothing, in the caller's transaction, every change in the journal.

An edit says which version of a block it was made for. If somebody else was faster, the two are merged line by line; if
that cannot be done nothing is written, and the refusal carries both texts.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from loci.errors import VersionConflict
from loci.ids import new_id
from loci.memory.merge import merge
from loci.store import archives, attachments, blocks, journal, passages
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.json import JsonValue
from loci.types.memory import (
    Author,
    Block,
    BlockCreate,
    BlockDetach,
    BlockEdit,
    Change,
    ChangeSet,
    JournalEntry,
    Passage,
    PassageInsert,
    Subject,
)


def apply(tx: Transaction, actor: Actor, author: Author, agent_id: str, change_set: ChangeSet, *, now: datetime) -> str:
    """Carry out the changes; the id under which the journal keeps them together.

    Raises VersionConflict with both texts, Conflict for a label that is taken. The caller's transaction is rolled back.
    """
    change_set_id = new_id("change")
    for change in change_set.changes:
        _apply_one(tx, actor, author, agent_id, change, now=now, change_set_id=change_set_id)
    return change_set_id


def _apply_one(  # noqa: PLR0913  one change
    tx: Transaction,
    actor: Actor,
    author: Author,
    agent_id: str,
    change: Change,
    *,
    now: datetime,
    change_set_id: str,
) -> None:
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
            note = Passage(id=new_id("passage"), archive_id=archive.id, text=change.text, tags=change.tags)
            passages.insert(tx, actor, author, archive.id, [note], now, change_set_id=change_set_id)


def _edited(tx: Transaction, actor: Actor, change: BlockEdit) -> Block:
    """The block as it shall be, on top of what it is now."""
    current = blocks.get(tx, actor, change.block_id)
    value = change.value
    if current.version != change.version:
        base = _value_at(tx, actor, change.block_id, change.version)
        merged = None if base is None else merge(base, change.value, current.value)
        if merged is None:
            raise VersionConflict(
                f"Block '{current.label}' was changed in the meantime (version {current.version}, the edit was made "
                f"for {change.version}). It holds now:\n{current.value}\nThe edit would have made it:\n{change.value}"
            )
        value = merged
    return replace(
        current,
        value=value,
        label=change.label or current.label,
        description=current.description if change.description is None else change.description,
    )


def _value_at(tx: Transaction, actor: Actor, block_id: str, version: int) -> str | None:
    """What a block held at a version, from the journal."""
    for entry in journal.of_subject(tx, actor, Subject.BLOCK, block_id):
        if isinstance(entry.after, Mapping) and entry.after.get("version") == version:
            return _text(entry.after, "value")
    return None


def revert(tx: Transaction, actor: Actor, author: Author, change_set_id: str, *, now: datetime) -> str:
    """Undo a ChangeSet as one, as a new one of its own. What others changed since is kept where both can hold.

    Raises NotFound for no such set, VersionConflict when undoing would lose a later change.
    """
    undo_id = new_id("change")
    for entry in reversed(journal.of_change_set(tx, actor, change_set_id)):
        _undo(tx, actor, author, entry, now=now, undo_id=undo_id)
    return undo_id


def _undo(tx: Transaction, actor: Actor, author: Author, entry: JournalEntry, *, now: datetime, undo_id: str) -> None:
    match (entry.subject, entry.action):
        case (Subject.BLOCK, "update"):
            _undo_edit(tx, actor, author, entry, now=now, undo_id=undo_id)
        case (Subject.BLOCK, "create"):
            blocks.delete(tx, actor, author, entry.subject_id, now)
        case (Subject.ATTACHMENT, "detach") if entry.agent_id:
            place = Attachment(agent_id=entry.agent_id, block_id=entry.subject_id, change_set_id=undo_id)
            attachments.attach(tx, actor, author, place, now)
        case (Subject.PASSAGE, _) if entry.after is not None:
            passages.delete(tx, actor, author, entry.subject_id, now, change_set_id=undo_id)
        case _:
            pass


def _undo_edit(
    tx: Transaction, actor: Actor, author: Author, entry: JournalEntry, *, now: datetime, undo_id: str
) -> None:
    before, after = _text(entry.before, "value"), _text(entry.after, "value")
    current = blocks.get(tx, actor, entry.subject_id)
    value = merge(after or "", before or "", current.value)
    if value is None:
        raise VersionConflict(f"Block '{current.label}' was changed again since, in the same lines.")
    restored = replace(
        current,
        value=value,
        label=_text(entry.before, "label") or current.label,
        description=_text(entry.before, "description"),
    )
    blocks.update(tx, actor, author, restored, now, change_set_id=undo_id)


def _text(state: JsonValue, key: str) -> str | None:
    value = state.get(key) if isinstance(state, Mapping) else None
    return value if isinstance(value, str) else None
