"""Providers with keys of their own: over the real wires, and nothing of a key at rest, in answers or in logs."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from loci.config import load
from loci.errors import BadRequest, NotFound
from loci.model.brought import config_of
from loci.store import providers
from loci.testing.fake_anthropic import FakeAnthropic
from loci.testing.fake_gemini import FakeGemini
from loci.testing.fake_openai import FakeOpenAI
from loci.testing.fake_provider import Answer, App, FakeProvider, Refusal, Say, served
from loci.testing.live import live_settings
from loci.types.actor import Actor
from loci.types.providers import Provider
from loci.vault import Vault
from tests.api.clients import MISSING, Client, client_of
from tests.api.tenants import tenants

KEY, NEW_KEY = "sk-secret-of-mine", "sk-another-secret"
PATH = "/v1/providers"
NOWHERE = "http://127.0.0.1:1/v1"


@asynccontextmanager
async def bringing(folder: Path, app: App | None = None, **settings: Any) -> AsyncGenerator[tuple[Client, str]]:
    """A client of a server with real models, and the address of a provider that is there to be brought."""
    chosen = replace(live_settings(folder), **settings)
    async with (
        served(app or FakeOpenAI(api_key=KEY)) as url,
        client_of(folder, settings=chosen, real_models=True) as client,
    ):
        yield client, f"{url}/v1"


async def bring(client: Client, url: str, **fields: Any) -> Any:
    body = {"name": "mine", "provider_type": "openai", "api_key": KEY, "base_url": url, **fields}
    answer = await client.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def agent(client: Client, model: str = "mine/fake-model") -> str:
    return str((await client.sdk.agents.create(model=model, embedding=None)).id)


async def say(client: Client, agent_id: str) -> Any:
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    return (await client.http.post(f"/v1/agents/{agent_id}/messages", json=body)).json()


def said(answer: Any) -> list[str]:
    return [message["content"] for message in answer["messages"] if message["message_type"] == "assistant_message"]


async def test_a_provider_is_brought_listed_changed_and_forgotten(tmp_path: Path) -> None:
    async with bringing(tmp_path) as (client, url):
        made = await bring(client, url)
        assert made == {
            "id": made["id"],
            "name": "mine",
            "provider_type": "openai",
            "provider_category": "byok",
            "api_key": None,
            "base_url": url,
            "access_key": None,
            "region": None,
            "api_version": None,
            "updated_at": made["updated_at"],
            "last_synced": None,
            "api_key_enc": None,
            "access_key_enc": None,
        }
        second = await bring(client, url, name="lc-openai")
        one = f"{PATH}/{made['id']}"
        assert await client.get(one) == made
        assert [each["name"] for each in await client.get(PATH)] == ["lc-openai", "mine"]
        assert await client.get(PATH, name="mine") == [made]
        assert await client.get(PATH, provider_type="groq") == []
        assert await client.get(PATH, limit=1, after=second["id"]) == [made]
        changed = (await client.http.patch(one, json={"api_key": NEW_KEY})).json()
        assert {**changed, "updated_at": made["updated_at"]} == made
        gone = await client.http.delete(one)
        assert gone.json() == {"message": f"Provider id={made['id']} successfully deleted"}
        assert (await client.http.get(one)).status_code == 404
        assert [each["name"] for each in await client.get(PATH)] == ["lc-openai"]


async def test_its_models_are_listed_with_the_windows_that_the_server_tells(tmp_path: Path) -> None:
    fake = FakeOpenAI(models=[{"id": "big", "context_length": 200_000}, "embed-one"], api_key=KEY)
    async with bringing(tmp_path, fake) as (client, url):
        await bring(client, url)
        listed = {model["handle"]: model for model in await client.get("/v1/models/")}
        assert set(listed) == {"mine/big", "scripted/default"}
        brought = listed["mine/big"]
        assert (brought["provider_name"], brought["provider_category"]) == ("mine", "byok")
        assert brought["max_context_window"] == 200_000
        assert listed["scripted/default"]["provider_category"] == "base"

        async def handles(**query: Any) -> list[str]:
            return [model["handle"] for model in await client.get("/v1/models", **query)]

        assert await handles(provider_category="byok") == ["mine/big"]
        assert await handles(provider_category="base") == ["scripted/default"]
        assert await handles(provider_category=["byok", "base"], provider_name="mine") == ["mine/big"]
        assert await handles(provider_type="openai", provider_name="other") == []
        embedders = {each["handle"]: each["embedding_dim"] for each in await client.get("/v1/models/embedding")}
        assert embedders == {"loci/wordllama": 256, "mine/embed-one": 8}


async def test_an_agent_runs_over_it_with_the_key_of_the_moment(tmp_path: Path) -> None:
    fake = FakeOpenAI(api_key=KEY)
    async with bringing(tmp_path, fake) as (client, url):
        made = await bring(client, url)
        agent_id = await agent(client)
        assert said(await say(client, agent_id)) == ["Hello from the fake model."]
        assert fake.received[-1].headers["authorization"] == f"Bearer {KEY}"

        fake.api_key = NEW_KEY
        refused = await say(client, agent_id)
        assert refused["error"]["type"] == "llm_authentication"
        await client.http.patch(f"{PATH}/{made['id']}", json={"api_key": NEW_KEY})
        assert said(await say(client, agent_id)) == ["Hello from the fake model."]
        assert fake.received[-1].headers["authorization"] == f"Bearer {NEW_KEY}"


async def test_an_agent_whose_provider_is_gone_is_told_which(tmp_path: Path) -> None:
    async with bringing(tmp_path) as (client, url):
        made = await bring(client, url)
        agent_id = await agent(client)
        await client.http.delete(f"{PATH}/{made['id']}")
        answer = json.dumps(await say(client, agent_id))
        assert answer.count("There is no model 'mine/fake-model', as there is no provider 'mine'.") == 1
        assert (await client.get(f"/v1/agents/{agent_id}"))["model"] == "mine/fake-model"
        await bring(client, url)
        assert said(await say(client, agent_id)) == ["Hello from the fake model."]


def listing(fake: FakeProvider, document: Any) -> App:
    """A fake that also says which models it has."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("method") != "GET":
            await fake(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    return app


CLAUDES = {"data": [{"id": "claude-opus-5-5", "max_input_tokens": 500_000}]}
GEMINIS = {
    "models": [
        {"name": "models/gemini-3-pro", "inputTokenLimit": 500_000, "supportedGenerationMethods": ["generateContent"]}
    ]
}


@pytest.mark.parametrize(
    ("kind", "fake", "document", "header"),
    [
        ("anthropic", FakeAnthropic(Answer(parts=[Say("Hi.")])), CLAUDES, "authorization"),
        ("google_ai", FakeGemini(Answer(parts=[Say("Hi.")])), GEMINIS, "x-goog-api-key"),
    ],
)
async def test_the_other_wires_are_spoken_through_the_same_door(
    tmp_path: Path, kind: str, fake: FakeProvider, document: Any, header: str
) -> None:
    async with bringing(tmp_path, listing(fake, document)) as (client, url):
        client.http.timeout = httpx2.Timeout(60.0)  # the first use of their packages imports them
        await bring(client, url.removesuffix("/v1"), name="their own", provider_type=kind)
        (model,) = await client.get("/v1/models/", provider_category="byok")
        assert (model["provider_type"], model["max_context_window"]) == (kind, 500_000)
        agent_id = await agent(client, model["handle"])
        assert said(await say(client, agent_id)) == ["Hi."]
        assert [name for name, value in fake.received[-1].headers.items() if KEY in value] == [header]


async def test_an_archive_is_embedded_by_a_model_that_was_brought(tmp_path: Path) -> None:
    fake = FakeOpenAI(models=["embed-one"], api_key=KEY)
    async with bringing(tmp_path, fake) as (client, url):
        await bring(client, url)
        archive = (await client.http.post("/v1/archives", json={"name": "a", "embedding": "mine/embed-one"})).json()
        assert archive["embedding_config"]["embedding_dim"] == 8
        await client.http.post(f"/v1/archives/{archive['id']}/passages", json={"text": "Green tea."})
        body = {"query": "tea", "archive_id": archive["id"]}
        assert len((await client.http.post("/v1/passages/search", json=body)).json()) == 1
        assert "Green tea." in json.dumps([received.body for received in fake.received])


async def test_a_key_is_tried_for_real(tmp_path: Path) -> None:
    async with bringing(tmp_path) as (client, url):
        body = {"provider_type": "openai", "api_key": KEY, "base_url": url}
        good = await client.http.post(f"{PATH}/check", json=body)
        assert good.json() == {"message": "Valid api key for provider_type=openai"}
        bad = await client.http.post(f"{PATH}/check", json={**body, "api_key": "sk-wrong"})
        assert bad.status_code == 401
        assert bad.json()["error"]["type"] == "llm_authentication"
        assert f"Check the key, and that it belongs to {url}." in bad.json()["error"]["detail"]
        silent = await client.http.post(f"{PATH}/check", json={**body, "base_url": NOWHERE})
        assert (silent.status_code, NOWHERE in silent.text) == (400, True)
        lost = await client.http.post(f"{PATH}/check", json={**body, "provider_type": "ollama"})
        assert (lost.status_code, "There is nothing at /api/tags" in lost.text) == (400, True)
        assert "sk-wrong" not in bad.text


async def test_a_stored_key_is_tried_and_the_models_are_asked_for_again(tmp_path: Path) -> None:
    fake = FakeOpenAI(models=["one"], api_key=KEY)
    async with bringing(tmp_path, fake) as (client, url):
        made = await bring(client, url)
        one = f"{PATH}/{made['id']}"
        assert len(await client.get("/v1/models", provider_category="byok")) == 1
        fake.models.append("two")
        assert len(await client.get("/v1/models", provider_category="byok")) == 1
        refreshed = (await client.http.patch(f"{one}/refresh")).json()
        assert refreshed["last_synced"] is not None
        assert len(await client.get("/v1/models", provider_category="byok")) == 2
        assert (await client.http.post(f"{one}/check")).status_code == 200

        fake.api_key = NEW_KEY
        assert (await client.http.post(f"{one}/check")).status_code == 401
        assert (await client.http.patch(f"{one}/refresh")).status_code == 401


async def test_changes_that_meet_lose_nothing_of_each_other(tmp_path: Path) -> None:
    fake, asked, told = FakeOpenAI(api_key=KEY), asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await told.wait()
        await fake(scope, receive, send)

    async with bringing(tmp_path, slow) as (client, url):
        one = f"{PATH}/{(await bring(client, url))['id']}"
        refresh = asyncio.create_task(client.http.patch(f"{one}/refresh"))
        await asked.wait()
        await client.http.patch(one, json={"api_key": NEW_KEY})
        told.set()
        assert (await refresh).json()["last_synced"] is not None
        fake.api_key = NEW_KEY
        assert (await client.http.post(f"{one}/check")).status_code == 200

        for key in (KEY, NEW_KEY) * 4:
            to = f"{url}/{key}"
            await asyncio.gather(
                client.http.patch(one, json={"api_key": key}), client.http.patch(one, json={"base_url": to})
            )
            stored = await the_provider(client)
            assert (stored.base_url, client.live.core.brought.config(Actor(), stored).api_key) == (to, key)


async def test_a_key_is_sent_to_no_other_host_than_it_was_given_for(tmp_path: Path) -> None:
    second = FakeOpenAI(api_key=NEW_KEY)
    async with bringing(tmp_path) as (client, url), served(second) as elsewhere:
        one = f"{PATH}/{(await bring(client, url))['id']}"
        for to in (f"{elsewhere}/v1", None, url.replace("http:", "https:")):
            refused = await client.http.patch(one, json={"base_url": to})
            assert refused.status_code == 400
            assert f"The key was given for {url}, and is not sent to" in refused.json()["detail"]
            assert "'api_key'" in refused.json()["detail"]
        await client.get("/v1/models")
        assert (await client.get(one))["base_url"] == url
        assert second.paths == []

        moved = await client.http.patch(one, json={"base_url": f"{url}/"})
        assert (moved.status_code, moved.json()["base_url"]) == (200, url), "the same host"
        moved = await client.http.patch(one, json={"base_url": f"{elsewhere}/v1", "api_key": NEW_KEY})
        assert (moved.status_code, moved.json()["base_url"]) == (200, f"{elsewhere}/v1")
        assert said(await say(client, await agent(client))) == ["Hello from the fake model."]
        assert {each.headers["authorization"] for each in second.received} == {f"Bearer {NEW_KEY}"}


def sealed_elsewhere(folder: Path, provider: Provider) -> Provider:
    sealed = Vault(folder / "elsewhere").seal(Actor(), f"{provider.id}/api_key", KEY)
    return replace(provider, sealed_api_key=sealed)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (sealed_elsewhere, "cannot be opened"),
        (lambda _, provider: replace(provider, base_url="http://[::1"), "not a valid URL"),
        (lambda _, provider: replace(provider, base_url=None), "needs a 'base_url'"),
    ],
)
async def test_one_that_cannot_be_read_breaks_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path, Provider], Provider], reason: str
) -> None:
    async with served(FakeOpenAI(models=["one"], api_key=KEY)) as address:
        url = f"{address}/v1"
        async with bringing(tmp_path) as (client, _):
            made = await bring(client, url, provider_type="vllm")
            await bring(client, url, name="sound")
            agents = [await agent(client, "mine/one"), await agent(client, "sound/one")]
            core, broken = client.live.core, partial(damage, tmp_path)
            await core.store.write(providers.change, Actor(), made["id"], broken, core.clock.now())
        async with bringing(tmp_path) as (client, _):
            one = f"{PATH}/{made['id']}"
            listed = await client.get("/v1/models", provider_category="byok")
            assert [model["handle"] for model in listed] == ["sound/one"]
            await client.get("/v1/models/embedding")
            assert [each["name"] for each in await client.get(PATH)] == ["sound", "mine"]
            assert (await client.get(one))["name"] == "mine"
            assert said(await say(client, agents[1])) == ["Hello from the fake model."]

            hint = f"PATCH {one}"
            told = (await say(client, agents[0]))["detail"]
            assert (told.count("'mine' cannot be used"), reason in told, hint in told) == (1, True, True)
            body = {"messages": [{"role": "user", "content": "Hello"}], "streaming": True}
            stream = await client.http.post(f"/v1/agents/{agents[0]}/messages", json=body)
            assert '"error_type":"ProviderUnusable"' in stream.text
            for answer in (await client.http.post(f"{one}/check"), await client.http.patch(f"{one}/refresh")):
                assert (answer.status_code, reason in answer.text, hint in answer.text) == (400, True, True)
            (logged,) = [each.getMessage() for each in caplog.records if each.name == "loci.model.brought"]
            assert (reason in logged, made["id"] in logged) == (True, True)
            mended = await client.http.patch(one, json={"api_key": KEY, "base_url": url})
            assert mended.status_code == 200
            assert said(await say(client, agents[0])) == ["Hello from the fake model."]


async def test_only_an_organisation_that_is_trusted_brings_what_is_on_this_machine(tmp_path: Path) -> None:
    fake = FakeOpenAI(api_key=KEY)
    async with served(fake) as url, tenants(tmp_path, real_models=True) as server:
        acme = await server.organization("acme")
        body = {"name": "mine", "provider_type": "openai", "api_key": KEY, "base_url": f"{url}/v1"}
        async with server.asking(await server.key(acme)) as one:
            far = await one.http.post(PATH, json={**body, "name": "far", "base_url": "http://93.184.216.34/v1"})
            for answer in (
                await one.http.post(PATH, json=body),
                await one.http.post(f"{PATH}/check", json=body),
                await one.http.patch(f"{PATH}/{far.json()['id']}", json={"base_url": f"{url}/v1", "api_key": KEY}),
            ):
                assert (answer.status_code, "privileged_tools" in answer.text) == (403, True), answer.text
            await one.http.delete(f"{PATH}/{far.json()['id']}")

            await server.trust(acme)
            made = (await one.http.post(PATH, json=body)).json()
            listed = (await one.http.get("/v1/models", params={"provider_category": "byok"})).json()
            assert [model["handle"] for model in listed] == ["mine/fake-model"]
            before = len(fake.paths)

            await server.trust(acme, far=False)
            for path in (f"{PATH}/{made['id']}/check", f"{PATH}/{made['id']}/refresh"):
                refused = await one.http.request("POST" if path.endswith("check") else "PATCH", path)
                assert (refused.status_code, "privileged_tools" in refused.text) == (403, True)
            assert (await one.http.get("/v1/models", params={"provider_category": "byok"})).json() == []
            assert len(fake.paths) == before


async def test_openrouter_is_asked_for_the_key_since_its_list_is_open(tmp_path: Path) -> None:
    fake = FakeOpenAI(routes={"/v1/key": lambda _: Refusal(status=401, message="No auth credentials found")})
    async with bringing(tmp_path, fake) as (client, url):
        body = {"provider_type": "openrouter", "api_key": KEY, "base_url": url}
        assert (await client.http.post(f"{PATH}/check", json=body)).status_code == 401
        fake.routes["/v1/key"] = {"data": {"label": "mine"}}
        assert (await client.http.post(f"{PATH}/check", json=body)).status_code == 200


async def test_nothing_of_a_key_is_at_rest_in_an_answer_or_in_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with bringing(tmp_path) as (client, url):
        made = await bring(client, url, access_key="AKIA-hidden")
        agent_id = await agent(client)
        await say(client, agent_id)
        shown = [
            json.dumps(made),
            (await client.http.get(PATH)).text,
            (await client.http.patch(f"{PATH}/{made['id']}", json={"api_key": NEW_KEY})).text,
            json.dumps(await say(client, agent_id)),
            (await client.http.post(f"{PATH}/{made['id']}/check")).text,
            (
                await client.http.post(PATH, json={"name": "x", "provider_type": "openai", "api_key": f"{KEY}\u00e9"})
            ).text,
            repr(await client.live.core.store.read(providers.all_of, Actor())),
            repr(client.live.core.brought.config(Actor(), await the_provider(client))),
        ]
        stored = at_rest(tmp_path)
        for secret in (KEY, NEW_KEY, "AKIA-hidden"):
            assert secret.encode() not in stored
            assert secret not in caplog.text
            assert not [text for text in shown if secret in text]


def at_rest(folder: Path) -> bytes:
    """All bytes of the database."""
    found = b"".join(file.read_bytes() for file in folder.glob("loci.db*"))
    assert b"mine" in found
    return found


async def the_provider(client: Client) -> Provider:
    (provider,) = await client.live.core.store.read(providers.all_of, Actor())
    return provider


async def test_what_is_shown_together_asks_once_for_the_embedding_model_that_it_shares(tmp_path: Path) -> None:
    fake = FakeOpenAI(models=["fake-model", "embed-one"], api_key=KEY)
    async with bringing(tmp_path, fake) as (client, url):
        made = await bring(client, url)
        for name in ("a", "b", "c"):
            for family in ("agents", "archives", "folders"):
                body = {"name": name, "embedding": "mine/embed-one"}
                assert (await client.http.post(f"/v1/{family}/", json=body)).status_code == 200
        for family in ("agents", "archives", "folders"):
            # The key is another now, so nothing is known any more, and each try fails.
            await client.http.patch(f"{PATH}/{made['id']}", json={"api_key": f"wrong-for-{family}"})
            before = fake.paths.count("POST /v1/embeddings")
            assert len(await client.get(f"/v1/{family}/")) == 3
            assert fake.paths.count("POST /v1/embeddings") - before == 1


async def test_organisations_have_their_own_providers_of_the_same_name(tmp_path: Path) -> None:
    fake = FakeOpenAI(models=["theirs"])
    other = Actor(organization_id=f"org-{MISSING}")
    async with bringing(tmp_path, provider_hosts=("127.0.0.1",)) as (client, url), served(fake) as second:
        made = await bring(client, url)
        core = client.live.core
        with pytest.raises(NotFound, match="no provider 'mine'"):
            await core.models.model(other, "mine/fake-model")
        with pytest.raises(NotFound):
            await core.store.read(providers.get, other, made["id"])
        row = Provider(id=f"provider-{MISSING}", name="mine", provider_type="openai", base_url=f"{second}/v1")
        row = replace(row, sealed_api_key=core.vault.seal(other, f"{row.id}/api_key", "sk-of-others"))
        await core.store.write(providers.insert, other, row, core.clock.now())
        await core.brought.changed(other)

        assert [info.name for info in await core.models.list_models(other) if info.brought] == ["theirs"]
        assert [info.name for info in await core.models.list_models(Actor()) if info.brought] == ["fake-model"]
        assert (await core.models.model(other, "mine/theirs")).info.endpoint == f"{second}/v1"
        assert (await core.models.model(Actor(), "mine/fake-model")).info.endpoint == url


async def test_a_server_that_others_reach_lets_nobody_look_behind_it(tmp_path: Path) -> None:
    async with bringing(tmp_path, host="0.0.0.0", api_key="k") as (client, _):
        client.http.headers["authorization"] = "Bearer k"
        for base_url, words in (
            ("http://10.0.0.8/v1", "not on the public internet"),
            ("http://169.254.169.254/v1", "not on the public internet"),
            ("http://localhost:11434/v1", "Port 11434 is not open"),
            ("ftp://example.com", "Only http and https"),
        ):
            body = {"provider_type": "openai", "api_key": KEY, "base_url": base_url}
            for answer in (
                await client.http.post(PATH, json={"name": "inside", **body}),
                await client.http.post(f"{PATH}/check", json=body),
            ):
                assert answer.status_code == 400
                assert words in answer.json()["detail"]
                assert "LOCI_PROVIDER_HOSTS" in answer.json()["detail"]
        assert await client.get(PATH) == []


async def test_an_address_that_becomes_private_later_is_not_spoken_to(tmp_path: Path) -> None:
    fake = FakeOpenAI(api_key=KEY)
    async with bringing(tmp_path, fake, host="0.0.0.0", api_key="k") as (client, url):
        core = client.live.core
        sealed = core.vault.seal(Actor(), f"provider-{MISSING}/api_key", KEY)
        row = Provider(
            id=f"provider-{MISSING}", name="mine", provider_type="openai", base_url=url, sealed_api_key=sealed
        )
        await core.store.write(providers.insert, Actor(), row, core.clock.now())
        assert [info for info in await core.models.list_models(Actor()) if info.brought] == []
        assert fake.paths == []


async def test_the_operator_opens_a_private_host_by_name(tmp_path: Path) -> None:
    assert load({"LOCI_PROVIDER_HOSTS": "Box, gpu:8000"}, home=tmp_path).provider_hosts == ("box", "gpu:8000")
    async with bringing(tmp_path, host="0.0.0.0", api_key="k", provider_hosts=("127.0.0.1",)) as (client, url):
        client.http.headers["authorization"] = "Bearer k"
        await bring(client, url)
        assert len(await client.get("/v1/models", provider_category="byok")) == 1


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"name": "openai"}, 409, "name of a provider of this server"),
    ({"name": "letta"}, 409, "name of a provider of this server"),
    ({"name": "taken"}, 409, "already"),
    ({"name": "a/b"}, 422, "name"),
    ({"name": ""}, 422, "name"),
    ({"provider_type": "bedrock"}, 400, "cannot speak to providers of type 'bedrock'"),
    ({"provider_type": "nonsense"}, 400, "There are: openai, anthropic"),
    ({"provider_type": "vllm", "base_url": None}, 400, "needs a 'base_url'"),
    ({"api_key": ""}, 400, "needs an 'api_key'"),
    ({"api_key": "a\nb"}, 400, "no key"),
    ({"api_key": "x" * 5_000}, 400, "no key"),
    ({"api_key": 7}, 422, "api_key"),
]


async def test_what_cannot_be_brought_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with bringing(tmp_path) as (client, url):
        made = await bring(client, url, name="taken")
        for change, status, words in REFUSED:
            body = {"name": "mine", "provider_type": "openai", "api_key": KEY, "base_url": url, **change}
            answer = await client.http.post(PATH, json=body)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
        for number in range(1, providers.PROVIDERS_MAX):
            await bring(client, url, name=f"another {number}")
        answer = await client.http.post(PATH, json={"name": "last", "provider_type": "openai", "api_key": KEY})
        assert (answer.status_code, "cannot be more" in answer.text) == (409, True)
        assert (await client.http.patch(f"{PATH}/{made['id']}", json={"api_key": ""})).status_code == 400
        for method, end in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/check"), ("PATCH", "/refresh")):
            path = f"{PATH}/provider-{MISSING}{end}"
            assert (await client.http.request(method, path, json={"api_key": KEY})).status_code == 404


@pytest.mark.parametrize(
    ("kind", "given", "wire", "url"),
    [
        ("openai", None, "responses", "https://api.openai.com/v1"),
        ("openai", "https://proxy.example/v1/", "chat", "https://proxy.example/v1"),
        ("anthropic", "https://api.anthropic.com/v1", "anthropic", "https://api.anthropic.com"),
        ("google_ai", None, "google", "https://generativelanguage.googleapis.com"),
        ("ollama", "http://box:11434", "chat", "http://box:11434/v1"),
        ("lmstudio_openai", "http://box:1234/v1", "chat", "http://box:1234/v1"),
        ("zai_coding", None, "chat", "https://api.z.ai/api/coding/paas/v4"),
    ],
)
def test_a_type_says_how_it_is_spoken_to(kind: str, given: str | None, wire: str, url: str) -> None:
    config = config_of(kind, KEY, given, name="mine")
    assert (config.name, config.wire, config.base_url, config.brought) == ("mine", wire, url, True)


@pytest.mark.parametrize("kind", ["azure", "bedrock", "chatgpt_oauth", "google_vertex", "letta"])
def test_types_that_need_another_way_in_are_refused(kind: str) -> None:
    with pytest.raises(BadRequest, match="cannot speak"):
        config_of(kind, KEY, "https://example.com")
