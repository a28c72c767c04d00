"""OpenAI Responses through the library. Loaded on first use: it imports the provider's package.

Nothing is stored at the provider: each request carries the whole history, and reasoning comes and goes encrypted. The
library asks for encrypted reasoning only from models whose names it knows, so every name that is not of the families
without reasoning is told to reason.
"""

import re
from functools import partial
from typing import Literal, cast

import httpx2
from openai import AsyncOpenAI, OpenAIError
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings as LibrarySettings

from loci.model.base import ModelInfo, ModelRequest, ProviderConfig
from loci.model.library_wire import NO_KEY, Dialect, Wire, common_settings, image_types, thinking_level

_PLAIN = re.compile(r"(ft:)?(gpt-3|gpt-4|chatgpt-|gpt-5-chat)")
_OPENAI = re.compile(r"(ft:)?(gpt-|o\d|codex)")

UNKNOWN = OpenAIModelProfile(
    supports_thinking=True,
    thinking_enabled_by_default=True,
    openai_supports_encrypted_reasoning_content=True,
    openai_supports_phase=True,
    supports_json_schema_output=True,
)
"""What a model that the library does not know is taken for."""


def build(info: ModelInfo, provider: ProviderConfig, http: httpx2.AsyncClient) -> Wire:
    """Make the model ready. Sends nothing yet."""
    client = AsyncOpenAI(
        api_key=provider.api_key or NO_KEY,
        base_url=provider.base_url,
        http_client=http,
        max_retries=0,
        timeout=http.timeout,
    )
    model = OpenAIResponsesModel(
        info.name,
        provider=OpenAIProvider(openai_client=client),
        profile=partial(_profile, info.name),
    )
    return Wire(
        client=model,
        dialect=Dialect(
            system="openai",
            provider=provider.name,
            image_types=image_types(info, "image/gif"),
            image_url_schemes=frozenset({"https", "http"}),
            speaks_in_turns=False,
            flags_errors=False,
        ),
        settings=partial(_settings, model.profile),
        troubles=(OpenAIError,),
    )


def _profile(name: str, known: ModelProfile) -> ModelProfile:
    if cast("OpenAIModelProfile", known).get("openai_supports_reasoning") or _PLAIN.match(name):
        return known
    # OpenAI's own reasoning models reject a temperature; other makers' models on this wire take one.
    own = OpenAIModelProfile(openai_supports_reasoning=bool(_OPENAI.match(name)))
    return cast("ModelProfile", {**known, **UNKNOWN, **own})


def _settings(profile: OpenAIModelProfile, request: ModelRequest) -> LibrarySettings:
    effort = request.settings.reasoning_effort
    is_silent = effort == "none" or (effort is None and not profile.get("thinking_enabled_by_default"))
    may_sample = is_silent and bool(profile.get("openai_supports_reasoning_effort_none"))
    common = common_settings(
        request,
        forces_tools=bool(profile.get("supports_forced_tool_choice", True)),
        samples=may_sample or not profile.get("openai_supports_reasoning"),
    )
    settings: OpenAIResponsesModelSettings = {
        **cast("OpenAIResponsesModelSettings", common),
        "openai_store": False,
        "openai_prompt_cache_diagnostics": False,
    }
    if profile.get("supports_thinking"):
        level = thinking_level(effort)
        if level is not None:
            settings["thinking"] = level
        elif effort:
            # A word that is newer than the library: the provider may know it.
            settings["openai_reasoning_effort"] = cast("Literal['medium']", effort)
        if not is_silent:
            settings["openai_reasoning_summary"] = "auto"
    if request.settings.verbosity in ("low", "medium", "high"):
        settings["openai_text_verbosity"] = request.settings.verbosity
    if request.user:
        settings["openai_user"] = request.user
    if request.extra:
        settings["extra_body"] = dict(request.extra)
    return settings
