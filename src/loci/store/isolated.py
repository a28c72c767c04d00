"""Blocks that belong to one conversation alone. Each stands for the agent's block with the same label."""

from collections.abc import Sequence

from loci.store import blocks
from loci.store.base import Transaction
from loci.store.rows import within
from loci.types.actor import Actor
from loci.types.memory import Block

INSERT = """
insert into conversation_blocks (conversation_id, block_id, agent_id, organization_id, project_id)
values (:conversation_id, :block_id, :agent_id, :organization_id, :project_id)"""
OF_THREAD = f"""
select {blocks.COLUMNS} from conversation_blocks cb join blocks b on b.id = cb.block_id
where cb.conversation_id = :conversation_id and cb.organization_id = :organization_id and b.deleted_at is null
order by b.id"""


def insert(tx: Transaction, actor: Actor, conversation_id: str, agent_id: str, block_ids: Sequence[str]) -> None:
    """Note that a conversation holds these blocks; from now on the agent's prompts follow them, too."""
    key = within(actor, conversation_id=conversation_id, agent_id=agent_id)
    rows = [{**key, "block_id": block_id} for block_id in block_ids]
    if rows:
        tx.many(INSERT, rows)


def of_thread(tx: Transaction, actor: Actor, conversation_id: str) -> list[Block]:
    """A conversation's own blocks."""
    return [blocks.from_row(row) for row in tx.all(OF_THREAD, within(actor, conversation_id=conversation_id))]


def put_over(tx: Transaction, actor: Actor, conversation_id: str, held: Sequence[Block]) -> list[Block]:
    """The agent's blocks, each replaced by the conversation's own copy where it has one."""
    own = {block.label: block for block in of_thread(tx, actor, conversation_id)}
    return [*(own.pop(block.label, block) for block in held), *own.values()]


def blocks_in_thread(tx: Transaction, actor: Actor, agent_id: str, conversation_id: str) -> list[Block]:
    """The blocks that an agent sees in a conversation, in the order of its prompt."""
    return put_over(tx, actor, conversation_id, blocks.blocks_of_agent(tx, actor, agent_id))
