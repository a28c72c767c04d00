"""Changing the words of a message that was said before. It keeps its id and its place; what it said stays in the
journal, the search finds the new words, and every window that holds it is read anew.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from loci.errors import Busy, VersionConflict
from loci.store import conversations, journal, messages, turns
from loci.store.base import Transaction
from loci.store.parts import part_from_json, part_to_json
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.messages import Message, Part


def reword(
    tx: Transaction, actor: Actor, author: Author, message: Message, now: datetime, *, change_set_id: str | None = None
) -> None:
    """Store a message with other parts than it has. Raises NotFound if it is not there or its conversation was
    deleted, and Busy while a run goes on in that.
    """
    conversation = conversations.get(tx, actor, message.conversation_id)
    if conversation.busy_run_id is not None:
        raise Busy(run_id=conversation.busy_run_id)
    current = messages.get(tx, actor, message.id)
    if message.parts == current.parts:
        return
    messages.set_parts(tx, actor, message.id, message.parts)
    turns.reindex(tx, actor, message)
    conversations.read_anew(tx, actor, message)
    entry = JournalEntry(
        subject=Subject.MESSAGE,
        subject_id=message.id,
        action="edit",
        before=_snapshot(current),
        after=_snapshot(message),
        author=author,
        agent_id=message.agent_id,
        change_set_id=change_set_id,
    )
    journal.record(tx, actor, [entry], now)


def take_back(
    tx: Transaction, actor: Actor, author: Author, entry: JournalEntry, now: datetime, *, change_set_id: str
) -> None:
    """Have a message say what it said before an edit. Raises VersionConflict if it was edited again since."""
    message = messages.get(tx, actor, entry.subject_id)
    if message.parts != _parts(entry.after):
        raise VersionConflict(
            f"Message {message.id} was edited again since. It says now:\n{message.text}",
            hint="Take the later edit back first.",
        )
    restored = replace(message, parts=_parts(entry.before))
    reword(tx, actor, author, restored, now, change_set_id=change_set_id)


def _snapshot(message: Message) -> JsonObject:
    """What the journal keeps of a message: its words, and everything that it is made of."""
    return {"role": message.role.value, "text": message.text, "parts": [part_to_json(part) for part in message.parts]}


def _parts(state: JsonValue) -> tuple[Part, ...]:
    parts = state.get("parts") if isinstance(state, Mapping) else None
    listed = parts if isinstance(parts, list) else []
    return tuple(part_from_json(item) for item in listed if isinstance(item, Mapping))
