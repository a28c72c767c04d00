"""Which models there are, and which one a handle means.

A handle is `provider/name`. Places are asked what they have only when somebody wants to know, never at the start; what
the operator configured is believed even while its server is silent. Facts come from the server, then from the short
table in `known`; an override from the configuration beats both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from loci.clock import Clock
from loci.config import Settings
from loci.errors import ModelFailure, NotFound
from loci.model.base import Embedder, EmbeddingInfo, Model, ModelInfo, ModelOverride, ProviderConfig
from loci.model.embed import BUILT_IN, BuiltInEmbedder, RemoteEmbedder
from loci.model.hosts import OPERATOR_SETS
from loci.model.http import Connections
from loci.model.known import ASSUMED_WINDOW_TOKENS, known, known_dimensions
from loci.model.listing import Found, Lister
from loci.model.place import Place
from loci.model.retry import Closing
from loci.model.scripted import ScriptedModel, scripted_info

SCRIPTED = "scripted/default"
AUTO = frozenset({"letta/auto", "letta/auto-fast", "letta/auto-memory", "loci/auto", "letta/letta-free"})
"""Handles that mean the default model (the last one: the default embedder too), unless the operator says otherwise."""
PROXY = "openai-proxy"
"""The second name of an OpenAI provider with a base URL of its own."""

_ALIAS_HOPS_MAX = 5
_JUST_NOW_S = 5.0
_EMBEDDING_TIMEOUT_S = 60.0
_USUAL_EMBEDDER = "text-embedding-3-small"
_PRICED = frozenset({"openai", "anthropic", "google_ai", "deepseek", "xai"})

MakeModel = Callable[[ModelInfo, ProviderConfig], Awaitable[Model]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStatus:
    """How a provider was when it was last asked. `assumed_windows`: handles whose window nobody knows."""

    name: str
    provider_type: str
    base_url: str | None
    configured: bool
    ok: bool
    error: str | None
    model_count: int
    assumed_windows: tuple[str, ...] = ()


class ProviderRegistry:
    """The models and embedders of one server. `make` builds the adapter for a provider's wire."""

    def __init__(self, settings: Settings, *, clock: Clock, connections: Connections, make: MakeModel) -> None:
        self._settings = settings
        self._clock = clock
        self._connections = connections
        self._make = make
        lister = Lister(connections)
        # A later entry of the same name replaces an earlier one: config.toml over the environment.
        self._places = {each.name: Place(each, lister, clock) for each in settings.providers}
        self._models: dict[str, tuple[Found, Model]] = {}
        self._made: list[Model] = []
        self._embedders: dict[str, Embedder] = {BUILT_IN.handle: BuiltInEmbedder()}

    @property
    def default_model(self) -> str | None:
        """The configured one, else the best of the first place that has any, else the scripted stand-in.

        Places that were never asked count for nothing but their configuration: call `list_models` once to know better.
        """
        if self._settings.default_model:
            return self._settings.default_model
        places = sorted(self._places.values(), key=lambda place: not place.config.configured)
        for place in places:
            if (name := place.best()) is not None:
                return f"{place.config.name}/{name}"
        return SCRIPTED

    async def model(self, handle: str) -> Model:
        """The model behind a handle or alias. Raises NotFound with near names as the hint."""
        resolved = await self._resolved(handle)
        provider, _, name = resolved.partition("/")
        if provider == "scripted" and name:
            return ScriptedModel(scripted_info(name), clock=self._clock)
        place = self._place(provider)
        if place is None or not name:
            raise self._not_found(handle, resolved)
        found = place.look_up(name)
        if found is None or found.kind != "chat":
            found = await self._asked_for(place, name, handle)
        place.ask_behind()
        known, model = self._models.get(resolved, (None, None))
        if model is not None and known is found:  # nothing else was heard of it since
            return model
        info = self._info(place, found, resolved)
        if model is None or model.info != info:
            model = await self._make(info, place.config)
            self._made.append(model)
        self._models[resolved] = found, model
        return model

    async def list_models(self) -> Sequence[ModelInfo]:
        """What is there now. A custom OpenAI base URL lists each model under both names; the stand-in comes last."""
        await self._ask_all()
        listed = [
            self._info(place, found, f"{prefix}/{found.name}")
            for place in self._places.values()
            if place.answers
            for prefix in self._prefixes(place)
            for found in place.found.values()
            if found.kind == "chat"
        ]
        return [*listed, scripted_info()]

    async def _asked_for(self, place: Place, name: str, handle: str) -> Found:
        """A model that no listing has named yet."""
        await place.ask_now(fresh_s=_JUST_NOW_S)
        found = place.look_up(name)
        if found is not None and found.kind == "chat":
            return found
        if self._override(place, name) is not None or (place.error and place.config.configured):
            return Found(name=name)
        if place.error:
            raise NotFound(
                f"There is no model '{handle}': nothing answers at {place.config.base_url}.",
                hint="Start that server, or choose another model.",
            )
        raise self._not_found(handle, f"{place.config.name}/{name}")

    def _info(self, place: Place, found: Found, handle: str) -> ModelInfo:
        config, override = place.config, self._override(place, found.name) or ModelOverride()
        facts = known(found.name)
        priced = facts if config.provider_type in _PRICED and not place.is_custom else None
        free = 0.0 if place.is_local else None
        window = override.window_tokens or found.window_tokens or (facts.window_tokens if facts else None)
        output = override.output_tokens_max or found.output_tokens_max or (facts.output_tokens_max if facts else None)
        return ModelInfo(
            handle=handle,
            name=found.name,
            provider=config.name,
            provider_type=config.provider_type,
            window_tokens=window or ASSUMED_WINDOW_TOKENS,
            output_tokens_max=output,
            endpoint=config.base_url,
            display_name=found.display_name,
            supports_images=found.supports_images is not False,
            brought=config.brought,
            price_input_usd=_given(
                override.price_input_usd, found.price_input_usd, priced and priced.price_input_usd, free
            ),
            price_output_usd=_given(
                override.price_output_usd, found.price_output_usd, priced and priced.price_output_usd, free
            ),
        )

    def _override(self, place: Place, name: str) -> ModelOverride | None:
        handles = (f"{prefix}/{name}" for prefix in self._prefixes(place))
        return next((self._settings.overrides[each] for each in handles if each in self._settings.overrides), None)

    @property
    def default_embedder(self) -> str | None:
        """The configured one; None means that archives are searched by words only."""
        return self._settings.default_embedding

    async def embedder(self, handle: str) -> Embedder:
        """The embedding model behind a handle. Raises NotFound, or ModelFailure if its server fails when tried."""
        resolved = self._alias(handle)
        if resolved in AUTO:
            resolved = self._alias(self.default_embedder or BUILT_IN.handle)
        if (known_already := self._embedders.get(resolved)) is not None:
            return known_already
        provider, _, name = resolved.partition("/")
        place = self._place(provider)
        if place is None or not name or place.config.wire not in ("chat", "responses"):
            raise self._not_found(handle, resolved, embedding=True)
        found = place.look_up(name)
        if found is None:
            await place.ask_now(fresh_s=_JUST_NOW_S)
            found = place.look_up(name)
        if found is None and place.error and not place.config.configured:
            raise NotFound(f"There is no embedding model '{handle}': nothing answers at {place.config.base_url}.")
        name = found.name if found else name
        dimensions = (found.dimensions if found else None) or (known_dimensions(name) if found or place.error else None)
        try:
            info = self._embedding_info(place, name, dimensions or await self._measured(place, name))
        except ModelFailure as error:
            if place.error:
                raise
            raise self._not_found(handle, resolved, embedding=True) from error
        embedder = self._remote(place, replace(info, handle=resolved))
        return self._embedders.setdefault(resolved, embedder)

    async def list_embedders(self) -> Sequence[EmbeddingInfo]:
        """The built-in one, and what the servers have. One whose vectors nobody measured yet is measured now."""
        await self._ask_all()
        wanted = [
            (place, found.name, found.dimensions or known_dimensions(found.name))
            for place in self._places.values()
            if place.answers and place.config.wire in ("chat", "responses")
            for found in self._embedding_models(place)
        ]
        measured = await asyncio.gather(*(self._listed(place, name, size) for place, name, size in wanted))
        return [BUILT_IN, *(info for info in measured if info is not None)]

    def _embedding_models(self, place: Place) -> Iterable[Found]:
        """Those that are listed; a proxy that lists none is tried with the usual name."""
        listed = [found for found in place.found.values() if found.kind == "embedding"]
        if not listed and place.is_custom:
            return [Found(name=_USUAL_EMBEDDER, kind="embedding")]
        return listed

    async def _listed(self, place: Place, name: str, dimensions: int | None) -> EmbeddingInfo | None:
        if (embedder := self._embedders.get(f"{place.config.name}/{name}")) is not None:
            return embedder.info
        unsure = name not in place.found
        try:
            size = dimensions if dimensions and not unsure else await self._measured(place, name)
        except ModelFailure:
            return None
        info = self._embedding_info(place, name, size)
        self._embedders.setdefault(info.handle, self._remote(place, info))
        return info

    async def _measured(self, place: Place, name: str) -> int:
        """The length of the model's vectors, by trying it. Raises ModelFailure."""
        trial = self._remote(place, self._embedding_info(place, name, 0))
        return len((await trial.embed(["test"]))[0])

    def _remote(self, place: Place, info: EmbeddingInfo) -> RemoteEmbedder:
        return RemoteEmbedder(info, place.config, self._connections, timeout_s=_EMBEDDING_TIMEOUT_S)

    @staticmethod
    def _embedding_info(place: Place, name: str, dimensions: int) -> EmbeddingInfo:
        return EmbeddingInfo(
            handle=f"{place.config.name}/{name}",
            name=name,
            provider=place.config.name,
            provider_type=place.config.provider_type,
            dimensions=dimensions,
            endpoint=place.config.base_url,
        )

    async def status(self) -> Sequence[ProviderStatus]:
        """How each provider is now."""
        await self._ask_all()
        return [
            ProviderStatus(
                name=place.config.name,
                provider_type=place.config.provider_type,
                base_url=place.config.base_url,
                configured=place.config.configured,
                ok=place.answers,
                error=place.error,
                model_count=len(place.found) if place.answers else 0,
                assumed_windows=tuple(self._assumed(place)),
            )
            for place in self._places.values()
        ]

    def start(self) -> None:
        """Begin to look for models in the background."""
        for place in self._places.values():
            place.ask_behind()

    async def aclose(self) -> None:
        """Stop looking and close all connections."""
        await asyncio.gather(*(place.aclose() for place in self._places.values()))
        for model in self._made:
            if isinstance(model, Closing):
                await model.aclose()
        await self._connections.aclose()

    async def _ask_all(self) -> None:
        await asyncio.gather(*(place.ask_now() for place in self._places.values()))

    def _assumed(self, place: Place) -> Iterator[str]:
        for found in place.found.values():
            override = self._override(place, found.name)
            told = found.window_tokens or known(found.name) or (override and override.window_tokens)
            if found.kind == "chat" and not told:
                yield f"{place.config.name}/{found.name}"

    def _place(self, prefix: str) -> Place | None:
        place = self._places.get(prefix)
        if place is None and prefix == PROXY and (openai := self._places.get("openai")) and openai.is_custom:
            return openai
        return place

    def _prefixes(self, place: Place) -> Sequence[str]:
        """The first halves of the handles of a place."""
        second = place.config.name == "openai" and place.is_custom and PROXY not in self._places
        return (place.config.name, PROXY) if second else (place.config.name,)

    def _alias(self, handle: str) -> str:
        for _ in range(_ALIAS_HOPS_MAX):
            if handle not in self._settings.aliases:
                break
            handle = self._settings.aliases[handle]
        return handle

    async def _resolved(self, handle: str) -> str:
        resolved = self._alias(handle)
        if resolved not in AUTO:
            return resolved
        if not self._settings.default_model:
            await asyncio.gather(*(place.ask() for place in self._places.values() if place.asked_at_s is None))
        chosen = self._alias(self.default_model or SCRIPTED)
        return SCRIPTED if chosen in AUTO else chosen

    def _not_found(self, handle: str, resolved: str, *, embedding: bool = False) -> NotFound:
        kind = "embedding" if embedding else "chat"
        handles = [
            f"{prefix}/{found.name}"
            for place in self._places.values()
            for prefix in self._prefixes(place)
            for found in place.found.values()
            if found.kind == kind
        ]
        handles.append(BUILT_IN.handle if embedding else SCRIPTED)
        provider, _, rest = resolved.partition("/")
        name = rest or resolved
        near = get_close_matches(resolved, handles, n=3, cutoff=0.7)
        near += [other for other in handles if len(name) > 2 and name in other][:3]
        hint = f"Near to it: {', '.join(dict.fromkeys(near))}." if near else f"There are: {', '.join(handles[:5])}."
        missing = ""
        if rest and self._place(provider) is None:
            missing = f", as there is no provider '{provider}'"
            variable = OPERATOR_SETS.get(provider)
            hint = f"Set {variable} and start the server again. {hint}" if variable else hint
        return NotFound(f"There is no {'embedding model' if embedding else 'model'} '{handle}'{missing}.", hint=hint)


def _given(*choices: float | None) -> float | None:
    return next((choice for choice in choices if choice is not None), None)
