"""Providers that an organisation brings with its own keys. A key comes in and is never shown again."""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Core, Services
from loci.api.parameters import UUID, NewestFirst
from loci.api.requests_agents import Body, LongText, Name
from loci.api.shapes import DoneShape, ProviderShape
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.errors import BadRequest, FetchFailed
from loci.ids import new_id
from loci.model.base import ProviderConfig
from loci.model.brought import config_of, refuse_name
from loci.store import providers
from loci.types import actor as actors
from loci.types.providers import Provider

router = new_router("providers")

ProviderId = Annotated[str, Path(pattern=f"^provider-{UUID}$", description="Id of the provider.")]
KEY_MAX_CHARS = 4_000


class AccountIn(Body):
    """What a provider needs to know: a key, and where it is, if not at its usual address."""

    api_key: LongText | None = None
    access_key: LongText | None = None
    base_url: Name | None = None
    region: Name | None = None
    api_version: Name | None = None

    def given(self) -> dict[str, str | None]:
        """What the client said. Raises BadRequest for a key that is none, without saying it again."""
        told = {name: (value or "").strip() or None for name, value in self if name in self.model_fields_set}
        for name in ("api_key", "access_key"):
            key = told.get(name) or ""
            if len(key) > KEY_MAX_CHARS or not key.isascii() or not key.isprintable():
                raise BadRequest(f"'{name}' is no key: it is too long, or holds characters that no key has.")
        return told


class CheckIn(AccountIn):
    """A provider to be tried."""

    provider_type: Name

    def config(self) -> ProviderConfig:
        """How to speak to it. Raises BadRequest."""
        told = self.given()
        return config_of(self.provider_type, told.get("api_key"), told.get("base_url"), name=self.provider_type)


class ProviderIn(CheckIn):
    """A new provider. Its name is the first half of the handles of its models."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]


def _wire(provider: Provider, config: ProviderConfig) -> WireObject:
    return {
        "id": provider.id,
        "name": provider.name,
        "provider_type": provider.provider_type,
        "provider_category": "byok",
        "api_key": None,
        "base_url": config.base_url,
        "access_key": None,
        "region": provider.region,
        "api_version": provider.api_version,
        "updated_at": wire_moment(provider.updated_at),
        "last_synced": wire_moment(provider.last_synced_at),
        "api_key_enc": None,
        "access_key_enc": None,
    }


def _with(core: Core, actor: actors.Actor, provider: Provider, told: dict[str, str | None]) -> Provider:
    """The provider with what the client said about it; keys are sealed."""
    fields: dict[str, Any] = {name: told[name] for name in ("base_url", "region", "api_version") if name in told}
    for name in ("api_key", "access_key"):
        if name in told:
            key = told[name]
            fields[f"sealed_{name}"] = key and core.vault.seal(actor, f"{provider.id}/{name}", key)
    return replace(provider, **fields)


async def _put(core: Core, actor: actors.Actor, provider: Provider, *, new: bool = False) -> WireObject:
    """Store a provider that can be spoken to. Raises BadRequest, AddressRefused and Conflict."""
    config = core.brought.config(actor, provider)
    if provider.base_url is not None:
        with suppress(FetchFailed):  # a name that cannot be looked up now may be there later
            await core.brought.check_address(config)
    verb = providers.insert if new else providers.update
    stored = await core.store.write(verb, actor, provider, core.clock.now())
    await core.brought.changed(actor)
    return _wire(stored, config)


def _shown(core: Core, actor: actors.Actor, provider: Provider) -> WireObject:
    return _wire(provider, core.brought.config(actor, provider))


@router.get("/providers", response_model=list[ProviderShape])
async def list_providers(
    services: Services,
    actor: Actor,
    page: NewestFirst,
    name: str | None = None,
    provider_type: str | None = None,
) -> Response:
    """What was brought; not what the operator set up."""
    found = await services.store.read(providers.listing, actor, page, name=name, provider_type=provider_type)
    return json_answer([_shown(services, actor, each) for each in found])


@router.post("/providers", response_model=ProviderShape)
async def create_provider(body: ProviderIn, services: Services, actor: Actor) -> Response:
    """Bring a provider. Its models are there at once, as `name/model`."""
    body.config()
    refuse_name(body.name, [config.name for config in services.settings.providers])
    blank = Provider(id=new_id("provider"), name=body.name, provider_type=body.provider_type)
    provider = _with(services, actor, blank, body.given())
    return json_answer(await _put(services, actor, provider, new=True))


@router.post("/providers/check", response_model=DoneShape)
async def check_provider(body: CheckIn, services: Services) -> Response:
    """Try a key without storing it."""
    await services.brought.check(body.config())
    return json_answer({"message": f"Valid api key for provider_type={body.provider_type}"})


@router.get("/providers/{provider_id}", response_model=ProviderShape)
async def retrieve_provider(provider_id: ProviderId, services: Services, actor: Actor) -> Response:
    """One provider."""
    return json_answer(_shown(services, actor, await services.store.read(providers.get, actor, provider_id)))


@router.patch("/providers/{provider_id}", response_model=ProviderShape)
async def modify_provider(provider_id: ProviderId, body: AccountIn, services: Services, actor: Actor) -> Response:
    """Change a key or an address; what is not named stays. It counts from the next request to a model on."""
    stored = await services.store.read(providers.get, actor, provider_id)
    return json_answer(await _put(services, actor, _with(services, actor, stored, body.given())))


@router.delete("/providers/{provider_id}", response_model=DoneShape)
async def delete_provider(provider_id: ProviderId, services: Services, actor: Actor) -> Response:
    """Forget a provider and its keys. Agents that use its models are told so until they have another."""
    await services.store.write(providers.delete, actor, provider_id)
    await services.brought.changed(actor)
    return json_answer({"message": f"Provider id={provider_id} successfully deleted"})


@router.post("/providers/{provider_id}/check", response_model=DoneShape)
async def check_existing_provider(provider_id: ProviderId, services: Services, actor: Actor) -> Response:
    """Try the key that is stored."""
    stored = await services.store.read(providers.get, actor, provider_id)
    await services.brought.check(services.brought.config(actor, stored))
    return json_answer({"message": f"Valid api key for provider_type={stored.provider_type}"})


@router.patch("/providers/{provider_id}/refresh", response_model=ProviderShape)
async def refresh_provider(provider_id: ProviderId, services: Services, actor: Actor) -> Response:
    """Ask the provider again which models it has."""
    stored = await services.store.read(providers.get, actor, provider_id)
    await services.brought.check(services.brought.config(actor, stored))
    return json_answer(await _put(services, actor, replace(stored, last_synced_at=services.clock.now())))
