"""The concrete models: which adapter speaks to which provider. Only the composition root imports this."""

import asyncio
import importlib
from collections.abc import Callable
from typing import cast

import httpx2

from loci.clock import Clock
from loci.config import Settings
from loci.model.base import Model, ModelInfo, ProviderConfig
from loci.model.chat import ChatModel
from loci.model.chat_dialect import Dialect, dialect_of
from loci.model.chat_encode import Encoder
from loci.model.http import Connections
from loci.model.registry import ProviderRegistry, ProviderStatus
from loci.model.retry import RetryModel
from loci.model.scripted import ScriptedModel, scripted_info

__all__ = ["ProviderRegistry", "ProviderStatus", "ScriptedModel", "build_models", "scripted_info"]

_Build = Callable[..., Model]


def build_models(
    settings: Settings, *, clock: Clock, transport: httpx2.AsyncBaseTransport | None = None
) -> ProviderRegistry:
    """All models that the settings name or that can be found. Opens nothing; close it with `aclose`.

    `transport` carries the requests to all of them, where they may not go out freely.
    """
    timeout_s = settings.model_timeout_s
    connections = Connections(clock=clock, connect_timeout_s=settings.model_connect_timeout_s, transport=transport)
    encoders: dict[Dialect, Encoder] = {}

    async def make(info: ModelInfo, provider: ProviderConfig) -> Model:
        if provider.wire != "chat":
            library = await asyncio.to_thread(_library_model)
            return RetryModel(library(info, provider, timeout_s=timeout_s, transport=transport), clock=clock)
        dialect = dialect_of(info, provider)
        encoder = encoders.setdefault(dialect, Encoder(dialect))
        chat = ChatModel(info, provider, connections, encoder=encoder, timeout_s=timeout_s)
        return RetryModel(chat, clock=clock)

    return ProviderRegistry(settings, clock=clock, connections=connections, make=make)


def _library_model() -> _Build:
    """Import the library behind it, which takes a second: in a thread, and only for those who use it."""
    return cast("_Build", importlib.import_module("loci.model.library").LibraryModel)
