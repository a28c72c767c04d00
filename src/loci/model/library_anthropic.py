"""Anthropic Messages through the library. Loaded on first use: it imports the provider's package.

The library knows models by name. A Claude model that is newer than the library is taken for a modern one (adaptive
thinking, effort, no sampling settings), a model of another maker on the same wire for a plain one.
"""

import re
from functools import partial
from typing import cast

import httpx2
from anthropic import AnthropicError, AsyncAnthropic
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.anthropic import AnthropicModelProfile, resolve_anthropic_effort
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.settings import ModelSettings as LibrarySettings

from loci.model.base import ModelInfo, ModelRequest, ProviderConfig
from loci.model.library_wire import NO_KEY, Dialect, Wire, common_settings, image_types, thinking_level

_OLD_CLAUDE = re.compile(r"claude-(2|3|instant|4-|(opus|sonnet|haiku)-4([-@.]([0-5]|\d{8})|$))")
_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 10_000, "high": 16_384, "xhigh": 32_768, "max": 32_768}
_BUDGET_MIN = 1_024
_ANSWER_MIN = 1_024

MODERN = AnthropicModelProfile(
    supports_json_schema_output=True,
    thinking_enabled_by_default=True,
    anthropic_supports_adaptive_thinking=True,
    anthropic_supports_effort=True,
    anthropic_supports_xhigh_effort=True,
    anthropic_disallows_budget_thinking=True,
    anthropic_disallows_sampling_settings=True,
    anthropic_binds_thinking_blocks=True,
    anthropic_max_output_tokens=64_000,
)
"""What every Claude since Opus 4.7 has in common; 64,000 is the smallest output limit among them."""


def build(info: ModelInfo, provider: ProviderConfig, http: httpx2.AsyncClient) -> Wire:
    """Make the model ready. Sends nothing yet."""
    client = AsyncAnthropic(
        api_key=provider.api_key or NO_KEY,
        base_url=provider.base_url,
        http_client=http,
        max_retries=0,
        timeout=http.timeout,
    )
    model = AnthropicModel(
        info.name,
        provider=AnthropicProvider(anthropic_client=client),
        profile=partial(_profile, info.name),
    )
    return Wire(
        client=model,
        dialect=Dialect(
            system="anthropic",
            provider=provider.name,
            image_types=image_types(info, "image/gif"),
            marks_cache=True,
            native_schema=bool(model.profile.get("supports_json_schema_output")),
        ),
        settings=partial(_settings, info, model.profile),
        troubles=(AnthropicError,),
    )


def _profile(name: str, known: ModelProfile) -> ModelProfile:
    profile = cast("AnthropicModelProfile", known)
    is_newer = not profile.get("anthropic_supports_adaptive_thinking") and not _OLD_CLAUDE.match(name)
    return cast("ModelProfile", {**profile, **MODERN}) if is_newer and name.startswith("claude") else known


def _settings(info: ModelInfo, profile: AnthropicModelProfile, request: ModelRequest) -> LibrarySettings:
    thinking = _thinking(profile, request)
    budgeted = (thinking.get("anthropic_thinking") or {}).get("type") == "enabled"
    common = common_settings(
        request,
        forces_tools=not budgeted and bool(profile.get("supports_forced_tool_choice", True)),
        samples=not profile.get("anthropic_disallows_sampling_settings") and not thinking,
    )
    settings: AnthropicModelSettings = {
        **cast("AnthropicModelSettings", common),
        **thinking,
        "anthropic_cache_instructions": True,
        "anthropic_cache_tool_definitions": True,
        "anthropic_cache_messages": True,
    }
    limits_prompt = profile.get("anthropic_rejects_max_tokens_beyond_context_window")
    if info.output_tokens_max and not profile.get("anthropic_max_output_tokens") and not limits_prompt:
        settings.setdefault("max_tokens", info.output_tokens_max)
    if request.user:
        settings["anthropic_metadata"] = {"user_id": request.user}
    if request.extra:
        settings["extra_body"] = dict(request.extra)
    return settings


def _thinking(profile: AnthropicModelProfile, request: ModelRequest) -> AnthropicModelSettings:
    """Say how much to think: newer models take an effort, older ones a number of tokens below the output limit.

    Newer models hide their thoughts unless asked; they cost the same either way.
    """
    level, budget = thinking_level(request.settings.reasoning_effort), request.settings.reasoning_tokens_max
    by_itself = bool(profile.get("thinking_enabled_by_default"))
    if level is False:
        return AnthropicModelSettings(thinking=False) if by_itself else {}
    if profile.get("anthropic_supports_adaptive_thinking"):
        if level is None and not budget and not by_itself:
            return {}
        settings = AnthropicModelSettings(anthropic_thinking={"type": "adaptive", "display": "summarized"})
        if level is not None and profile.get("anthropic_supports_effort"):
            settings["anthropic_effort"] = resolve_anthropic_effort(
                level,
                supports_xhigh=bool(profile.get("anthropic_supports_xhigh_effort")),
                supports_max=bool(profile.get("anthropic_supports_max_effort", True)),
            )
        return settings
    if level is None and not budget:
        return {}
    wanted, limit = budget or _BUDGETS[level or "medium"], request.settings.max_output_tokens
    tokens = min(wanted, limit - _ANSWER_MIN) if limit else wanted
    if tokens < _BUDGET_MIN:
        return {}
    return AnthropicModelSettings(anthropic_thinking={"type": "enabled", "budget_tokens": tokens})
