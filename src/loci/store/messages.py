"""Recall memory: every message ever said, in the order it was stored. Rows are only ever added by the loop; a person
may edit one (see `loci.memory.rewording`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loci.store.base import Transaction
from loci.store.parts import dump_parts, load_parts
from loci.store.rows import Codec, Record, dump, integer, text, within
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.messages import Message, Part, Role
from loci.types.paging import Page

_ROWS = Record(
    Message,
    "messages",
    "messages",
    missing="Message {} not found.",
    special={"parts": Codec(load_parts, dump_parts)},
    found={"seq": "messages.seq"},
)
COLUMNS = _ROWS.columns
WINDOW_OWN = (
    f"select {COLUMNS} from messages where conversation_id = :conversation_id and seq > :after_seq order by seq"
)
BY_OTID = f"select {COLUMNS} from messages where conversation_id = :conversation_id and otid = :otid"
SET_PARTS = "update messages set parts = :parts where id = :id and organization_id = :organization_id"
NEWEST_ID = """
select id from messages where agent_id = :agent_id and organization_id = :organization_id order by seq desc limit 1"""
COUNT_TALK = "select count(*) as n from messages where agent_id = :agent_id and role <> 'system'"


from_row, get = _ROWS.value, _ROWS.get


def insert(tx: Transaction, actor: Actor, messages: Sequence[Message]) -> None:
    """Store messages in the order given. The database numbers them; read them back for their `seq`."""
    if messages:
        tx.many(_ROWS.insertion, [_ROWS.params(actor, message) for message in messages])


def newest_id(tx: Transaction, actor: Actor, agent_id: str) -> str | None:
    """The id of the message that an agent was stored with last, in whichever of its conversations."""
    row = tx.one(NEWEST_ID, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return None if row is None else text(row, "id")


def by_otid(tx: Transaction, conversation_id: str, otid: str) -> Message | None:
    """The message that a client stored under its own id, if it did."""
    return _ROWS.one(tx, BY_OTID, {"conversation_id": conversation_id, "otid": otid})


def of_run(tx: Transaction, actor: Actor, run_id: str) -> list[Message]:
    """All messages of a run, its input included."""
    return _ROWS.all(tx, _ROWS.select + " and run_id = :run_id order by seq", within(actor, run_id=run_id))


def by_ids(tx: Transaction, actor: Actor, message_ids: Sequence[str]) -> list[Message]:
    """The messages with these ids, in this order; ids that do not exist are left out."""
    if not message_ids:
        return []
    where = _ROWS.where(actor).among("id", "id", message_ids)
    rows = _ROWS.all(tx, f"select {COLUMNS} from messages where {where.sql}", where.params)
    found = {message.id: message for message in rows}
    return [found[message_id] for message_id in message_ids if message_id in found]


def window(tx: Transaction, actor: Actor, conversation: Conversation) -> list[Message]:
    """The messages in the window of a conversation, in order, the system prompt first."""
    own = _ROWS.all(tx, WINDOW_OWN, {"conversation_id": conversation.id, "after_seq": conversation.after_seq})
    inherited = by_ids(tx, actor, conversation.prefix)
    known = {message.id for message in inherited}
    return inherited + [message for message in own if message.id not in known]


def set_parts(tx: Transaction, actor: Actor, message_id: str, parts: tuple[Part, ...]) -> None:
    """Write the parts anew: for the compiled system prompt, and for edits that the journal records."""
    tx.run(SET_PARTS, {"id": message_id, "parts": dump_parts(parts), "organization_id": actor.organization_id})


def count_talk(tx: Transaction, agent_id: str) -> int:
    """How many messages the agent has in recall memory, the system prompt not counted."""
    row = tx.one(COUNT_TALK, {"agent_id": agent_id})
    return 0 if row is None else integer(row, "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages to list. None means any."""

    agent_id: str | None = None
    conversation_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    role: Role | None = None
    only_ids: tuple[str, ...] | None = None
    """Adds these to the conversation's own: what a fork inherited."""
    conversation_ids: tuple[str, ...] | None = None
    failed: bool = True
    """Whether those of steps that failed are among them."""


def listing(tx: Transaction, actor: Actor, chosen: MessageFilter, page: Page) -> list[Message]:
    """One page, in the order asked for. Raises NotFound for a cursor that is not a message."""
    where = _ROWS.where(actor)
    if chosen.conversation_id is not None:
        inherited = {f"own{n}": message_id for n, message_id in enumerate(chosen.only_ids or ())}
        own = "(conversation_id = :conversation_id or id in (:" + ", :".join(inherited) + "))"
        where.also(own if inherited else "conversation_id = :conversation_id", **inherited)
        where.params["conversation_id"] = chosen.conversation_id
    elif chosen.conversation_ids is None and chosen.run_id is None:
        where.also("conversation_id not in (select id from conversations where deleted_at is not null)")
    if chosen.conversation_ids is not None:
        listed = dump(chosen.conversation_ids)
        where.also("conversation_id in (select value from json_each(:conversation_ids))", conversation_ids=listed)
    role = None if chosen.role is None else chosen.role.value
    where.equal("", agent_id=chosen.agent_id, run_id=chosen.run_id, step_id=chosen.step_id, role=role)
    if not chosen.failed:
        where.also("not exists (select 1 from steps s where s.id = messages.step_id and s.status = 'failed')")
    # `after` goes on in the direction of the order; `before` is its mirror.
    for name, cursor, towards_newer in (
        ("after", page.after, page.ascending),
        ("before", page.before, not page.ascending),
    ):
        if cursor is not None:
            where.also(f"seq {'>' if towards_newer else '<'} :{name}", **{name: get(tx, actor, cursor).seq})
    order = "asc" if page.ascending else "desc"
    sql = f"select {COLUMNS} from messages where {where.sql} order by seq {order} limit :limit"
    return _ROWS.all(tx, sql, {**where.params, "limit": page.limit_rows})
