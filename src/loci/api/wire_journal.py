"""The journal in JSON: Loci's own, as the Letta V1 API has nothing like it."""

from collections.abc import Mapping
from typing import Literal

from typing_extensions import TypedDict

from loci.api.shapes import Object, Time, exact
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.memory.journal import Line, diff
from loci.types.json import JsonValue, list_of
from loci.types.memory import ActorKind, JournalEntry


@exact
class AuthorShape(TypedDict):
    """Who made a change, and from where."""

    kind: Literal["user", "agent", "dream", "import", "system"]
    id: str
    trust: str
    run_id: str | None
    step_id: str | None
    tool_call_id: str | None
    source_message_id: str | None


@exact
class ChangeShape(TypedDict):
    """One entry of the journal. `id` is its number, and the cursor of pages; `diff` is of the text (of files: of their
    names), as `diff -u`.
    """

    id: str
    at: Time
    subject: str
    subject_id: str
    agent_id: str | None
    action: str
    label: str | None
    before: Object | None
    after: Object | None
    diff: str
    author: AuthorShape
    reason: str | None
    change_set_id: str | None


@exact
class LineShape(TypedDict):
    """One line of a block, and the entry that brought it in."""

    number: int
    text: str
    change_id: str
    change_set_id: str | None
    at: Time
    author: AuthorShape


@exact
class UndoneShape(TypedDict):
    """The new ChangeSet that took the change back. Its id undoes the undoing; `changes` is empty if nothing was left
    to take back.
    """

    change_set_id: str
    changes: list[ChangeShape]


def wire_change(entry: JournalEntry) -> WireObject:
    """One entry."""
    label = _field(entry.after, "label") or _field(entry.before, "label")
    return {
        "id": str(entry.seq),
        "at": wire_moment(entry.at),
        "subject": entry.subject.value,
        "subject_id": entry.subject_id,
        "agent_id": entry.agent_id,
        "action": entry.action,
        "label": label,
        "before": _object(entry.before),
        "after": _object(entry.after),
        "diff": diff(_text(entry.before), _text(entry.after)),
        "author": _author(entry),
        "reason": entry.author.reason,
        "change_set_id": entry.change_set_id,
    }


def wire_line(number: int, line: Line) -> WireObject:
    """One line and where it comes from."""
    return {
        "number": number,
        "text": line.text,
        "change_id": str(line.entry.seq),
        "change_set_id": line.entry.change_set_id,
        "at": wire_moment(line.entry.at),
        "author": _author(line.entry),
    }


def _author(entry: JournalEntry) -> WireObject:
    author = entry.author
    kind: ActorKind = author.kind
    return {
        "kind": kind.value,
        "id": author.id,
        "trust": author.trust.value,
        "run_id": author.run_id,
        "step_id": author.step_id,
        "tool_call_id": author.tool_call_id,
        "source_message_id": author.source_message_id,
    }


def _object(state: JsonValue) -> JsonValue:
    return state if state is None or isinstance(state, Mapping) else {"value": state}


def _text(state: JsonValue) -> str:
    paths = list_of(state.get("paths")) if isinstance(state, Mapping) else ()
    return _field(state, "value") or _field(state, "text") or "\n".join(map(str, paths))


def _field(state: JsonValue, name: str) -> str | None:
    value = state.get(name) if isinstance(state, Mapping) else None
    return value if isinstance(value, str) else None
