"""What a client says about a model, in the many words that clients have for it, as our own settings."""

from collections.abc import Mapping
from typing import cast

from loci.errors import Unprocessable
from loci.types.agents import ModelSettings
from loci.types.json import EMPTY, JsonObject, JsonValue

TOKENS_MAX = 2**31 - 1


def merged(
    base: ModelSettings,
    given: JsonObject,
    *,
    config: JsonObject = EMPTY,
    tokens_max: int | None = None,
    parallel: bool | None = None,
) -> ModelSettings:
    """Settings with what `given` says on top; `config` is the older form, and the other two beat both.

    Raises Unprocessable for a number that is none.
    """
    effort = _inside(given, "reasoning", "reasoning_effort") or given.get("effort")
    budget = _inside(given, "thinking", "budget_tokens")
    return ModelSettings(
        max_output_tokens=_whole(
            _first(tokens_max, given.get("max_output_tokens"), config.get("max_tokens"), base.max_output_tokens)
        ),
        temperature=_number(_first(given.get("temperature"), config.get("temperature"), base.temperature)),
        parallel_tool_calls=_first(parallel, given.get("parallel_tool_calls"), base.parallel_tool_calls) is True,
        reasoning_effort=str(effort) if effort else base.reasoning_effort,
        reasoning_tokens_max=_whole(
            _first(budget, config.get("max_reasoning_tokens") or None, base.reasoning_tokens_max)
        ),
        verbosity=str(given["verbosity"]) if given.get("verbosity") else base.verbosity,
        strict=_first(given.get("strict"), base.strict) is True,
        raw=cast("JsonObject", {**base.raw, **given}),
    )


def _inside(raw: JsonObject, outer: str, inner: str) -> JsonValue:
    value = raw.get(outer)
    return value.get(inner) if isinstance(value, Mapping) else None


def _first(*values: JsonValue) -> JsonValue:
    return next((value for value in values if value is not None), None)


def _whole(value: JsonValue) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= TOKENS_MAX:
        raise Unprocessable(f"model_settings: {value!r} is not a number of tokens.")
    return value


def _number(value: JsonValue) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unprocessable(f"model_settings: temperature is {value!r}, which is not a number.")
    return float(value)
