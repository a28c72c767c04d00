"""What the three providers behind the library have in common, and where they differ.

A `Wire` is one provider ready to be asked: the library's model, and the settings of one request in its own words. A
`Dialect` is the rest as plain data, so that encoding and decoding need not know which provider they serve.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from pydantic_ai.models import Model as LibraryClient
from pydantic_ai.settings import ModelSettings as LibrarySettings
from pydantic_ai.settings import ThinkingEffort

from loci.model.base import ModelInfo, ModelRequest

NO_KEY = "no-key"
"""Sent where the operator gave no key; the packages refuse an empty one, and a server of one's own may need none."""

System: TypeAlias = Literal["anthropic", "openai", "google"]
_EFFORTS = frozenset({"minimal", "low", "medium", "high", "xhigh", "max"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a provider wants histories. `provider` is the operator's name for it: signatures go back there only."""

    system: System
    provider: str
    image_types: frozenset[str]
    """Kinds of pictures that the model can see; none if it sees none."""
    image_url_schemes: frozenset[str] = frozenset({"https"})
    """The addresses that the provider itself fetches pictures from."""
    speaks_in_turns: bool = True
    """Whether a history must begin and end with the user's side."""
    marks_cache: bool = False
    """Whether the end of the stable part is marked for the prompt cache."""
    flags_errors: bool = True
    """Whether a failed tool result is marked as such; otherwise its text says all."""
    native_schema: bool = True
    """Whether the provider itself holds an answer to a JSON schema; otherwise the prompt asks for it."""
    native_schema_with_tools: bool = True
    """Whether it does so while tools are offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A provider ready to be asked."""

    client: LibraryClient[Any]
    dialect: Dialect
    settings: Callable[[ModelRequest], LibrarySettings]
    troubles: tuple[type[Exception], ...]
    """What the provider's own package raises besides the library's errors."""


def image_types(info: ModelInfo, *more: str) -> frozenset[str]:
    """The kinds of pictures for a model: what all providers take, and more."""
    return frozenset({"image/png", "image/jpeg", "image/webp", *more}) if info.supports_images else frozenset()


def thinking_level(effort: str | None) -> ThinkingEffort | Literal[False] | None:
    """Read an effort as the library does: False is no thinking, None leaves it to the model."""
    if effort == "none":
        return False
    return cast("ThinkingEffort", effort) if effort in _EFFORTS else None


def common_settings(request: ModelRequest, *, forces_tools: bool, samples: bool) -> LibrarySettings:
    """Settings that all providers share.

    `forces_tools`: a model that cannot be made to call a tool is asked freely instead of not at all. `samples`:
    a model that takes no temperature gets none, whatever the agent says.
    """
    settings = LibrarySettings()
    if request.settings.max_output_tokens:
        settings["max_tokens"] = request.settings.max_output_tokens
    if request.settings.temperature is not None and samples:
        settings["temperature"] = request.settings.temperature
    if request.tools:
        settings["parallel_tool_calls"] = request.settings.parallel_tool_calls
        match request.tool_choice:
            case "auto" | "none" as choice:
                settings["tool_choice"] = choice
            case "required" as choice if forces_tools:
                settings["tool_choice"] = choice
            case str(name) if forces_tools and name in {tool.name for tool in request.tools}:
                settings["tool_choice"] = [name]
            case _:
                settings["tool_choice"] = "auto"
    return settings
