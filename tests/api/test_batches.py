"""Many messages for many agents, answered in the background: all of them, once, and in the order of each agent."""

import asyncio
from typing import Any

import pytest

from loci.model.scripted import ScriptedModel
from tests.api.clients import MISSING
from tests.api.talk import Talk, talking

BATCHES = "/v1/messages/batches"


def asks(agent_id: str, words: str, **more: Any) -> dict[str, Any]:
    return {"agent_id": agent_id, "messages": [{"role": "user", "content": words}], **more}


async def batch(talk: Talk, *requests: dict[str, Any], **more: Any) -> Any:
    made = await talk.http.post(BATCHES, json={"requests": list(requests), **more})
    assert made.status_code == 200, made.text
    return made.json()


async def ended(talk: Talk, batch_id: str) -> Any:
    for _ in range(2_000):
        found = (await talk.http.get(f"{BATCHES}/{batch_id}")).json()
        if found["completed_at"]:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(found)


async def said(talk: Talk, batch_id: str, **query: Any) -> list[str]:
    found = (await talk.http.get(f"{BATCHES}/{batch_id}/messages", params={"order": "asc", **query})).json()
    return [part["text"] for message in found["messages"] for part in message["content"] or []]


async def test_each_request_is_a_run_and_those_of_an_agent_keep_their_order(tmp_path):
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        ada, bob = talk.agent_id, await talk.agent()
        made = await batch(talk, asks(ada, "@say One."), asks(bob, "@say Two."), asks(ada, "@say Three."))
        assert (made["status"], made["job_type"], made["metadata"]["requests"]) == ("created", "batch", 3)
        done = await ended(talk, made["id"])
        assert (done["status"], done["metadata"]) == ("completed", {"requests": 3, "completed": 3})
        assert await said(talk, made["id"], agent_id=ada) == ["@say One.", "One.", "@say Three.", "Three."]
        assert await said(talk, made["id"], agent_id=bob) == ["@say Two.", "Two."]
        assert len(await said(talk, made["id"], limit=2)) == 2
        runs = (await talk.sdk.runs.list(agent_id=bob)).items
        assert [(run.background, run.metadata["batch_id"]) for run in runs] == [(True, made["id"])]
        assert [item["id"] for item in (await talk.http.get(BATCHES)).json()] == [made["id"]]


async def test_what_fails_says_so_and_the_rest_goes_on(tmp_path):
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        bob = await talk.agent()
        stuck = await talk.agent()
        made = await batch(talk, asks(bob, "@fail bad_request"), asks(stuck, "@say Fine."))
        assert (await ended(talk, made["id"]))["metadata"] == {"requests": 2, "completed": 1, "failed": 1}
        alone = await batch(talk, asks(bob, "@fail bad_request"))
        assert (await ended(talk, alone["id"]))["status"] == "failed"


async def test_an_agent_at_work_is_waited_for(tmp_path):
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        path = f"/v1/agents/{talk.agent_id}/messages"

        def say(words: str) -> Any:
            return talk.http.post(path, json={"messages": [{"role": "user", "content": words}]})

        first = asyncio.ensure_future(say("@wait 1\n@say Late."))
        while not (await talk.sdk.runs.list(agent_id=talk.agent_id)).items:
            await asyncio.sleep(0.005)
        made = await batch(talk, asks(talk.agent_id, "@say After you."))
        assert (await say("@say Me too.")).status_code == 409  # it is at work indeed
        assert (await ended(talk, made["id"]))["status"] == "completed"
        assert (await first).status_code == 200
        heard = (await talk.http.get(path, params={"order": "asc"})).json()
        assert [m["content"] for m in heard if m["message_type"] == "assistant_message"] == ["Late.", "After you."]


async def test_a_batch_is_called_off_with_its_runs(tmp_path):
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        made = await batch(talk, *(asks(talk.agent_id, "@wait 30") for _ in range(2)))
        while not (await talk.sdk.runs.list(agent_id=talk.agent_id)).items:
            await asyncio.sleep(0.005)
        assert (await talk.http.patch(f"{BATCHES}/{made['id']}/cancel")).status_code == 200
        found = (await talk.http.get(f"{BATCHES}/{made['id']}")).json()
        assert (found["status"], found["metadata"]) == ("cancelled", {"requests": 2, "cancelled": 2})
        assert [run.status for run in (await talk.sdk.runs.list(agent_id=talk.agent_id)).items] == ["cancelled"]
        assert (await talk.http.patch(f"{BATCHES}/{made['id']}/cancel")).status_code == 409


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/cancel"), ("DELETE", "")])
async def test_a_batch_is_called_off_as_the_job_that_it_is(tmp_path, method, path):
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        made = await batch(talk, *(asks(talk.agent_id, "@wait 30") for _ in range(2)))
        while not (await talk.sdk.runs.list(agent_id=talk.agent_id)).items:
            await asyncio.sleep(0.005)
        assert (await talk.http.request(method, f"/v1/jobs/{made['id']}{path}")).status_code == 200
        found = (await talk.http.get(f"{BATCHES}/{made['id']}")).json()
        assert (found["status"], found["metadata"]) == ("cancelled", {"requests": 2, "cancelled": 2})
        assert [run.status for run in (await talk.sdk.runs.list(agent_id=talk.agent_id)).items] == ["cancelled"]
        assert (await talk.http.patch(f"{BATCHES}/{made['id']}/cancel")).status_code == 409


async def test_a_batch_whose_job_is_given_up_has_failed(tmp_path):
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        made = await batch(talk, asks(talk.agent_id, "@wait 30"))
        while not (await talk.sdk.runs.list(agent_id=talk.agent_id)).items:
            await asyncio.sleep(0.005)
        worn_out = "update jobs set attempts = 100 where id = :id"
        await talk.live.core.store.write(lambda tx: tx.run(worn_out, {"id": made["id"]}))
    async with talking(tmp_path, model=ScriptedModel()) as talk:
        found = await ended(talk, made["id"])
        assert (found["status"], found["metadata"]) == ("failed", {"requests": 1, "failed": 1})


async def test_a_batch_goes_on_after_the_server_was_stopped_and_says_nothing_twice(tmp_path):
    model = ScriptedModel()
    async with talking(tmp_path, model=model) as talk:
        agent_id = talk.agent_id
        made = await batch(talk, *(asks(agent_id, f"@wait 0.05\n@say Number {number}.") for number in range(4)))
        while not (await talk.sdk.runs.list(agent_id=agent_id)).items:
            await asyncio.sleep(0.005)
    async with talking(tmp_path, model=model) as talk:
        assert (await ended(talk, made["id"]))["status"] == "completed"
        answers = [words for words in await said(talk, made["id"]) if words.startswith("Number")]
        assert answers == [f"Number {number}." for number in range(4)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"requests": []}, 422),
        ({"requests": [{"messages": [{"role": "user", "content": "Hi"}]}]}, 422),
        ({"requests": [{"agent_id": f"agent-{MISSING}", "messages": [{"role": "user", "content": "Hi"}]}]}, 404),
        ({"requests": [{"agent_id": f"agent-{MISSING}"}]}, 422),
        ({"requests": [asks(f"agent-{MISSING}", "Hi")], "callback_url": "http://169.254.169.254/"}, 400),
    ],
)
async def test_a_batch_that_cannot_be_done_is_refused_whole(tmp_path, body, status):
    async with talking(tmp_path) as talk:
        assert (await talk.http.post(BATCHES, json=body)).status_code == status
        assert (await talk.http.get(BATCHES)).json() == []


async def test_an_unknown_batch_is_not_found(tmp_path):
    async with talking(tmp_path) as talk:
        for method, path in (("GET", ""), ("GET", "/messages"), ("PATCH", "/cancel")):
            answer = await talk.http.request(method, f"{BATCHES}/job-{MISSING}{path}")
            assert answer.status_code == 404
