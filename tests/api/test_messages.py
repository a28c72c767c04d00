"""The public client talks to an agent: whole answers, failures, and lists of what was said."""

import asyncio
from dataclasses import replace
from typing import Any

import letta_client
import pytest

from loci.errors import ModelFault
from loci.model.script import Wait
from loci.model.scripted import failure
from loci.testing.live import live_settings
from loci.types.messages import Reasoning, Text
from tests.api.talk import MEMGPT, call, kinds, talking

INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')


async def test_an_answer_is_typed_counted_and_stored(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("Hi", [Reasoning("Hm."), Text("Hello.")])
        assert kinds(answer.messages) == ["reasoning_message", "assistant_message"]
        assert answer.messages[1].content == "Hello."
        assert answer.stop_reason.stop_reason == "end_turn"
        assert answer.usage.step_count == 1
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
        assert answer.usage.run_ids == [answer.messages[0].run_id]
        listed = await talk.sdk.agents.messages.list(talk.agent_id)
        assert kinds(listed.items) == ["system_message", "user_message", "reasoning_message", "assistant_message"]
        assert listed.items[2:] == answer.messages


async def test_tool_calls_and_their_results_are_part_of_the_answer(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("I like tea", [Text("Noting."), INSERT], "Noted.")
        assert kinds(answer.messages) == [
            "assistant_message",
            "tool_call_message",
            "tool_return_message",
            "assistant_message",
        ]
        asked, returned = answer.messages[1:3]
        assert asked.tool_call.name == "memory_insert"
        assert asked.tool_calls[0].tool_call_id == returned.tool_call_id == "call-1"
        assert returned.status == "success"
        assert "Likes tea." in returned.tool_return
        assert returned.name == "memory_insert"


async def test_agents_with_heartbeats_speak_through_a_tool_and_think_in_its_arguments(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.agent(agent_type=MEMGPT)
        spoken = call("send_message", '{"thinking": "Hm.", "message": "Hello."}')
        answer = await talk.say("Hi", [spoken])
        assert kinds(answer.messages) == ["reasoning_message", "assistant_message"]
        assert [answer.messages[0].reasoning, answer.messages[1].content] == ["Hm.", "Hello."]

        plain = await talk.say("Hi", [spoken], use_assistant_message=False)
        assert kinds(plain.messages) == ["reasoning_message", "tool_call_message", "tool_return_message"]
        assert plain.messages[1].tool_call.arguments == '{"message":"Hello."}'


async def test_only_the_types_asked_for(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("Hi", [INSERT], "Noted.", include_return_message_types=["tool_return_message"])
        assert kinds(answer.messages) == ["tool_return_message"]
        listed = await talk.sdk.agents.messages.list(
            talk.agent_id, include_return_message_types=["user_message", "assistant_message"]
        )
        assert kinds(listed.items) == ["user_message", "assistant_message"]


async def test_what_a_failed_step_had_said_is_left_out_on_request(tmp_path):
    settings = replace(live_settings(tmp_path), run_duration_s_max=0.2)
    async with talking(tmp_path, settings=settings) as talk:
        talk.plays(["Some first words ", Wait(3600)])
        await talk.http.post(f"/v1/agents/{talk.agent_id}/messages", json={"input": "Hi"})
        path, wanted = f"/v1/agents/{talk.agent_id}/messages", {"include_return_message_types": "assistant_message"}
        assert len((await talk.http.get(path, params=wanted)).json()) == 1
        assert len((await talk.http.get(path, params={**wanted, "include_err": True})).json()) == 1
        assert (await talk.http.get(path, params={**wanted, "include_err": False})).json() == []


async def test_the_same_request_twice_is_carried_out_once(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays("Hello.")
        said: Any = [{"role": "user", "content": "Hi", "otid": "mine"}]
        first = await talk.sdk.agents.messages.create(talk.agent_id, messages=said)
        again = await talk.sdk.agents.messages.create(talk.agent_id, messages=said)
        assert again.messages == first.messages
        listed = await talk.sdk.agents.messages.list(talk.agent_id)
        assert [item.otid for item in listed.items if item.message_type == "user_message"] == ["mine"]


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (ModelFault.AUTHENTICATION, 401, "llm_authentication"),
        (ModelFault.CREDITS, 402, "llm_insufficient_credits"),
        (ModelFault.BAD_REQUEST, 400, "llm_bad_request"),
        (ModelFault.OTHER, 500, "llm_error"),
    ],
)
async def test_a_failing_model_is_told_by_status_and_kind(tmp_path, fault, status, kind):
    async with talking(tmp_path) as talk:
        talk.plays([failure(fault, "as it was")])
        answer = await talk.http.post(f"/v1/agents/{talk.agent_id}/messages", json={"input": "Hi"})
        assert answer.status_code == status
        assert answer.json()["error"]["type"] == kind
        assert answer.json()["error"]["detail"] == "as it was"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "either 'messages' or 'input'"),
        ({"input": "a", "messages": [{"role": "user", "content": "b"}]}, "either 'messages' or 'input'"),
        ({"messages": []}, "must not be empty"),
        ({"input": "a", "max_steps": "many"}, "max_steps"),
        ({"messages": [{"role": "robot", "content": "b"}]}, "role"),
    ],
)
async def test_a_request_that_means_nothing_is_a_422_with_words(tmp_path, body, words):
    async with talking(tmp_path) as talk:
        answer = await talk.http.post(f"/v1/agents/{talk.agent_id}/messages", json=body)
        assert answer.status_code == 422
        assert isinstance(answer.json()["detail"], str)
        assert words in answer.json()["detail"]


async def test_an_unknown_agent_is_not_found(tmp_path):
    async with talking(tmp_path) as talk:
        nobody = "agent-00000000-0000-4000-8000-00000000dead"
        for work in (
            talk.sdk.agents.messages.create(nobody, input="Hi"),
            talk.sdk.agents.messages.list(nobody),
            talk.sdk.agents.messages.cancel(nobody),
            talk.sdk.agents.messages.compact(nobody),
        ):
            with pytest.raises(letta_client.NotFoundError):
                await work


async def test_a_conversation_that_is_busy_names_its_run(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays([Wait(30), "Late."])
        first = asyncio.ensure_future(talk.sdk.agents.messages.create(talk.agent_id, input="Hi"))
        run_id = await _active_run(talk)
        with pytest.raises(letta_client.ConflictError) as caught:
            await talk.sdk.agents.messages.create(talk.agent_id, input="And?")
        assert "another active run" in str(caught.value)
        assert caught.value.response.json()["run_id"] == run_id
        assert await talk.sdk.agents.messages.cancel(talk.agent_id, run_ids=[run_id]) == {run_id: "cancelled"}
        assert (await first).stop_reason.stop_reason == "cancelled"
        with pytest.raises(letta_client.ConflictError):
            await talk.sdk.agents.messages.cancel(talk.agent_id)


async def _active_run(talk: Any) -> str:
    while True:
        found = await talk.sdk.runs.list(active=True)
        if found.items:
            return found.items[0].id
        await asyncio.sleep(0)


async def test_one_message_is_an_array_of_all_it_says(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("I like tea", [Text("Noting."), INSERT], "Noted.")
        found = await talk.sdk.messages.retrieve(answer.messages[0].id)
        assert found == answer.messages[:2]
        with pytest.raises(letta_client.NotFoundError):
            await talk.sdk.messages.retrieve("message-00000000-0000-4000-8000-00000000dead")


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_the_clients_own_paging_sees_each_message_once(tmp_path, order):
    async with talking(tmp_path) as talk:
        for number in range(7):
            await talk.say(f"{number}", f"Answer {number}.")
        pages = talk.sdk.agents.messages.list(talk.agent_id, order=order, limit=4)
        seen = [item.id async for item in pages]
        assert len(seen) == len(set(seen)) == 15
        everything = [item.id for item in (await talk.sdk.agents.messages.list(talk.agent_id)).items]
        assert seen == (everything if order == "asc" else everything[::-1])


async def test_without_an_order_the_newest_page_reads_downwards_and_paging_ends(tmp_path):
    async with talking(tmp_path) as talk:
        for number in range(3):
            await talk.say(f"{number}", f"Answer {number}.")
        pages = talk.sdk.agents.messages.list(talk.agent_id, limit=3)
        assert [item.content async for item in pages] == ["Answer 1.", "2", "Answer 2."]


async def test_messages_of_all_agents(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.say("One", "First.")
        await talk.agent(name="another")
        await talk.say("Two", "Second.")
        everything = await talk.sdk.messages.list(include_return_message_types=["assistant_message"])
        assert [item.content for item in everything] == ["First.", "Second."]


async def test_a_run_in_the_background_is_there_at_once_and_ends(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays("Done.")
        run = await talk.sdk.agents.messages.create_async(talk.agent_id, input="Work")
        assert run.background
        live = talk.live.core.runs.live(run.id)
        if live is not None:
            await live.ended()
        run = await talk.sdk.runs.retrieve(run.id)
        assert (run.status, run.stop_reason) == ("completed", "end_turn")
        said = await talk.sdk.runs.messages.list(run.id)
        assert kinds(said.items) == ["user_message", "assistant_message"]


async def test_a_callback_to_a_private_address_is_refused_before_anything_happens(tmp_path):
    async with talking(tmp_path) as talk:
        with pytest.raises(letta_client.BadRequestError):
            await talk.sdk.agents.messages.create_async(
                talk.agent_id, input="Work", callback_url="http://169.254.169.254/latest"
            )
        assert (await talk.sdk.runs.list()).items == []


async def test_compacting_by_hand(tmp_path):
    async with talking(tmp_path) as talk:
        for number in range(6):
            await talk.say(f"{number}", f"Answer {number}.")
        talk.plays("They counted.")
        report = await talk.sdk.agents.messages.compact(talk.agent_id)
        assert report.summary == "They counted."
        assert report.num_messages_before > report.num_messages_after
        listed = await talk.sdk.agents.messages.list(talk.agent_id)
        assert [item.content for item in listed.items if item.message_type == "assistant_message"] == [
            f"Answer {number}." for number in range(6)
        ]
