"""How providers differ that speak the chat-completions wire."""

import re
from dataclasses import dataclass

from loci.model.base import ModelInfo, ProviderConfig

_OPENAI_HOSTS = re.compile(r"https://([\w.-]+\.)?(openai\.com|openai\.azure\.com)(/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one provider speaks the common wire."""

    provider: str
    provider_type: str
    is_openai: bool
    """The hosted API itself: newer field names, reasoning models that refuse some fields."""
    takes_images: bool
    short_ids: bool
    """Mistral wants call ids of exactly nine letters and digits."""
    marks_cache: bool
    """Anthropic models behind OpenRouter cache only what is marked."""
    joins_turns: bool = False
    """Some chat templates refuse two messages of the same side in a row."""


def dialect_of(info: ModelInfo, provider: ProviderConfig) -> Dialect:
    """The dialect of a model, from where it lives."""
    return Dialect(
        provider=provider.name,
        provider_type=provider.provider_type,
        is_openai=bool(_OPENAI_HOSTS.match(provider.base_url or "")),
        takes_images=info.supports_images,
        short_ids=provider.provider_type == "mistral",
        marks_cache=provider.provider_type == "openrouter" and info.name.startswith("anthropic/"),
    )
