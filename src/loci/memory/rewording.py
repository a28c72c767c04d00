"""Changing the words of a message that was said before. It keeps its id and its place; what it said stays in the
journal, the search finds the new words, and every window that holds it is read anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

import orjson

from loci.errors import BadRequest, Busy, NotFound, Unprocessable, VersionConflict
from loci.store import conversations, journal, messages, turns
from loci.store.base import Transaction
from loci.store.parts import part_from_json, part_to_json
from loci.store.rows import load_object
from loci.types.actor import Actor
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Author, JournalEntry, Subject
from loci.types.messages import Kind, Message, Part, Reasoning, Role, Text, ToolCall


@dataclass(frozen=True, slots=True)
class NewWords:
    """What a message shall consist of, if it is one of this role; None for whichever it has."""

    parts: tuple[Part, ...]
    role: Role | None


Edit: TypeAlias = NewWords | Reasoning


def edit(
    tx: Transaction, actor: Actor, author: Author, place: tuple[str, Collection[str]], new: Edit, now: datetime
) -> Message:
    """Have a message, by its id and the agents one of which it is of, say or think something else.

    Raises NotFound, Busy, and BadRequest or Unprocessable for what cannot be edited this way.
    """
    message_id, agent_ids = place
    message = messages.get(tx, actor, message_id)
    if message.agent_id not in agent_ids:
        raise NotFound(f"There is no message {message_id} here.")
    changed = replace(message, parts=_edited(message, new))
    reword(tx, actor, author, changed, now)
    return changed


def _edited(message: Message, new: Edit) -> tuple[Part, ...]:
    if message.kind is Kind.SYSTEM_PROMPT:
        raise BadRequest(
            "The system prompt is compiled from the agent's instructions and its blocks.", hint="Change those instead."
        )
    if message.kind is not Kind.PLAIN or message.role not in {Role.SYSTEM, Role.USER, Role.ASSISTANT}:
        raise BadRequest("Only what was said or thought can be edited: no summaries, tool results, or approvals.")
    if isinstance(new, Reasoning):
        return _in_place(message, new)
    if new.role not in (None, message.role):
        raise BadRequest(f"Message {message.id} is of the role '{message.role}', not '{new.role}'.")
    if message.role is not Role.ASSISTANT:
        return new.parts
    texts = [part.text for part in new.parts if isinstance(part, Text)]
    if len(texts) < len(new.parts):
        raise Unprocessable("What an agent says is made of texts alone.")
    return _said(message, "\n".join(texts))


def _said(message: Message, words: str) -> tuple[Part, ...]:
    """The message with these words instead of its own, which older kinds of agents say by calling a tool."""
    if message.text:
        return _in_place(message, Text(words))
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolCall) and part.name == turns.SPEECH_TOOL:
            arguments = orjson.dumps({**_arguments(part), "message": words}).decode()
            call = replace(part, arguments=arguments, signature=None, provider=None)
            return (*message.parts[:number], call, *message.parts[number + 1 :])
    raise BadRequest(f"In message {message.id} the agent says nothing that could be edited.")


def _arguments(call: ToolCall) -> JsonObject:
    try:
        return load_object(call.arguments)
    except orjson.JSONDecodeError:
        return {}


def _in_place(message: Message, new: Text | Reasoning) -> tuple[Part, ...]:
    """The parts with `new` where the first text of its kind stood, and the others of that kind gone.

    The new text has no signature: those of a provider hold for the text that it wrote.
    """
    old = [
        part
        for part in message.parts
        if isinstance(part, Text | Reasoning)
        and type(part) is type(new)
        and part.text
        and (isinstance(part, Text) or part.native)
    ]
    if not old:
        raise BadRequest(f"Message {message.id} has no thoughts of its own that could be edited.")
    return tuple(new if part is old[0] else part for part in message.parts if part is old[0] or part not in old)


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
