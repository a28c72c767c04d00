"""The fake server is judged by the `openai` package itself."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest

from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import Answer, CallTool, Refusal, Say, Scripted, Think, served

ASKED: Any = {"model": "fake-model", "messages": [{"role": "user", "content": "Rain?"}]}
RICH = Answer(
    parts=[Think("Hm."), Say("Let me look."), CallTool("call_1", "look", '{"q": 1}'), CallTool("call_2", "look", "{}")],
    stop="tool_calls",
    prompt_tokens=12,
    completion_tokens=3,
    cached_tokens=8,
)


@asynccontextmanager
async def client(*script: Scripted, **options: Any) -> AsyncGenerator[tuple[openai.AsyncOpenAI, FakeOpenAI]]:
    fake = FakeOpenAI(*script, **options)
    async with (
        served(fake) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-test", max_retries=0) as found,
    ):
        yield found, fake


async def test_a_streamed_answer():
    async with client(RICH) as (asking, _), asking.chat.completions.stream(**ASKED) as stream:
        whole = await stream.get_final_completion()

    choice = whole.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Let me look.", "tool_calls")
    calls = [call.function for call in choice.message.tool_calls or []]
    assert [(call.name, call.arguments) for call in calls] == [("look", '{"q": 1}'), ("look", "{}")]


async def test_a_whole_answer():
    async with client(RICH) as (asking, _):
        whole = await asking.chat.completions.create(**ASKED)

    assert whole.choices[0].message.content == "Let me look."
    assert [call.id for call in whole.choices[0].message.tool_calls or []] == ["call_1", "call_2"]
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.total_tokens) == (12, 15)
    assert whole.usage.prompt_tokens_details is not None
    assert whole.usage.prompt_tokens_details.cached_tokens == 8


async def test_usage_is_streamed_only_when_asked_for():
    async with client(RICH, RICH) as (asking, _):
        without = [each async for each in await asking.chat.completions.create(**ASKED, stream=True)]
        options: Any = {"include_usage": True}
        told = [
            each async for each in await asking.chat.completions.create(**ASKED, stream=True, stream_options=options)
        ]

    assert [each.usage for each in without if each.usage] == []
    assert [each.usage.prompt_tokens for each in told if each.usage] == [12]


async def test_errors_have_the_type_that_the_package_gives_them():
    async with client(Refusal(status=429), Refusal(status=401), Refusal(status=500), api_key="sk-test") as (asking, _):
        for kind in (openai.RateLimitError, openai.AuthenticationError, openai.InternalServerError):
            with pytest.raises(kind, match="The provider says no"):
                await asking.chat.completions.create(**ASKED)


async def test_a_wrong_key_is_refused():
    async with client(api_key="another") as (asking, _):
        with pytest.raises(openai.AuthenticationError):
            await asking.chat.completions.create(**ASKED)


async def test_models_and_embeddings():
    async with client(models=["small", {"id": "large", "context_length": 9}]) as (asking, fake):
        names = [each.id async for each in asking.models.list()]
        answer = await asking.embeddings.create(model="e", input=["a b", "a c", "x y z"])

    assert names == ["small", "large"]
    assert [len(each.embedding) for each in answer.data] == [fake.dimensions] * 3
    assert fake.paths == ["GET /v1/models", "POST /v1/embeddings"]


async def test_routes_of_other_servers():
    fake = FakeOpenAI(routes={"/props": {"n": 1}, "/echo": lambda body: {"got": body}})
    async with served(fake) as url, httpx2.AsyncClient() as http:
        fixed, echoed = await http.get(f"{url}/props"), await http.post(f"{url}/echo", json={"a": 1})
        missing = await http.get(f"{url}/nowhere")

    assert (fixed.json(), echoed.json(), missing.status_code) == ({"n": 1}, {"got": {"a": 1}}, 404)


async def test_it_obeys_the_directives_of_its_user():
    script = '@say one\n@call look {"q": 1}\n@then\n@usage 7 9\n@say two\n@then\n@fail rate_limit'
    messages: list[Any] = [{"role": "user", "content": script}]
    async with client(obey=True) as (asking, _):
        first = (await asking.chat.completions.create(model="m", messages=messages)).choices[0].message
        messages += [{"role": "assistant", "content": "one"}, {"role": "tool", "tool_call_id": "x", "content": "ok"}]
        second = await asking.chat.completions.create(model="m", messages=messages)
        messages += [{"role": "assistant", "content": "two"}]
        with pytest.raises(openai.RateLimitError):
            await asking.chat.completions.create(model="m", messages=messages)
        plain = await asking.chat.completions.create(**ASKED)

    assert first.content == "one"
    assert [call.function.arguments for call in first.tool_calls or [] if call.type == "function"] == ['{"q": 1}']
    assert second.choices[0].message.content == "two"
    assert second.usage is not None
    assert second.usage.prompt_tokens == 7
    assert plain.choices[0].message.content == "Hello from the fake model."


async def test_each_call_has_an_id_of_its_own_and_little_is_kept():
    messages: list[Any] = [{"role": "user", "content": "@call look {}\n@call look {}"}]
    async with client(obey=True) as (asking, fake):
        fake.kept = 2
        answers = [await asking.chat.completions.create(model="m", messages=messages) for _ in range(5)]

    ids = [call.id for answer in answers for call in answer.choices[0].message.tool_calls or []]
    assert len(set(ids)) == 10
    assert len(fake.received) <= 3
