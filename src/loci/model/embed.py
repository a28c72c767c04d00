"""Texts as vectors of unit length: the built-in WordLlama, or a server with an endpoint as OpenAI has it."""

import asyncio
import importlib
import math
import threading
from collections.abc import Sequence
from typing import Protocol, cast

from loci.errors import ModelFailure, ModelFault
from loci.model.base import EmbeddingInfo, ProviderConfig
from loci.model.chat import headers_of
from loci.model.http import Connections
from loci.types.json import JsonValue

BUILT_IN = EmbeddingInfo(
    handle="loci/wordllama",
    name="wordllama",
    provider="loci",
    provider_type="loci",
    dimensions=256,
)
BATCH_TEXTS = 100
TEXT_CHARS_MAX = 16_000
"""Longer texts are cut for a remote model: most read 8,192 tokens or less, and refuse the whole batch otherwise."""
AT_ONCE_CHARS = 200
"""The built-in model takes no longer for so much than a thread takes to begin."""

_RETRIES_MAX = 2
_FIRST_DELAY_S = 0.5
_DELAY_S_MAX = 30.0


class _Embeds(Protocol):
    def embed(self, texts: Sequence[str]) -> list[list[float]]: ...


class BuiltInEmbedder:
    """WordLlama in a worker thread; loaded when the first text comes."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._loaded: _Embeds | None = None

    @property
    def info(self) -> EmbeddingInfo:
        """What is known about it."""
        return BUILT_IN

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector a text, in order."""
        if self._loaded is not None and sum(map(len, texts)) <= AT_ONCE_CHARS:
            return self._loaded.embed(texts)
        return await asyncio.to_thread(self._embed, texts)

    def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        with self._loading:
            if self._loaded is None:
                # numpy and the tokenizer take half a second to import, which a server without embeddings never pays.
                self._loaded = cast("_Embeds", importlib.import_module("loci.model.wordllama").WordLlama())
        return self._loaded.embed(texts)


class RemoteEmbedder:
    """A model behind `POST /embeddings`. Vectors are scaled to unit length, whatever the server sends."""

    def __init__(
        self,
        info: EmbeddingInfo,
        provider: ProviderConfig,
        connections: Connections,
        *,
        timeout_s: float,
    ) -> None:
        self._info = info
        self._provider = provider
        self._connections = connections
        self._timeout_s = timeout_s

    @property
    def info(self) -> EmbeddingInfo:
        """What is known about it."""
        return self._info

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector a text, in order, asked for in batches. Raises ModelFailure."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH_TEXTS):
            batch = [clean(text) for text in texts[start : start + BATCH_TEXTS]]
            vectors += _vectors(await self._ask(batch), len(batch))
        return vectors

    async def _ask(self, batch: Sequence[str]) -> JsonValue:
        url = f"{(self._provider.base_url or '').rstrip('/')}/embeddings"
        headers = {**headers_of(self._provider), "accept": "application/json"}
        body = {"model": self._info.name, "input": batch, "encoding_format": "float"}
        for attempt in range(_RETRIES_MAX + 1):
            try:
                return await self._connections.ask(
                    url, headers, timeout_s=self._timeout_s, body=body, secret=self._provider.api_key
                )
            except ModelFailure as error:
                if attempt == _RETRIES_MAX or error.fault not in (ModelFault.RATE_LIMIT, ModelFault.OVERLOADED):
                    raise
            await self._connections.clock.sleep(min(_FIRST_DELAY_S * 4**attempt, _DELAY_S_MAX))
        raise AssertionError("unreachable")


def clean(text: str) -> str:
    """The text as endpoints take it: not empty, not too long, proper UTF-8."""
    return text[:TEXT_CHARS_MAX].encode("utf-8", "replace").decode("utf-8").strip() or "-"


def _vectors(document: JsonValue, count: int) -> list[list[float]]:
    rows = document.get("data") if isinstance(document, dict) else None
    found: dict[int, list[float]] = {}
    for position, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict) and isinstance(values := row.get("embedding"), list):
            index = row.get("index")
            numbers = [float(value) for value in values if isinstance(value, int | float)]
            found[index if isinstance(index, int) else position] = _unit(numbers)
    if sorted(found) != list(range(count)) or len({len(vector) for vector in found.values()}) != 1:
        raise ModelFailure(ModelFault.BAD_REPLY, "The embedding model did not give one vector for each text.")
    return [found[index] for index in range(count)]


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(math.fsum(value * value for value in vector))
    if not vector or not math.isfinite(length) or length == 0.0:
        raise ModelFailure(ModelFault.BAD_REPLY, "The embedding model gave a vector without a direction.")
    return [value / length for value in vector]
