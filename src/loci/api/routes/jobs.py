"""Background work: what is waiting, under way or done, and calling it off."""

from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import JobId
from loci.api.routes.runs import AskedList
from loci.api.shapes import JobShape
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.store import jobs
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.batches import Batch
from loci.types.jobs import Job

router = new_router("jobs")


def _wire(job: Job) -> WireObject:
    metadata: WireObject = {
        "kind": job.kind,
        "subject_id": job.subject_id,
        "attempts": job.attempts,
        "run_at": wire_moment(job.run_at),
        "error": job.error,
    }
    return wire_work(job, "job", metadata)


def wire_work(item: Job | Batch, job_type: str, metadata: WireObject) -> WireObject:
    """What every kind of work in the background shows."""
    reasons = {"failed": "error", "cancelled": "cancelled"} | ({"completed": "end_turn"} if job_type == "batch" else {})
    took = None if item.completed_at is None else item.completed_at - item.created_at
    return {
        "id": item.id,
        "status": item.status,
        "job_type": job_type,
        "metadata": metadata,
        "stop_reason": reasons.get(item.status),
        "background": True,
        "agent_id": None,
        "callback_url": item.callback_url if isinstance(item, Batch) else None,
        "callback_sent_at": None,
        "callback_status_code": None,
        "callback_error": None,
        "ttft_ns": None,
        "total_duration_ns": None if took is None else int(took.total_seconds() * 1e9),
        "created_at": wire_moment(item.created_at),
        "updated_at": wire_moment(item.completed_at or item.created_at),
        "completed_at": wire_moment(item.completed_at),
        "created_by_id": item.created_by,
        "last_updated_by_id": item.created_by,
    }


@router.get("/jobs", response_model=list[JobShape])
async def list_jobs(
    services: Services, actor: Actor, page: AskedList, active: bool = False, source_id: str | None = None
) -> Response:
    """Jobs by the time at which they were asked for; with `source_id`, those about the files of that folder."""
    found = await services.store.read(jobs.page, actor, page, active_only=active, folder_id=source_id)
    return json_answer([_wire(job) for job in found])


@router.get("/jobs/active", response_model=list[JobShape])
async def list_active_jobs(services: Services, actor: Actor, page: AskedList, source_id: str | None = None) -> Response:
    """Jobs that wait or are under way."""
    return await list_jobs(services, actor, page, active=True, source_id=source_id)


@router.get("/jobs/{job_id}", response_model=JobShape)
async def retrieve_job(job_id: JobId, services: Services, actor: Actor) -> Response:
    """One job. Those that ended are kept for some days."""
    return json_answer(_wire(await services.store.read(jobs.get, actor, job_id)))


@router.patch("/jobs/{job_id}/cancel", response_model=JobShape)
async def cancel_job(job_id: JobId, services: Services, actor: Actor) -> Response:
    """Call a job off, under way or not; one that has ended stays as it is."""
    await services.jobs.cancel(actor, job_id)
    return json_answer(_wire(await services.store.read(jobs.get, actor, job_id)))


@router.delete("/jobs/{job_id}", response_model=JobShape)
async def delete_job(job_id: JobId, services: Services, actor: Actor) -> Response:
    """Forget a job; it is called off first if it has not ended."""
    await services.jobs.cancel(actor, job_id)
    return json_answer(_wire(await services.store.write(_forget, actor, job_id)))


def _forget(tx: Transaction, actor: actors.Actor, job_id: str) -> Job:
    job = jobs.get(tx, actor, job_id)
    jobs.delete(tx, actor, job_id)
    return job
