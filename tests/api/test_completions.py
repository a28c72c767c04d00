"""Agents through OpenAI's own client."""

import openai
import pytest

from loci.errors import ModelFault
from loci.model.faults import MESSAGES
from loci.model.scripted import failure
from tests.api.clients import MISSING, client_of


def through(client) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{client.live.url}/v1", api_key="x", max_retries=0)


async def test_an_agent_answers_by_name_or_id_and_remembers_the_rest_itself(tmp_path):
    async with client_of(tmp_path) as client, through(client) as ai:
        made = await client.sdk.agents.create(name="ada")
        client.live.model.add("Hello.", lambda request: f"{len(request.messages)} messages.")
        first = await ai.chat.completions.create(model="ada", messages=[{"role": "user", "content": "Hi"}])
        assert first.choices[0].message.content == "Hello."
        assert (first.choices[0].finish_reason, first.object, first.model) == ("stop", "chat.completion", "ada")
        assert first.usage is not None
        assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens > 0
        told = [
            {"role": "system", "content": "x"},
            {"role": "user", "content": "old"},
            {"role": "user", "content": "new"},
        ]
        second = await ai.chat.completions.create(model=made.id, messages=told)  # pyright: ignore[reportArgumentType]
        assert second.choices[0].message.content == "3 messages."


async def test_an_answer_is_streamed_in_pieces_with_usage(tmp_path):
    async with client_of(tmp_path) as client, through(client) as ai:
        await client.sdk.agents.create(name="ada")
        client.live.model.add("One two three.")
        stream = await ai.chat.completions.create(
            model="ada",
            messages=[{"role": "user", "content": [{"type": "text", "text": "Count"}]}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert "".join(filter(None, pieces)) == "One two three."
        assert len(list(filter(None, pieces))) > 1
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        voice = await client.http.post(
            f"/v1/voice-beta/agent-{MISSING}/chat/completions",
            json={"model": "x", "messages": [{"role": "user", "content": "x"}]},
        )
        assert voice.status_code == 404


async def test_a_refusal_has_the_shape_that_the_client_knows(tmp_path):
    async with client_of(tmp_path) as client, through(client) as ai:
        with pytest.raises(openai.NotFoundError) as unknown:
            await ai.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "x"}])
        assert unknown.value.code == "model_not_found"
        await client.sdk.agents.create(name="twin")
        await client.sdk.agents.create(name="twin")
        with pytest.raises(openai.ConflictError):
            await ai.chat.completions.create(model="twin", messages=[{"role": "user", "content": "x"}])
        await client.sdk.agents.create(name="ada")
        with pytest.raises(openai.UnprocessableEntityError):
            await ai.chat.completions.create(model="ada", messages=[{"role": "system", "content": "x"}])


async def test_a_failure_of_the_model_is_told_once(tmp_path):
    words = MESSAGES[ModelFault.AUTHENTICATION]
    async with client_of(tmp_path) as client, through(client) as ai:
        await client.sdk.agents.create(name="ada")
        for detail, told in ((words, words), ("No such key.", f"{words} No such key.")):
            client.live.model.add([failure(ModelFault.AUTHENTICATION, detail)])
            with pytest.raises(openai.AuthenticationError) as refused:
                await ai.chat.completions.create(model="ada", messages=[{"role": "user", "content": "x"}])
            assert refused.value.body == {
                "message": told,
                "type": "llm_authentication",
                "param": None,
                "code": "llm_authentication",
            }
