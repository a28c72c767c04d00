"""What was sent to a model and what it answered is kept and shown, and a message can be shown without being sent."""

from dataclasses import replace
from typing import Any

import httpx2
import letta_client
import pytest

from loci.app import Doubles, build
from loci.config import TraceSettings, load
from loci.errors import ModelFault
from loci.model.base import ProviderConfig
from loci.model.scripted import failure
from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import served
from loci.testing.live import live_settings
from tests.api.clients import MISSING
from tests.api.talk import Talk, call, talking

INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')


async def run_of(talk: Talk) -> Any:
    return (await talk.sdk.runs.list(agent_id=talk.agent_id)).items[0]


async def got(talk: Talk, path: str) -> Any:
    return (await talk.http.get(path)).json()


async def test_each_call_of_a_model_is_kept_with_its_answer(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("I like tea", [INSERT], "Noted.")
        run = await run_of(talk)
        second, first = (await talk.sdk.runs.steps.list(run.id)).items
        trace = await talk.sdk.steps.trace.retrieve(first.id)
        assert (trace.step_id, trace.run_id, trace.agent_id) == (first.id, run.id, talk.agent_id)
        assert trace.id.startswith("provider_trace-")
        assert trace.call_type == "agent_step"
        assert [message["role"] for message in trace.request_json["messages"]] == ["user"]
        assert trace.response_json["content"][0]["name"] == "memory_insert"
        later = await talk.sdk.steps.trace.retrieve(second.id)
        assert [message["role"] for message in later.request_json["messages"]] == ["user", "assistant", "tool"]
        assert later.response_json["content"] == [{"type": "text", "text": "Noted."}]
        assert await got(talk, f"/v1/telemetry/{first.id}") == await got(talk, f"/v1/steps/{first.id}/trace")


async def test_a_run_is_shown_from_its_beginning_to_its_end(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("I like tea", [INSERT], "Noted.")
        run = await run_of(talk)
        spans = await talk.sdk.runs.trace.retrieve(run.id)
        assert [span["span_name"] for span in spans] == [
            "agent_run",
            "time_to_first_token",
            "agent_step",
            "tool_execution",
            "agent_step",
            "model_call",
            "model_call",
        ]
        parents = {span["span_id"]: span["parent_span_id"] for span in spans}
        assert all(parent in parents for parent in parents.values() if parent)
        assert spans[3]["attributes"]["tools"] == ["memory_insert"]
        assert len(await talk.sdk.runs.trace.retrieve(run.id, limit=2)) == 2
        with pytest.raises(letta_client.NotFoundError):
            await talk.sdk.runs.trace.retrieve(f"run-{MISSING}")


async def test_a_call_that_failed_says_why(tmp_path):
    async with talking(tmp_path) as talk:
        with pytest.raises(letta_client.APIStatusError):
            await talk.say("Hi", [failure(ModelFault.BAD_REQUEST, "No such field: frob.")])
        spans = await talk.sdk.runs.trace.retrieve((await run_of(talk)).id)
        (failed,) = [span for span in spans if span["span_name"] == "model_call"]
        assert failed["attributes"]["error"]["detail"] == "No such field: frob."
        (step,) = (await talk.sdk.runs.steps.list((await run_of(talk)).id)).items
        assert (step.id, step.status, step.stop_reason) == (failed["parent_span_id"], "failed", "llm_api_error")
        assert step.error_type == step.error_data["error_type"]
        assert step.error_data["detail"] == "No such field: frob."
        trace = await got(talk, f"/v1/steps/{step.id}/trace")
        assert trace["request_json"]["messages"][0]["content"] == [{"type": "text", "text": "Hi"}]


async def test_the_call_of_a_summariser_is_kept_too(tmp_path):
    async with talking(tmp_path) as talk:
        for number in range(6):
            await talk.say(f"{number}", f"Answer {number}.")
        talk.plays("They counted.")
        await talk.sdk.agents.messages.compact(talk.agent_id)
        spans = await talk.sdk.runs.trace.retrieve((await run_of(talk)).id)
        calls = [span["attributes"]["call_type"] for span in spans if span["span_name"] == "model_call"]
        assert calls == ["summarization"]


async def test_traces_go_with_their_run_and_when_they_are_old_or_many(tmp_path):
    async with talking(tmp_path) as talk:
        steps: list[str] = []
        for number in range(3):
            await talk.say(f"{number}", f"Answer {number}.")
            steps.append((await talk.sdk.runs.steps.list((await run_of(talk)).id)).items[0].id)
        run = await run_of(talk)
        assert await got(talk, f"/v1/steps/{steps[2]}/trace")
        await talk.http.delete(f"/v1/runs/{run.id}")
        assert (await talk.http.get(f"/v1/steps/{steps[2]}/trace")).status_code == 404
        kept = talk.live.core.traces
        assert await kept.purge() == 0
        row = await talk.live.core.store.read(lambda tx: tx.one("select sum(size_bytes) as size from traces"))
        kept._bounds = replace(kept._bounds, kept_bytes=int(str(row and row["size"])) - 1)
        assert await kept.purge() == 1
        assert await got(talk, f"/v1/steps/{steps[0]}/trace") is None
        assert await got(talk, f"/v1/steps/{steps[1]}/trace")
        kept._bounds = replace(kept._bounds, kept_s=-1.0)
        assert await kept.purge() == 1


async def test_a_long_conversation_is_kept_by_what_is_new_and_outlives_its_first_runs(tmp_path):
    async with talking(tmp_path) as talk:
        for number in range(12):
            await talk.say(f"Question {number}: " + "why? " * 200, f"Answer {number}.")
        runs = (await talk.sdk.runs.list(agent_id=talk.agent_id)).items
        step = (await talk.sdk.runs.steps.list(runs[0].id)).items[0]
        await talk.sdk.steps.trace.retrieve(step.id)
        rows = await talk.live.core.store.read(
            lambda tx: tx.all("select base_id, size_bytes from traces order by seq")  # what is there, not how
        )
        assert len({row["base_id"] for row in rows}) < 5
        for run in runs[1:]:
            await talk.http.delete(f"/v1/runs/{run.id}")
        trace = await talk.sdk.steps.trace.retrieve(step.id)
        asked = [message for message in trace.request_json["messages"] if message["role"] == "user"]
        assert [message["content"][0]["text"][:12] for message in asked[-2:]] == ["Question 10:", "Question 11:"]


async def test_nothing_is_kept_when_the_operator_does_not_want_it(tmp_path):
    settings = replace(live_settings(tmp_path), traces=TraceSettings(kept=False))
    async with talking(tmp_path, settings=settings) as talk:
        await talk.say("Hi", "Hello.")
        step = (await talk.sdk.runs.steps.list((await run_of(talk)).id)).items[0]
        assert await talk.sdk.steps.trace.retrieve(step.id) is None


def test_how_long_and_how_much_is_kept_is_set(tmp_path):
    (tmp_path / "config.toml").write_text("[traces]\ndays = 1\nmegabytes = 2\n")
    assert load({}, home=tmp_path).traces == TraceSettings(kept=True, kept_days=1.0, kept_bytes=2_000_000)
    assert load({"LOCI_TRACES": "off"}, home=tmp_path).traces.kept is False


async def test_what_a_provider_gets_is_shown_and_kept_without_the_key(tmp_path):
    async with served(FakeOpenAI()) as url:
        provider = ProviderConfig(name="openai", provider_type="openai", base_url=f"{url}/v1", api_key="sk-very-secret")
        settings = replace(live_settings(tmp_path), providers=(provider,), default_model=None)
        app = build(settings, Doubles())
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as http,
        ):
            models = [model["handle"] for model in (await http.get("/v1/models/")).json()]
            handle = next(name for name in models if name.startswith("openai/"))
            agent = (await http.post("/v1/agents", json={"model": handle})).json()["id"]
            said = {"messages": [{"role": "user", "content": "Hello there"}]}
            shown = await http.post(f"/v1/agents/{agent}/messages/preview-raw-payload", json=said)
            assert shown.status_code == 200, shown.text
            assert [message["role"] for message in shown.json()["messages"]] == ["system", "user"]
            assert (await http.post(f"/v1/agents/{agent}/messages", json=said)).status_code == 200
            run = (await http.get("/v1/runs/", params={"agent_id": agent})).json()[0]["id"]
            step = (await http.get(f"/v1/runs/{run}/steps")).json()[0]["id"]
            kept = await http.get(f"/v1/steps/{step}/trace")
            assert kept.json()["request_json"] == shown.json()
            assert "sk-very-secret" not in shown.text + kept.text


async def test_a_preview_leaves_no_trace(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("One", "First.")
        said = {"messages": [{"role": "user", "content": "Two", "otid": "o-1"}]}
        thread = await talk.sdk.conversations.create(agent_id=talk.agent_id)
        for path in (
            f"/v1/agents/{talk.agent_id}/messages/preview-raw-payload",
            "/v1/conversations/default/messages/preview-raw-payload",
            f"/v1/conversations/{thread.id}/messages/preview-raw-payload",
        ):
            shown = (await talk.http.post(path, json={**said, "agent_id": talk.agent_id})).json()
            assert shown["messages"][-1]["content"] == [{"type": "text", "text": "Two"}]
            assert len(shown["messages"]) == (1 if thread.id in path else 3)
        assert len(talk.live.model.requests) == 1
        assert [item.content for item in (await talk.sdk.agents.messages.list(talk.agent_id)).items][1:] == [
            "One",
            "First.",
        ]
        answer = {"type": "approval", "approvals": [{"type": "approval", "tool_call_id": "x", "approve": True}]}
        for wrong in ([answer], [{"approve": True, "approval_request_id": "message-1"}]):
            refused = await talk.http.post(
                f"/v1/agents/{talk.agent_id}/messages/preview-raw-payload", json={"messages": wrong}
            )
            assert refused.status_code in {400, 404}


async def test_steps_are_found_by_tag_run_and_what_others_call_them(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("One", "First.")
        await talk.say("Two", "Second.")
        (new, old) = (await talk.sdk.steps.list(agent_id=talk.agent_id)).items
        await talk.sdk.steps.feedback.create(old.id, feedback="positive", tags=["50%", "b"])
        assert [item.id for item in (await talk.sdk.steps.list(tags=["50%"])).items] == [old.id]
        assert (await talk.sdk.steps.list(tags=["5"])).items == []
        assert [item.id for item in (await talk.sdk.steps.list(trace_ids=[new.trace_id])).items] == [new.id]
        marked = await talk.http.patch(f"/v1/steps/{new.id}/transaction/t-1")
        assert marked.json()["tid"] == "t-1"
        assert (await talk.http.patch(f"/v1/steps/step-{MISSING}/transaction/t-1")).status_code == 404
