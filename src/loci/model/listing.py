"""Ask a provider which models it has, and how much each can really read.

Each kind of server tells the window in its own place: a field of `/v1/models`, Ollama's `/api/show` and `/api/ps`, LM
Studio's `/api/v0/models`, llama.cpp's `/props`. A server behind a plain base URL is told by what it calls the owner of
its models. Where a model is loaded with less than it could read, what it is loaded with is its window.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from loci.errors import ModelFailure
from loci.model.base import ProviderConfig
from loci.model.chat import headers_of
from loci.model.http import Connections
from loci.model.kept import Kept
from loci.model.known import looks_like_chat, looks_like_embedder
from loci.types.json import JsonObject, JsonValue, object_of, objects_of

ANTHROPIC_VERSION = "2023-06-01"

_WINDOW_FIELDS = (
    "loaded_context_length",  # LM Studio
    "context_length",  # OpenRouter, Together
    "max_model_len",  # vLLM
    "context_window",  # Groq
    "max_context_length",  # Mistral, LM Studio
    "max_input_tokens",  # Anthropic
    "n_ctx",
    "n_ctx_train",  # llama.cpp, in `meta`
)
_OUTPUT_FIELDS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_CHAT_TYPES = frozenset({"chat", "language", "llm", "vlm", "model", "text", "code", "base"})
_OWNERS = {"library": "ollama", "organization_owner": "lmstudio", "llamacpp": "llamacpp", "vllm": "vllm"}
_NUM_CTX = re.compile(r"^\s*num_ctx\s+(\d+)", re.MULTILINE)
_SHOWN_AT_ONCE = 4
_SHOWN_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A model that a provider says it has. None: it did not say."""

    name: str
    kind: Literal["chat", "embedding"] = "chat"
    window_tokens: int | None = None
    output_tokens_max: int | None = None
    price_input_usd: float | None = None
    price_output_usd: float | None = None
    display_name: str | None = None
    supports_images: bool | None = None
    calls_tools: bool | None = None
    dimensions: int | None = None
    loaded: bool = False


class Lister:
    """Asks. What a server says about a model file is kept for as long as the file is the same."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._shown: Kept[Found] = Kept(_SHOWN_KEPT)

    async def models(self, provider: ProviderConfig, *, timeout_s: float) -> Sequence[Found]:
        """The models of a provider in its own order. `timeout_s` holds for each question. Raises ModelFailure."""
        asking = _Asking(self._connections, provider, timeout_s)
        match provider.wire:
            case "scripted":
                return ()
            case "anthropic":
                rows = _rows(await asking.get("/v1/models?limit=1000"))
                return [_found(row) for row in rows if row.get("id")]
            case "google":
                return _of_google(_rows(await asking.get("/v1beta/models?pageSize=1000"), "models"))
            case "chat" | "responses":
                return await self._of_copies(asking)

    async def accepts(self, provider: ProviderConfig, *, timeout_s: float) -> None:
        """Have the provider say whether the key is good. Raises ModelFailure."""
        if provider.provider_type == "openrouter":  # whose list of models is open to everyone
            await _Asking(self._connections, provider, timeout_s).get("/key")
        await self.models(provider, timeout_s=timeout_s)

    async def _of_copies(self, asking: "_Asking") -> Sequence[Found]:
        if asking.provider.provider_type == "ollama":
            return await self._of_ollama(asking)
        rows = _rows(await asking.get("/models"))
        found = [_found(row) for row in rows if _is_wanted(row)]
        owners = {str(row.get("owned_by")) for row in rows}
        kind = next((_OWNERS[owner] for owner in owners if owner in _OWNERS), asking.provider.provider_type)
        try:
            match kind:
                case "ollama":
                    return await self._of_ollama(asking)
                case "lmstudio":
                    rows = _rows(await asking.get("/api/v0/models", root=True))
                    return [_found(row) for row in rows if _is_wanted(row)]
                case "llamacpp":
                    return _with_props(found, await asking.get("/props", root=True))
                case _:
                    return found
        except ModelFailure:
            return found  # a proxy that only calls itself so, or an older version

    async def _of_ollama(self, asking: "_Asking") -> Sequence[Found]:
        tags = _rows(await asking.get("/api/tags", root=True), "models")
        try:
            running = _rows(await asking.get("/api/ps", root=True), "models")
        except ModelFailure:
            running = []
        loaded = {str(row.get("name")): _count(row.get("context_length")) for row in running}
        gate = asyncio.Semaphore(_SHOWN_AT_ONCE)

        async def show(row: JsonObject) -> Found:
            async with gate:
                found = await self._shown_by_ollama(asking, row)
            # What it is loaded with counts, not what it could be.
            window = loaded.get(found.name) or found.window_tokens
            return replace(found, window_tokens=window, loaded=found.name in loaded)

        return await asyncio.gather(*(show(row) for row in tags if row.get("name")))

    async def _shown_by_ollama(self, asking: "_Asking", row: JsonObject) -> Found:
        name = str(row["name"])
        key = f"{asking.provider.base_url} {name} {row.get('digest')}"
        found = self._shown.get(key)
        if found is None:
            try:
                shown = await asking.post("/api/show", {"model": name})
            except ModelFailure:
                return Found(name=name, kind="embedding" if looks_like_embedder(name) else "chat")
            found = _of_ollama_show(name, object_of(shown))
            self._shown.put(key, found)
        return found


@dataclass(frozen=True, slots=True)
class _Asking:
    """Questions to one provider."""

    connections: Connections
    provider: ProviderConfig
    timeout_s: float

    async def get(self, path: str, *, root: bool = False) -> JsonValue:
        url = (self._root if root else self._base) + path
        key = self.provider.api_key
        return await self.connections.ask(url, self._headers(), timeout_s=self.timeout_s, secret=key)

    async def post(self, path: str, body: JsonObject) -> JsonValue:
        return await self.connections.ask(self._root + path, self._headers(), timeout_s=self.timeout_s, body=body)

    @property
    def _base(self) -> str:
        return (self.provider.base_url or "").rstrip("/")

    @property
    def _root(self) -> str:
        return self._base.removesuffix("/v1")

    def _headers(self) -> Mapping[str, str]:
        key = (self.provider.api_key or "").strip()
        match self.provider.wire:
            case "anthropic":
                return {"x-api-key": key, "anthropic-version": ANTHROPIC_VERSION}
            case "google":
                return {"x-goog-api-key": key}
            case "chat" | "responses" | "scripted":
                return {**headers_of(self.provider), "accept": "application/json"}


def _of_google(rows: Sequence[JsonObject]) -> Sequence[Found]:
    found: list[Found] = []
    for row in rows:
        methods, name = row.get("supportedGenerationMethods"), str(row.get("name") or "").removeprefix("models/")
        known = methods if isinstance(methods, list) else []
        if "generateContent" in known and looks_like_chat(name):
            found.append(
                Found(
                    name=name,
                    window_tokens=_count(row.get("inputTokenLimit")),
                    output_tokens_max=_count(row.get("outputTokenLimit")),
                    display_name=_text(row.get("displayName")),
                ),
            )
    return found


def _of_ollama_show(name: str, shown: JsonObject) -> Found:
    facts, abilities = object_of(shown.get("model_info")), shown.get("capabilities")
    able = {str(each) for each in abilities} if isinstance(abilities, list) else None
    architecture = str(facts.get("general.architecture") or "")
    chosen = _NUM_CTX.search(str(shown.get("parameters") or ""))
    embeds = looks_like_embedder(name) if able is None else "embedding" in able and "completion" not in able
    return Found(
        name=name,
        kind="embedding" if embeds else "chat",
        window_tokens=int(chosen[1]) if chosen else _count(facts.get(f"{architecture}.context_length")),
        dimensions=_count(facts.get(f"{architecture}.embedding_length")) if embeds else None,
        supports_images=None if able is None else "vision" in able,
        calls_tools=None if able is None else "tools" in able,
        price_input_usd=0.0,
        price_output_usd=0.0,
    )


def _with_props(found: Sequence[Found], props: JsonValue) -> Sequence[Found]:
    """llama.cpp serves one model, with the window that one request may fill, and the senses it was loaded with."""
    document = object_of(props)
    window = _count(object_of(document.get("default_generation_settings")).get("n_ctx")) or _count(
        document.get("n_ctx")
    )
    vision = object_of(document.get("modalities")).get("vision")
    return [
        replace(
            each,
            window_tokens=window or each.window_tokens,
            supports_images=vision if isinstance(vision, bool) else each.supports_images,
            loaded=True,
        )
        for each in found
    ]


def _is_wanted(row: JsonObject) -> bool:
    name, kind = str(row.get("id") or ""), row.get("type")
    abilities = object_of(row.get("capabilities"))
    if not name or row.get("active") is False or abilities.get("completion_chat") is False:
        return looks_like_embedder(name)
    if isinstance(kind, str) and kind.startswith("embedding"):
        return True
    return (not isinstance(kind, str) or kind in _CHAT_TYPES) and (looks_like_chat(name) or looks_like_embedder(name))


def _found(row: JsonObject) -> Found:
    """A row of a `/v1/models` answer; every server adds fields of its own."""
    name, kind = str(row["id"]), str(row.get("type") or "")
    meta, top = object_of(row.get("meta")), object_of(row.get("top_provider"))
    price_input_usd, price_output_usd = _prices(object_of(row.get("pricing")))
    return Found(
        name=name,
        kind="embedding" if kind.startswith("embedding") or (not kind and looks_like_embedder(name)) else "chat",
        window_tokens=_first(_WINDOW_FIELDS, row, meta, top),
        output_tokens_max=_first(_OUTPUT_FIELDS, top, row),
        price_input_usd=price_input_usd,
        price_output_usd=price_output_usd,
        display_name=_text(row.get("display_name")) or _text(row.get("name")),
        supports_images=_sees(row, kind),
        calls_tools=_calls_tools(row),
        loaded=row.get("state") == "loaded",
    )


def _sees(row: JsonObject, kind: str) -> bool | None:
    modalities = object_of(row.get("architecture")).get("input_modalities")
    if isinstance(modalities, list):
        return "image" in modalities
    if kind in ("llm", "vlm"):  # LM Studio
        return kind == "vlm"
    vision = object_of(row.get("capabilities")).get("vision")
    return vision if isinstance(vision, bool) else None


def _calls_tools(row: JsonObject) -> bool | None:
    for field, word in (("supported_parameters", "tools"), ("capabilities", "tool_use")):
        value = row.get(field)
        if isinstance(value, list):
            return word in value
    calls = object_of(row.get("capabilities")).get("function_calling")
    return calls if isinstance(calls, bool) else None


def _prices(pricing: JsonObject) -> tuple[float | None, float | None]:
    """US dollars a million tokens: OpenRouter gives dollars a token as text, Together dollars a million as numbers."""
    try:
        if "prompt" in pricing:
            prompt, completion = float(str(pricing["prompt"])), float(str(pricing["completion"]))
            return (prompt * 1e6, completion * 1e6) if prompt >= 0 and completion >= 0 else (None, None)
        if "input" in pricing:
            return float(str(pricing["input"])), float(str(pricing["output"]))
    except (ValueError, KeyError):
        pass
    return None, None


def _first(names: Sequence[str], *places: JsonObject) -> int | None:
    found = (_count(place.get(name)) for place in places for name in names)
    return next((value for value in found if value), None)


def _rows(document: JsonValue, key: str = "data") -> list[JsonObject]:
    rows = document.get(key) if isinstance(document, dict) else document  # Together answers with a bare list
    return objects_of(rows)


def _count(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) and value else None
