"""Runs and steps over the public client: listed, filtered, measured, judged, forgotten."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import letta_client
import pytest

from loci.errors import ModelFault
from loci.ids import new_id
from loci.model.scripted import failure
from loci.store import runs
from loci.store.base import Transaction
from loci.store.conversations import default_id
from loci.types.actor import DEFAULT_PROJECT, Actor
from loci.types.runs import Run
from tests.api.talk import call, kinds, talking

INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')


async def test_what_is_known_of_a_run(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("I like tea", [INSERT], "Noted.")
        run_id = answer.messages[0].run_id
        run = await talk.sdk.runs.retrieve(run_id)
        assert (run.id, run.agent_id, run.status, run.stop_reason) == (
            run_id,
            talk.agent_id,
            "completed",
            "end_turn",
        )
        assert run.conversation_id is None
        assert run.metadata == {"run_type": "send_message"}
        assert run.request_config is not None
        assert run.request_config.use_assistant_message
        assert run.total_duration_ns is not None
        assert run.completed_at is not None
        assert run.created_at is not None
        assert run.completed_at >= run.created_at

        usage = await talk.sdk.runs.usage.retrieve(run_id)
        assert usage.total_tokens == answer.usage.total_tokens
        metrics = (await talk.http.get(f"/v1/runs/{run_id}/metrics")).json()
        assert (metrics["num_steps"], metrics["tools_used"]) == (2, ["memory_insert"])


async def test_the_steps_of_a_run(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("I like tea", [INSERT], "Noted.")
        run_id = answer.messages[0].run_id
        steps = [step async for step in talk.sdk.runs.steps.list(run_id, order="asc", limit=1)]
        assert [step.id for step in steps] == list(dict.fromkeys(item.step_id for item in answer.messages))
        assert [step.status for step in steps] == ["success", "success"]
        assert {step.api_model_handle for step in steps} == {"scripted/default"}
        assert [step.id async for step in talk.sdk.runs.steps.list(run_id)] == [step.id for step in steps][::-1]

        first = await talk.sdk.steps.retrieve(steps[0].id)
        assert first == steps[0]
        said = await talk.sdk.steps.messages.list(first.id)
        assert kinds(said.items) == ["tool_call_message", "tool_return_message"]
        metrics = await talk.sdk.steps.metrics.retrieve(first.id)
        assert metrics.step_ns is not None
        assert metrics.run_id == run_id


async def test_judging_a_step_and_finding_it(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("Hi", "Hello.")
        step_id: Any = answer.messages[0].step_id
        await talk.say("And?", "Well.")
        await talk.sdk.steps.feedback.create(step_id, feedback="positive", tags=["kind"])
        found = await talk.sdk.steps.list(agent_id=talk.agent_id, has_feedback=True)
        assert [(step.id, step.feedback, step.tags) for step in found.items] == [(step_id, "positive", ["kind"])]
        assert len((await talk.sdk.steps.list(feedback="negative")).items) == 0
        assert len([step async for step in talk.sdk.steps.list(limit=1)]) == 2
        assert len((await talk.sdk.steps.list(end_date="2020-01-01T00:00:00Z")).items) == 0


async def test_steps_are_found_by_the_model_that_they_show_and_by_the_project_of_their_agent(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("Hi", "Hello.")
        (first,) = (await talk.sdk.steps.list(project_id=DEFAULT_PROJECT)).items
        assert first.project_id == DEFAULT_PROJECT
        assert (await talk.sdk.steps.metrics.retrieve(first.id)).project_id == DEFAULT_PROJECT
        await talk.sdk.agents.update(talk.agent_id, project_id="garden")
        (step,) = (await talk.sdk.steps.list(agent_id=talk.agent_id)).items
        assert step.project_id == "garden"
        for chosen in ({"model": step.model}, {"model": step.model_handle}, {"project_id": "garden"}):
            assert [found.id for found in (await talk.sdk.steps.list(**chosen)).items] == [step.id]
        for other in ({"model": "other"}, {"model": "efault"}, {"project_id": "house"}):
            assert (await talk.sdk.steps.list(**other)).items == []


async def test_runs_are_listed_filtered_and_paged(tmp_path):
    async with talking(tmp_path) as talk:
        for number in range(3):
            await talk.say(f"{number}", "Yes.")
        talk.plays([failure(ModelFault.OTHER)])
        await talk.http.post(f"/v1/agents/{talk.agent_id}/messages", json={"input": "Hi"})
        newest_first = [run.id async for run in talk.sdk.runs.list(limit=2)]
        assert len(newest_first) == 4
        assert [run.id async for run in talk.sdk.runs.list(limit=3, order="asc")] == newest_first[::-1]
        failed = (await talk.sdk.runs.list(statuses=["failed"])).items
        assert [(run.id, run.stop_reason) for run in failed] == [(newest_first[0], "llm_api_error")]
        assert failed[0].metadata is not None
        assert failed[0].metadata["error"]["error_type"] == "llm_error"
        assert (await talk.sdk.runs.list(agent_id="agent-00000000-0000-4000-8000-00000000dead")).items == []
        assert (await talk.sdk.runs.list(active=True)).items == []
        assert len((await talk.sdk.runs.list(stop_reason="end_turn")).items) == 3


async def test_runs_are_found_by_what_they_did(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("1", "Yes.")
        await talk.say("I like tea", [INSERT], "Noted.")
        inserted, plain = await talk.get("/v1/_internal_runs/")
        longest = max((inserted, plain), key=lambda run: run["total_duration_ns"])
        others = [run["id"] for run in (inserted, plain) if run != longest]

        async def found(**chosen: Any) -> list[str]:
            return [run["id"] for run in await talk.get("/v1/_internal_runs/", **chosen)]

        both = [inserted["id"], plain["id"]]
        assert await found(step_count=2, step_count_operator="eq") == [inserted["id"]]
        assert await found(step_count=2, step_count_operator="lte") == both
        assert await found(tools_used=["memory_insert", "other"]) == [inserted["id"]]
        assert await found(tools_used="other") == []
        assert await found(run_id=plain["id"]) == [plain["id"]]
        assert await found(start_date=inserted["created_at"]) == [inserted["id"]]
        assert await found(end_date=plain["created_at"]) == [plain["id"]]
        assert await found(project_id=DEFAULT_PROJECT) == both
        assert await found(project_id="garden") == await found(template_family="template-1") == []
        assert await found(duration_value=longest["total_duration_ns"], duration_operator="eq") == [longest["id"]]
        assert await found(duration_value=longest["total_duration_ns"], duration_operator="lt") == others
        assert await found(duration_percentile=50) == [longest["id"]]
        assert await found(order_by="duration") == [longest["id"], *others]
        assert await found(order_by="duration", after=longest["id"]) == others


async def test_what_a_filter_looks_at_is_bounded(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("I like tea", [INSERT], "Noted.")
        (known,) = await talk.get("/v1/_internal_runs/")
        old = Run(id="", agent_id=talk.agent_id, conversation_id=default_id(talk.agent_id), status="completed")
        old = replace(old, total_duration_ns=1, created_at=datetime(2020, 1, 1, tzinfo=UTC))

        def insert(tx: Transaction, count: int) -> None:
            for _ in range(count):
                runs.insert(tx, Actor(), replace(old, id=new_id("run"), completed_at=old.created_at))

        await talk.live.core.store.write(insert, runs.LOOKED_AT_MAX_ROWS - 1)
        for chosen in ({"tools_used": "memory_insert"}, {"duration_percentile": 99}):
            path = "/v1/_internal_runs/"
            assert [run["id"] for run in await talk.get(path, **chosen)] == [known["id"]]
        await talk.live.core.store.write(insert, 1)
        for chosen in ({"tools_used": "memory_insert"}, {"duration_percentile": 99}):
            refused = await talk.http.get(path, params=chosen)
            assert (refused.status_code, "10,000 runs" in refused.text) == (422, True)
            assert await talk.get(path, **chosen, end_date="2019-01-01T00:00:00Z") == []
        assert [run["id"] for run in await talk.get(path, tools_used="memory_insert", start_date="2021-01-01")] == [
            known["id"]
        ]


async def test_forgetting_a_run_leaves_its_messages(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("Hi", "Hello.")
        run_id = answer.messages[0].run_id
        assert (await talk.http.delete(f"/v1/runs/{run_id}")).status_code == 200
        with pytest.raises(letta_client.NotFoundError):
            await talk.sdk.runs.retrieve(run_id)
        assert (await talk.sdk.messages.retrieve(answer.messages[0].id)) == answer.messages


async def test_what_does_not_exist_is_not_found(tmp_path):
    async with talking(tmp_path) as talk:
        nothing = "00000000-0000-4000-8000-00000000dead"
        for path in ("", "/messages", "/usage", "/metrics", "/steps"):
            assert (await talk.http.get(f"/v1/runs/run-{nothing}{path}")).status_code == 404
        for path in ("", "/messages", "/metrics"):
            assert (await talk.http.get(f"/v1/steps/step-{nothing}{path}")).status_code == 404
        assert (await talk.http.delete(f"/v1/runs/run-{nothing}")).status_code == 404
