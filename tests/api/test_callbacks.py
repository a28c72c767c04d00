"""Whoever left an address hears of the end of the run or batch, however it ends, and in spite of a short failure."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson

from loci.app import Doubles, build
from loci.model.scripted import ScriptedModel
from loci.net import Door
from loci.testing.live import live_settings
from loci.testing.models import FixedModels
from tests.api.clients import MISSING

URL = "https://hooks.example.com/done"
HURRY = "update jobs set run_at = '2000-01-01T00:00:00.000000Z' where status = 'pending'"


class Hook:
    """The address, what it heard, and the client of a server that knows it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.statuses: list[int] = []
        self.called = asyncio.Event()
        self.http: Any = None
        self.core: Any = None
        self.agent_id = ""

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.heard.append(orjson.loads(request.content))
        self.called.set()
        return httpx2.Response(self.statuses.pop(0) if self.statuses else 200, stream=httpx2.ByteStream(b""))

    async def say(self, words: str, **more: Any) -> str:
        """Say something in the background; the id of the run."""
        body = {"messages": [{"role": "user", "content": words}], "callback_url": URL, **more}
        answer = await self.http.post(f"/v1/agents/{self.agent_id}/messages/async", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]

    async def told(self, count: int = 1) -> list[Any]:
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                self.called.clear()
                await self.core.store.write(lambda tx: tx.run(HURRY))
                await self.core.jobs.run_due()
                if len(self.heard) < count:
                    await self.called.wait()
        return self.heard


async def look_up(name: str, port: int) -> Sequence[str]:
    return ["192.0.1.7"]


@asynccontextmanager
async def a_hook(folder: Path) -> AsyncIterator[Hook]:
    hook = Hook()
    door = Door(resolver=look_up, transport=lambda: httpx2.MockTransport(hook.answer))
    app = build(live_settings(folder), Doubles(models=FixedModels(ScriptedModel(), any_handle=True), door=door))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://127.0.0.1") as http,
    ):
        hook.http, hook.core = http, app.state.core
        hook.agent_id = (await http.post("/v1/agents/", json={"include_base_tools": False})).json()["id"]
        yield hook


async def test_the_end_of_a_run_is_told_to_its_address(tmp_path):
    async with a_hook(tmp_path) as hook:
        run_id = await hook.say("@say Hi.")
        (heard,) = await hook.told()
        run = (await hook.http.get(f"/v1/runs/{run_id}")).json()
        assert heard == {
            "run_id": run_id,
            "status": "completed",
            "completed_at": run["completed_at"],
            "metadata": {"stop_reason": "end_turn", "error_type": None},
        }


async def test_a_failure_is_told_as_one(tmp_path):
    async with a_hook(tmp_path) as hook:
        await hook.say("@fail auth")
        (heard,) = await hook.told()
        assert (heard["status"], heard["metadata"]["error_type"]) == ("failed", "llm_authentication")


async def test_an_address_that_is_down_is_tried_again_and_one_that_refuses_is_not(tmp_path):
    async with a_hook(tmp_path) as hook:
        hook.statuses = [503, 500, 200, 404]
        await hook.say("@say Hi.")
        assert len(await hook.told(3)) == 3
        await hook.say("@say Ho.")
        assert len(await hook.told(4)) == 4
        listed = (await hook.http.get("/v1/jobs")).json()
        assert [job["status"] for job in listed if job["metadata"]["kind"] == "callback"] == ["completed"] * 2


async def test_a_call_outlives_the_server_that_should_make_it(tmp_path):
    async with a_hook(tmp_path) as hook:
        hook.statuses = [503]
        await hook.say("@say Hi.")
        await hook.told()
    async with a_hook(tmp_path) as hook:
        assert (await hook.told())[0]["status"] == "completed"


async def test_an_address_on_this_machine_is_refused(tmp_path):
    async with a_hook(tmp_path) as hook:
        body = {"messages": [{"role": "user", "content": "Hi"}], "callback_url": "http://127.0.0.1/steal"}
        assert (await hook.http.post(f"/v1/agents/{hook.agent_id}/messages/async", json=body)).status_code == 400


async def test_a_batch_tells_its_end_however_it_ends(tmp_path):
    async with a_hook(tmp_path) as hook:

        async def batch(words: str) -> str:
            request = {"agent_id": hook.agent_id, "messages": [{"role": "user", "content": words}]}
            made = await hook.http.post("/v1/messages/batches", json={"requests": [request], "callback_url": URL})
            return made.json()["id"]

        whole = await batch("@say Hi.")
        (heard,) = await hook.told()
        assert (heard["job_id"], heard["status"]) == (whole, "completed")
        early = await batch("@wait 30")
        while not (await hook.http.get("/v1/runs/", params={"agent_id": hook.agent_id, "active": True})).json():
            await asyncio.sleep(0.005)
        assert (await hook.http.patch(f"/v1/messages/batches/{early}/cancel")).status_code == 200
        assert [(item["job_id"], item["status"]) for item in (await hook.told(2))[1:]] == [(early, "cancelled")]
        assert (await hook.http.patch(f"/v1/messages/batches/job-{MISSING}/cancel")).status_code == 404
        assert len(hook.heard) == 2
