"""Conversations: threads of an agent, and what is in the window of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, cast

from loci.errors import BadRequest, Busy, NotFound
from loci.store import turns
from loci.store.base import Row, SqlValue, Transaction
from loci.store.rows import Record, bit, dump, integer, load_texts, maybe_dump, text, time_text, within
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.json import JsonObject
from loci.types.messages import Message
from loci.types.paging import Page

_ROWS = Record(
    Conversation,
    "conversations",
    "c",
    missing="Conversation {} not found.",
    is_put_away=True,
    found={"is_apart": "(c.window_tokens is not null or c.model_settings is not null or c.isolated_block_ids <> '[]')"},
)
HEAD = f"""
select {_ROWS.columns}, a.memory_version, a.updated_at as agent_updated_at,
    exists (select 1 from approvals p where p.conversation_id = c.id and p.status = 'pending') as awaiting
from conversations c join agents a on a.id = c.agent_id
where c.id = :id and c.organization_id = :organization_id and c.deleted_at is null and a.deleted_at is null"""

SET_WINDOW = """
update conversations set prefix = :prefix, after_seq = :after_seq, context_version = context_version + 1,
    warned = 0, prompt_tokens_last = 0, updated_at = :now
where id = :id and organization_id = :organization_id"""
SET_COMPILED = (
    "update conversations set compiled_version = :version where id = :id and organization_id = :organization_id"
)
SET_PREFIX = "update conversations set prefix = :prefix where id = :id and organization_id = :organization_id"
READ_ANEW = """
update conversations set context_version = context_version + 1, prompt_tokens_last = 0
where organization_id = :organization_id and agent_id = :agent_id and (id = :id or prefix like :mention)"""
SET_WARNED = "update conversations set warned = 1 where id = :id and organization_id = :organization_id"
CLAIM = """
update conversations set busy_run_id = :run_id, context_version = context_version + 1, updated_at = :now
where id = :id and organization_id = :organization_id"""
ADVANCE = """
update conversations set busy_run_id = :busy_run_id, context_version = context_version + 1,
    prompt_tokens_last = :prompt_tokens, updated_at = :now
where id = :id and organization_id = :organization_id"""
SET_FIELDS = """
update conversations set {fields}, updated_at = :now
where id = :id and organization_id = :organization_id and deleted_at is null"""
DELETE = "update conversations set deleted_at = :now where id = :id and organization_id = :organization_id"
COUNT_OPEN = """
select count(*) as n from conversations
where agent_id = :agent_id and organization_id = :organization_id and is_default = 0 and deleted_at is null"""
RESTORE = """
update conversations set deleted_at = null
where id = :id and organization_id = :organization_id and deleted_at is not null"""
WINDOW_IDS = """
select id from messages
where conversation_id = :id and organization_id = :organization_id and seq > :after_seq order by seq"""
MAIN_WINDOWS = """
select c.agent_id, c.prefix, (
    select json_group_array(own.id) from (
        select m.id from messages m where m.conversation_id = c.id and m.seq > c.after_seq order by m.seq) own) as own
from conversations c
where c.agent_id in (select value from json_each(:agent_ids)) and c.is_default = 1
    and c.organization_id = :organization_id"""
SEQ_OF = "select seq from messages where id = :id"
SEQ_LAST = "select max(seq) as seq from messages where conversation_id = :id"

from_row, get = _ROWS.value, _ROWS.get


def default_id(agent_id: str) -> str:
    """The id of an agent's main thread: it has the agent's uuid."""
    return f"conv-{agent_id[-36:]}"


def insert(tx: Transaction, actor: Actor, conversation: Conversation) -> Conversation:
    """Store a new conversation; `created_at` must be set."""
    if conversation.created_at is None:
        raise ValueError("a conversation is stored with its time")
    return _ROWS.insert(tx, actor, conversation, conversation.created_at)


def head(tx: Transaction, actor: Actor, conversation_id: str, agent_id: str) -> Row:
    """What a turn must know before it starts, in one statement: the conversation (`from_row`), and of its agent
    `memory_version` and `agent_updated_at`; `awaiting` says whether an approval is pending. Raises NotFound.
    """
    row = tx.one(HEAD, {"id": conversation_id, "organization_id": actor.organization_id})
    if row is not None and row["agent_id"] == agent_id:
        return row
    if conversation_id == default_id(agent_id):
        raise NotFound(f"Agent not found: {agent_id}.")
    raise NotFound(f"Conversation {conversation_id} not found.")


def claim(tx: Transaction, actor: Actor, conversation_id: str, run_id: str, now: datetime) -> None:
    """Give the conversation to a run."""
    tx.run(CLAIM, within(actor, id=conversation_id, run_id=run_id, now=time_text(now)))


def advance(
    tx: Transaction,
    actor: Actor,
    conversation_id: str,
    *,
    busy_run_id: str | None,
    prompt_tokens: int,
    now: datetime,
) -> None:
    """Note that messages were added; `busy_run_id` None frees the conversation."""
    key = within(actor, id=conversation_id)
    tx.run(ADVANCE, {**key, "busy_run_id": busy_run_id, "prompt_tokens": prompt_tokens, "now": time_text(now)})


def set_window(
    tx: Transaction,
    actor: Actor,
    conversation_id: str,
    *,
    prefix: Sequence[str],
    after_message_id: str | None,
    now: datetime,
) -> None:
    """Choose what is in the window: `prefix`, then every message of the conversation stored after the given one.

    None for `after_message_id` means: after the newest, so that only `prefix` is left.
    """
    last = tx.one(SEQ_LAST if after_message_id is None else SEQ_OF, {"id": after_message_id or conversation_id})
    after_seq = 0 if last is None else integer(last, "seq")
    window = within(actor, id=conversation_id, prefix=dump(tuple(prefix)), after_seq=after_seq)
    tx.run(SET_WINDOW, {**window, "now": time_text(now)})


def set_compiled(tx: Transaction, actor: Actor, conversation_id: str, version: int) -> None:
    """Note which `memory_version` the stored system prompt was compiled from."""
    tx.run(SET_COMPILED, within(actor, id=conversation_id, version=version))


def set_prefix(tx: Transaction, actor: Actor, conversation_id: str, prefix: Sequence[str]) -> None:
    """Choose what the window begins with; what follows stays."""
    tx.run(SET_PREFIX, within(actor, id=conversation_id, prefix=dump(tuple(prefix))))


def read_anew(tx: Transaction, actor: Actor, message: Message) -> None:
    """Note that a message is not what it was, in its conversation and in each that has it from there."""
    key = within(actor, id=message.conversation_id, agent_id=message.agent_id)
    tx.run(READ_ANEW, {**key, "mention": f'%"{message.id}"%'})


def set_warned(tx: Transaction, actor: Actor, conversation_id: str) -> None:
    """Note that the agent was told about memory pressure."""
    tx.run(SET_WARNED, {"id": conversation_id, "organization_id": actor.organization_id})


class ConversationChange(TypedDict, total=False):
    """What a person may set. A field that is missing stays as it is; None takes away what was set."""

    summary: str | None
    description: str | None
    model: str | None
    model_settings: JsonObject | None
    window_tokens: int | None
    hidden: bool | None
    archived_at: datetime | None


def update(tx: Transaction, actor: Actor, conversation_id: str, change: ConversationChange, now: datetime) -> None:
    """Set what the change names. Raises NotFound."""
    columns: dict[str, SqlValue] = {}
    for name, value in change.items():
        match value:
            case bool():
                columns[name] = bit(value)
            case datetime():
                columns[name] = time_text(value)
            case str() | int() | None:
                columns[name] = value
            case _:
                columns[name] = maybe_dump(cast("JsonObject", value))
    if not columns:
        get(tx, actor, conversation_id)
        return
    fields = ", ".join(f"{name} = :{name}" for name in columns)
    key = within(actor, id=conversation_id, now=time_text(now))
    if not tx.run(SET_FIELDS.format(fields=fields), {**columns, **key}):
        raise NotFound(f"Conversation {conversation_id} not found.")


def delete(tx: Transaction, actor: Actor, conversation_id: str, now: datetime) -> None:
    """Put a conversation away: it is in no list and no search any more, and what was said in it is kept.

    Raises NotFound, BadRequest for a main thread, and Busy.
    """
    conversation = get(tx, actor, conversation_id)
    if conversation.is_default:
        raise BadRequest("The main thread of an agent goes only with the agent itself.")
    if conversation.busy_run_id is not None:
        raise Busy(run_id=conversation.busy_run_id)
    turns.forget_conversation(tx, actor, conversation_id)
    tx.run(DELETE, {"id": conversation_id, "organization_id": actor.organization_id, "now": time_text(now)})


def count_open(tx: Transaction, actor: Actor, agent_id: str) -> int:
    """How many threads an agent has besides its main one."""
    row = tx.one(COUNT_OPEN, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "n")


def restore(tx: Transaction, actor: Actor, conversation_id: str) -> Conversation:
    """Bring back a conversation that was deleted. Raises NotFound."""
    if not tx.run(RESTORE, {"id": conversation_id, "organization_id": actor.organization_id}):
        raise NotFound(f"There is no deleted conversation {conversation_id}.")
    turns.remember_conversation(tx, actor, conversation_id)
    return get(tx, actor, conversation_id)


def window_ids(tx: Transaction, actor: Actor, conversation: Conversation) -> list[str]:
    """The ids of the messages in the window, in order, without reading the messages."""
    return list(dict.fromkeys((*conversation.prefix, *own_ids(tx, actor, conversation))))


def own_ids(tx: Transaction, actor: Actor, conversation: Conversation) -> list[str]:
    """The ids of the messages that are in the window for their place and not by name, in the order of storing."""
    window = within(actor, id=conversation.id, after_seq=conversation.after_seq)
    return [text(row, "id") for row in tx.all(WINDOW_IDS, window)]


def main_windows(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the messages in the windows of the main threads of several agents, by agent."""
    return {
        text(row, "agent_id"): list(dict.fromkeys((*load_texts(row["prefix"]), *load_texts(row["own"]))))
        for row in tx.all(MAIN_WINDOWS, within(actor, agent_ids=dump(list(agent_ids))))
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """Which conversations to list. None means any; `search` is looked for in summaries."""

    agent_id: str | None = None
    search: str | None = None
    archived: bool | None = False
    by_use: bool = False
    """In the order in which they were last used, not made."""


def listing(tx: Transaction, actor: Actor, chosen: ConversationFilter, page: Page) -> list[Conversation]:
    """One page of conversations by time, main threads and hidden ones left out.

    Raises NotFound for a cursor that is not a conversation.
    """
    where = _ROWS.where(actor).also("c.is_default = 0 and coalesce(c.hidden, 0) = 0")
    where.equal("c.", agent_id=chosen.agent_id).having("coalesce(c.summary, '')", "search", chosen.search)
    if chosen.archived is not None:
        where.also(f"c.archived_at is {'not ' if chosen.archived else ''}null")
    return _ROWS.page(tx, actor, where, page, order_by="updated_at" if chosen.by_use else "created_at")
