"""What the stream of a background run has told, so that a client that was cut off can have it told again.

`seq_id` counts from 1 within a run and never skips; `body` is the JSON as it was sent.
"""

from collections.abc import Sequence
from datetime import datetime

from loci.store.base import Transaction
from loci.store.rows import integer, text, time_text, within
from loci.types.actor import Actor

INSERT = """
insert into run_events (run_id, seq_id, organization_id, project_id, body)
values (:run_id, :seq_id, :organization_id, :project_id, :body)"""
AFTER = """
select seq_id, body from run_events
where run_id = :run_id and organization_id = :organization_id and seq_id > :seq_id order by seq_id limit :limit"""
LAST = "select max(seq_id) as seq_id from run_events where run_id = :run_id and organization_id = :organization_id"
PURGE = """
delete from run_events where run_id in (select id from runs where background = 1 and completed_at < :before)"""


def append(tx: Transaction, actor: Actor, run_id: str, first_seq_id: int, bodies: Sequence[str]) -> None:
    """Store what comes next, numbered from `first_seq_id` on. Raises Conflict when a number is taken."""
    key = within(actor, run_id=run_id)
    tx.many(INSERT, [{**key, "seq_id": seq_id, "body": body} for seq_id, body in enumerate(bodies, first_seq_id)])


def after(tx: Transaction, actor: Actor, run_id: str, seq_id: int, limit_rows: int) -> list[tuple[int, str]]:
    """What was told after `seq_id`, oldest first."""
    rows = tx.all(AFTER, within(actor, run_id=run_id, seq_id=seq_id, limit=limit_rows))
    return [(integer(row, "seq_id"), text(row, "body")) for row in rows]


def last(tx: Transaction, actor: Actor, run_id: str) -> int:
    """The number of the newest one; 0 when there is none."""
    row = tx.one(LAST, {"run_id": run_id, "organization_id": actor.organization_id})
    return 0 if row is None else integer(row, "seq_id")


def purge(tx: Transaction, before: datetime) -> int:
    """Drop the streams of background runs that ended before that time; how many events were dropped."""
    return tx.run(PURGE, {"before": time_text(before)})
