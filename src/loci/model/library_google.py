"""Google Gemini through the library. Loaded on first use: it imports the provider's package.

Gemini fetches no pictures from addresses, so they are looked up here and sent along. It takes an effort (version 3) or
a number of tokens (2.5) for thinking; thoughts are asked for in any case, since they cost the same unseen.
"""

from functools import partial
from typing import cast

import httpx2
from google.genai import errors
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.profiles.google import GoogleModelProfile
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.settings import ModelSettings as LibrarySettings

from loci.model.base import ModelInfo, ModelRequest, ProviderConfig
from loci.model.library_wire import NO_KEY, Dialect, Wire, common_settings, image_types, thinking_level


def build(info: ModelInfo, provider: ProviderConfig, http: httpx2.AsyncClient) -> Wire:
    """Make the model ready. Sends nothing yet."""
    model = GoogleModel(
        info.name.removeprefix("models/"),
        provider=GoogleProvider(api_key=provider.api_key or NO_KEY, base_url=provider.base_url, http_client=http),
    )
    profile = model.profile
    return Wire(
        client=model,
        dialect=Dialect(
            system="google",
            provider=provider.name,
            image_types=image_types(info, "image/heic", "image/heif"),
            image_url_schemes=frozenset(),
            native_schema=bool(profile.get("supports_json_schema_output")),
            native_schema_with_tools=bool(profile.get("google_supports_tool_combination")),
        ),
        settings=partial(_settings, profile),
        troubles=(errors.APIError, errors.UnknownFunctionCallArgumentError, errors.UnknownApiResponseError),
    )


def _settings(profile: GoogleModelProfile, request: ModelRequest) -> LibrarySettings:
    settings = cast("GoogleModelSettings", common_settings(request, forces_tools=True, samples=True))
    settings.pop("parallel_tool_calls", None)  # Gemini has no such switch
    level, budget = thinking_level(request.settings.reasoning_effort), request.settings.reasoning_tokens_max
    if not profile.get("supports_thinking"):
        return settings
    if level is None and budget is not None:
        settings["google_thinking_config"] = {"include_thoughts": budget > 0, "thinking_budget": budget}
    else:
        settings["thinking"] = True if level is None else level
    return settings
