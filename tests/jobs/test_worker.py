"""Background work is done at least once, one thing at a time for each subject, and survives what interrupts it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loci.clock import FakeClock
from loci.errors import FetchFailed, NotFound
from loci.jobs.worker import LEASE_S, Jobs
from loci.store import jobs
from loci.store.base import Store, Transaction
from loci.testing.stores import OTHER_ACTOR, open_store
from loci.types.actor import Actor
from loci.types.jobs import Job, NewJob
from loci.types.paging import Page

ME = Actor()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


class Diary:
    """A handler that notes what it was given, and does what the test says."""

    def __init__(self, then: Callable[[Job], Awaitable[datetime | None]] | None = None) -> None:
        self.seen: list[Job] = []
        self._then = then

    async def __call__(self, actor: Actor, job: Job) -> datetime | None:
        self.seen.append(job)
        return await self._then(job) if self._then else None


async def ask(store: Store, work: Jobs, new: NewJob, now: datetime = START, actor: Actor = ME) -> str:
    return await store.write(lambda tx: work.enqueue(tx, actor, new, now))


async def status(store: Store, job_id: str) -> tuple[str, int, str | None]:
    job = await store.read(jobs.get, ME, job_id)
    return job.status, job.attempts, job.error


def working(store: Store, clock: FakeClock, handler: Diary) -> Jobs:
    made = Jobs(store, clock)
    made.register("dig", handler, attempts_max=3)
    return made


async def test_a_job_is_done_once_with_its_payload(store: Store, clock: FakeClock) -> None:
    diary = Diary()
    work = working(store, clock, diary)
    job_id = await ask(store, work, NewJob(kind="dig", subject_id="hole-1", payload={"deep": 3}))

    assert await work.run_due() == 1
    assert await work.run_due() == 0
    assert [(job.id, job.subject_id, job.payload) for job in diary.seen] == [(job_id, "hole-1", {"deep": 3})]
    assert await status(store, job_id) == ("completed", 1, None)


async def test_a_job_is_done_in_the_name_of_whoever_asked(store: Store, clock: FakeClock) -> None:
    ada, bo = (Actor(user_id=f"user-{name}") for name in ("ada", "bo"))
    seen: list[Actor] = []

    async def dig(actor: Actor, job: Job) -> None:
        seen.append(actor)

    work = Jobs(store, clock)
    work.register("dig", dig)
    await ask(store, work, NewJob(kind="dig", subject_id="hole-1"), actor=ada)
    await work.run_due()
    job_id = await ask(store, work, NewJob(kind="dig", subject_id="hole-1"), actor=ada)
    assert await ask(store, work, NewJob(kind="dig", subject_id="hole-1"), actor=bo) == job_id  # joined: the last one's
    await work.run_due()
    assert seen == [ada, bo]
    assert (await store.read(jobs.get, ME, job_id)).created_by == "user-bo"


async def test_work_asked_for_in_a_transaction_that_fails_is_not_done(store: Store, clock: FakeClock) -> None:
    diary = Diary()
    work = working(store, clock, diary)

    def both(tx: Transaction) -> None:
        work.enqueue(tx, ME, NewJob(kind="dig"), START)
        raise NotFound

    with pytest.raises(NotFound):
        await store.write(both)

    assert await work.run_due() == 0
    assert diary.seen == []


async def test_an_open_job_for_a_subject_takes_the_newest_payload_and_the_earliest_time(
    store: Store, clock: FakeClock
) -> None:
    diary = Diary()
    work = working(store, clock, diary)
    late, soon = START + timedelta(hours=2), START + timedelta(hours=1)
    first = await ask(store, work, NewJob(kind="dig", subject_id="a", payload={"n": 1}, run_at=soon))
    second = await ask(store, work, NewJob(kind="dig", subject_id="a", payload={"n": 2}, run_at=late))
    assert first == second

    assert await work.run_due() == 0
    clock.advance(3_600)
    assert await work.run_due() == 1
    assert [job.payload for job in diary.seen] == [{"n": 2}]


async def test_asking_again_while_it_runs_runs_it_once_more(store: Store, clock: FakeClock) -> None:
    async def ask_again(job: Job) -> None:
        if len(diary.seen) == 1:
            await ask(store, work, NewJob(kind="dig", subject_id=job.subject_id, payload={"again": True}))

    diary = Diary(ask_again)
    work = working(store, clock, diary)
    job_id = await ask(store, work, NewJob(kind="dig", subject_id="a"))

    await work.run_due()
    assert [job.payload for job in diary.seen] == [{}, {"again": True}]
    assert await status(store, job_id) == ("completed", 1, None)


async def test_a_failure_is_tried_again_after_a_growing_pause_and_given_up_in_the_end(
    store: Store, clock: FakeClock
) -> None:
    async def fail(_: Job) -> None:
        raise FetchFailed("The other side is away.", hint="Wait.")

    diary = Diary(fail)
    work = working(store, clock, diary)
    job_id = await ask(store, work, NewJob(kind="dig"))

    assert await work.run_due() == 1
    assert await status(store, job_id) == ("pending", 1, "The other side is away. Wait.")
    clock.advance(1.9)
    assert await work.run_due() == 0
    clock.advance(0.1)
    assert await work.run_due() == 1
    clock.advance(4)
    assert await work.run_due() == 1
    assert await status(store, job_id) == ("failed", 3, "The other side is away. Wait.")
    clock.advance(1_000_000)
    assert await work.run_due() == 0


async def test_what_another_try_cannot_mend_is_not_tried_again(store: Store, clock: FakeClock) -> None:
    async def gone(_: Job) -> None:
        raise NotFound("The hole is gone.")

    work = working(store, clock, Diary(gone))
    job_id = await ask(store, work, NewJob(kind="dig"))
    await work.run_due()

    assert await status(store, job_id) == ("failed", 1, "The hole is gone.")


async def test_a_fault_of_the_handler_harms_no_other_job(store: Store, clock: FakeClock) -> None:
    async def break_first(job: Job) -> None:
        if job.subject_id == "a":
            raise ZeroDivisionError("by zero")

    work = working(store, clock, Diary(break_first))
    broken = await ask(store, work, NewJob(kind="dig", subject_id="a"))
    fine = await ask(store, work, NewJob(kind="dig", subject_id="b"))
    await work.run_due()

    assert await status(store, broken) == ("pending", 1, "ZeroDivisionError: by zero")
    assert await status(store, fine) == ("completed", 1, None)


async def test_a_handler_that_names_a_time_is_called_again_then(store: Store, clock: FakeClock) -> None:
    async def tomorrow(job: Job) -> datetime:
        return job.run_at + timedelta(days=1)

    diary = Diary(tomorrow)
    work = working(store, clock, diary)
    await ask(store, work, NewJob(kind="dig", subject_id="daily"))

    for _ in range(3):
        assert await work.run_due() == 1
        clock.advance(86_400)
    assert [job.run_at for job in diary.seen] == [START + timedelta(days=n) for n in range(3)]


async def test_what_a_dead_worker_left_is_done_when_its_lease_ends(store: Store, clock: FakeClock) -> None:
    asked = Jobs(store, clock)
    job_id = await ask(store, asked, NewJob(kind="dig"))
    until = START + timedelta(seconds=LEASE_S)
    assert len(await store.write(jobs.claim, ["dig"], 5, START, until)) == 1  # and then it died

    diary = Diary()
    work = working(store, clock, diary)
    assert await work.run_due() == 0
    clock.advance(LEASE_S)
    assert await work.run_due() == 1
    assert [(job.id, job.attempts) for job in diary.seen] == [(job_id, 2)]


async def test_a_start_does_at_once_what_the_process_before_left(store: Store, clock: FakeClock) -> None:
    job_id = await ask(store, Jobs(store, clock), NewJob(kind="dig"))
    await store.write(jobs.claim, ["dig"], 5, START, START + timedelta(seconds=LEASE_S))

    done = asyncio.Event()

    async def tell(_: Job) -> None:
        done.set()

    work = working(store, clock, Diary(tell))
    await work.start()
    try:
        await asyncio.wait_for(done.wait(), 5)
    finally:
        await work.close()
    assert (await store.read(jobs.get, ME, job_id)).attempts == 1


async def test_a_running_worker_begins_as_soon_as_it_is_asked(store: Store, clock: FakeClock) -> None:
    done = asyncio.Event()

    async def tell(_: Job) -> None:
        done.set()

    work = working(store, clock, Diary(tell))
    await work.start()
    try:
        await ask(store, work, NewJob(kind="dig"))
        await asyncio.wait_for(done.wait(), 4)  # sooner than a poll
    finally:
        await work.close()


async def test_closing_ends_it_also_while_it_is_being_woken(store: Store, clock: FakeClock) -> None:
    for _ in range(30):
        work = working(store, clock, Diary())
        await work.start()
        for _ in range(3):
            await work.run_due()  # by then it waits to be woken
        await ask(store, work, NewJob(kind="dig"))
        async with asyncio.timeout(5):
            await work.close()


async def test_a_cancelled_job_stops_and_does_not_come_back(store: Store, clock: FakeClock) -> None:
    begun = asyncio.Event()

    async def forever(_: Job) -> None:
        begun.set()
        await asyncio.Event().wait()

    diary = Diary(forever)
    work = working(store, clock, diary)
    job_id = await ask(store, work, NewJob(kind="dig"))
    doing = asyncio.create_task(work.run_due())
    await begun.wait()

    assert await work.cancel(ME, job_id)
    await doing
    assert not await work.cancel(ME, job_id)
    assert await status(store, job_id) == ("cancelled", 1, None)
    assert len(diary.seen) == 1


async def test_a_job_that_brings_the_process_down_each_time_is_given_up(store: Store, clock: FakeClock) -> None:
    job_id = await ask(store, Jobs(store, clock), NewJob(kind="dig"))
    for _ in range(3):
        await store.write(jobs.claim, ["dig"], 5, clock.now(), clock.now() + timedelta(seconds=LEASE_S))
        clock.advance(LEASE_S)

    diary = Diary()
    await working(store, clock, diary).run_due()
    assert diary.seen == []
    assert await status(store, job_id) == ("failed", 4, "it was interrupted each time")


async def test_whoever_asked_is_told_when_nobody_goes_on(store: Store, clock: FakeClock) -> None:
    told: list[tuple[str | None, str | None]] = []

    async def given_up(_: Actor, job: Job, error: str | None) -> None:
        told.append((job.subject_id, error))

    async def end(_actor: Actor, job: Job) -> None:
        match job.subject_id:
            case "gone":
                raise NotFound("The hole is gone.")
            case "away":
                raise FetchFailed("The other side is away.")
            case "broken":
                raise ZeroDivisionError("by zero")
            case "endless":
                await asyncio.Event().wait()
            case _:
                return

    asked = Jobs(store, clock)
    await ask(store, asked, NewJob(kind="dig", subject_id="deadly"))
    for _ in range(2):
        await store.write(jobs.claim, ["dig"], 5, clock.now(), clock.now() + timedelta(seconds=LEASE_S))
        clock.advance(LEASE_S)
    work = Jobs(store, clock)
    work.register("dig", end, attempts_max=2, given_up=given_up)
    for name in ("gone", "away", "broken", "fine"):
        await ask(store, work, NewJob(kind="dig", subject_id=name), clock.now())
    await work.run_due()
    assert told == [("deadly", "it was interrupted each time"), ("gone", "The hole is gone.")]
    clock.advance(10)
    await work.run_due()
    assert sorted(told[2:]) == [("away", "The other side is away."), ("broken", "ZeroDivisionError: by zero")]

    later = await ask(store, work, NewJob(kind="dig", subject_id="later"), clock.now() + timedelta(hours=1))
    endless = await ask(store, work, NewJob(kind="dig", subject_id="endless"), clock.now())
    doing = asyncio.create_task(work.run_due())
    while (await status(store, endless))[0] != "running":
        await asyncio.sleep(0.01)
    for job_id in (later, endless, endless):
        await work.cancel(ME, job_id)
    await doing
    assert told[4:] == [("later", None), ("endless", None)]


async def test_a_kind_that_may_have_few_at_once_leaves_room_for_others(store: Store, clock: FakeClock) -> None:
    go_on, most = asyncio.Event(), [0]

    async def hold(_actor: Actor, _job: Job) -> None:
        most[0] = max(most[0], len(work._kinds["long"].under_way))
        await go_on.wait()

    diary = Diary()
    work = working(store, clock, diary)
    work.register("long", hold, at_once=2)
    held = [await ask(store, work, NewJob(kind="long", subject_id=str(n))) for n in range(12)]
    quick = [await ask(store, work, NewJob(kind="dig", subject_id=str(n))) for n in range(12)]
    await work.start()
    try:
        async with asyncio.timeout(4):  # sooner than a poll
            while len(diary.seen) < len(quick):
                await asyncio.sleep(0.01)
            assert [(await status(store, job_id))[0] for job_id in held] == ["running"] * 2 + ["pending"] * 10
            go_on.set()
            while (await status(store, held[-1]))[0] != "completed":
                await asyncio.sleep(0.01)
    finally:
        await work.close()
    assert most == [2]


async def test_jobs_of_another_organisation_do_not_exist(store: Store, clock: FakeClock) -> None:
    work = working(store, clock, Diary())
    job_id = await ask(store, work, NewJob(kind="dig"), actor=OTHER_ACTOR)

    with pytest.raises(NotFound):
        await store.read(jobs.get, ME, job_id)
    with pytest.raises(NotFound):
        await store.write(jobs.delete, ME, job_id)
    with pytest.raises(NotFound):
        await work.cancel(ME, job_id)
    assert await store.read(jobs.page, ME, Page()) == []
