"""The journal: one append-only table in which every change of memory is written, in the transaction that makes it.

History, diff, blame, undo and as-of reads are queries over it (see `loci.memory.journal`).
"""

from collections.abc import Sequence
from datetime import datetime

from loci.errors import NotFound
from loci.store.base import Params, Row, SqlValue, Transaction
from loci.store.page import BY_SEQ
from loci.store.rows import integer, load, maybe_dump, maybe_text, moment, text, time_text, within
from loci.types.actor import Actor
from loci.types.memory import ActorKind, Author, JournalEntry, Subject
from loci.types.messages import Trust
from loci.types.paging import PAGE_MAX_ROWS, Page

COLUMNS = """seq, at, subject, subject_id, agent_id, action, before, after, actor_kind, actor_id, trust, run_id,
    step_id, tool_call_id, source_message_id, change_set_id, reason"""

_FROM = ("run_id", "step_id", "tool_call_id", "source_message_id", "reason")
"""From where an author changed something, as it is called there and here."""
SEQ_DIGITS_MAX = 18
"""A number with more digits is no entry, and no integer of a database either."""

INSERT = """
insert into journal (organization_id, project_id, at, subject, subject_id, agent_id, action, before, after, actor_kind,
    actor_id, trust, run_id, step_id, tool_call_id, source_message_id, change_set_id, reason)
values (:organization_id, :project_id, :at, :subject, :subject_id, :agent_id, :action, :before, :after, :actor_kind,
    :actor_id, :trust, :run_id, :step_id, :tool_call_id, :source_message_id, :change_set_id, :reason)"""

OF_SUBJECT = f"""
select {COLUMNS} from journal
where subject = :subject and subject_id = :subject_id and organization_id = :organization_id"""
OF_CHANGE_SET = f"""
select {COLUMNS} from journal
where change_set_id = :change_set_id and organization_id = :organization_id order by seq"""
OF_ATTACHMENTS = f"""
select {COLUMNS} from journal
where agent_id = :agent_id and subject = 'attachment' and at <= :until and organization_id = :organization_id
order by seq"""
LAST_SEQ = "select seq from journal where organization_id = :organization_id order by seq desc limit 1"
BY_SEQ_ONE = f"select {COLUMNS} from journal where seq = :seq and organization_id = :organization_id"
# What an agent did, and what others did to the blocks that it holds now.
OF_AGENT = f"""
select {COLUMNS} from journal where organization_id = :organization_id and (agent_id = :agent_id or (
    subject = 'block' and subject_id in (select block_id from agent_blocks where agent_id = :agent_id)))"""


def record(tx: Transaction, actor: Actor, entries: Sequence[JournalEntry], now: datetime) -> None:
    """Write entries, in order. `at` and `seq` of an entry are set here."""
    if entries:
        tx.many(INSERT, [_params(actor, entry, now) for entry in entries])


def _params(actor: Actor, entry: JournalEntry, now: datetime) -> Params:
    author = entry.author
    return {
        **within(actor, at=time_text(now)),
        "subject": entry.subject.value,
        "subject_id": entry.subject_id,
        "agent_id": entry.agent_id or author.agent_id,
        "action": entry.action,
        "before": maybe_dump(entry.before),
        "after": maybe_dump(entry.after),
        "actor_kind": author.kind.value,
        "actor_id": author.id,
        "trust": author.trust.value,
        "change_set_id": entry.change_set_id,
        **{name: getattr(author, name) for name in _FROM},
    }


def from_row(row: Row) -> JournalEntry:
    """A stored entry."""
    agent_id = maybe_text(row, "agent_id")
    return JournalEntry(
        seq=integer(row, "seq"),
        at=moment(row, "at"),
        subject=Subject(text(row, "subject")),
        subject_id=text(row, "subject_id"),
        agent_id=agent_id,
        action=text(row, "action"),
        before=load(row["before"]),
        after=load(row["after"]),
        change_set_id=maybe_text(row, "change_set_id"),
        author=Author(
            kind=ActorKind(text(row, "actor_kind")),
            id=text(row, "actor_id"),
            trust=Trust(text(row, "trust")),
            agent_id=agent_id,
            **{name: maybe_text(row, name) for name in _FROM},
        ),
    )


def of_subject(
    tx: Transaction,
    actor: Actor,
    subject: Subject,
    subject_id: str,
    *,
    until: datetime | None = None,
    newest_rows: int | None = None,
) -> list[JournalEntry]:
    """The entries about one thing, oldest first: with `until`, those that were written by then; with `newest_rows`,
    only the last of them.
    """
    params = within(actor, subject=subject.value, subject_id=subject_id)
    sql = OF_SUBJECT
    if until is not None:
        sql += " and at <= :until"
        params["until"] = time_text(until)
    if newest_rows is None:
        return [from_row(row) for row in tx.all(sql + " order by seq", params)]
    rows = tx.all(sql + " order by seq desc limit :newest_rows", {**params, "newest_rows": newest_rows})
    return [from_row(row) for row in reversed(rows)]


def of_change_set(tx: Transaction, actor: Actor, change_set_id: str) -> list[JournalEntry]:
    """What one ChangeSet did, in order. Raises NotFound if there is none."""
    found = find_change_set(tx, actor, change_set_id)
    if not found:
        raise NotFound(f"Change {change_set_id} not found.")
    return found


def find_change_set(tx: Transaction, actor: Actor, change_set_id: str) -> list[JournalEntry]:
    """What one ChangeSet did, in order; nothing if there is none, or if it had nothing to do."""
    rows = tx.all(OF_CHANGE_SET, {"change_set_id": change_set_id, "organization_id": actor.organization_id})
    return [from_row(row) for row in rows]


def of_attachments(tx: Transaction, actor: Actor, agent_id: str, until: datetime) -> list[JournalEntry]:
    """What was attached to an agent and taken off until a time, oldest first."""
    rows = tx.all(OF_ATTACHMENTS, within(actor, agent_id=agent_id, until=time_text(until)))
    return [from_row(row) for row in rows]


def get(tx: Transaction, actor: Actor, seq: int) -> JournalEntry:
    """One entry. Raises NotFound."""
    row = tx.one(BY_SEQ_ONE, {"seq": seq, "organization_id": actor.organization_id})
    if row is None:
        raise NotFound(f"The journal has no entry {seq}.")
    return from_row(row)


def last_seq(tx: Transaction, actor: Actor) -> int:
    """The number of the newest entry of an organisation; 0 if there is none."""
    row = tx.one(LAST_SEQ, {"organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "seq")


def of_agent(tx: Transaction, actor: Actor, agent_id: str, page: Page) -> list[JournalEntry]:
    """One page of everything that concerns an agent's memory. The cursors are entry numbers. Raises NotFound."""
    return _page(tx, OF_AGENT, {"agent_id": agent_id, "organization_id": actor.organization_id}, page)


def page_of_subject(tx: Transaction, actor: Actor, subject: Subject, subject_id: str, page: Page) -> list[JournalEntry]:
    """One page of the entries about one thing. The cursors are entry numbers. Raises NotFound."""
    return _page(tx, OF_SUBJECT, within(actor, subject=subject.value, subject_id=subject_id), page)


def _page(tx: Transaction, sql: str, params: Params, page: Page) -> list[JournalEntry]:
    chosen: dict[str, SqlValue] = {**params, "limit": max(1, min(page.limit_rows, PAGE_MAX_ROWS))}
    for name, cursor, upwards in (
        ("after", page.after, page.ascending),
        ("before", page.before, not page.ascending),
    ):
        if cursor is not None:
            if not cursor.isdecimal() or len(cursor) > SEQ_DIGITS_MAX:
                raise NotFound(f"The journal has no entry {cursor}.")
            sql += f" and {BY_SEQ} {'>' if upwards else '<'} :{name}"
            chosen[name] = int(cursor)
    # Before a cursor means: right before it.
    backwards = page.before is not None and page.after is None
    direction = "asc" if page.ascending is not backwards else "desc"
    found = [from_row(row) for row in tx.all(f"{sql} order by {BY_SEQ} {direction} limit :limit", chosen)]
    return found[::-1] if backwards else found
