"""A client that sends again what failed, as the public ones do by themselves, has its message stored once."""

import asyncio

import letta_client
import openai
import pytest
from letta_client import AsyncLetta

from loci.errors import ModelFault
from loci.model.script import Wait
from loci.model.scripted import failure
from tests.api.talk import talking


async def said(talk) -> int:
    page = await talk.sdk.agents.messages.list(talk.agent_id, limit=100)
    return sum(message.message_type == "user_message" for message in page.items)


@pytest.mark.parametrize("fault", [ModelFault.RATE_LIMIT, ModelFault.TIMEOUT, ModelFault.OVERLOADED])
async def test_a_message_whose_run_fails_is_stored_once(tmp_path, fault):
    async with talking(tmp_path) as talk, AsyncLetta(base_url=talk.live.url, api_key="x") as eager:
        talk.plays(*[[failure(fault, "Not now.")]] * 3)
        with pytest.raises(letta_client.APIStatusError):
            await eager.agents.messages.create(talk.agent_id, input="Only once")
        assert await said(talk) == 1


async def test_a_chat_completion_that_fails_is_stored_once(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays(*[[failure(ModelFault.OVERLOADED, "Not now.")]] * 3)
        async with openai.AsyncOpenAI(base_url=f"{talk.live.url}/v1", api_key="x") as eager:
            with pytest.raises(openai.APIStatusError):
                await eager.chat.completions.create(
                    model=talk.agent_id, messages=[{"role": "user", "content": "Only once"}]
                )
        assert await said(talk) == 1


async def test_who_waits_while_the_server_stops_is_told_that_the_run_goes_on(tmp_path):
    async with talking(tmp_path) as talk:
        talk.plays([Wait(60)])
        body = {"messages": [{"role": "user", "content": "Only once"}]}
        waiting = asyncio.create_task(talk.http.post(f"/v1/agents/{talk.agent_id}/messages", json=body))
        while not (runs := (await talk.sdk.runs.list(agent_id=talk.agent_id)).items):
            await asyncio.sleep(0.01)
        await talk.live.core.runs.close()
        answer = await waiting
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
        assert answer.json()["run_id"] == runs[0].id
        assert "do not send it again" in answer.json()["detail"]
