"""What hosted providers do not tell about their models, for the few whose listing is silent. PURE.

Only a last resort: what a server says wins, what the operator set in the configuration wins over both. The longest
beginning that fits a name counts. Windows and prices as published in November 2026.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

ASSUMED_WINDOW_TOKENS = 32_768
"""For a model that nobody knows anything about. `loci doctor` names the models for which this was assumed."""


@dataclass(frozen=True, slots=True)
class Known:
    """Facts about a family of models; prices in US dollars a million tokens."""

    window_tokens: int
    output_tokens_max: int | None = None
    price_input_usd: float | None = None
    price_output_usd: float | None = None


_FAMILIES: dict[str, Known] = {
    "gpt-3.5-turbo": Known(16_385, 4_096, 0.5, 1.5),
    "gpt-4": Known(8_192, 8_192, 30.0, 60.0),
    "gpt-4-turbo": Known(128_000, 4_096, 10.0, 30.0),
    "gpt-4o": Known(128_000, 16_384, 2.5, 10.0),
    "gpt-4o-mini": Known(128_000, 16_384, 0.15, 0.6),
    "chatgpt-4o": Known(128_000, 16_384, 5.0, 15.0),
    "gpt-4.1": Known(1_000_000, 32_768, 2.0, 8.0),
    "gpt-4.1-mini": Known(1_000_000, 32_768, 0.4, 1.6),
    "gpt-4.1-nano": Known(1_000_000, 32_768, 0.1, 0.4),
    "gpt-5": Known(400_000, 128_000, 1.25, 10.0),
    "gpt-5-chat": Known(128_000, 16_384, 1.25, 10.0),
    "gpt-5-mini": Known(400_000, 128_000, 0.25, 2.0),
    "gpt-5-nano": Known(400_000, 128_000, 0.05, 0.4),
    "gpt-5-pro": Known(400_000, 128_000, 15.0, 120.0),
    "gpt-5.1-codex-mini": Known(400_000, 128_000, 0.25, 2.0),
    "gpt-5.2": Known(400_000, 128_000, 1.75, 14.0),
    "gpt-5.2-pro": Known(400_000, 128_000, 21.0, 168.0),
    "gpt-5.3": Known(128_000, 16_384, 1.75, 14.0),
    "gpt-5.3-codex": Known(400_000, 128_000, 1.75, 14.0),
    "gpt-5.4": Known(1_050_000, 128_000, 2.5, 15.0),
    "gpt-5.4-mini": Known(400_000, 128_000, 0.75, 4.5),
    "gpt-5.4-nano": Known(400_000, 128_000, 0.2, 1.25),
    "gpt-5.4-pro": Known(1_050_000, 128_000, 30.0, 180.0),
    "gpt-5.5": Known(1_000_000, 128_000, 5.0, 30.0),
    "gpt-5.5-pro": Known(1_000_000, 128_000, 30.0, 180.0),
    "gpt-5.6-luna": Known(1_050_000, 128_000, 0.2, 1.2),
    "gpt-5.6-terra": Known(1_050_000, 128_000, 2.0, 12.0),
    "gpt-5.6-sol": Known(1_050_000, 128_000, 4.0, 20.0),
    "gpt-6-luna": Known(1_050_000, 128_000, 0.1, 0.5),
    "gpt-6-sol": Known(1_050_000, 128_000, 2.0, 10.0),
    "gpt-6-astra": Known(1_050_000, 128_000, 10.0, 50.0),
    "gpt-6.1-terra": Known(1_050_000, 128_000, 1.0, 5.0),
    "gpt-6.1-sol": Known(1_050_000, 128_000, 2.0, 10.0),
    "gpt-oss": Known(131_072),
    "o1": Known(200_000, 100_000, 15.0, 60.0),
    "o1-mini": Known(128_000, 65_536, 1.1, 4.4),
    "o3": Known(200_000, 100_000, 2.0, 8.0),
    "o3-mini": Known(200_000, 100_000, 1.1, 4.4),
    "o3-pro": Known(200_000, 100_000, 20.0, 80.0),
    "o4-mini": Known(200_000, 100_000, 1.1, 4.4),
    "claude": Known(200_000, 8_192),
    "claude-3-5-haiku": Known(200_000, 8_192, 0.8, 4.0),
    "claude-3-7-sonnet": Known(200_000, 64_000, 3.0, 15.0),
    "claude-haiku-4-5": Known(200_000, 64_000, 1.0, 5.0),
    "claude-haiku-5-5": Known(1_000_000, 64_000, 0.1, 0.5),
    "claude-sonnet-4": Known(200_000, 64_000, 3.0, 15.0),
    "claude-sonnet-4-6": Known(1_000_000, 64_000, 3.0, 15.0),
    "claude-sonnet-5": Known(1_000_000, 64_000, 2.0, 10.0),
    "claude-opus-4": Known(200_000, 32_000, 15.0, 75.0),
    "claude-opus-4-5": Known(200_000, 64_000, 5.0, 25.0),
    "claude-opus-4-6": Known(1_000_000, 64_000, 5.0, 25.0),
    "claude-opus-4-7": Known(1_000_000, 64_000, 5.0, 25.0),
    "claude-opus-4-8": Known(1_000_000, 64_000, 5.0, 25.0),
    "claude-opus-5": Known(1_000_000, 64_000, 5.0, 25.0),
    "claude-opus-5-5": Known(1_000_000, 64_000, 4.0, 20.0),
    "gemini-2.5-pro": Known(1_048_576, 65_536, 1.25, 10.0),
    "gemini-2.5-flash": Known(1_048_576, 65_536, 0.3, 2.5),
    "gemini-2.5-flash-lite": Known(1_048_576, 65_536, 0.1, 0.4),
    "gemini-3-pro": Known(1_048_576, 65_536, 2.0, 12.0),
    "gemini-3-flash": Known(1_048_576, 65_536, 0.5, 3.0),
    "gemini-3.5-flash": Known(1_048_576, 65_536, 1.5, 9.0),
    "gemini-3.6-flash": Known(1_048_576, 65_536, 1.5, 7.5),
    "gemini-3.7-flash": Known(1_048_576, 65_536, 1.5, 7.5),
    "gemini-3.8-flash": Known(1_048_576, 65_536, 1.5, 7.5),
    "deepseek-chat": Known(128_000, 8_192, 0.27, 1.1),
    "deepseek-reasoner": Known(128_000, 64_000, 0.55, 2.19),
    "deepseek-v3": Known(128_000, 8_192),
    "deepseek-v4-flash": Known(1_000_000, None, 0.3, 1.2),
    "deepseek-v4-pro": Known(1_000_000, None, 1.32, 3.96),
    "grok-3": Known(131_072, None, 3.0, 15.0),
    "grok-3-mini": Known(131_072, None, 0.3, 0.5),
    "grok-4": Known(256_000, None, 3.0, 15.0),
    "grok-4-fast": Known(2_000_000, None, 0.2, 0.5),
    "grok-4-1-fast": Known(2_000_000, None, 0.2, 0.5),
    "grok-4.2": Known(1_000_000, None, 1.25, 2.5),
    "grok-4.3": Known(1_000_000, None, 1.25, 2.5),
    "grok-4.5": Known(500_000, None, 2.0, 6.0),
    "grok-4.6": Known(500_000, None, 2.0, 6.0),
    "grok-4.7": Known(500_000, None, 2.0, 6.0),
}

_DIMENSIONS: dict[str, int] = {
    "text-embedding-3-small": 1_536,
    "text-embedding-3-large": 3_072,
    "text-embedding-ada-002": 1_536,
    "mistral-embed": 1_024,
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1_024,
    "all-minilm": 384,
    "bge-m3": 1_024,
    "embeddinggemma": 768,
}

_PREFERRED: dict[str, tuple[str, ...]] = {
    "openai": ("gpt-6.1-terra", "gpt-5.6-terra", "gpt-5.4-mini", "gpt-5-mini", "gpt-4.1-mini", "gpt-4o-mini"),
    "anthropic": ("claude-sonnet-5-5", "claude-sonnet-5", "claude-sonnet-4-6", "claude-sonnet-4-5"),
    "google_ai": ("gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.5-flash", "gemini-2.5-flash"),
    "openrouter": ("openrouter/auto",),
    "groq": ("openai/gpt-oss-120b", "llama-3.3-70b-versatile"),
    "deepseek": ("deepseek-v4-flash", "deepseek-chat"),
    "mistral": ("mistral-medium-latest", "mistral-large-latest"),
    "xai": ("grok-4.7", "grok-4.5", "grok-4-fast"),
}

_EMBEDS = re.compile(r"embed|(^|[/_-])(bge|e5|gte|all-minilm)[-_]?", re.IGNORECASE)
_NO_CHAT = re.compile(
    r"whisper|(^|[-_/])tts|dall-e|moderation|gpt-image|sora-|realtime|transcribe|gpt-audio|davinci|babbage|rerank"
    r"|computer-use|turbo-instruct|gpt-live|stable-diffusion|flux",
    re.IGNORECASE,
)


@lru_cache(maxsize=4_096)
def known(name: str) -> Known | None:
    """The facts about a model, by the longest beginning of its name; a vendor before a slash is left out."""
    bare = name.rpartition("/")[2].lower()
    fits = [family for family in _FAMILIES if bare.startswith(family)]
    return _FAMILIES[max(fits, key=len)] if fits else None


def known_dimensions(name: str) -> int | None:
    """The length of an embedding model's vectors."""
    bare = name.rpartition("/")[2].lower()
    spellings = (bare, bare.removeprefix("text-embedding-"))  # LM Studio puts that before everything that embeds
    return next((size for family, size in _DIMENSIONS.items() if any(s.startswith(family) for s in spellings)), None)


def preferred(provider_type: str) -> tuple[str, ...]:
    """Which models of a provider to take when nobody chose: able, and not the dearest."""
    return _PREFERRED.get(provider_type, ())


def looks_like_embedder(name: str) -> bool:
    """Whether a model is for embeddings, by its name."""
    return bool(_EMBEDS.search(name))


def looks_like_chat(name: str) -> bool:
    """Whether a model can hold a conversation, by its name: no speech, no pictures, no embeddings."""
    return not _NO_CHAT.search(name) and not looks_like_embedder(name)
