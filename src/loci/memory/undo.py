"""Taking changes back: each undo is a ChangeSet of its own, so it can be taken back as well.

What others changed since is kept where both can hold; where they cannot, nothing is written and the refusal says what
would be lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from loci.errors import BadRequest, Conflict, NotFound, VersionConflict
from loci.ids import new_id
from loci.memory import rewording
from loci.memory.changes import Editor
from loci.memory.merge import merge
from loci.store import attachments, blocks, identities, journal, passages
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.store.blocks import from_snapshot
from loci.store.part import part
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Author, Block, JournalEntry, Subject

T = TypeVar("T")

UNDOABLE = frozenset({Subject.BLOCK, Subject.PASSAGE, Subject.ATTACHMENT, Subject.MESSAGE})


def revert(tx: Transaction, actor: Actor, author: Author, change_set_id: str, *, now: datetime) -> str:
    """Take back a ChangeSet as one; the id of the new one.

    Raises NotFound for no such set, VersionConflict or Conflict when a later change would be lost.
    """
    entries = journal.of_change_set(tx, actor, change_set_id)
    return _take_back(tx, Editor(actor=actor, author=author, change_set_id=new_id("change"), now=now), entries)


def undo(tx: Transaction, actor: Actor, author: Author, seq: int, *, now: datetime) -> str:
    """Take back one entry of the journal; the id of the new ChangeSet.

    Raises NotFound for no such entry, BadRequest for one that is no change of memory, VersionConflict or Conflict when
    a later change would be lost.
    """
    entry = journal.get(tx, actor, seq)
    if entry.subject not in UNDOABLE:
        raise BadRequest(
            f"Entry {seq} ({entry.subject.value}) is no change of a block, a note, an attachment or a message."
        )
    return _take_back(tx, Editor(actor=actor, author=author, change_set_id=new_id("change"), now=now), [entry])


def _take_back(tx: Transaction, editor: Editor, entries: Sequence[JournalEntry]) -> str:
    with part(tx):
        for entry in reversed(entries):
            match entry.subject:
                case Subject.BLOCK:
                    _block(tx, editor, entry)
                case Subject.ATTACHMENT:
                    _attachment(tx, editor, entry)
                case Subject.PASSAGE:
                    _passage(tx, editor, entry)
                case Subject.MESSAGE:
                    actor, author, change = editor.actor, editor.author, editor.change_set_id
                    rewording.take_back(tx, actor, author, entry, editor.now, change_set_id=change)
                case _:
                    pass  # what only came along, such as the archive that was made for a first note
    return editor.change_set_id


def _block(tx: Transaction, editor: Editor, entry: JournalEntry) -> None:
    before, after = _state(entry.before), _state(entry.after)
    if before is not None and after is not None:
        _block_edit(tx, editor, entry.subject_id, before, after)
    elif after is not None:
        _block_made(tx, editor, entry, after)
    elif before is not None:
        _block_deleted(tx, editor, entry, before)


def _block_edit(tx: Transaction, editor: Editor, block_id: str, before: JsonObject, after: JsonObject) -> None:
    current = blocks.get(tx, editor.actor, block_id)
    was, became = from_snapshot(block_id, before), from_snapshot(block_id, after)
    value = merge(became.value, was.value, current.value)
    if value is None:
        raise VersionConflict(
            f"Block '{current.label}' was changed again since, in the same lines. It holds now:\n{current.value}\n"
            f"Before the change that is to be taken back it was:\n{was.value}",
            hint="Edit the block by hand, or take the later change back first.",
        )
    restored = replace(
        current,
        value=value,
        label=_back(current.label, was.label, became.label),
        description=_back(current.description, was.description, became.description),
        limit_chars=_back(current.limit_chars, was.limit_chars, became.limit_chars),
        read_only=_back(current.read_only, was.read_only, became.read_only),
        hidden=_back(current.hidden, was.hidden, became.hidden),
        tags=_back(current.tags, was.tags, became.tags),
        metadata=_back(current.metadata, was.metadata, became.metadata),
    )
    if restored != current:
        blocks.update(tx, editor.actor, editor.author, restored, editor.now, change_set_id=editor.change_set_id)


def _back(current: T, was: T, became: T) -> T:
    """The old state of a field, unless the change left it alone or somebody changed it since."""
    return was if current == became else current


def _block_made(tx: Transaction, editor: Editor, entry: JournalEntry, after: JsonObject) -> None:
    try:
        current = blocks.get(tx, editor.actor, entry.subject_id)
    except NotFound:
        return
    made = from_snapshot(entry.subject_id, after)
    if current.value != made.value:
        raise VersionConflict(
            f"Block '{current.label}' was written to since it was made; taking it back would lose:\n{current.value}",
            hint="Delete the block by hand if that is meant, or take the later changes back first.",
        )
    others = [held for held in blocks.agents_of_block(tx, editor.actor, current.id) if held != entry.agent_id]
    if others:
        raise Conflict(
            f"Block '{current.label}' is held by other agents by now: {', '.join(others)}.",
            hint="Detach it there first.",
        )
    blocks.delete(tx, editor.actor, editor.author, current.id, editor.now, change_set_id=editor.change_set_id)


def _block_deleted(tx: Transaction, editor: Editor, entry: JournalEntry, before: JsonObject) -> None:
    block = from_snapshot(entry.subject_id, before)
    blocks.restore(tx, editor.actor, editor.author, block, editor.now, change_set_id=editor.change_set_id)
    holders = before.get("agent_ids")
    for agent_id in holders if isinstance(holders, list) else []:
        _attach(tx, editor, str(agent_id), block.id)


def _attachment(tx: Transaction, editor: Editor, entry: JournalEntry) -> None:
    if entry.action in ("attach_identity", "detach_identity"):
        _identity(tx, editor, entry)
        return
    if entry.agent_id is None:
        return
    if entry.after is None:
        _attach(tx, editor, entry.agent_id, entry.subject_id)
        return
    held: list[Block] = blocks.blocks_of_agent(tx, editor.actor, entry.agent_id)
    if any(block.id == entry.subject_id for block in held):
        place = Attachment(agent_id=entry.agent_id, block_id=entry.subject_id, change_set_id=editor.change_set_id)
        attachments.detach(tx, editor.actor, editor.author, place, editor.now)


def _identity(tx: Transaction, editor: Editor, entry: JournalEntry) -> None:
    turn = identities.attach if entry.after is None else identities.detach
    try:
        turn(tx, editor.actor, editor.author, identities.link_of(entry, editor.change_set_id), editor.now)
    except NotFound:
        return  # the identity or what held it is gone, or it was taken off since


def _attach(tx: Transaction, editor: Editor, agent_id: str, block_id: str) -> None:
    place = Attachment(agent_id=agent_id, block_id=block_id, change_set_id=editor.change_set_id)
    try:
        attachments.attach(tx, editor.actor, editor.author, place, editor.now)
    except NotFound:
        return  # the agent is gone; there is nobody to give it back to


def _passage(tx: Transaction, editor: Editor, entry: JournalEntry) -> None:
    before, after = _state(entry.before), _state(entry.after)
    try:
        if after is not None:
            passages.delete(
                tx, editor.actor, editor.author, entry.subject_id, editor.now, change_set_id=editor.change_set_id
            )
        elif before is not None:
            passage = passages.from_snapshot(entry.subject_id, before)
            passages.insert(
                tx,
                editor.actor,
                editor.author,
                passage.archive_id,
                [passage],
                editor.now,
                change_set_id=editor.change_set_id,
            )
    except NotFound:
        return  # the passage, or the archive that it stood in, is gone already


def _state(value: JsonValue) -> JsonObject | None:
    return value if isinstance(value, Mapping) else None
