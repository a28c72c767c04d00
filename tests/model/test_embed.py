"""Texts as vectors: the built-in model, and a server's."""

import math
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from loci.clock import FakeClock
from loci.errors import ModelFailure, ModelFault
from loci.model.base import EmbeddingInfo, ProviderConfig
from loci.model.embed import BATCH_TEXTS, BUILT_IN, BuiltInEmbedder, RemoteEmbedder
from loci.model.http import Connections
from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import Refusal, served

ODD = ["", " ", "\n", "a", "日本語のテキスト", "🙂", "cut \ud83d here", "x" * 300_000]


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(left, right, strict=True))


async def test_built_in_vectors_have_unit_length_whatever_the_text():
    vectors = await BuiltInEmbedder().embed(ODD)

    assert [len(vector) for vector in vectors] == [BUILT_IN.dimensions] * len(ODD)
    assert [cosine(vector, vector) for vector in vectors] == pytest.approx([1.0] * len(ODD), abs=1e-5)


async def test_similar_texts_are_nearer_than_others():
    cat, kitten, tax = await BuiltInEmbedder().embed(
        ["My cat sleeps on the sofa.", "A kitten is napping on the couch.", "The tax return is due in April."],
    )

    assert cosine(cat, kitten) > cosine(cat, tax) + 0.1


async def test_the_same_text_has_the_same_vector_in_any_company():
    embedder = BuiltInEmbedder()
    (alone,) = await embedder.embed(["tea"])
    among = await embedder.embed(["coffee is not tea", "tea", ""])

    assert list(among[1]) == list(alone)
    assert await embedder.embed([]) == []


def test_nothing_heavy_is_imported_before_the_first_text():
    heavy = ("numpy", "tokenizers", "pydantic_ai", "wordllama")
    code = f"import sys, loci.model.providers; print([name for name in {heavy} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)

    assert shown.stdout.strip() == "[]"


@asynccontextmanager
async def remote(fake: FakeOpenAI, *, clock: FakeClock | None = None) -> AsyncGenerator[RemoteEmbedder]:
    info = EmbeddingInfo(handle="fake/embed", name="embed", provider="fake", provider_type="openai", dimensions=8)
    async with served(fake) as url:
        provider = ProviderConfig(name="fake", provider_type="openai", base_url=f"{url}/v1", api_key="sk-secret-key")
        connections = Connections(clock=clock or FakeClock(), connect_timeout_s=5.0)
        yield RemoteEmbedder(info, provider, connections, timeout_s=5.0)
        await connections.aclose()


async def test_a_server_is_asked_in_batches_and_the_order_is_kept():
    texts = [f"text number {number}" for number in range(BATCH_TEXTS + 5)]
    fake = FakeOpenAI()
    async with remote(fake) as embedder:
        vectors = await embedder.embed(texts)
        again = [(await embedder.embed([text]))[0] for text in (texts[0], texts[-1])]

    assert len(vectors) == len(texts)
    assert [vectors[0], vectors[-1]] == again
    assert [len(received.body["input"]) for received in fake.received[:2]] == [BATCH_TEXTS, 5]  # pyright: ignore[reportArgumentType]


async def test_vectors_of_a_server_are_made_unit_length():
    async with remote(FakeOpenAI()) as embedder:
        vectors = await embedder.embed(["some words", "", "x" * 100_000])

    assert [cosine(vector, vector) for vector in vectors] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize(
    "answer",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [0.0, 0.0]}]},
        {"data": [{"index": 7, "embedding": [1.0]}]},
        {"nothing": 1},
        [],
    ],
)
async def test_a_bad_reply_is_a_failure(answer: object):
    async with remote(FakeOpenAI(routes={"/v1/embeddings": answer})) as embedder:  # pyright: ignore[reportArgumentType]
        with pytest.raises(ModelFailure) as failure:
            await embedder.embed(["text"])

    assert failure.value.fault is ModelFault.BAD_REPLY


async def test_a_limit_is_waited_out_and_a_wrong_key_is_not():
    asked: list[int] = []

    def busy_twice(_: object) -> object:
        asked.append(1)
        limited = Refusal(status=429)
        return limited if len(asked) < 3 else {"data": [{"index": 0, "embedding": [3.0, 4.0]}]}

    clock = FakeClock()
    async with remote(FakeOpenAI(routes={"/v1/embeddings": busy_twice}), clock=clock) as embedder:  # pyright: ignore[reportArgumentType]
        assert await embedder.embed(["text"]) == [[0.6, 0.8]]
    async with remote(FakeOpenAI(api_key="another")) as embedder:
        with pytest.raises(ModelFailure) as failure:
            await embedder.embed(["text"])

    assert len(clock.slept_s) == 2
    assert failure.value.fault is ModelFault.AUTHENTICATION
    assert "sk-secret-key" not in failure.value.detail
