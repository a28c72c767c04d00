"""Recall memory: every message ever said, in the order it was stored. Rows are only ever added by the loop; a person
may edit one (see `loci.memory.rewording`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from loci.errors import NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.parts import dump_parts, load_parts
from loci.store.rows import (
    dump,
    integer,
    load_maybe_object,
    maybe_dump,
    maybe_text,
    moment,
    text,
    time_text,
)
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.messages import Kind, Message, Part, Role, Trust
from loci.types.paging import Page

COLUMNS = """seq, id, agent_id, conversation_id, role, kind, trust, parts, name, otid, sender_id, run_id, step_id,
    model, extra, created_at"""

INSERT = """
insert into messages (id, organization_id, project_id, agent_id, conversation_id, role, kind, trust, parts, name, otid,
    sender_id, run_id, step_id, model, extra, created_at)
values (:id, :organization_id, :project_id, :agent_id, :conversation_id, :role, :kind, :trust, :parts, :name, :otid,
    :sender_id, :run_id, :step_id, :model, :extra, :created_at)"""

BY_ID = f"select {COLUMNS} from messages where id = :id and organization_id = :organization_id"
WINDOW_OWN = (
    f"select {COLUMNS} from messages where conversation_id = :conversation_id and seq > :after_seq order by seq"
)
BY_OTID = f"select {COLUMNS} from messages where conversation_id = :conversation_id and otid = :otid"
BY_RUN = (
    f"""select {COLUMNS} from messages where run_id = :run_id and organization_id = :organization_id order by seq"""
)
SET_PARTS = "update messages set parts = :parts where id = :id and organization_id = :organization_id"
NEWEST_ID = """
select id from messages where agent_id = :agent_id and organization_id = :organization_id order by seq desc limit 1"""
COUNT_TALK = "select count(*) as n from messages where agent_id = :agent_id and role <> 'system'"


def from_row(row: Row) -> Message:
    """A stored message."""
    return Message(
        seq=integer(row, "seq"),
        id=text(row, "id"),
        agent_id=text(row, "agent_id"),
        conversation_id=text(row, "conversation_id"),
        role=Role(text(row, "role")),
        kind=Kind(text(row, "kind")),
        trust=Trust(text(row, "trust")),
        parts=load_parts(row["parts"]),
        name=maybe_text(row, "name"),
        otid=maybe_text(row, "otid"),
        sender_id=maybe_text(row, "sender_id"),
        run_id=maybe_text(row, "run_id"),
        step_id=maybe_text(row, "step_id"),
        model=maybe_text(row, "model"),
        extra=load_maybe_object(row["extra"]),
        created_at=moment(row, "created_at"),
    )


def insert(tx: Transaction, actor: Actor, messages: Sequence[Message]) -> None:
    """Store messages in the order given. The database numbers them; read them back for their `seq`."""
    if messages:
        tx.many(INSERT, [_params(actor, message) for message in messages])


def _params(actor: Actor, message: Message) -> Params:
    return {
        "id": message.id,
        "organization_id": actor.organization_id,
        "project_id": actor.project_id,
        "agent_id": message.agent_id,
        "conversation_id": message.conversation_id,
        "role": message.role.value,
        "kind": message.kind.value,
        "trust": message.trust.value,
        "parts": dump_parts(message.parts),
        "name": message.name,
        "otid": message.otid,
        "sender_id": message.sender_id,
        "run_id": message.run_id,
        "step_id": message.step_id,
        "model": message.model,
        "extra": maybe_dump(message.extra),
        "created_at": time_text(message.created_at),
    }


def get(tx: Transaction, actor: Actor, message_id: str) -> Message:
    """One message. Raises NotFound."""
    row = tx.one(BY_ID, {"id": message_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Message {message_id} not found.")
    return from_row(row)


def newest_id(tx: Transaction, actor: Actor, agent_id: str) -> str | None:
    """The id of the message that an agent was stored with last, in whichever of its conversations."""
    row = tx.one(NEWEST_ID, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return None if row is None else text(row, "id")


def by_otid(tx: Transaction, conversation_id: str, otid: str) -> Message | None:
    """The message that a client stored under its own id, if it did."""
    row = tx.one(BY_OTID, {"conversation_id": conversation_id, "otid": otid})
    return None if row is None else from_row(row)


def of_run(tx: Transaction, actor: Actor, run_id: str) -> list[Message]:
    """All messages of a run, its input included."""
    rows = tx.all(BY_RUN, {"run_id": run_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def by_ids(tx: Transaction, actor: Actor, message_ids: Sequence[str]) -> list[Message]:
    """The messages with these ids, in this order; ids that do not exist are left out."""
    if not message_ids:
        return []
    params: dict[str, SqlValue] = {f"id{n}": message_id for n, message_id in enumerate(message_ids)}
    names = ", ".join(f":{name}" for name in params)
    params["organization_id"] = actor.organization_id
    rows = tx.all(
        f"select {COLUMNS} from messages where organization_id = :organization_id and id in ({names})",
        params,
    )
    found = {text(row, "id"): from_row(row) for row in rows}
    return [found[message_id] for message_id in message_ids if message_id in found]


def window(tx: Transaction, actor: Actor, conversation: Conversation) -> list[Message]:
    """The messages in the window of a conversation, in order, the system prompt first."""
    rows = tx.all(WINDOW_OWN, {"conversation_id": conversation.id, "after_seq": conversation.after_seq})
    inherited = by_ids(tx, actor, conversation.prefix)
    known = {message.id for message in inherited}
    return inherited + [message for message in map(from_row, rows) if message.id not in known]


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


def listing(tx: Transaction, actor: Actor, chosen: MessageFilter, page: Page) -> list[Message]:
    """One page, in the order asked for. Raises NotFound for a cursor that is not a message."""
    where = ["organization_id = :organization_id"]
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id, "limit": page.limit_rows}
    if chosen.conversation_id is not None:
        params["conversation_id"] = chosen.conversation_id
        inherited = chosen.only_ids or ()
        params |= {f"own{n}": message_id for n, message_id in enumerate(inherited)}
        names = ", ".join(f":own{n}" for n in range(len(inherited)))
        where.append(
            f"(conversation_id = :conversation_id or id in ({names}))"
            if names
            else "conversation_id = :conversation_id"
        )
    elif chosen.conversation_ids is not None:
        params["conversation_ids"] = dump(chosen.conversation_ids)
        where.append("conversation_id in (select value from json_each(:conversation_ids))")
    elif chosen.run_id is None:
        where.append("conversation_id not in (select id from conversations where deleted_at is not null)")
    for column in ("agent_id", "run_id", "step_id", "role"):
        value: str | None = getattr(chosen, column)
        if value is not None:
            where.append(f"{column} = :{column}")
            params[column] = str(value)
    # `after` goes on in the direction of the order; `before` is its mirror.
    for name, cursor, towards_newer in (
        ("after", page.after, page.ascending),
        ("before", page.before, not page.ascending),
    ):
        if cursor is not None:
            params[name] = get(tx, actor, cursor).seq
            where.append(f"seq > :{name}" if towards_newer else f"seq < :{name}")
    order = "asc" if page.ascending else "desc"
    rows = tx.all(
        f"select {COLUMNS} from messages where {' and '.join(where)} order by seq {order} limit :limit",
        params,
    )
    return [from_row(row) for row in rows]
