"""Background work over the API: looked at, called off, forgotten."""

import asyncio
from datetime import datetime, timedelta

from loci.testing.stores import OTHER_ACTOR
from loci.types.actor import Actor
from loci.types.jobs import Job, NewJob
from tests.api.clients import MISSING, Client, client_of
from tests.wire.published import faults

ME = Actor()


async def asked(client: Client, kind: str, *, in_s: float = 0, actor: Actor = ME) -> str:
    """The id of a new job of a kind."""
    core, now = client.live.core, client.live.core.clock.now()
    new = NewJob(
        kind=kind, subject_id=f"{kind}-{in_s}", payload={"word": "plover"}, run_at=now + timedelta(seconds=in_s)
    )
    return await core.store.write(lambda tx: core.jobs.enqueue(tx, actor, new, now))


async def later(client: Client) -> str:
    """The id of a job that is due in an hour."""
    return await asked(client, "dig", in_s=3_600)


async def until(client: Client, job_id: str, status: str) -> dict[str, object]:
    async with asyncio.timeout(10):
        while (job := await client.get(f"/v1/jobs/{job_id}"))["status"] != status:
            await asyncio.sleep(0.02)
    return job


async def test_jobs_are_listed_and_those_that_ended_are_not_active(tmp_path):
    async with client_of(tmp_path) as client:
        first, second, third = [await asked(client, kind, in_s=3_600) for kind in ("a", "b", "c")]
        assert [job["id"] for job in await client.get("/v1/jobs/")] == [third, second, first]
        assert [job["id"] for job in await client.get("/v1/jobs/", order="asc", after=first)] == [second, third]
        assert [job["id"] for job in await client.get("/v1/jobs/", ascending=True, limit=1)] == [first]
        assert (await client.http.patch(f"/v1/jobs/{second}/cancel")).json()["stop_reason"] == "cancelled"
        assert [job["id"] for job in await client.get("/v1/jobs/active")] == [third, first]
        assert [job["id"] for job in await client.get("/v1/jobs/", active=True)] == [third, first]
        seen = await client.get(f"/v1/jobs/{first}")
        assert (seen["status"], seen["metadata"]["kind"], seen["completed_at"]) == ("pending", "a", None)
        assert "plover" not in str(seen)


async def test_a_job_that_is_under_way_is_stopped(tmp_path):
    began, stopped = asyncio.Event(), asyncio.Event()

    async def dig(_actor: Actor, _job: Job) -> datetime | None:
        began.set()
        try:
            await asyncio.sleep(3_600)
        finally:
            stopped.set()

    async with client_of(tmp_path) as client:
        client.live.core.jobs.register("dig", dig)
        for method, path in (("PATCH", "/cancel"), ("DELETE", "")):
            began.clear()
            stopped.clear()
            job_id = await asked(client, "dig")
            await asyncio.wait_for(began.wait(), 10)
            ended = (await client.http.request(method, f"/v1/jobs/{job_id}{path}")).json()
            assert faults(f"{method} /v1/jobs/{{job_id}}{path}", ended) == []
            assert (ended["status"], ended["completed_at"] is None) == ("cancelled", False)
            assert stopped.is_set()
        assert (await client.http.get(f"/v1/jobs/{job_id}")).status_code == 404


async def test_a_job_that_has_ended_stays_as_it_is_until_it_is_deleted(tmp_path):
    async def dig(_actor: Actor, _job: Job) -> datetime | None:
        return None

    async with client_of(tmp_path) as client:
        client.live.core.jobs.register("dig", dig)
        done = await until(client, await asked(client, "dig"), "completed")
        assert faults("GET /v1/jobs/{job_id}", done) == []
        assert (await client.http.patch(f"/v1/jobs/{done['id']}/cancel")).json() == done
        assert (await client.http.delete(f"/v1/jobs/{done['id']}")).json() == done
        assert await client.get("/v1/jobs/") == []


async def test_what_is_not_there_is_refused(tmp_path):
    async with client_of(tmp_path) as client:
        foreign = await asked(client, "dig", in_s=3_600, actor=OTHER_ACTOR)
        assert await client.get("/v1/jobs/") == []
        for job_id, status in ((foreign, 404), (f"job-{MISSING}", 404), ("nonsense", 422)):
            for method, path in (("GET", ""), ("PATCH", "/cancel"), ("DELETE", "")):
                answer = await client.http.request(method, f"/v1/jobs/{job_id}{path}")
                assert answer.status_code == status, (method, answer.text)
        assert (await client.http.get(f"/v1/jobs?after=job-{MISSING}")).status_code == 404
        assert (await client.http.get("/v1/jobs?order=sideways")).status_code == 422
