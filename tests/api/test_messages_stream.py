"""The public client listens while an agent works, is cut off, comes back, and misses nothing."""

import asyncio
from dataclasses import replace
from typing import Any

import letta_client
import pytest
from letta_client import AsyncLetta

from loci.errors import ModelFault
from loci.model.script import Wait
from loci.model.scripted import failure
from loci.testing.live import live_settings, serving
from loci.types.messages import Reasoning, Text
from tests.api.talk import MEMGPT, Talk, call, kinds, talking

INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}')


def text_of(events: list[Any], kind: str = "assistant_message", field: str = "content") -> str:
    return "".join(getattr(event, field) for event in events if event.message_type == kind)


async def test_by_steps(tmp_path):
    async with talking(tmp_path) as talk:
        events = await talk.stream("I like tea", [Text("Noting."), INSERT], "Noted.")
        assert kinds(events) == [
            "ping",
            "assistant_message",
            "tool_call_message",
            "tool_return_message",
            "assistant_message",
            "stop_reason",
            "usage_statistics",
        ]
        assert events[0].run_id == events[1].run_id
        assert events[-1].step_count == 2
        assert all(event.seq_id is None for event in events[:-2])


async def test_by_tokens(tmp_path):
    async with talking(tmp_path) as talk:
        events = await talk.stream(
            "Hi", [Reasoning("Let me see."), Text("Hello my friend.")], stream_tokens=True, include_pings=False
        )
        assert text_of(events) == "Hello my friend."
        assert text_of(events, "reasoning_message", "reasoning") == "Let me see."
        said = [event for event in events if event.message_type == "assistant_message"]
        assert len(said) == 3
        assert len({(event.id, event.otid) for event in said}) == 1
        listed = await talk.sdk.agents.messages.list(talk.agent_id)
        assert (listed.items[-1].id, listed.items[-1].otid) == (said[0].id, said[0].otid)
        assert kinds(events)[-2:] == ["stop_reason", "usage_statistics"]


async def test_the_older_route_streams_too(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays("Hello.")
        with pytest.warns(DeprecationWarning, match="deprecated"):
            stream = await talk.sdk.agents.messages.stream(talk.agent_id, input="Hi", include_pings=False)
        assert kinds([event async for event in stream]) == ["assistant_message", "stop_reason", "usage_statistics"]


async def test_calls_come_in_pieces_that_join(tmp_path):
    async with talking(tmp_path) as talk:
        events = await talk.stream("I like tea", [INSERT], "Noted.", stream_tokens=True)
        pieces = [event for event in events if event.message_type == "tool_call_message"]
        assert [piece.tool_call.name for piece in pieces] == ["memory_insert", None]
        assert "".join(piece.tool_call.arguments for piece in pieces) == INSERT.arguments
        assert {piece.tool_call.tool_call_id for piece in pieces} == {"call-1"}


async def test_thoughts_in_arguments_are_streamed_as_thoughts(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.agent(agent_type=MEMGPT)
        spoken = call("send_message", '{"thinking": "Hm, a greeting.", "message": "Hello my friend."}')
        events = await talk.stream("Hi", [spoken], stream_tokens=True, include_pings=False)
        assert set(kinds(events)[:-2]) == {"reasoning_message", "assistant_message"}
        assert text_of(events) == "Hello my friend."
        assert text_of(events, "reasoning_message", "reasoning") == "Hm, a greeting."


async def test_the_bytes_and_headers_are_those_of_the_api(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays("Hello.")
        answer = await talk.http.post(f"/v1/agents/{talk.agent_id}/messages/stream", json={"input": "Hi"})
        assert answer.headers["content-type"] == "text/event-stream"
        events = answer.text.split("\n\n")
        assert events.pop() == ""
        assert events[-1] == "data: [DONE]"
        assert all(event.startswith('data: {"') and "\n" not in event for event in events[:-1])


async def test_a_failure_in_the_middle_is_raised_by_the_client(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays(["Well ", failure(ModelFault.TIMEOUT, "60 s passed")])
        stream = await talk.sdk.agents.messages.create(talk.agent_id, input="Hi", streaming=True)
        seen: list[Any] = []
        with pytest.raises(letta_client.APIStatusError) as caught:
            await listen(stream, seen)
        assert kinds(seen)[-1] == "stop_reason"
        assert seen[-1].stop_reason == "llm_api_error"
        body: Any = caught.value.body
        assert (body["message_type"], body["error_type"], body["detail"]) == (
            "error_message",
            "llm_timeout",
            "60 s passed",
        )


async def test_the_run_goes_on_when_the_client_leaves(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays([Text("Hello "), Wait(0.05), Text("again.")])
        stream = await talk.sdk.agents.messages.create(talk.agent_id, input="Hi", streaming=True, stream_tokens=True)
        async for event in stream:
            if event.message_type == "assistant_message":
                break
        await stream.close()
        (run,) = (await talk.sdk.runs.list(agent_id=talk.agent_id)).items
        live = talk.live.core.runs.live(run.id)
        if live is not None:
            await live.ended()
        assert (await talk.sdk.runs.retrieve(run.id)).status == "completed"


async def listen(stream: Any, seen: list[Any]) -> None:
    async for event in stream:
        seen.append(event)  # noqa: PERF401  what came before the error counts


async def again(talk: Talk, run_id: str, after: int = 0, sdk: AsyncLetta | None = None) -> list[Any]:
    stream = await (sdk or talk.sdk).runs.messages.stream(run_id, starting_after=after, include_pings=False)
    return [event async for event in stream]


async def test_a_background_stream_can_be_taken_up_at_every_number(tmp_path):
    async with talking(tmp_path) as talk:
        events = await talk.stream(
            "I like tea", [INSERT], "Noted, thank you.", background=True, stream_tokens=True, include_pings=False
        )
        run_id = events[0].run_id
        numbers = [event.seq_id for event in events[:-2]]
        assert numbers == list(range(1, len(numbers) + 1))
        for cut in range(len(events)):
            assert await again(talk, run_id, cut) == events[cut:]


async def test_who_is_cut_off_while_the_run_works_gets_the_rest(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays([Text("One two "), Wait(0.02), Text("three four "), Wait(0.02), Text("five.")])
        wanted: Any = {"streaming": True, "stream_tokens": True, "background": True, "include_pings": False}
        stream = await talk.sdk.agents.messages.create(talk.agent_id, input="Count", **wanted)
        seen: list[Any] = []
        async for event in stream:
            seen.append(event)
            if len(seen) == 3:
                break
        await stream.close()
        seen += await again(talk, seen[0].run_id, seen[-1].seq_id)
        assert text_of(seen) == "One two three four five."


async def test_a_stream_outlives_the_server(tmp_path):
    async with talking(tmp_path) as talk:
        before = await talk.stream("Hi", "Hello my friend.", background=True, stream_tokens=True, include_pings=False)
        run_id = before[0].run_id
    async with serving(tmp_path) as live, AsyncLetta(base_url=live.url, api_key="x") as sdk:
        assert await again(talk, run_id, 1, sdk) == before[1:]


async def test_a_stream_that_cannot_be_taken_up(tmp_path):
    async with talking(tmp_path) as talk:
        answer = await talk.say("Hi", "Hello.")
        with pytest.raises(letta_client.BadRequestError):
            await again(talk, answer.messages[0].run_id)
        with pytest.raises(letta_client.NotFoundError):
            await again(talk, "run-00000000-0000-4000-8000-00000000dead")


async def test_an_expired_stream_is_gone(tmp_path):

    settings = replace(live_settings(tmp_path), stream_retention_s=0.0)
    async with talking(tmp_path, settings=settings) as talk:
        talk.plays("Hello.")
        run = await talk.sdk.agents.messages.create_async(talk.agent_id, input="Hi")
        live = talk.live.core.runs.live(run.id)
        if live is not None:
            await live.ended()
        answer = await talk.http.post(f"/v1/runs/{run.id}/stream", json={})
        assert answer.status_code == 410


async def test_a_conversation_finds_its_stream_by_itself_or_by_otid(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays("Hello.")
        said: Any = [{"role": "user", "content": "Hi", "otid": "mine"}]
        wanted: Any = {"messages": said, "agent_id": talk.agent_id, "background": True, "include_pings": False}
        first = await talk.sdk.conversations.messages.create("default", **wanted)
        events = [event async for event in first]
        for finding in ({}, {"otid": "mine"}, {"run_id": events[0].run_id}):
            stream = await talk.sdk.conversations.messages.stream(
                "default", agent_id=talk.agent_id, include_pings=False, **finding
            )
            assert [event async for event in stream] == events
        with pytest.raises(letta_client.NotFoundError):
            await talk.sdk.conversations.messages.stream("default", agent_id=talk.agent_id, otid="not mine")


async def test_two_listen_to_one_run(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays([Text("One "), Wait(0.02), Text("two.")])
        run = await talk.sdk.agents.messages.create_async(talk.agent_id, input="Count")
        left, right = await asyncio.gather(again(talk, run.id), again(talk, run.id))
        assert left == right
        assert text_of(left) == "One two."
