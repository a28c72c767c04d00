"""Messages are said when they are due, by the clock on the agent's wall, once, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from loci.agent.schedules import next_due
from loci.api.core import Core
from loci.app import Doubles, build
from loci.clock import FakeClock
from loci.errors import BadRequest
from loci.model.scripted import ScriptedModel
from loci.store.schedules import find
from loci.testing.live import live_settings
from loci.testing.models import FixedModels
from loci.types.actor import Actor
from loci.types.schedules import Recurring
from tests.api.clients import MISSING, client_of

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
HELLO = [{"role": "user", "content": "Good morning", "otid": "one"}]


class StillClock(FakeClock):
    """Who sleeps waits for real, so that background work does not move the time."""

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


@dataclass(frozen=True, slots=True)
class Desk:
    """A server in this process whose clock only moves when told."""

    core: Core
    http: httpx2.AsyncClient
    model: ScriptedModel
    clock: FakeClock

    async def agent(self, zone: str = "UTC") -> str:
        answer = await self.http.post("/v1/agents", json={"timezone": zone})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def schedule(self, agent_id: str, messages: Any = HELLO, **schedule: Any) -> str:
        answer = await self.http.post(
            f"/v1/agents/{agent_id}/schedule", json={"messages": messages, "schedule": schedule}
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def wait_until(self, moment: datetime) -> None:
        """Let time pass, and do what falls due."""
        self.clock.advance((moment - self.clock.now()).total_seconds())
        self.model.add("Morning!")
        await self.core.jobs.run_due()
        for task in list(self.core.runs._tasks):
            await task

    async def said(self, agent_id: str) -> list[str]:
        found = (await self.http.get(f"/v1/agents/{agent_id}/messages", params={"order": "asc"})).json()
        return [item["content"] for item in found if item["message_type"] == "user_message"]

    async def due(self, agent_id: str) -> list[str]:
        found = (await self.http.get(f"/v1/agents/{agent_id}/schedule")).json()
        return [item["next_scheduled_time"] for item in found["scheduled_messages"]]


@asynccontextmanager
async def at_desk(folder: Path, start: datetime = START) -> AsyncIterator[Desk]:
    clock, model = StillClock(start), ScriptedModel.of()
    app = build(live_settings(folder), Doubles(models=FixedModels(model, any_handle=True), clock=clock))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as http,
    ):
        yield Desk(app.state.core, http, model, clock)


async def test_the_public_client_schedules_lists_and_calls_off(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        at = (datetime.now(UTC) + timedelta(days=1)).timestamp() * 1_000
        once = await client.sdk.agents.schedule.create(
            agent.id, messages=HELLO, schedule={"scheduled_at": at}, max_steps=3, include_return_message_types=[]
        )
        daily = await client.sdk.agents.schedule.create(
            agent.id, messages=HELLO, schedule={"type": "recurring", "cron_expression": "0 9 * * *"}
        )
        page = await client.sdk.agents.schedule.list(agent.id, limit="1")
        assert ([item.id for item in page.scheduled_messages], page.has_next_page) == ([once.id], True)
        page = await client.sdk.agents.schedule.list(agent.id, after=once.id)
        assert ([item.id for item in page.scheduled_messages], page.has_next_page) == ([daily.id], False)
        one = await client.sdk.agents.schedule.retrieve(once.id, agent_id=agent.id)
        assert (one.schedule.scheduled_at, one.message.messages[0].content) == (at, "Good morning")
        assert one.next_scheduled_time == once.next_scheduled_at
        assert (await client.sdk.agents.schedule.delete(once.id, agent_id=agent.id)).success is True
        gone = await client.http.delete(f"/v1/agents/{agent.id}/schedule/{once.id}")
        other = await client.sdk.agents.create()
        elsewhere = await client.http.get(f"/v1/agents/{other.id}/schedule/{daily.id}")
        assert (gone.status_code, elsewhere.status_code) == (404, 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"type": "approval", "approve": True}]},
        {"schedule": {"type": "recurring", "cron_expression": "every day"}},
        {"schedule": {"type": "recurring", "cron_expression": "* * * * * *"}},
        {"schedule": {"type": "recurring", "cron_expression": "0 0 30 2 *"}},
        {"schedule": {"scheduled_at": 1}},
        {"schedule": {"scheduled_at": 9e14}},
        {"schedule": {"scheduled_at": 90_000_000_000}},
        {"callback_url": "http://127.0.0.1/"},
        {"max_steps": 0},
    ],
)
async def test_what_can_never_be_said_is_refused(tmp_path, wrong):
    async with at_desk(tmp_path) as desk:
        good = {"messages": HELLO, "schedule": {"type": "recurring", "cron_expression": "0 9 * * *"}}
        path = f"/v1/agents/{await desk.agent()}/schedule"
        assert (await desk.http.post(path, json=good | wrong)).status_code in (400, 422)
        assert (await desk.http.post(f"/v1/agents/agent-{MISSING}/schedule", json=good)).status_code == 404
        assert (await desk.http.get(path)).json() == {"scheduled_messages": [], "has_next_page": False}


async def test_a_message_for_one_time_is_said_then_and_forgotten(tmp_path):
    async with at_desk(tmp_path) as desk:
        agent = await desk.agent()
        await desk.schedule(agent, scheduled_at=(START + timedelta(hours=1)).timestamp())
        await desk.wait_until(START + timedelta(minutes=59))
        assert await desk.said(agent) == []
        await desk.wait_until(START + timedelta(minutes=61))
        assert await desk.said(agent) == ["Good morning"]
        assert await desk.due(agent) == []
        await desk.wait_until(START + timedelta(days=2))
        assert await desk.said(agent) == ["Good morning"]


async def test_a_message_called_off_is_not_said(tmp_path):
    async with at_desk(tmp_path) as desk:
        agent = await desk.agent()
        made = await desk.schedule(agent, scheduled_at=(START + timedelta(hours=1)).timestamp())
        await desk.http.delete(f"/v1/agents/{agent}/schedule/{made}")
        await desk.wait_until(START + timedelta(days=1))
        assert await desk.said(agent) == []


async def test_it_recurs_by_the_clock_on_the_wall(tmp_path):
    async with at_desk(tmp_path, datetime(2026, 3, 28, 12, tzinfo=UTC)) as desk:
        agent = await desk.agent("Europe/Berlin")
        await desk.schedule(agent, type="recurring", cron_expression="0 9 * * *")
        assert await desk.due(agent) == ["2026-03-29T07:00:00.000000Z"]  # the clocks went forward that night
        await desk.wait_until(datetime(2026, 3, 29, 7, 0, 1, tzinfo=UTC))
        assert await desk.said(agent) == ["Good morning"]
        assert await desk.due(agent) == ["2026-03-30T07:00:00.000000Z"]
        await desk.wait_until(datetime(2026, 3, 30, 7, 0, 1, tzinfo=UTC))
        assert len(await desk.said(agent)) == 2


async def test_times_missed_while_the_server_was_down_are_made_up_for_once(tmp_path):
    async with at_desk(tmp_path) as desk:
        agent = await desk.agent()
        await desk.schedule(agent, type="recurring", cron_expression="0 * * * *")
    later = START + timedelta(days=3, minutes=30)
    async with at_desk(tmp_path, later) as desk:
        await desk.wait_until(later)
        assert await desk.said(agent) == ["Good morning"]
        assert await desk.due(agent) == ["2026-03-04T13:00:00.000000Z"]


async def test_a_job_that_is_done_twice_is_said_once(tmp_path):
    async with at_desk(tmp_path) as desk:
        agent = await desk.agent()
        made = await desk.schedule(agent, type="recurring", cron_expression="0 * * * *")
        before = await desk.core.store.read(find, Actor(), made)
        assert before is not None
        await desk.wait_until(START + timedelta(minutes=61))
        # As if the server had died after the message was stored, and before the next time was.
        move = "update scheduled_messages set due_at = :due_at"
        at = "2026-03-01T13:00:00.000000Z"
        await desk.core.store.write(
            lambda tx: (tx.run(move, {"due_at": at}), tx.run("update jobs set run_at = :due_at", {"due_at": at}))
        )
        await desk.wait_until(START + timedelta(minutes=62))
        assert await desk.said(agent) == ["Good morning"]
        assert await desk.due(agent) == ["2026-03-01T14:00:00.000000Z"]


async def test_a_message_waits_for_an_agent_that_is_at_work(tmp_path):
    async with at_desk(tmp_path) as desk:
        agent = await desk.agent()
        await desk.schedule(agent, scheduled_at=(START + timedelta(hours=1)).timestamp())
        busy = "update conversations set busy_run_id = :run_id"
        await desk.core.store.write(lambda tx: tx.run(busy, {"run_id": "run-1"}))
        await desk.wait_until(START + timedelta(hours=2))
        assert await desk.said(agent) == []
        await desk.core.store.write(lambda tx: tx.run(busy, {"run_id": None}))
        await desk.wait_until(START + timedelta(hours=3))
        assert await desk.said(agent) == ["Good morning"]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00", "2026-03-29T01:00"),  # 02:30 does not exist: right after the gap
        ("30 2 * * *", "2026-10-24T12:00", "2026-10-25T00:30"),  # 02:30 comes twice: the first
        ("30 2 * * *", "2026-10-25T00:30", "2026-10-26T01:30"),  # and not the second
        ("0 * * * *", "2026-10-25T00:30", "2026-10-25T01:00"),  # each hour that passes
        ("0 9 * * MON-FRI", "2026-03-06T12:00", "2026-03-09T08:00"),
        ("0 0 29 2 *", "2026-03-01T00:00", "2028-02-28T23:00"),
    ],
)
def test_changes_of_the_clocks_neither_lose_nor_double_a_time(cron, after, expected):
    found = next_due(Recurring(cron=cron), datetime.fromisoformat(after).replace(tzinfo=UTC), BERLIN)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_an_expression_that_means_nothing_is_refused():
    with pytest.raises(BadRequest):
        next_due(Recurring(cron="99 * * * *"), START, BERLIN)
