"""Applying a ChangeSet: all of it or nothing, in the caller's transaction, every change in the journal."""

from dataclasses import replace
from datetime import datetime

from loci.errors import VersionConflict
from loci.ids import new_id
from loci.store import archives, attachments, blocks, passages
from loci.store.attachments import Attachment
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.memory import (
    Author,
    Block,
    BlockCreate,
    BlockDetach,
    BlockEdit,
    ChangeSet,
    Passage,
    PassageInsert,
)


def apply(  # noqa: PLR0913, PLR0917  a verb
    tx: Transaction, actor: Actor, author: Author, agent_id: str, change_set: ChangeSet, now: datetime
) -> str:
    """Carry out the changes; the id under which the journal keeps them together."""
    change_set_id = new_id("change")
    for change in change_set.changes:
        match change:
            case BlockEdit():
                _edit(tx, actor, author, change, now, change_set_id)
            case BlockCreate():
                block = Block(
                    id=new_id("block"),
                    label=change.label,
                    value=change.value,
                    description=change.description,
                    limit_chars=change.limit_chars,
                )
                blocks.insert(tx, actor, author, block, now, change_set_id=change_set_id)
                attachments.attach(tx, actor, author, Attachment(agent_id=agent_id, block_id=block.id, change_set_id=change_set_id), now)
            case BlockDetach():
                attachments.detach(tx, actor, author, Attachment(agent_id=agent_id, block_id=change.block_id, change_set_id=change_set_id), now)
            case PassageInsert():
                archive = archives.archive_to_write(tx, actor, author, agent_id, now)
                passage = Passage(id=new_id("passage"), archive_id=archive.id, text=change.text, tags=change.tags)
                passages.insert(tx, actor, author, archive.id, [passage], now, change_set_id=change_set_id)
    return change_set_id


def _edit(tx, actor, author, change, now, change_set_id):
    current = blocks.get(tx, actor, change.block_id)
    if current.version != change.version:
        raise VersionConflict
    new = replace(current, value=change.value, label=change.label or current.label, description=change.description or current.description)
    blocks.update(tx, actor, author, new, now, change_set_id=change_set_id)
