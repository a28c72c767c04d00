"""Background work in the database: asked for in the transaction of the data it is about, claimed under a lease.

A worker claims due jobs; a claim is a lease that it renews while it works, so the jobs of a worker that died fall to
another one. Asking again for a job that is already under way sets `attempts` back to 0, by which its end knows that
it has to run once more.
"""

from collections.abc import Sequence
from datetime import datetime

from loci.errors import NotFound
from loci.ids import new_id
from loci.store.base import SqlValue, Transaction
from loci.store.rows import Record, actor_of, dump, maybe_moment, text, time_text
from loci.types.actor import Actor
from loci.types.jobs import Job, JobStatus, NewJob
from loci.types.paging import Page

_ROWS = Record(Job, "jobs", "jobs", missing="There is no job {}.")
INSERT = """
insert into jobs (id, organization_id, project_id, kind, subject_id, payload, status, attempts, run_at, lease_until,
    error, created_at, completed_at, created_by)
values (:id, :organization_id, :project_id, :kind, :subject_id, :payload, 'pending', 0, :run_at, null, null, :now, null,
    :user_id)
on conflict (kind, subject_id) where status in ('pending', 'running') and subject_id is not null
do update set payload = excluded.payload, created_by = excluded.created_by, attempts = 0, run_at = case
    when jobs.status = 'pending' and jobs.run_at < excluded.run_at then jobs.run_at else excluded.run_at end
returning id"""
DUE = "(status = 'pending' and run_at <= :now or status = 'running' and lease_until <= :now)"
CLAIM = f"""
update jobs set status = 'running', attempts = attempts + 1, lease_until = :lease_until
where id in (select id from jobs where kind in ({{kinds}}) and {DUE} order by run_at, id limit :limit_rows)
returning {_ROWS.columns}, organization_id, project_id"""
NEXT_DUE = """
select min(case when status = 'running' then lease_until else run_at end) as at from jobs
where status in ('pending', 'running') and kind in ({kinds})"""
RENEW = "update jobs set lease_until = :lease_until where id = :id and status = 'running'"
END = """
update jobs set lease_until = null, error = :error,
    status = case when attempts = 0 then 'pending' else :status end,
    run_at = case when attempts = 0 then run_at else coalesce(:run_at, run_at) end,
    completed_at = case when attempts = 0 or :status = 'pending' then null else :now end,
    attempts = case when :status = 'pending' and :error is null then 0 else attempts end
where id = :id and status = 'running'"""
RELEASE = """
update jobs set status = 'pending', lease_until = null, attempts = case when attempts > 0 then attempts - 1 else 0 end
where status = 'running'"""
CANCEL = """
update jobs set status = 'cancelled', lease_until = null, completed_at = :now
where id = :id and organization_id = :organization_id and status in ('pending', 'running')"""
CANCEL_OF_SUBJECT = """
update jobs set status = 'cancelled', lease_until = null, completed_at = :now
where kind = :kind and subject_id = :subject_id and organization_id = :organization_id
    and status in ('pending', 'running')"""
DELETE = "delete from jobs where id = :id and organization_id = :organization_id"
IS_OPEN = """
select 1 from jobs where kind = :kind and subject_id = :subject_id and status in ('pending', 'running')"""
PURGE = "delete from jobs where completed_at < :before"


get = _ROWS.get


def enqueue(tx: Transaction, actor: Actor, new: NewJob, now: datetime) -> str:
    """Ask for work; the job's id. An open one of this kind for the subject takes the payload and the earlier time."""
    row = tx.one(
        INSERT,
        {
            "id": new_id("job"),
            "organization_id": actor.organization_id,
            "project_id": actor.project_id,
            "user_id": actor.user_id,
            "kind": new.kind,
            "subject_id": new.subject_id,
            "payload": dump(new.payload),
            "run_at": time_text(new.run_at or now),
            "now": time_text(now),
        },
    )
    return "" if row is None else text(row, "id")


def claim(
    tx: Transaction, kinds: Sequence[str], limit_rows: int, now: datetime, lease_until: datetime
) -> list[tuple[Actor, Job]]:
    """Take up to so many due jobs of any organisation; the caller has to do them before the lease ends."""
    names, params = _in_kinds(kinds)
    params |= {"now": time_text(now), "lease_until": time_text(lease_until), "limit_rows": limit_rows}
    return [(actor_of(row), _ROWS.value(row)) for row in tx.all(CLAIM.format(kinds=names), params)]


def next_due(tx: Transaction, kinds: Sequence[str]) -> datetime | None:
    """When the next job falls due, or the lease of one that is under way ends; None when there is none."""
    names, params = _in_kinds(kinds)
    row = tx.one(NEXT_DUE.format(kinds=names), params)
    return None if row is None else maybe_moment(row, "at")


def _in_kinds(kinds: Sequence[str]) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {f"kind{number}": kind for number, kind in enumerate(kinds)}
    return ", ".join(f":{name}" for name in params), params


def renew(tx: Transaction, job_id: str, lease_until: datetime) -> bool:
    """Prolong a lease. False when the job was cancelled or deleted meanwhile: stop working on it."""
    return tx.run(RENEW, {"id": job_id, "lease_until": time_text(lease_until)}) == 1


def end(
    tx: Transaction,
    job_id: str,
    status: JobStatus,
    now: datetime,
    *,
    error: str | None = None,
    run_at: datetime | None = None,
) -> None:
    """Store how an attempt ended: completed, failed, or pending with the time of the next one."""
    params: dict[str, SqlValue] = {
        "id": job_id,
        "status": status,
        "error": error,
        "run_at": None if run_at is None else time_text(run_at),
        "now": time_text(now),
    }
    tx.run(END, params)


def release(tx: Transaction) -> int:
    """Give back what a process left unfinished. Only where no other process can be at work on the same database."""
    return tx.run(RELEASE) if tx.dialect == "sqlite" else 0


def page(
    tx: Transaction, actor: Actor, page: Page, *, active_only: bool = False, folder_id: str | None = None
) -> list[Job]:
    """Jobs in order of creation; with `folder_id`, those about its files. Raises NotFound for a cursor that is none."""
    where = _ROWS.where(actor)
    if active_only:
        where.also("status in ('pending', 'running')")
    where.also("subject_id in (select id from files where folder_id = :folder_id)", folder_id=folder_id)
    return _ROWS.page(tx, actor, where, page)


def cancel(tx: Transaction, actor: Actor, job_id: str, now: datetime) -> bool:
    """Call a job off. False when it has ended before."""
    params = {"id": job_id, "organization_id": actor.organization_id, "now": time_text(now)}
    return tx.run(CANCEL, params) == 1


def cancel_of_subject(tx: Transaction, actor: Actor, kind: str, subject_id: str, now: datetime) -> bool:
    """Call off the open job of this kind for a subject. False when there is none."""
    params: dict[str, SqlValue] = {"kind": kind, "subject_id": subject_id, "now": time_text(now)}
    return tx.run(CANCEL_OF_SUBJECT, {**params, "organization_id": actor.organization_id}) == 1


def is_open(tx: Transaction, kind: str, subject_id: str) -> bool:
    """Whether work of this kind is asked for or under way for a subject."""
    return tx.one(IS_OPEN, {"kind": kind, "subject_id": subject_id}) is not None


def delete(tx: Transaction, actor: Actor, job_id: str) -> None:
    """Forget a job, ended or not. Raises NotFound."""
    if tx.run(DELETE, {"id": job_id, "organization_id": actor.organization_id}) == 0:
        raise NotFound(f"There is no job {job_id}.")


def purge(tx: Transaction, before: datetime) -> int:
    """Forget jobs that ended before this time; how many."""
    return tx.run(PURGE, {"before": time_text(before)})
