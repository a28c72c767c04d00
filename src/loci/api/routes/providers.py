"""Providers that an organisation brings with its own keys. A key comes in and is never shown again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

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
from loci.model.brought import address_of, config_of, refuse_name
from loci.net import site_of
from loci.store import providers
from loci.types import actor as actors
from loci.types.providers import Provider

router = new_router("providers")

ProviderId = Annotated[str, Path(pattern=f"^provider-{UUID}$", description="Id of the provider.")]
KEY_MAX_CHARS = 4_000
_TOLD = {"api_key", "base_url"}


class AccountIn(Body):
    """What a provider needs to know: a key, and where it is, if not at its usual address."""

    api_key: LongText | None = None
    base_url: Name | None = None

    def given(self) -> dict[str, str | None]:
        """What the client said. Raises BadRequest for a key that is none, without saying it again."""
        told = {name: (getattr(self, name) or "").strip() or None for name in self.model_fields_set & _TOLD}
        key = told.get("api_key") or ""
        if len(key) > KEY_MAX_CHARS or not key.isascii() or not key.isprintable():
            raise BadRequest("'api_key' is no key: it is too long, or holds characters that no key has.")
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


def _wire(provider: Provider) -> WireObject:
    return {
        "id": provider.id,
        "name": provider.name,
        "provider_type": provider.provider_type,
        "provider_category": "byok",
        "base_url": address_of(provider),
        "updated_at": wire_moment(provider.updated_at),
        "last_synced": wire_moment(provider.last_synced_at),
        **dict.fromkeys(("api_key", "access_key", "region", "api_version", "api_key_enc", "access_key_enc")),
    }


def _with(core: Core, actor: actors.Actor, provider: Provider, told: dict[str, str | None]) -> Provider:
    """The provider with what the client said about it. Raises BadRequest, also for an old key at a new address."""
    key = told.get("api_key")
    sealed = key and core.vault.seal(actor, f"{provider.id}/api_key", key)
    changed = replace(
        provider,
        base_url=told.get("base_url", provider.base_url),
        sealed_api_key=sealed if "api_key" in told else provider.sealed_api_key,
    )
    core.brought.config(actor, changed)
    old, new = address_of(provider) or "", address_of(changed) or ""
    if "api_key" not in told and provider.sealed_api_key and site_of(old) != site_of(new):
        raise BadRequest(
            f"The key was given for {old}, and is not sent to {new}.", hint="Send the key for it too: 'api_key'."
        )
    return changed


async def _check_address(core: Core, actor: actors.Actor, provider: Provider, told: dict[str, str | None]) -> None:
    """Raises AddressRefused. A name that cannot be looked up now may be there later."""
    if told.get("base_url"):
        with suppress(FetchFailed):
            await core.brought.door(actor, address_of(replace(provider, base_url=told["base_url"])))


async def _changed(
    core: Core, actor: actors.Actor, provider_id: str, become: Callable[[Provider], Provider]
) -> Response:
    changed = await core.store.write(providers.change, actor, provider_id, become, core.clock.now())
    await core.brought.changed(actor)
    return json_answer(_wire(changed))


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
    return json_answer([_wire(each) for each in found])


@router.post("/providers", response_model=ProviderShape)
async def create_provider(body: ProviderIn, services: Services, actor: Actor) -> Response:
    """Bring a provider. Its models are there at once, as `name/model`."""
    body.config()
    refuse_name(body.name, [config.name for config in services.settings.providers])
    blank, told = Provider(id=new_id("provider"), name=body.name, provider_type=body.provider_type), body.given()
    await _check_address(services, actor, blank, told)
    provider = _with(services, actor, blank, told)
    stored = await services.store.write(providers.insert, actor, provider, services.clock.now())
    await services.brought.changed(actor)
    return json_answer(_wire(stored))


@router.post("/providers/check", response_model=DoneShape)
async def check_provider(body: CheckIn, services: Services, actor: Actor) -> Response:
    """Try a key without storing it."""
    await services.brought.check(actor, body.config())
    return json_answer({"message": f"Valid api key for provider_type={body.provider_type}"})


@router.get("/providers/{provider_id}", response_model=ProviderShape)
async def retrieve_provider(provider_id: ProviderId, services: Services, actor: Actor) -> Response:
    """One provider."""
    return json_answer(_wire(await services.store.read(providers.get, actor, provider_id)))


@router.patch("/providers/{provider_id}", response_model=ProviderShape)
async def modify_provider(provider_id: ProviderId, body: AccountIn, services: Services, actor: Actor) -> Response:
    """Change a key or an address; what is not named stays. It counts from the next request to a model on.

    A key stays with the host that it was given for: another address needs its own key in the same request.
    """
    told = body.given()
    await _check_address(services, actor, await services.store.read(providers.get, actor, provider_id), told)
    return await _changed(services, actor, provider_id, lambda current: _with(services, actor, current, told))


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
    await services.brought.check(actor, services.brought.config(actor, stored))
    return json_answer({"message": f"Valid api key for provider_type={stored.provider_type}"})


@router.patch("/providers/{provider_id}/refresh", response_model=ProviderShape)
async def refresh_provider(provider_id: ProviderId, services: Services, actor: Actor) -> Response:
    """Ask the provider again which models it has."""
    stored = await services.store.read(providers.get, actor, provider_id)
    await services.brought.check(actor, services.brought.config(actor, stored))
    now = services.clock.now()
    return await _changed(services, actor, provider_id, lambda current: replace(current, last_synced_at=now))
