"""Models of providers that organisations bring with keys of their own, beside those that the operator set up.

Each such provider is a registry of its own, whose requests go through the guarded door, because its address comes from
a user. It is made from the stored row and made anew when the row changes, so a new key counts from the next request on.
The operator's providers are known by their names and cost no look at what was brought.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import httpx2

from loci.carrier import Carrier
from loci.clock import Clock
from loci.errors import (
    AddressRefused,
    BadRequest,
    Conflict,
    FetchFailed,
    ModelFailure,
    ProviderUnusable,
    StoreFailure,
)
from loci.model.base import Embedder, EmbeddingInfo, Model, ModelInfo, ProviderConfig
from loci.model.hosts import HOSTED, LOCAL, hosted, v1
from loci.model.http import Connections
from loci.model.listing import Lister
from loci.model.registry import PROXY, ProviderRegistry
from loci.net import Door, Doors, parsed
from loci.store import organizations, providers
from loci.store.base import Store, Transaction
from loci.types.actor import Actor
from loci.types.providers import Provider
from loci.vault import Vault

log = logging.getLogger(__name__)

OWN_NAMES = frozenset({*HOSTED, *LOCAL, PROXY, "scripted", "loci", "letta"})
"""Names that only the operator's providers have."""
OWN_SERVERS: Mapping[str, str] = {
    "ollama": "ollama",
    "lmstudio_openai": "lmstudio",
    "vllm": "vllm",
    "sglang": "sglang",
    "llama_cpp": "llamacpp",
}
"""Types of servers that people run themselves, by their names on the API: they have an address, and may need no key."""

DOOR_HINT = "Use a public address. The operator can open a private one: LOCI_PROVIDER_HOSTS=name,name:port."
CHECK_TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 10.0
ORGANIZATIONS_MAX = 1_000
"""Organisations whose providers are kept at hand."""
LINGER_S = 3_600.0
"""How long a provider that was changed or deleted is still there for the runs that began with it."""

Info = TypeVar("Info", ModelInfo, EmbeddingInfo)
BuildRegistry = Callable[[ProviderConfig, httpx2.AsyncBaseTransport], ProviderRegistry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What brought providers need. `build` makes a registry of one provider that speaks through a transport."""

    store: Store
    vault: Vault
    clock: Clock
    doors: Doors
    build: BuildRegistry


@dataclass(frozen=True, slots=True)
class _Held:
    """A stored provider, and what speaks to it; None: it is unusable."""

    provider: Provider
    door: Door
    registry: ProviderRegistry | None


class _Guarded(Carrier):
    """What the door refuses is one more way in which a provider cannot be reached."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request. Raises what httpx2 raises."""
        try:
            return await super().handle_async_request(request)
        except AddressRefused as error:
            raise httpx2.UnsupportedProtocol(error.message, request=request) from error
        except FetchFailed as error:
            raise httpx2.ConnectError(error.message, request=request) from error


class BroughtModels:
    """The models of one server for each of its organisations."""

    def __init__(self, base: ProviderRegistry, outside: Outside) -> None:
        self._base = base
        self._outside = outside
        self._shelves: dict[str, dict[str, _Held]] = {}
        self._retired: list[tuple[float, ProviderRegistry]] = []
        self._reading = asyncio.Lock()

    @property
    def default_model(self) -> str | None:
        """The operator's."""
        return self._base.default_model

    @property
    def default_embedder(self) -> str | None:
        """The operator's."""
        return self._base.default_embedder

    async def model(self, actor: Actor, handle: str) -> Model:
        """The model behind a handle or alias. Raises NotFound."""
        return await (await self._home(actor, handle)).model(handle)

    async def embedder(self, actor: Actor, handle: str) -> Embedder:
        """The embedding model behind a handle. Raises NotFound, or ModelFailure if its server fails when tried."""
        return await (await self._home(actor, handle)).embedder(handle)

    async def list_models(self, actor: Actor) -> Sequence[ModelInfo]:
        """What is there now: the operator's, then what the organisation brought."""
        return await self._listed(actor, ProviderRegistry.list_models)

    async def list_embedders(self, actor: Actor) -> Sequence[EmbeddingInfo]:
        """The embedding models that are there now."""
        return await self._listed(actor, ProviderRegistry.list_embedders)

    async def _listed(self, actor: Actor, ask: Callable[[ProviderRegistry], Awaitable[Sequence[Info]]]) -> list[Info]:
        shelf = await self._shelf(actor)
        brought = [held.registry for held in shelf.values() if held.registry]
        own, *lists = await asyncio.gather(ask(self._base), *map(ask, brought))
        return [*own, *(info for found in lists for info in found if info.provider in shelf)]

    async def check(self, actor: Actor, config: ProviderConfig) -> None:
        """Ask the provider whether the key is good. Raises AddressRefused, BadRequest and ModelFailure."""
        try:
            await self._ask(config, await self.door(actor, config.base_url))
        except FetchFailed as error:
            raise BadRequest(error.message, hint="Check the address.") from error
        except ModelFailure as error:
            if error.http_status < 500:
                detail = f"{error.detail} Check the key, and that it belongs to {config.base_url}."
                raise ModelFailure(error.fault, error.message, detail=detail) from error
            words = f"{config.base_url} did not say which models it has: {error.detail}"
            raise BadRequest(words, hint="Check the address, and that the server runs.") from error

    async def door(self, actor: Actor, url: str | None) -> Door:
        """The way to a provider. Raises AddressRefused, and FetchFailed for an unknown name."""
        trusted = await self._outside.store.read(organizations.trusts, actor.organization_id)
        door = self._outside.doors.of(trusted=trusted)
        await door.check(url or "")
        return door

    def config(self, actor: Actor, provider: Provider) -> ProviderConfig:
        """How a stored provider is spoken to, with its key in clear. Raises ProviderUnusable."""
        return stored_config(self._outside.vault, actor, provider)

    async def changed(self, actor: Actor) -> None:
        """Take note of what the organisation has and may now; a provider that is as before keeps what it knows."""
        async with self._reading:
            await self._read(actor)

    async def aclose(self) -> None:
        """Close all connections."""
        self._retire(held for shelf in self._shelves.values() for held in shelf.values())
        self._shelves.clear()
        await asyncio.gather(*(registry.aclose() for _, registry in self._retired))

    async def _ask(self, config: ProviderConfig, door: Door) -> None:
        clock = self._outside.clock
        connections = Connections(clock=clock, connect_timeout_s=CONNECT_TIMEOUT_S, transport=_Guarded(door))
        try:
            await Lister(connections).accepts(config, timeout_s=CHECK_TIMEOUT_S)
        finally:
            await connections.aclose()

    async def _home(self, actor: Actor, handle: str) -> ProviderRegistry:
        """Where a handle belongs. Raises ProviderUnusable."""
        name = handle.partition("/")[0]
        if name in OWN_NAMES or (held := (shelf := await self._shelf(actor)).get(name)) is None:
            return self._base
        if (registry := held.registry) is None:
            registry = self._opened(actor, held.provider, held.door)
            shelf[name] = replace(held, registry=registry)
        return registry

    async def _shelf(self, actor: Actor) -> dict[str, _Held]:
        shelf = self._shelves.get(actor.organization_id)
        if shelf is None:
            async with self._reading:
                shelf = self._shelves.get(actor.organization_id) or await self._read(actor)
        return shelf

    async def _read(self, actor: Actor) -> dict[str, _Held]:
        """Bring what is held in line with what is stored; one at a time."""

        def stored(tx: Transaction) -> tuple[bool, list[Provider]]:
            return organizations.trusts(tx, actor.organization_id), providers.all_of(tx, actor)

        trusted, rows = await self._outside.store.read(stored)
        held, door = self._shelves.pop(actor.organization_id, {}), self._outside.doors.of(trusted=trusted)
        shelf: dict[str, _Held] = {}
        for row in rows:
            known = held.get(row.name)
            as_before = known is not None and (known.provider, known.door) == (row, door)
            shelf[row.name] = known if known and as_before else self._held(actor, row, door)
        self._retire(each for name, each in held.items() if shelf.get(name) is not each)
        if len(self._shelves) >= ORGANIZATIONS_MAX:
            self._retire(self._shelves.pop(next(iter(self._shelves))).values())
        self._shelves[actor.organization_id] = shelf
        await self._sweep()
        return shelf

    def _held(self, actor: Actor, provider: Provider, door: Door) -> _Held:
        """One that is unusable keeps nobody from the others."""
        try:
            return _Held(provider, door, self._opened(actor, provider, door))
        except ProviderUnusable as error:
            log.warning("%s (%s of %s)", error, provider.id, actor.organization_id)
            return _Held(provider, door, None)

    def _opened(self, actor: Actor, provider: Provider, door: Door) -> ProviderRegistry:
        return self._outside.build(self.config(actor, provider), _Guarded(door))

    def _retire(self, gone: Iterable[_Held]) -> None:
        until_s = self._outside.clock.monotonic_s() + LINGER_S
        self._retired += [(until_s, held.registry) for held in gone if held.registry]

    async def _sweep(self) -> None:
        """Close what nobody can be speaking with any more."""
        now_s = self._outside.clock.monotonic_s()
        over = [registry for until_s, registry in self._retired if until_s <= now_s]
        self._retired = [item for item in self._retired if item[0] > now_s]
        await asyncio.gather(*(registry.aclose() for registry in over))


def stored_config(vault: Vault, actor: Actor, provider: Provider) -> ProviderConfig:
    """How a stored provider is spoken to, with its key in clear. Raises ProviderUnusable."""
    sealed = provider.sealed_api_key
    try:
        key = None if sealed is None else vault.open(actor, f"{provider.id}/api_key", sealed)
        config = config_of(provider.provider_type, key, provider.base_url, name=provider.name)
        parsed(config.base_url or "")
    except (StoreFailure, BadRequest) as error:
        raise ProviderUnusable(
            f"The provider '{provider.name}' cannot be used: {error.message}",
            hint=f"Send its key and address again (PATCH /v1/providers/{provider.id}); if another secret.key sealed "
            "the key, the operator can bring that back.",
        ) from error
    return config


def address_of(provider: Provider) -> str | None:
    """Where a stored provider is, also when its key cannot be read or its type is none."""
    try:
        return config_of(provider.provider_type, "any", provider.base_url).base_url
    except BadRequest:
        return provider.base_url


def config_of(provider_type: str, api_key: str | None, base_url: str | None, *, name: str = "") -> ProviderConfig:
    """How to speak to a provider of a type. Raises BadRequest for one that this server cannot speak to."""
    if local := OWN_SERVERS.get(provider_type):
        if not base_url:
            raise BadRequest(f"A provider of type '{provider_type}' needs a 'base_url'.")
        return ProviderConfig(name=name, provider_type=local, base_url=v1(base_url), api_key=api_key, brought=True)
    host = HOSTED.get(provider_type)
    if host is None:
        types = ", ".join([*HOSTED, *OWN_SERVERS])
        hint = f"There are: {types}. Whatever speaks OpenAI's chat completions is 'openai' with a 'base_url'."
        raise BadRequest(f"This server cannot speak to providers of type '{provider_type}'.", hint=hint)
    if not api_key:
        raise BadRequest(f"A provider of type '{provider_type}' needs an 'api_key'.")
    if base_url is not None and host.wire in _WITHOUT_VERSION:
        base_url = base_url.rstrip("/").removesuffix(_WITHOUT_VERSION[host.wire])
    return replace(hosted(host, api_key=api_key, base_url=base_url), name=name, brought=True)


_WITHOUT_VERSION = {"anthropic": "/v1", "google": "/v1beta"}
"""What these wires add to the address themselves."""


def refuse_name(name: str, taken: Sequence[str]) -> None:
    """Raises Conflict for a name that is a provider of the operator's, now or by one setting."""
    if name in OWN_NAMES or name in taken:
        raise Conflict(f"'{name}' is the name of a provider of this server.", hint=f"Call it 'my-{name}', for example.")
