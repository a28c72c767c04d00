"""The search index over an agent's messages. It is derived, and caught up with before a search, never during a turn.

Only talk is found: what people and the agent said. A message is indexed as `[date] speaker: text`, for people ask for
what was said by whom and when, and the words of the question often stand in no other place.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import orjson

from loci.clock import zone_named
from loci.store import messages, scopes
from loci.store.base import Params, Transaction
from loci.store.rows import dump, integer, load_object, maybe_integer, text
from loci.store.scopes import Entry, ScopeKey, ScopeKind
from loci.store.terms import words_of
from loci.types.actor import Actor
from loci.types.messages import Kind, Message, Role, ToolCall

NEWEST = "select max(seq) as seq from messages where agent_id = :agent_id and organization_id = :organization_id"
AFTER = f"""
select {messages.COLUMNS} from messages
where agent_id = :agent_id and organization_id = :organization_id and seq > :seq order by seq limit :limit"""
BY_SEQS = f"""
select {messages.COLUMNS} from messages
where organization_id = :organization_id and seq in (select value from json_each(:seqs))"""
SEQS_OF_THREAD = """
select seq, agent_id from messages where conversation_id = :conversation_id and organization_id = :organization_id"""
OF_THREAD = f"""
select {messages.COLUMNS} from messages
where conversation_id = :conversation_id and organization_id = :organization_id order by seq"""
DELETED_OF = """
select id from conversations where id in (select value from json_each(:ids)) and deleted_at is not null"""
FIRST_OF_RUN = "select min(seq) as seq from messages where run_id = :run_id and organization_id = :organization_id"
TIMEZONE = "select timezone from agents where id = :agent_id and organization_id = :organization_id"

BATCH_MESSAGES = 200
SPEECH_TOOL = "send_message"
"""The tool by which agents of the older kinds speak: its argument `message` is what they said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How far the index is behind: messages after `through_seq` up to `newest_seq`."""

    through_seq: int
    newest_seq: int

    @property
    def is_empty(self) -> bool:
        """Whether every message was looked at."""
        return self.through_seq >= self.newest_seq


def recall_state(tx: Transaction, actor: Actor, agent_id: str) -> Backlog:
    """How far the index over an agent's messages goes."""
    scope = scopes.find(tx, actor, ScopeKey(ScopeKind.AGENT, agent_id))
    newest = tx.one(NEWEST, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return Backlog(
        through_seq=0 if scope is None else scope.through_seq,
        newest_seq=0 if newest is None else integer(newest, "seq"),
    )


def catch_up(tx: Transaction, actor: Actor, agent_id: str, limit: int = BATCH_MESSAGES) -> Backlog:
    """Index the next `limit` messages of an agent. Returns what is still to be done."""
    scope = scopes.find_or_create(tx, actor, ScopeKey(ScopeKind.AGENT, agent_id))
    zone = timezone_of(tx, actor, agent_id)
    heard, last = talk_after(tx, actor, agent_id, scope.through_seq, limit)
    scopes.add(tx, scope, [_entry(message, zone) for message in heard])
    if last is not None:
        scopes.advance(tx, scope, last.seq)
    return recall_state(tx, actor, agent_id)


def talk_after(
    tx: Transaction, actor: Actor, agent_id: str, seq: int, limit: int
) -> tuple[list[Message], Message | None]:
    """What was said among the next `limit` messages of an agent, and the last of these."""
    params: Params = {
        "agent_id": agent_id,
        "organization_id": actor.organization_id,
        "seq": seq,
        "limit": limit,
    }
    new = [messages.from_row(row) for row in tx.all(AFTER, params)]
    gone = _deleted(tx, {message.conversation_id for message in new})
    heard = [message for message in new if spoken_text(message) and message.conversation_id not in gone]
    return heard, new[-1] if new else None


def _deleted(tx: Transaction, conversation_ids: Collection[str]) -> set[str]:
    rows = tx.all(DELETED_OF, {"ids": dump(list(conversation_ids))})
    return {text(row, "id") for row in rows}


def reindex(tx: Transaction, actor: Actor, message: Message) -> None:
    """Index a message again whose text was changed."""
    scope = scopes.find(tx, actor, ScopeKey(ScopeKind.AGENT, message.agent_id))
    if scope is None or message.seq > scope.through_seq:
        return
    if spoken_text(message):
        scopes.replace(tx, scope, _entry(message, timezone_of(tx, actor, message.agent_id)))
    else:
        scopes.remove(tx, scope, [message.seq])


def forget(tx: Transaction, actor: Actor, agent_id: str, seqs: Sequence[int]) -> None:
    """Take messages out of the index. To be called before they are deleted."""
    scope = scopes.find(tx, actor, ScopeKey(ScopeKind.AGENT, agent_id))
    if scope is not None:
        scopes.remove(tx, scope, [seq for seq in seqs if seq <= scope.through_seq])


def forget_conversation(tx: Transaction, actor: Actor, conversation_id: str) -> None:
    """Take all messages of a conversation out of the index. To be called before it is deleted."""
    rows = tx.all(SEQS_OF_THREAD, {"conversation_id": conversation_id, "organization_id": actor.organization_id})
    if rows:
        forget(tx, actor, text(rows[0], "agent_id"), [integer(row, "seq") for row in rows])


def remember_conversation(tx: Transaction, actor: Actor, conversation_id: str) -> None:
    """Put all messages of a conversation into the index again. To be called when it was brought back."""
    rows = tx.all(OF_THREAD, {"conversation_id": conversation_id, "organization_id": actor.organization_id})
    for row in rows:
        reindex(tx, actor, messages.from_row(row))


def by_seqs(tx: Transaction, actor: Actor, seqs: Sequence[int]) -> dict[int, Message]:
    """Messages by their seq; those that do not exist are left out."""
    rows = tx.all(BY_SEQS, {"seqs": dump(list(seqs)), "organization_id": actor.organization_id})
    return {integer(row, "seq"): messages.from_row(row) for row in rows}


def first_of_run(tx: Transaction, actor: Actor, run_id: str) -> int | None:
    """The seq of the first message of a run."""
    row = tx.one(FIRST_OF_RUN, {"run_id": run_id, "organization_id": actor.organization_id})
    return None if row is None else maybe_integer(row, "seq")


def timezone_of(tx: Transaction, actor: Actor, agent_id: str) -> tzinfo:
    """The timezone that an agent lives in; UTC if it is none that we know."""
    row = tx.one(TIMEZONE, {"agent_id": agent_id, "organization_id": actor.organization_id})
    return zone_named("UTC" if row is None else text(row, "timezone"))


def spoken_text(message: Message) -> str:
    """What was said in a message; empty if it is no talk (system prompts, tool results, alerts, logins, heartbeats)."""
    if message.kind is not Kind.PLAIN or message.role not in {Role.USER, Role.ASSISTANT}:
        return ""
    said = [message.text] + [_speech(call) for call in message.tool_calls if call.name == SPEECH_TOOL]
    return "\n".join(part for part in said if part.strip())


def _speech(call: ToolCall) -> str:
    try:
        said = load_object(call.arguments).get("message")
    except orjson.JSONDecodeError:
        return ""
    return said if isinstance(said, str) else ""


def turn_text(message: Message, zone: tzinfo) -> str:
    """A message as it is embedded."""
    return f"[{message.created_at.astimezone(zone):%Y-%m-%d}] {speaker(message)}: {spoken_text(message)}"


def speaker(message: Message) -> str:
    """Who says it: by name if the message has one."""
    return message.name or message.role.value


def _entry(message: Message, zone: tzinfo) -> Entry:
    return Entry(
        seq=message.seq,
        words=words_of(turn_text(message, zone)) + _date_words(message.created_at.astimezone(zone)),
        at=message.created_at,
        role=message.role,
        thread=message.conversation_id,
    )


def _date_words(moment: datetime) -> list[str]:
    """The date as people say it: "what did I do on Sunday, in March"."""
    return words_of(f"{moment:%A} {moment:%B}")
