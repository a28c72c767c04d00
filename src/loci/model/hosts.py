"""Where the models of known providers are, and which wire is spoken there: one table for all who name a provider."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from loci.model.base import ProviderConfig

Wire: TypeAlias = Literal["chat", "responses", "anthropic", "google"]


class Host(NamedTuple):
    """A provider on the internet. `name` is its type too; the variables are what an operator sets."""

    name: str
    wire: Wire
    key_variable: str
    url_variable: str
    base_url: str


class Local(NamedTuple):
    """A server that people run themselves. `base_url` is looked for unasked; None: only when it is set."""

    name: str
    url_variable: str
    base_url: str | None


HOSTED: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host("openai", "responses", "OPENAI_API_KEY", "OPENAI_BASE_URL", "https://api.openai.com/v1"),
        Host("anthropic", "anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
        Host(
            "google_ai",
            "google",
            "GEMINI_API_KEY",
            "GEMINI_BASE_URL",
            "https://generativelanguage.googleapis.com",
        ),
        Host("openrouter", "chat", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1"),
        Host("groq", "chat", "GROQ_API_KEY", "GROQ_BASE_URL", "https://api.groq.com/openai/v1"),
        Host("deepseek", "chat", "DEEPSEEK_API_KEY", "DEEPSEEK_BASE_URL", "https://api.deepseek.com/v1"),
        Host("mistral", "chat", "MISTRAL_API_KEY", "MISTRAL_BASE_URL", "https://api.mistral.ai/v1"),
        Host("xai", "chat", "XAI_API_KEY", "XAI_BASE_URL", "https://api.x.ai/v1"),
        Host("together", "chat", "TOGETHER_API_KEY", "TOGETHER_BASE_URL", "https://api.together.xyz/v1"),
        Host("fireworks", "chat", "FIREWORKS_API_KEY", "FIREWORKS_BASE_URL", "https://api.fireworks.ai/inference/v1"),
        Host("cerebras", "chat", "CEREBRAS_API_KEY", "CEREBRAS_BASE_URL", "https://api.cerebras.ai/v1"),
        Host("baseten", "chat", "BASETEN_API_KEY", "BASETEN_BASE_URL", "https://inference.baseten.co/v1"),
        Host("hugging-face", "chat", "HUGGINGFACE_API_KEY", "HUGGINGFACE_BASE_URL", "https://router.huggingface.co/v1"),
        Host("zai", "chat", "ZAI_API_KEY", "ZAI_BASE_URL", "https://api.z.ai/api/paas/v4"),
        Host("zai_coding", "chat", "ZAI_CODING_API_KEY", "ZAI_CODING_BASE_URL", "https://api.z.ai/api/coding/paas/v4"),
        Host("minimax", "chat", "MINIMAX_API_KEY", "MINIMAX_BASE_URL", "https://api.minimax.io/v1"),
        Host("moonshot", "chat", "MOONSHOT_API_KEY", "MOONSHOT_BASE_URL", "https://api.moonshot.ai/v1"),
        Host("moonshot_coding", "chat", "KIMI_API_KEY", "KIMI_BASE_URL", "https://api.kimi.com/coding/v1"),
    )
}
LOCAL: Mapping[str, Local] = {
    local.name: local
    for local in (
        Local("ollama", "OLLAMA_BASE_URL", "http://127.0.0.1:11434"),
        Local("lmstudio", "LMSTUDIO_BASE_URL", "http://127.0.0.1:1234"),
        Local("vllm", "VLLM_BASE_URL", None),
        Local("llamacpp", "LLAMACPP_BASE_URL", None),
    )
}

OPERATOR_SETS: Mapping[str, str] = {
    **{name: host.key_variable for name, host in HOSTED.items()},
    **{name: local.url_variable for name, local in LOCAL.items()},
    "openai-proxy": "OPENAI_BASE_URL",
}
"""What makes a provider be there."""


def hosted(host: Host, *, api_key: str | None, base_url: str | None) -> ProviderConfig:
    """A provider of the table, under another address if one is given."""
    custom = base_url is not None and base_url.rstrip("/") != host.base_url
    # A custom OpenAI base URL is nearly always a proxy or a local server, which speak chat completions only.
    wire: Wire = "chat" if custom and host.wire == "responses" else host.wire
    return ProviderConfig(
        name=host.name,
        provider_type=host.name,
        base_url=(base_url or host.base_url).rstrip("/"),
        api_key=api_key,
        wire=wire,
    )


def v1(url: str) -> str:
    """The address of a local server with the path that its copy of OpenAI's API has."""
    trimmed = url.rstrip("/")
    return trimmed if trimmed.endswith("/v1") else trimmed + "/v1"
