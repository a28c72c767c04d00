"""The fields of a request on the chat-completions wire that stand beside its messages."""

import re
from collections.abc import Mapping

from loci.model.base import ModelInfo, ModelRequest
from loci.model.chat_dialect import Dialect
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import ToolSchema

_REASONERS = re.compile(r"o\d|gpt-[5-9](?!.*chat)")
_KNOWS_USER = frozenset({"openai", "openrouter"})
_ONE_BY_WORD_ONLY = frozenset({"ollama", "lmstudio"})


def fields_of(info: ModelInfo, request: ModelRequest, dialect: Dialect, without: frozenset[str]) -> JsonObject:
    """All fields but messages and tools, and but those that the server has refused before."""
    settings, name = request.settings, info.name
    reasoner = dialect.is_openai and bool(_REASONERS.match(name))
    fields: dict[str, JsonValue] = {"model": name, "stream": True}
    if dialect.provider_type != "mistral":  # it reports usage unasked and refuses the field
        fields["stream_options"] = {"include_usage": True}
    if settings.max_output_tokens is not None:
        longer = dialect.is_openai or "max_tokens" in without
        most = min(info.output_tokens_max or info.window_tokens, max(info.window_tokens // 2, 1))
        fields["max_completion_tokens" if longer else "max_tokens"] = min(settings.max_output_tokens, most)
    if settings.temperature is not None and not reasoner:
        fields["temperature"] = settings.temperature
    if settings.reasoning_effort is not None or settings.reasoning_tokens_max is not None:
        fields.update(_thinking(request, dialect))
    if settings.verbosity is not None and dialect.is_openai:
        fields["verbosity"] = settings.verbosity
    if request.tools:
        if not re.match(r"o\d", name) or not dialect.is_openai:
            fields["parallel_tool_calls"] = settings.parallel_tool_calls
        if request.tool_choice != "auto":
            fields["tool_choice"] = _tool_choice(request.tool_choice, dialect)
    if (wanted := _response_format(request.response_format)) is not None:
        fields["response_format"] = wanted
    if request.user is not None and dialect.provider_type in _KNOWS_USER:
        fields["user"] = request.user
    fields.update(request.extra)
    return {key: value for key, value in fields.items() if key not in without}


def tools_of(request: ModelRequest, dialect: Dialect) -> list[JsonObject]:
    """All tools; only the named one where a server cannot be told its name."""
    named = [tool for tool in request.tools if tool.name == request.tool_choice]
    alone = named and dialect.provider_type in _ONE_BY_WORD_ONLY
    return [_tool(tool, strict=request.settings.strict) for tool in (named if alone else request.tools)]


def _response_format(wanted: JsonObject | None) -> JsonObject | None:
    """The format as this wire wants it: a bare JSON schema gets the envelope that names it."""
    if wanted is None or wanted.get("type") in (None, "text"):
        return None
    schema = wanted.get("json_schema")
    if wanted.get("type") == "json_schema" and isinstance(schema, Mapping) and "schema" not in schema:
        return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
    return wanted


def _thinking(request: ModelRequest, dialect: Dialect) -> JsonObject:
    effort, most = request.settings.reasoning_effort, request.settings.reasoning_tokens_max
    if dialect.provider_type == "openrouter":
        chosen: JsonObject = {"effort": effort} if effort is not None else {"max_tokens": most}
        return {"reasoning": chosen}
    return {} if effort is None else {"reasoning_effort": effort}


def _tool_choice(choice: str, dialect: Dialect) -> JsonValue:
    if choice in ("none", "required"):
        return choice
    if dialect.provider_type in _ONE_BY_WORD_ONLY:
        return "required"
    return {"type": "function", "function": {"name": choice}}


def _tool(tool: ToolSchema, *, strict: bool) -> JsonObject:
    function: dict[str, JsonValue] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    properties, required = tool.parameters.get("properties"), tool.parameters.get("required")
    if strict and tool.parameters.get("additionalProperties") is False:
        # Strict mode is only for schemas in which nothing is optional; others would be refused.
        names = set(properties) if isinstance(properties, Mapping) else set[str]()
        if names == set(required if isinstance(required, list) else ()):
            function["strict"] = True
    return {"type": "function", "function": function}
