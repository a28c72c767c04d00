"""A `Models` for tests: the models that the test made, whatever handle is asked for."""

from collections.abc import Sequence

from loci.errors import NotFound
from loci.model.base import Embedder, EmbeddingInfo, Model, ModelInfo
from loci.types.actor import Actor


class FixedModels:
    """Resolves handles to the given models; a handle that is none of theirs means the first one, if `any_handle`."""

    def __init__(self, *models: Model, embedder: Embedder | None = None, any_handle: bool = True) -> None:
        self._models = {model.info.handle: model for model in models}
        self._embedder = embedder
        self._any_handle = any_handle

    async def model(self, _actor: Actor, handle: str) -> Model:
        """The model of that handle, or the first. Raises NotFound."""
        if handle in self._models:
            return self._models[handle]
        if self._any_handle and self._models:
            return next(iter(self._models.values()))
        raise NotFound(f"There is no model '{handle}'.")

    async def embedder(self, _actor: Actor, handle: str) -> Embedder:
        """The one embedder. Raises NotFound if there is none."""
        if self._embedder is None:
            raise NotFound(f"There is no embedding model '{handle}'.")
        return self._embedder

    async def list_models(self, _actor: Actor) -> Sequence[ModelInfo]:
        """The given models."""
        return [model.info for model in self._models.values()]

    async def list_embedders(self, _actor: Actor) -> Sequence[EmbeddingInfo]:
        """The given embedder, if any."""
        return [] if self._embedder is None else [self._embedder.info]

    @property
    def default_model(self) -> str | None:
        """The first one."""
        return next(iter(self._models), None)

    @property
    def default_embedder(self) -> str | None:
        """The given one."""
        return None if self._embedder is None else self._embedder.info.handle
