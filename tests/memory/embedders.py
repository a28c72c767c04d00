"""Embedding models that do what a test needs."""

import asyncio
from collections.abc import Callable, Sequence

from loci.errors import ModelFailure, ModelFault
from loci.model.base import EmbeddingInfo


class LetterEmbedder:
    """A text is how often each letter stands in it, in unit length; `failing` and `refused` say what goes wrong."""

    def __init__(self, handle: str = "letters/a", dimensions: int = 26) -> None:
        self._info = EmbeddingInfo(
            handle=handle,
            name=handle,
            provider=handle.partition("/")[0],
            provider_type="test",
            dimensions=dimensions,
        )
        self.asked: list[str] = []
        self.failing: ModelFault | None = None
        self.refused: str | None = None
        self.busy: Callable[[], None] = lambda: None
        """Called before texts are embedded, which may take time of a clock."""
        self.held: dict[str, asyncio.Event] = {}
        """Texts with such a word in them wait for its event."""

    @property
    def info(self) -> EmbeddingInfo:
        return self._info

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if self.failing is not None:
            raise ModelFailure(self.failing, "The model is away.")
        if self.refused is not None and any(self.refused in text for text in texts):
            raise ModelFailure(ModelFault.CONTEXT_TOO_LONG, "That text is too long.")
        self.busy()
        for word, event in self.held.items():
            if any(word in text for text in texts):
                await event.wait()
        self.asked += texts
        return [self._one(text.lower()) for text in texts]

    def _one(self, text: str) -> list[float]:
        counts = [float(text.count(chr(ord("a") + at % 26))) for at in range(self._info.dimensions)]
        length = sum(count * count for count in counts) ** 0.5
        return [count / length for count in counts] if length else [1.0] + [0.0] * (len(counts) - 1)
