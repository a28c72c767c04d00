"""Which models there are, asked of servers that answer as the real ones do."""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from loci.clock import FakeClock
from loci.config import Settings
from loci.errors import ModelFailure, ModelFault, NotFound
from loci.model.base import Finished, ModelInfo, ModelOverride, ProviderConfig
from loci.model.known import ASSUMED_WINDOW_TOKENS
from loci.model.providers import ProviderRegistry, build_models
from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import Refusal, served
from tests.model.contract import answer, ask, failure, request, user

KEY = "sk-do-not-tell-anyone"
NOBODY = "http://127.0.0.1:1/v1"


def provider(name: str, url: str, kind: str | None = None, **options: Any) -> ProviderConfig:
    return ProviderConfig(name=name, provider_type=kind or name, base_url=url, **options)


@asynccontextmanager
async def registry(
    *providers: ProviderConfig, clock: FakeClock | None = None, **settings: Any
) -> AsyncGenerator[ProviderRegistry]:
    chosen = Settings(home=Path("unused"), database_url="unused", providers=providers, **settings)
    found = build_models(chosen, clock=clock or FakeClock())
    try:
        yield found
    finally:
        await found.aclose()


@asynccontextmanager
async def serving(**fakes: FakeOpenAI) -> AsyncGenerator[dict[str, str]]:
    async with AsyncExitStack() as stack:
        yield {name: f"{await stack.enter_async_context(served(fake))}/v1" for name, fake in fakes.items()}


@asynccontextmanager
async def one(
    fake: FakeOpenAI, name: str = "openai", kind: str | None = None, **options: Any
) -> AsyncGenerator[ProviderRegistry]:
    clock = options.pop("clock", None)
    settings = options.pop("settings", {})
    async with (
        serving(it=fake) as urls,
        registry(provider(name, urls["it"], kind, **options), clock=clock, **settings) as it,
    ):
        yield it


def windows(models: Any) -> dict[str, int]:
    return {model.handle: model.window_tokens for model in models if model.provider != "scripted"}


# ------------------------------------------------------------------------------------------------ a custom OpenAI URL


async def test_a_custom_openai_url_has_both_names():
    fake = FakeOpenAI(models=[{"id": "small", "context_length": 9_000}])
    async with one(fake, api_key=KEY) as models:
        listed = await models.list_models()
        parts = [(await answer(await models.model(handle))).parts for handle in ("openai/small", "openai-proxy/small")]

    assert windows(listed) == {"openai/small": 9_000, "openai-proxy/small": 9_000}
    assert parts[0] == parts[1]
    assert [received.body["model"] for received in fake.received] == ["small", "small"]
    assert fake.received[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_handle_comes_back_as_it_was_given():
    async with one(FakeOpenAI(models=["small"])) as models:
        assert (await models.model("openai-proxy/small")).info.handle == "openai-proxy/small"
        assert (await models.model("openai/small")).info.handle == "openai/small"


async def test_embeddings_of_a_custom_openai_url():
    async with one(FakeOpenAI(models=["small", "my-embed"])) as models:
        listed = {info.handle: info.dimensions for info in await models.list_embedders()}
        embedder = await models.embedder("openai/my-embed")
        vectors = await embedder.embed(["text"])

    assert listed == {"loci/wordllama": 256, "openai/my-embed": 8}
    assert (len(vectors[0]), embedder.info.dimensions) == (8, 8)


async def test_an_embedder_that_no_listing_names_is_tried():
    async with one(FakeOpenAI(models=["small"])) as models:
        usual = [info.handle for info in await models.list_embedders()]
        embedder = await models.embedder("openai/some-embedder")

    assert usual == ["loci/wordllama", "openai/text-embedding-3-small"]
    assert (embedder.info.name, embedder.info.dimensions) == ("some-embedder", 8)


async def test_an_embedder_that_does_not_exist_is_not_found():
    fake = FakeOpenAI(models=["small"], routes={"/v1/embeddings": lambda _: Refusal(status=404)})
    async with one(fake) as models:
        listed = [info.handle for info in await models.list_embedders()]
        with pytest.raises(NotFound, match="some-embedder"):
            await models.embedder("openai/some-embedder")

    assert listed == ["loci/wordllama"]


async def test_a_proxy_table_in_the_configuration_is_a_provider_of_its_own():
    async with serving(one=FakeOpenAI(models=["a"]), two=FakeOpenAI(models=["b"])) as urls:
        providers = provider("openai", urls["one"]), provider("openai-proxy", urls["two"], "openai")
        async with registry(*providers) as models:
            assert set(windows(await models.list_models())) == {"openai/a", "openai-proxy/b"}


# -------------------------------------------------------------------------------------------- windows, server by server


@pytest.mark.parametrize(
    ("row", "window"),
    [
        ({"context_length": 7_000}, 7_000),  # OpenRouter, Together
        ({"max_model_len": 7_000}, 7_000),  # vLLM
        ({"context_window": 7_000}, 7_000),  # Groq
        ({"max_context_length": 7_000}, 7_000),  # Mistral
        ({"meta": {"n_ctx_train": 7_000}}, 7_000),  # llama.cpp
        ({"top_provider": {"context_length": 7_000}}, 7_000),
        ({"context_length": 0}, ASSUMED_WINDOW_TOKENS),
        ({"context_length": "many"}, ASSUMED_WINDOW_TOKENS),
        ({}, ASSUMED_WINDOW_TOKENS),
    ],
)
async def test_where_servers_tell_the_window(row: dict[str, Any], window: int):
    async with one(FakeOpenAI(models=[{"id": "small", **row}]), "vllm") as models:
        assert windows(await models.list_models()) == {"vllm/small": window}


async def test_a_hosted_model_whose_window_nobody_tells_is_in_the_table():
    async with one(FakeOpenAI(models=["gpt-4o-2024-08-06", "deepseek-chat", "whisper-1", "dall-e-3"])) as models:
        found = windows(await models.list_models())

    assert found["openai/gpt-4o-2024-08-06"] == 128_000
    assert set(found) == {
        f"{name}/{each}" for name in ("openai", "openai-proxy") for each in ("gpt-4o-2024-08-06", "deepseek-chat")
    }


OLLAMA: dict[str, Any] = {
    "/api/tags": {
        "models": [{"name": f"{name}:latest", "digest": name} for name in ("qwen", "llama", "tuned", "nomic")]
    },
    "/api/ps": {"models": [{"name": "llama:latest", "context_length": 8_192}]},
}
SHOWN: dict[str, Any] = {
    "qwen:latest": {
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960},
        "capabilities": ["completion", "tools", "vision"],
    },
    "llama:latest": {
        "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
        "capabilities": ["completion"],
    },
    "tuned:latest": {
        "model_info": {"general.architecture": "llama", "llama.context_length": 131_072},
        "parameters": 'stop "x"\nnum_ctx                        16384',
    },
    "nomic:latest": {
        "model_info": {
            "general.architecture": "nomic-bert",
            "nomic-bert.context_length": 2_048,
            "nomic-bert.embedding_length": 768,
        },
        "capabilities": ["embedding"],
    },
}


def ollama(**options: Any) -> FakeOpenAI:
    show = {"/api/show": lambda body: SHOWN[body["model"]]}
    return FakeOpenAI(routes={**OLLAMA, **show}, **options)


async def test_ollama_tells_what_is_loaded_before_what_could_be():
    async with one(ollama(), "ollama", configured=False) as models:
        found = windows(await models.list_models())
        embedders = {info.handle: info.dimensions for info in await models.list_embedders()}
        qwen, llama = await models.model("ollama/qwen"), await models.model("ollama/llama:latest")

    assert found == {"ollama/qwen:latest": 40_960, "ollama/llama:latest": 8_192, "ollama/tuned:latest": 16_384}
    assert embedders == {"loci/wordllama": 256, "ollama/nomic:latest": 768}
    assert (qwen.info.name, qwen.info.supports_images, llama.info.supports_images) == ("qwen:latest", True, False)
    assert qwen.info.price_input_usd == 0.0


async def test_ollama_shows_each_file_once():
    fake, clock = ollama(), FakeClock()
    async with one(fake, "ollama", clock=clock) as models:
        await models.list_models()
        clock.advance(120)
        await models.list_models()

    assert fake.paths.count("POST /api/show") == 4
    assert fake.paths.count("GET /api/tags") == 2


async def test_ollama_behind_a_plain_openai_url_is_recognised():
    fake = ollama(models=[{"id": "qwen:latest", "owned_by": "library"}])
    async with one(fake) as models:
        assert windows(await models.list_models())["openai/qwen:latest"] == 40_960


LMSTUDIO: dict[str, Any] = {
    "/api/v0/models": {
        "data": [
            {
                "id": "loaded",
                "type": "llm",
                "state": "loaded",
                "max_context_length": 32_768,
                "loaded_context_length": 4_096,
            },
            {"id": "resting", "type": "vlm", "state": "not-loaded", "max_context_length": 16_000},
            {
                "id": "text-embedding-nomic-embed-text-v1.5",
                "type": "embeddings",
                "state": "not-loaded",
                "max_context_length": 2_048,
            },
        ],
    },
}


async def test_lm_studio_tells_what_is_loaded_before_what_could_be():
    async with one(FakeOpenAI(routes=LMSTUDIO), "lmstudio", configured=False) as models:
        found = windows(await models.list_models())
        embedders = {info.handle: info.dimensions for info in await models.list_embedders()}
        sees = [(await models.model(f"lmstudio/{name}")).info.supports_images for name in ("loaded", "resting")]
        default = models.default_model

    assert found == {"lmstudio/loaded": 4_096, "lmstudio/resting": 16_000}
    assert embedders == {"loci/wordllama": 256, "lmstudio/text-embedding-nomic-embed-text-v1.5": 768}
    assert sees == [False, True]
    assert default == "lmstudio/loaded"


async def test_llama_cpp_tells_what_one_request_may_fill():
    props = {"default_generation_settings": {"n_ctx": 4_096}, "total_slots": 2, "modalities": {"vision": False}}
    row = {"id": "model.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072}}
    async with one(FakeOpenAI(models=[row], routes={"/props": props}), "llamacpp") as models:
        info = (await models.model("llamacpp/model.gguf")).info

    assert (info.window_tokens, info.supports_images) == (4_096, False)


async def test_llama_cpp_that_hides_its_settings_still_lists():
    row = {"id": "model.gguf", "owned_by": "llamacpp", "meta": {"n_ctx_train": 131_072}}
    async with one(FakeOpenAI(models=[row]), "llamacpp") as models:
        assert windows(await models.list_models()) == {"llamacpp/model.gguf": 131_072}


async def test_openrouter_tells_prices_senses_and_limits():
    row = {
        "id": "maker/model",
        "name": "Maker: Model",
        "context_length": 200_000,
        "architecture": {"input_modalities": ["text", "image"]},
        "pricing": {"prompt": "0.000003", "completion": "0.000015"},
        "top_provider": {"max_completion_tokens": 64_000},
        "supported_parameters": ["tools"],
    }
    async with one(FakeOpenAI(models=[row]), "openrouter") as models:
        info = (await models.model("openrouter/maker/model")).info
        nitro = await models.model("openrouter/maker/model:nitro")

    assert (info.price_input_usd, info.price_output_usd) == (pytest.approx(3.0), pytest.approx(15.0))
    assert (info.window_tokens, info.output_tokens_max, info.display_name) == (200_000, 64_000, "Maker: Model")
    assert nitro.info.window_tokens == 200_000


async def test_anthropic_is_listed_over_its_own_wire():
    rows = {"data": [{"id": "claude-sonnet-4-5-20250929", "display_name": "Claude Sonnet 4.5", "type": "model"}]}
    fake = FakeOpenAI(routes={"/v1/models": rows})
    async with served(fake) as url, registry(provider("anthropic", url, wire="anthropic", api_key=KEY)) as models:
        found = windows(await models.list_models())
        dated = await models.model("anthropic/claude-sonnet-4-5")

    assert found == {"anthropic/claude-sonnet-4-5-20250929": 200_000}
    assert dated.info.name == "claude-sonnet-4-5-20250929"
    assert dated.info.price_output_usd == 15.0


async def test_gemini_is_listed_over_its_own_wire():
    rows = {
        "models": [
            {
                "name": "models/gemini-9",
                "displayName": "Gemini 9",
                "inputTokenLimit": 1_000_000,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent"],
            },
            {"name": "models/embed-9", "supportedGenerationMethods": ["embedContent"]},
        ],
    }
    fake = FakeOpenAI(routes={"/v1beta/models": rows})
    async with served(fake) as url, registry(provider("google_ai", url, wire="google", api_key=KEY)) as models:
        listed = await models.list_models()

    assert windows(listed) == {"google_ai/gemini-9": 1_000_000}
    assert (listed[0].display_name, listed[0].output_tokens_max) == ("Gemini 9", 65_536)


# ----------------------------------------------------------------------------------------------------------- overrides


@pytest.mark.parametrize("key", ["openai/small", "openai-proxy/small"])
async def test_an_override_wins_over_what_the_server_says(key: str):
    override = ModelOverride(window_tokens=5_000, output_tokens_max=500, price_input_usd=1.0, price_output_usd=2.0)
    fake = FakeOpenAI(models=[{"id": "small", "context_length": 9_000}])
    async with one(fake, settings={"overrides": {key: override}}) as models:
        found = windows(await models.list_models())
        info = (await models.model("openai/small")).info

    assert found == {"openai/small": 5_000, "openai-proxy/small": 5_000}
    assert (info.output_tokens_max, info.price_input_usd, info.price_output_usd) == (500, 1.0, 2.0)


async def test_a_model_that_only_the_operator_knows_resolves():
    overrides = {"openai/hidden": ModelOverride(window_tokens=5_000)}
    async with one(FakeOpenAI(models=["small"]), settings={"overrides": overrides}) as models:
        assert (await models.model("openai/hidden")).info.window_tokens == 5_000


# ------------------------------------------------------------------------------------------------- handles and defaults


@pytest.mark.parametrize(
    ("handle", "hint"),
    [
        ("openai/smal", "openai/small"),
        ("small", "openai/small"),
        ("opnai/small", "openai/small"),
        ("nowhere/x", "scripted/default"),
        ("anthropic/claude", "Set ANTHROPIC_API_KEY and start the server again."),
        ("vllm/x", "Set VLLM_BASE_URL and start the server again."),
        ("openai/", "openai/small"),
    ],
)
async def test_an_unknown_name_is_not_found_and_near_ones_are_told(handle: str, hint: str):
    async with one(FakeOpenAI(models=["small"])) as models:
        await models.list_models()
        with pytest.raises(NotFound) as error:
            await models.model(handle)

    assert handle in error.value.message
    assert hint in (error.value.advice or "")


@pytest.mark.parametrize(
    "alias", ["letta/auto", "letta/auto-fast", "letta/auto-memory", "loci/auto", "letta/letta-free"]
)
async def test_aliases_mean_the_default_model(alias: str):
    async with one(FakeOpenAI(models=["small"])) as models:
        assert (await models.model(alias)).info.handle == "openai/small"


async def test_aliases_of_the_configuration_win_and_never_loop():
    aliases = {"letta/auto": "mine", "mine": "openai/other", "a/b": "b/a", "b/a": "a/b"}
    async with one(FakeOpenAI(models=["small", "other"]), settings={"aliases": aliases}) as models:
        assert (await models.model("letta/auto")).info.handle == "openai/other"
        with pytest.raises(NotFound):
            await models.model("a/b")


async def test_the_default_is_the_configured_one_then_a_real_one_then_the_stand_in():
    async with one(FakeOpenAI(models=["small"]), settings={"default_model": "openai/other"}) as models:
        assert models.default_model == "openai/other"
    async with one(FakeOpenAI(models=["my-embed", "small"])) as models:
        await models.list_models()
        assert models.default_model == "openai/small"
    async with registry(provider("ollama", NOBODY, configured=False)) as models:
        await models.list_models()
        assert models.default_model == "scripted/default"
        assert (await models.model("letta/auto")).info.handle == "scripted/default"


async def test_what_is_configured_comes_before_what_was_only_found():
    async with serving(ollama=ollama(), groq=FakeOpenAI(models=["big"])) as urls:
        providers = provider("ollama", urls["ollama"], configured=False), provider("groq", urls["groq"], api_key=KEY)
        async with registry(*providers) as models:
            await models.list_models()
            assert models.default_model == "groq/big"


async def test_a_found_model_that_can_call_tools_is_preferred():
    async with one(ollama(), "ollama", configured=False) as models:
        await models.list_models()

        assert models.default_model == "ollama/qwen:latest"


async def test_the_stand_in_is_always_there_and_says_what_it_is():
    async with registry() as models:
        (listed,) = await models.list_models()
        events = await ask(await models.model("scripted/anything"), request(user("@say hey")))

    assert listed.handle == "scripted/default"
    assert "no language model" in (listed.display_name or "")
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("default", ["loci/wordllama", None])
async def test_the_built_in_embedder_has_aliases(default: str | None):
    async with registry(default_embedding=default) as models:
        names = [(await models.embedder(handle)).info.handle for handle in ("letta/letta-free", "loci/wordllama")]

        assert names == ["loci/wordllama"] * 2
        assert models.default_embedder == default


# --------------------------------------------------------------------------------------------------- silence, freshness


async def test_a_configured_model_resolves_while_its_server_is_silent():
    async with registry(provider("groq", NOBODY, api_key=KEY), provider("mine", NOBODY, "openai")) as models:
        known, unknown = await models.model("groq/gpt-4o"), await models.model("mine/whatever")
        failed = await failure(unknown)

        assert await models.list_models() == [(await models.model("scripted/default")).info]
    assert (known.info.window_tokens, unknown.info.window_tokens) == (128_000, ASSUMED_WINDOW_TOKENS)
    assert failed.fault is ModelFault.CONNECTION


async def test_what_is_only_looked_for_and_silent_is_not_found_with_its_address():
    async with registry(provider("ollama", NOBODY, configured=False)) as models:
        with pytest.raises(NotFound, match=f"nothing answers at {re.escape(NOBODY)}"):
            await models.model("ollama/qwen")
        with pytest.raises(NotFound, match="nothing answers"):
            await models.embedder("ollama/nomic")


async def test_an_embedder_of_a_silent_server_fails_as_that():
    async with registry(provider("mine", NOBODY, "openai")) as models:
        with pytest.raises(ModelFailure) as error:
            await models.embedder("mine/some-embedder")

    assert error.value.fault is ModelFault.CONNECTION


async def test_nothing_is_asked_before_somebody_wants_to_know():
    fake = FakeOpenAI(models=["small"])
    async with one(fake) as models:
        assert models.default_model == "scripted/default"
        assert fake.paths == []


async def test_a_listing_is_kept_for_a_minute_and_a_failure_for_less():
    fake, clock = FakeOpenAI(models=["small"]), FakeClock()
    async with one(fake, clock=clock) as models:
        for _ in range(5):
            await models.list_models()
            await models.model("openai/small")
        first = fake.paths.count("GET /v1/models")
        clock.advance(61)
        await models.list_models()

    assert (first, fake.paths.count("GET /v1/models")) == (1, 2)


async def test_a_server_that_starts_later_is_found():
    fake, clock = FakeOpenAI(models=["small"], routes={"/v1/models": lambda _: Refusal(status=503)}), FakeClock()
    async with one(fake, "vllm", clock=clock) as models:
        before = windows(await models.list_models())
        fake.routes.clear()
        clock.advance(11)
        after = windows(await models.list_models())

    assert (before, set(after)) == ({}, {"vllm/small"})


async def test_a_model_that_was_just_pulled_is_found_at_once():
    fake, clock = FakeOpenAI(models=["small"]), FakeClock()
    async with one(fake, clock=clock) as models:
        await models.list_models()
        fake.models.append("new")
        clock.advance(6)

        assert (await models.model("openai/new")).info.name == "new"


async def test_a_known_model_never_waits_for_its_server():
    fake, clock = FakeOpenAI(models=["small"]), FakeClock()
    async with one(fake, clock=clock) as models:
        first = await models.model("openai/small")
        fake.routes["/v1/models"] = lambda _: Refusal(status=500)
        clock.advance(3_600)

        assert await models.model("openai/small") is first


async def test_a_server_that_hangs_is_waited_for_only_once():
    clock, asked = FakeClock(), asyncio.Event()

    class Hanging(FakeOpenAI):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            asked.set()
            clock.advance(5)  # as if the client had waited that long
            await send({"type": "http.response.start", "status": 504, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async with one(Hanging(), "groq", clock=clock, api_key=KEY) as models:
        await models.list_models()
        clock.advance(120)
        asked.clear()
        assert (await models.model("groq/anything")).info.name == "anything"
        assert not asked.is_set()
        await asyncio.wait_for(asked.wait(), 5)


async def test_a_changed_window_is_noticed():
    fake, clock = FakeOpenAI(models=[{"id": "small", "context_length": 9_000}]), FakeClock()
    async with one(fake, clock=clock) as models:
        before = (await models.model("openai/small")).info.window_tokens
        fake.models[0] = {"id": "small", "context_length": 4_000}
        clock.advance(61)
        await models.list_models()

        assert (before, (await models.model("openai/small")).info.window_tokens) == (9_000, 4_000)


async def test_how_the_providers_are_is_told_without_keys():
    fake = FakeOpenAI(models=["small", "gpt-4o"])
    async with serving(it=fake) as urls:
        providers = (
            provider("openai", urls["it"], api_key=KEY),
            provider("groq", NOBODY, api_key=KEY),
            provider("locked", urls["it"], "openai", api_key="wrong"),
        )
        fake.api_key = KEY
        async with registry(*providers) as models:
            ok, silent, locked = await models.status()

    assert (ok.ok, ok.error, ok.model_count, ok.assumed_windows) == (True, None, 2, ("openai/small",))
    assert (silent.ok, silent.model_count, silent.configured) == (False, 0, True)
    assert silent.error
    assert not locked.ok
    assert KEY not in repr((ok, silent, locked))


@pytest.mark.parametrize("wire", ["responses", "anthropic", "google"])
async def test_other_wires_get_the_adapter_of_the_library(wire: Any):
    async with registry(provider("there", "http://127.0.0.1:1", "openai", wire=wire, api_key=KEY)) as models:
        model = await models.model("there/some-model")

        assert isinstance(model.info, ModelInfo)
        assert (await failure(model)).fault is ModelFault.CONNECTION


@pytest.mark.parametrize(
    "body", [None, [], {}, {"data": 5}, {"data": [5, {}, {"id": None}, {"id": 7}]}, {"models": {}}]
)
async def test_a_listing_of_nonsense_is_an_empty_one(body: Any):
    routes: Mapping[str, Any] = dict.fromkeys(
        ("/v1/models", "/api/tags", "/api/ps", "/api/show", "/v1beta/models"), body
    )
    async with serving(it=FakeOpenAI(routes=routes)) as urls:
        root = urls["it"].removesuffix("/v1")
        providers = (
            provider("vllm", urls["it"]),
            provider("ollama", urls["it"]),
            provider("anthropic", root, wire="anthropic"),
            provider("google_ai", root, wire="google"),
        )
        async with registry(*providers) as models:
            assert {model.name for model in await models.list_models()} <= {"7", "default"}
