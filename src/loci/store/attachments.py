"""Attaching blocks to agents. Each attachment is journaled and bumps `memory_version` of the agent."""

from dataclasses import dataclass
from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.store import blocks, journal
from loci.store.base import Transaction
from loci.store.rows import within
from loci.types.actor import Actor
from loci.types.json import JsonObject
from loci.types.memory import Author, Block, JournalEntry, Subject

ATTACH = """
insert into agent_blocks (agent_id, block_id, organization_id, project_id, label, position)
select a.id, :id, :organization_id, :project_id, :label,
    coalesce((select max(position) + 1 from agent_blocks where agent_id = :agent_id), 0)
from agents a where a.id = :agent_id and a.organization_id = :organization_id and a.deleted_at is null"""
DETACH = "delete from agent_blocks where agent_id = :agent_id and block_id = :id and organization_id = :organization_id"
ATTACHED = """
select block_id, label from agent_blocks
where agent_id = :agent_id and organization_id = :organization_id and (block_id = :id or label = :label)"""
BUMP_AGENT = """
update agents set memory_version = memory_version + 1 where id = :agent_id and organization_id = :organization_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A block on an agent, to be put there or taken away."""

    agent_id: str
    block_id: str
    change_set_id: str | None = None


def attach(
    tx: Transaction, actor: Actor, author: Author, attachment: Attachment, now: datetime, *, read: Block | None = None
) -> None:
    """Put a block into the prompt of an agent, after its others. Attaching it twice changes nothing.

    `read`: the block, where it is at hand from this transaction.

    Raises:
        NotFound: There is no such block or agent.
        Conflict: The agent holds another block with that label.
    """
    block = read or blocks.get(tx, actor, attachment.block_id)
    params = within(actor, id=block.id, agent_id=attachment.agent_id, label=block.label)
    for row in tx.all(ATTACHED, params):
        if row["block_id"] == block.id:
            return
        raise Conflict(
            f"Agent {attachment.agent_id} already holds a block with the label '{block.label}'.",
            hint="Detach that one first, or give this block another label.",
        )
    if tx.run(ATTACH, params) == 0:
        raise NotFound(f"Agent {attachment.agent_id} not found.")
    _note_attachment(tx, actor, author, attachment, block, now, attached=True)


def detach(tx: Transaction, actor: Actor, author: Author, attachment: Attachment, now: datetime) -> None:
    """Take a block off an agent; the block itself stays. Raises NotFound if the agent does not hold it."""
    block = blocks.get(tx, actor, attachment.block_id)
    if tx.run(DETACH, within(actor, id=block.id, agent_id=attachment.agent_id)) == 0:
        raise NotFound(f"Agent {attachment.agent_id} does not hold block {block.id}.")
    _note_attachment(tx, actor, author, attachment, block, now, attached=False)


def _note_attachment(  # noqa: PLR0913  one fact
    tx: Transaction,
    actor: Actor,
    author: Author,
    attachment: Attachment,
    block: Block,
    now: datetime,
    *,
    attached: bool,
) -> None:
    tx.run(BUMP_AGENT, {"agent_id": attachment.agent_id, "organization_id": actor.organization_id})
    state: JsonObject = {"agent_id": attachment.agent_id, "label": block.label, "version": block.version}
    entry = JournalEntry(
        subject=Subject.ATTACHMENT,
        subject_id=block.id,
        action="attach" if attached else "detach",
        before=None if attached else state,
        after=state if attached else None,
        author=author,
        agent_id=attachment.agent_id,
        change_set_id=attachment.change_set_id,
    )
    journal.record(tx, actor, [entry], now)
