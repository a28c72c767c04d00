"""Conversations: threads of an agent, and what is in the window of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, cast

from loci.errors import BadRequest, Busy, NotFound
from loci.store import turns
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import like_pattern, page_clause
from loci.store.rows import (
    bit,
    dump,
    flag,
    integer,
    load_maybe_object,
    load_texts,
    maybe_dump,
    maybe_flag,
    maybe_moment,
    maybe_text,
    maybe_time_text,
    text,
    time_text,
)
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.json import JsonObject
from loci.types.messages import Message
from loci.types.paging import Page

COLUMNS = """id, agent_id, is_default, prefix, after_seq, compiled_version, context_version, busy_run_id, warned,
    prompt_tokens_last, summary, model, model_settings, hidden, isolated_block_ids, description, window_tokens,
    archived_at, created_at, updated_at, created_by"""

INSERT = """
insert into conversations (id, organization_id, project_id, agent_id, is_default, prefix, after_seq, compiled_version,
    context_version, busy_run_id, warned, prompt_tokens_last, summary, model, model_settings, hidden,
    isolated_block_ids, description, window_tokens, archived_at, created_at, updated_at, created_by)
values (:id, :organization_id, :project_id, :agent_id, :is_default, :prefix, :after_seq, :compiled_version,
    :context_version, :busy_run_id, :warned, :prompt_tokens_last, :summary, :model, :model_settings, :hidden,
    :isolated_block_ids, :description, :window_tokens, :archived_at, :created_at, :updated_at, :created_by)"""

BY_ID = f"""
select {COLUMNS} from conversations where id = :id and organization_id = :organization_id and deleted_at is null"""

HEAD = """
select c.id, c.agent_id, c.is_default, c.prefix, c.after_seq, c.compiled_version, c.context_version, c.busy_run_id,
    c.warned, c.prompt_tokens_last, c.summary, c.model, c.model_settings, c.hidden, c.isolated_block_ids, c.description,
    c.window_tokens, c.archived_at, c.created_at, c.updated_at, c.created_by, a.memory_version,
    a.updated_at as agent_updated_at,
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


def default_id(agent_id: str) -> str:
    """The id of an agent's main thread: it has the agent's uuid."""
    return f"conv-{agent_id[-36:]}"


def from_row(row: Row) -> Conversation:
    """A stored conversation."""
    return Conversation(
        id=text(row, "id"),
        agent_id=text(row, "agent_id"),
        is_default=flag(row, "is_default"),
        prefix=load_texts(row["prefix"]),
        after_seq=integer(row, "after_seq"),
        compiled_version=integer(row, "compiled_version"),
        context_version=integer(row, "context_version"),
        busy_run_id=maybe_text(row, "busy_run_id"),
        warned=flag(row, "warned"),
        prompt_tokens_last=integer(row, "prompt_tokens_last"),
        summary=maybe_text(row, "summary"),
        model=maybe_text(row, "model"),
        model_settings=load_maybe_object(row["model_settings"]),
        hidden=maybe_flag(row, "hidden"),
        isolated_block_ids=load_texts(row["isolated_block_ids"]),
        description=maybe_text(row, "description"),
        window_tokens=window_tokens if isinstance(window_tokens := row["window_tokens"], int) else None,
        is_apart=window_tokens is not None or row["model_settings"] is not None or row["isolated_block_ids"] != "[]",
        archived_at=maybe_moment(row, "archived_at"),
        created_at=maybe_moment(row, "created_at"),
        updated_at=maybe_moment(row, "updated_at"),
        created_by=maybe_text(row, "created_by"),
    )


def insert(tx: Transaction, actor: Actor, conversation: Conversation) -> None:
    """Store a new conversation; `created_at` must be set."""
    if conversation.created_at is None:
        raise ValueError("a conversation is stored with its time")
    created = time_text(conversation.created_at)
    tx.run(
        INSERT,
        {
            "id": conversation.id,
            "organization_id": actor.organization_id,
            "project_id": actor.project_id,
            "agent_id": conversation.agent_id,
            "is_default": int(conversation.is_default),
            "prefix": dump(conversation.prefix),
            "after_seq": conversation.after_seq,
            "compiled_version": conversation.compiled_version,
            "context_version": conversation.context_version,
            "busy_run_id": conversation.busy_run_id,
            "warned": int(conversation.warned),
            "prompt_tokens_last": conversation.prompt_tokens_last,
            "summary": conversation.summary,
            "model": conversation.model,
            "model_settings": maybe_dump(conversation.model_settings),
            "hidden": bit(conversation.hidden),
            "isolated_block_ids": dump(conversation.isolated_block_ids),
            "description": conversation.description,
            "window_tokens": conversation.window_tokens,
            "archived_at": maybe_time_text(conversation.archived_at),
            "created_at": created,
            "updated_at": created,
            "created_by": conversation.created_by or actor.user_id,
        },
    )


def get(tx: Transaction, actor: Actor, conversation_id: str) -> Conversation:
    """One conversation. Raises NotFound."""
    row = tx.one(BY_ID, {"id": conversation_id, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"Conversation {conversation_id} not found.")
    return from_row(row)


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
    params = {"id": conversation_id, "organization_id": actor.organization_id, "run_id": run_id, "now": time_text(now)}
    tx.run(CLAIM, params)


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
    tx.run(
        ADVANCE,
        {
            "id": conversation_id,
            "organization_id": actor.organization_id,
            "busy_run_id": busy_run_id,
            "prompt_tokens": prompt_tokens,
            "now": time_text(now),
        },
    )


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
    tx.run(
        SET_WINDOW,
        {
            "id": conversation_id,
            "organization_id": actor.organization_id,
            "prefix": dump(tuple(prefix)),
            "after_seq": 0 if last is None else integer(last, "seq"),
            "now": time_text(now),
        },
    )


def set_compiled(tx: Transaction, actor: Actor, conversation_id: str, version: int) -> None:
    """Note which `memory_version` the stored system prompt was compiled from."""
    tx.run(SET_COMPILED, {"id": conversation_id, "organization_id": actor.organization_id, "version": version})


def set_prefix(tx: Transaction, actor: Actor, conversation_id: str, prefix: Sequence[str]) -> None:
    """Choose what the window begins with; what follows stays."""
    params: Params = {"id": conversation_id, "organization_id": actor.organization_id, "prefix": dump(tuple(prefix))}
    tx.run(SET_PREFIX, params)


def read_anew(tx: Transaction, actor: Actor, message: Message) -> None:
    """Note that a message is not what it was, in its conversation and in each that has it from there."""
    params: Params = {
        "id": message.conversation_id,
        "agent_id": message.agent_id,
        "organization_id": actor.organization_id,
        "mention": f'%"{message.id}"%',
    }
    tx.run(READ_ANEW, params)


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
    params: Params = {
        **columns,
        "id": conversation_id,
        "organization_id": actor.organization_id,
        "now": time_text(now),
    }
    if not tx.run(SET_FIELDS.format(fields=fields), params):
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
    params: Params = {
        "id": conversation.id,
        "organization_id": actor.organization_id,
        "after_seq": conversation.after_seq,
    }
    return [text(row, "id") for row in tx.all(WINDOW_IDS, params)]


def main_windows(tx: Transaction, actor: Actor, agent_ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the messages in the windows of the main threads of several agents, by agent."""
    params: Params = {"agent_ids": dump(list(agent_ids)), "organization_id": actor.organization_id}
    return {
        text(row, "agent_id"): list(dict.fromkeys((*load_texts(row["prefix"]), *load_texts(row["own"]))))
        for row in tx.all(MAIN_WINDOWS, params)
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
    where = "organization_id = :organization_id and is_default = 0 and coalesce(hidden, 0) = 0 and deleted_at is null"
    params: dict[str, SqlValue] = {"organization_id": actor.organization_id}
    if chosen.agent_id is not None:
        where += " and agent_id = :agent_id"
        params["agent_id"] = chosen.agent_id
    if chosen.search:
        where += " and lower(coalesce(summary, '')) like lower(:search) escape '!'"
        params["search"] = like_pattern(chosen.search)
    if chosen.archived is not None:
        where += f" and archived_at is {'not ' if chosen.archived else ''}null"
    column = "updated_at" if chosen.by_use else "created_at"
    clause = page_clause(tx, actor, page, "conversations", table_time_column=column)
    return [from_row(row) for row in clause.read(tx, f"select {COLUMNS} from conversations where {where}", params)]
