"""Keys of users: who they make of a request, and when they are worth nothing."""

import base64
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from loci.api.keyring import Keyring
from loci.clock import FakeClock
from loci.errors import Unauthorized
from loci.store import keys, organizations
from loci.store.base import Transaction
from loci.testing.live import live_settings, serving
from loci.testing.stores import open_store
from loci.types.actor import DEFAULT_ORGANIZATION, DEFAULT_USER
from loci.types.keys import ApiKey
from scripts import routes
from tests.api.tenants import OPERATOR_KEY, bearer, tenants

NOBODY = "org-00000000-0000-4000-8000-00000000dead"


async def test_a_key_opens_what_its_organisation_has_and_nothing_else(tmp_path):
    async with tenants(tmp_path) as server:
        acme, other = await server.organization("acme"), await server.organization("other")
        async with (
            server.asking(await server.key(acme)) as one,
            server.asking(await server.key(acme)) as colleague,
            server.asking(await server.key(other)) as stranger,
        ):
            made = await one.sdk.agents.create(name="Ada", memory_blocks=[{"label": "human", "value": "Sam."}])
            assert (await colleague.sdk.agents.retrieve(made.id)).name == "Ada"
            assert (await stranger.http.get(f"/v1/agents/{made.id}")).status_code == 404
            assert (await server.http.get(f"/v1/agents/{made.id}")).status_code == 404
            assert [tool.name for tool in made.tools] != []

            users = (await server.http.get("/v1/admin/users/", params={"org_id": acme})).json()
            assert made.created_by_id == users[0]["id"]
            assert [user["name"] for user in users] == ["acme"]


async def test_no_header_and_no_field_chooses_who_asks(tmp_path):
    async with tenants(tmp_path) as server:
        acme = await server.organization("acme")
        key = await server.key(acme)
        made = await server.post("/v1/agents/", name="Of the operator")
        path = f"/v1/agents/{made['id']}"
        for name, value in (
            ("user_id", DEFAULT_USER),
            ("user-id", DEFAULT_USER),
            ("organization_id", DEFAULT_ORGANIZATION),
            ("x-organization-id", DEFAULT_ORGANIZATION),
            ("x-bare-password", f"password {OPERATOR_KEY}x"),
        ):
            assert await server.status(key, path, **{name: value}) == 404
        async with server.asking(key) as one:
            mine = await one.http.post("/v1/agents/", json={"organization_id": DEFAULT_ORGANIZATION, "user_id": "x"})
            assert mine.status_code == 200
            assert (await server.http.get(f"/v1/agents/{mine.json()['id']}")).status_code == 404


@pytest.mark.parametrize("key", ["sk-loci-", "sk-loci-wrong", "sk-loci-at-wrong", "nothing", "sk-loci-" + "x" * 5_000])
async def test_a_key_that_nobody_made_is_refused_with_what_to_do(tmp_path, key):
    async with tenants(tmp_path) as server:
        answer = await server.http.get("/v1/agents/", headers=bearer(key))
        assert answer.status_code == 401
        assert "Authorization: Bearer" in answer.json()["detail"]


async def test_a_revoked_key_is_worth_nothing_at_once_also_in_its_next_process(tmp_path):
    async with tenants(tmp_path) as server:
        key = await server.key(DEFAULT_ORGANIZATION)
        assert await server.status(key) == 200
        listed = (await server.http.get("/v1/admin/keys")).json()
        assert [(each["begins"], each["key"]) for each in listed] == [(key[:14], None)]
        revoked = await server.http.delete(f"/v1/admin/keys/{listed[0]['id']}")
        assert revoked.json()["revoked_at"] is not None
        answer = await server.http.get("/v1/agents/", headers=bearer(key))
        assert (answer.status_code, answer.json()["detail"]) == (
            401,
            f"The key {key[:14]}… was revoked. Use another one.",
        )
    async with tenants(tmp_path) as server:
        assert await server.status(key) == 401


async def test_a_key_expires_also_while_it_is_in_use(tmp_path):
    clock = FakeClock()
    async with open_store(tmp_path) as store:
        await store.write(organizations.ensure_first, clock.now())
        ring = Keyring(store, clock)
        wanted = ApiKey(
            id="",
            organization_id=DEFAULT_ORGANIZATION,
            user_id=DEFAULT_USER,
            name="for a minute",
            begins="",
            expires_at=clock.now() + timedelta(seconds=10),
        )
        made, text = await store.write(ring.make, wanted)
        assert (await ring.key_of(text.encode())).id == made.id
        clock.advance(9.9)
        assert (await ring.key_of(text.encode())).id == made.id
        clock.advance(0.1)
        with pytest.raises(Unauthorized, match="has expired"):
            await ring.key_of(text.encode())


async def test_a_key_that_another_process_revoked_is_good_for_half_a_minute_at_most(tmp_path):
    clock = FakeClock()
    async with open_store(tmp_path) as store:
        await store.write(organizations.ensure_first, clock.now())
        ring, other = Keyring(store, clock), Keyring(store, clock)
        wanted = ApiKey(id="", organization_id=DEFAULT_ORGANIZATION, user_id=DEFAULT_USER, name="k", begins="")
        made, text = await store.write(ring.make, wanted)
        await other.key_of(text.encode())
        await store.write(keys.revoke, made.id, clock.now())
        clock.advance(29)
        assert (await other.key_of(text.encode())).id == made.id
        clock.advance(1)
        with pytest.raises(Unauthorized, match="was revoked"):
            await other.key_of(text.encode())


async def test_a_key_goes_with_its_user_and_with_its_organisation(tmp_path):
    async with tenants(tmp_path) as server:
        acme = await server.organization("acme")
        user = await server.post("/v1/admin/users/", name="Kim", organization_id=acme)
        of_user, of_first = await server.key(acme, user_id=user["id"]), await server.key(acme)
        assert [await server.status(key) for key in (of_user, of_first)] == [200, 200]
        deleted = await server.http.delete("/v1/admin/users/", params={"user_id": user["id"]})
        assert deleted.json()["is_deleted"] is True
        # Kim was the first user, so both keys were hers.
        assert [await server.status(key) for key in (of_user, of_first)] == [401, 401]
        another = await server.key(acme)
        assert await server.status(another) == 200
        assert (await server.http.delete("/v1/admin/orgs/", params={"org_id": acme})).status_code == 200
        assert await server.status(another) == 401


async def test_an_organisation_is_not_deleted_with_what_it_has(tmp_path):
    async with tenants(tmp_path) as server:
        acme = await server.organization("acme")
        async with server.asking(await server.key(acme)) as one:
            made = await one.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam."}])
            refused = await server.http.delete("/v1/admin/orgs/", params={"org_id": acme})
            assert refused.status_code == 409
            told = "Organisation 'acme' still has agents (1), blocks (1). Delete those first, with a key of that"
            assert refused.json()["detail"].startswith(told)
            assert (await one.sdk.agents.retrieve(made.id)).id == made.id
        first = await server.http.delete("/v1/admin/orgs/", params={"org_id": DEFAULT_ORGANIZATION})
        assert first.status_code == 409


async def test_of_a_deleted_organisation_nothing_stays_but_the_journal(tmp_path):
    def tables(tx: Transaction) -> set[str]:
        held = "select m.name from sqlite_schema m, pragma_table_info(m.name) c where c.name = 'organization_id'"
        names = [str(row["name"]) for row in tx.all(held)]
        of_acme = "where organization_id = :id limit 1"
        return {name for name in names if tx.one(f"select 1 as here from {name} {of_acme}", {"id": acme})}

    async with tenants(tmp_path) as server:
        acme = await server.organization("acme")
        await server.trust(acme)  # with a provider on this machine
        key = await server.key(acme)
        server.live.model.add("Hello.")
        async with server.asking(key) as one:
            agent = await one.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam."}])
            question = {"agent_id": agent.id, "messages": [{"role": "user", "content": "Hello."}]}
            for path, body in (
                ("/v1/projects", {"name": "shop"}),
                ("/v1/templates", {"type": "agent", "agent_id": agent.id, "name": "helper"}),
                ("/v1/templates/helper/agents", {}),
                ("/v1/groups/", {"agent_ids": [agent.id], "description": "One."}),
                ("/v1/messages/batches", {"requests": [question]}),
                ("/v1/identities/", {"identifier_key": "sam", "name": "Sam", "identity_type": "user"}),
                ("/v1/sandbox-config/local/default", {}),
                (
                    "/v1/providers",
                    {"name": "own", "provider_type": "ollama", "api_key": "k", "base_url": "http://127.0.0.1:1/v1"},
                ),
            ):
                answer = await one.http.post(path, json=body)
                assert answer.is_success, answer.text
            await one.http.get("/v1/models/")
            for kind in ("agents", "blocks", "archives"):
                for made in (await one.http.get(f"/v1/{kind}/")).json():
                    assert (await one.http.delete(f"/v1/{kind}/{made['id']}")).is_success
        store = server.live.core.store
        before = await store.read(tables)
        assert before >= {"providers", "projects", "template_versions", "deployments", "agent_groups", "blocks"}
        assert before >= {"message_batch_items", "tools", "api_keys", "identities", "sandbox_configs"}
        deleted = await server.http.delete("/v1/admin/orgs/", params={"org_id": acme})
        assert deleted.status_code == 200
        assert await store.read(tables) == {"journal"}
        assert await server.status(key) == 401


async def test_a_key_of_an_organisation_is_never_the_operators(tmp_path):
    async with tenants(tmp_path) as server:
        operations = [
            (method, path)
            for path, found in routes.document()["paths"].items()
            for method in found
            if path.startswith("/v1/admin")
        ]
        assert len(operations) == 11
        key = await server.key(DEFAULT_ORGANIZATION)
        for method, path in operations:
            options: dict[str, Any] = {} if method in {"get", "delete"} else {"json": {}}
            answer = await server.http.request(method, path.replace("{key_id}", "x"), headers=bearer(key), **options)
            assert (answer.status_code, "LOCI_API_KEY" in answer.json()["detail"]) == (403, True), (method, path)


async def test_the_database_holds_no_key(tmp_path):
    async with tenants(tmp_path) as server:
        made = await server.post("/v1/admin/keys", name="k", organization_id=DEFAULT_ORGANIZATION)
        key = made["key"]
        assert (await server.http.get("/v1/admin/keys")).json() == [{**made, "key": None}]
        assert await server.status(key) == 200
        kept = await server.live.core.store.read(lambda tx: tx.all("select * from api_keys"))
    assert key not in str(kept)
    assert key[20:] not in str(kept)
    assert kept[0]["last_used_at"] is not None
    assert len(str(kept[0]["hash"])) == 64


async def test_uses_are_noted_once_an_hour(tmp_path):
    clock = FakeClock()
    async with open_store(tmp_path) as store:
        await store.write(organizations.ensure_first, clock.now())
        ring = Keyring(store, clock)
        wanted = ApiKey(id="", organization_id=DEFAULT_ORGANIZATION, user_id=DEFAULT_USER, name="k", begins="")
        made, text = await store.write(ring.make, wanted)
        noted = []
        for passed_s in (0, 1_800, 1_800, 30, 1_800):
            clock.advance(passed_s)
            await ring.key_of(text.encode())
            noted.append((await store.read(keys.get, made.id)).last_used_at)
        begun = clock.now() - timedelta(seconds=5_430)
        assert noted == [begun] * 3 + [begun + timedelta(seconds=3_630)] * 2


async def test_without_an_operators_key_a_users_key_still_says_who_asks(tmp_path):
    async with (
        serving(tmp_path, settings=live_settings(tmp_path)) as live,
        httpx2.AsyncClient(base_url=live.url) as http,
    ):
        acme = (await http.post("/v1/admin/orgs/", json={"name": "acme"})).json()["id"]
        key = (await http.post("/v1/admin/keys", json={"name": "k", "organization_id": acme})).json()["key"]
        made = (await http.post("/v1/agents/", json={}, headers=bearer(key))).json()
        assert (await http.get(f"/v1/agents/{made['id']}")).status_code == 404
        assert (await http.get(f"/v1/agents/{made['id']}", headers=bearer("anything"))).status_code == 404
        assert (await http.get(f"/v1/agents/{made['id']}", headers=bearer(key))).status_code == 200
        assert (await http.get("/v1/admin/orgs/", headers=bearer(key))).status_code == 403
        assert (await http.get("/v1/agents/", headers=bearer("sk-loci-wrong"))).status_code == 401
        assert (await http.get("/v1/agents/", headers={"x-bare-password": "password sk-loci-x"})).status_code == 401
        refused = (401, None)
        for password, answer in (
            ("anything", refused),
            ("sk-loci-wrong", refused),
            ("", refused),
            (key, (200, False)),
            (None, (200, True)),
        ):
            who = await http.post("/v1/auth", json={"password": password})
            assert (who.status_code, who.json().get("is_admin")) == answer, password
        as_git_sends_it = {"authorization": "Basic " + base64.b64encode(f"git:{key}".encode()).decode()}
        assert (await http.get(f"/v1/agents/{made['id']}", headers=as_git_sends_it)).status_code == 200


async def test_who_a_key_is(tmp_path):
    async with tenants(tmp_path) as server:
        acme = await server.organization("acme")
        user = await server.post("/v1/admin/users/", name="Kim", organization_id=acme)
        key = await server.key(acme, user_id=user["id"])
        operator = {"uuid": DEFAULT_USER.removeprefix("user-"), "is_admin": True}
        kim = {"uuid": user["id"].removeprefix("user-"), "is_admin": False}
        assert await server.post("/v1/auth", password=OPERATOR_KEY) == operator
        assert await server.post("/v1/auth") == operator
        assert await server.post("/v1/auth", password=key) == kim
        async with server.asking(key) as asking:
            assert (await asking.http.post("/v1/auth", json={})).json() == kim
            wrong = await asking.http.post("/v1/auth", json={"password": "wrong"})
            assert wrong.status_code == 401


async def test_admin_routes_refuse_what_is_not_there(tmp_path):
    async with tenants(tmp_path) as server:
        acme = await server.organization("acme")
        ids = {"org_id": NOBODY}
        assert (await server.http.get("/v1/admin/keys", params=ids)).status_code == 404
        assert (await server.http.delete("/v1/admin/orgs/", params=ids)).status_code == 404
        assert (await server.http.patch("/v1/admin/orgs/", params=ids, json={"name": "x"})).status_code == 404
        for body in (
            {"name": "k", "organization_id": NOBODY},
            {"name": "k", "organization_id": acme, "user_id": DEFAULT_USER},
        ):
            assert (await server.http.post("/v1/admin/keys", json=body)).status_code == 404
        assert (await server.http.post("/v1/admin/keys", json={"name": "", "organization_id": acme})).status_code == 422
        user = {"name": "x", "organization_id": NOBODY}
        assert (await server.http.post("/v1/admin/users/", json=user)).status_code == 404
        first = await server.http.delete("/v1/admin/users/", params={"user_id": DEFAULT_USER})
        assert first.status_code == 409
        renamed = await server.http.patch("/v1/admin/orgs/", params={"org_id": acme}, json={"name": "Acme Ltd"})
        assert renamed.json()["name"] == "Acme Ltd"
        named = (await server.http.get("/v1/admin/orgs/", params={"name": "Acme Ltd"})).json()
        assert [item["id"] for item in named] == [acme]
        after = (await server.http.get("/v1/admin/orgs/", params={"after": DEFAULT_ORGANIZATION, "limit": 1})).json()
        assert [item["id"] for item in after] == [acme]
