"""What went wrong at a provider, told from its HTTP status and its own words.

Providers agree on little more than the status, and not always on that: a conversation that is too long comes as 400,
413, 429 or 500, known only by its text. Keys never appear in what is passed on: the key in use and everything that
looks like one is masked. PURE.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

import orjson

from loci.errors import ModelFault
from loci.model.base import Failed
from loci.types.json import EMPTY, JsonObject, JsonValue

DETAIL_CHARS = 2_000

MESSAGES: dict[ModelFault, str] = {
    ModelFault.AUTHENTICATION: "The model provider did not accept the API key.",
    ModelFault.CREDITS: "The account at the model provider has no credit left.",
    ModelFault.RATE_LIMIT: "The model provider is limiting requests.",
    ModelFault.TIMEOUT: "The model provider did not answer in time.",
    ModelFault.OVERLOADED: "The model provider is overloaded.",
    ModelFault.CONTEXT_TOO_LONG: "The conversation is longer than the model can read.",
    ModelFault.BAD_REQUEST: "The model provider rejected the request.",
    ModelFault.CONNECTION: "The connection to the model provider failed.",
    ModelFault.BAD_REPLY: "The model provider gave a broken answer.",
    ModelFault.REFUSED: "The model provider refused to answer this.",
    ModelFault.OTHER: "The model provider failed.",
}
"""What anyone may read about a fault."""

RETRYABLE = frozenset(
    {
        ModelFault.RATE_LIMIT,
        ModelFault.TIMEOUT,
        ModelFault.OVERLOADED,
        ModelFault.CONNECTION,
        ModelFault.BAD_REPLY,
        ModelFault.OTHER,
    },
)
"""The faults that may be gone when asked again."""

_BY_STATUS: dict[int, ModelFault] = {
    401: ModelFault.AUTHENTICATION,
    402: ModelFault.CREDITS,
    403: ModelFault.AUTHENTICATION,
    408: ModelFault.TIMEOUT,
    409: ModelFault.OVERLOADED,
    413: ModelFault.CONTEXT_TOO_LONG,
    425: ModelFault.OVERLOADED,
    429: ModelFault.RATE_LIMIT,
    502: ModelFault.OVERLOADED,
    503: ModelFault.OVERLOADED,
    504: ModelFault.TIMEOUT,
    522: ModelFault.CONNECTION,
    524: ModelFault.TIMEOUT,
    529: ModelFault.OVERLOADED,
}


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# In order: the first that matches wins. Each pattern is a fragment of what a named server says or said.
_BY_WORDS: tuple[tuple[re.Pattern[str], ModelFault], ...] = (
    (
        _any(
            "context_length_exceeded|context_window_exceeded|exceed_context_size",  # OpenAI, Groq, llama.cpp: codes
            r"maximum (?:context|prompt|model|input) length",  # OpenAI, vLLM, DeepSeek, OpenRouter, Mistral, xAI
            r"exceeds? (?:the|this model'?s|your model'?s)?\s*(?:available |maximum )?context",  # OpenAI, llama.cpp
            "context (?:size|length|window)[^.]{0,40}exceed|exceeds?[^.]{0,40}context (?:size|length|window|limit)",
            r"prompt is too long|input is too long|input length and `?max_tokens`? exceed",  # Anthropic, Bedrock
            "input token count[^.]{0,60}exceed",  # Gemini
            "maximum number of tokens allowed",  # Gemini
            r"context the overflows|reached context length|tokens to keep from the initial prompt",  # LM Studio
            r"input tokens? exceeds?|too many (?:input )?tokens",  # Cohere, Bedrock
            r"inputs` tokens \+ `?max_new_tokens|tokens \+ max_new_tokens",  # TGI, Together
            "reduce the length of the (?:messages|prompt|input)",  # OpenAI, Groq
            r"request too large for|input or output tokens must be reduced",  # OpenAI, Groq: more than a minute's worth
            "request_too_large|request exceeds the maximum size",  # Anthropic
        ),
        ModelFault.CONTEXT_TOO_LONG,
    ),
    (
        _any("insufficient_quota|insufficient[ _](?:credits|balance|funds)|credit balance|exceeded your current quota"),
        ModelFault.CREDITS,
    ),
    (
        _any(r"invalid[ _]api[ _]key|incorrect api key|api[ _]key not valid|invalid x-api-key|authentication_error"),
        ModelFault.AUTHENTICATION,
    ),
    (_any("content_filter|content_policy|content management policy|safety system"), ModelFault.REFUSED),
    (_any("rate_limit|rate limit|too many requests|resource_exhausted"), ModelFault.RATE_LIMIT),
    (_any("overloaded|loading model|server is busy|service_unavailable|capacity"), ModelFault.OVERLOADED),
    (_any("timed out|timeout"), ModelFault.TIMEOUT),
)
_WORDS_DECIDE = frozenset({400, 403, 404, 413, 422, 429, 500, 503})
_KEYS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|pplx|fw|nvapi|AIza|ya29)[-_.A-Za-z0-9*]{6,}"
    r"|(?<=Bearer )\S+|(?<=[?&]key=)[^&\s\"']+|(?<=api[-_]key[=:])\s*[^&\s\"',]+",
    re.IGNORECASE,
)
_TRY_AGAIN = re.compile(r"try again in (?:(\d+)m)?(\d+(?:\.\d+)?)(ms|s)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What a provider answered instead of an answer. `status` None: an error inside a stream that began well."""

    status: int | None
    body: bytes | str | JsonValue
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """With names in lower case."""


def failed_from(trouble: Trouble, *, secret: str | None, now: datetime) -> Failed:
    """The event for it. `secret` is the key in use; `now` is needed where Retry-After is a date."""
    document = _document(trouble.body)
    words = _words(document, trouble.body)
    fault = fault_of(trouble.status or _code(document), f"{words} {_codes(document)}")
    return failed(
        fault,
        words,
        secret=secret,
        http_status=trouble.status,
        retry_after_s=retry_after_s(trouble.headers, document, words, now=now),
    )


def failed(
    fault: ModelFault,
    detail: str,
    *,
    secret: str | None = None,
    http_status: int | None = None,
    retry_after_s: float | None = None,
) -> Failed:
    """The event for a fault that is known, with the provider's or our own words."""
    return Failed(
        fault=fault,
        message=MESSAGES[fault],
        detail=masked(detail, secret)[:DETAIL_CHARS] or MESSAGES[fault],
        http_status=http_status,
        retry_after_s=retry_after_s,
        retryable=fault in RETRYABLE,
    )


def fault_of(status: int | None, words: str) -> ModelFault:
    """The kind of fault. The words decide where a status is used for several things, else the status does."""
    if status is None or status in _WORDS_DECIDE:
        for pattern, fault in _BY_WORDS:
            if pattern.search(words):
                return fault
    if status is None:
        return ModelFault.OTHER
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ModelFault.BAD_REQUEST if 400 <= status < 500 else ModelFault.OTHER


def masked(text: str, secret: str | None = None) -> str:
    """The text without the key in use, and without anything that looks like a key."""
    if secret and len(secret) >= 4:
        text = text.replace(secret, "***")
    return _KEYS.sub("***", text)


def retry_after_s(headers: Mapping[str, str], document: JsonValue, words: str, *, now: datetime) -> float | None:
    """How long to wait, as asked for in a header (seconds, RFC 9110 date, milliseconds), Gemini's body, or in words."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1_000
    header = headers.get("retry-after")
    if header:
        if (seconds := _number(header)) is not None:
            return seconds
        try:
            return max((parsedate_to_datetime(header) - now).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return None
    for key, value in _walk(document):
        if key == "retryDelay" and isinstance(value, str):
            return _number(value.removesuffix("s"))
    if match := _TRY_AGAIN.search(words):
        span = float(match[2]) / (1_000 if match[3] == "ms" else 1)
        return span + 60 * int(match[1] or 0)
    return None


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _document(body: bytes | str | JsonValue) -> JsonValue:
    if not isinstance(body, bytes | str):
        return body
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _error(document: JsonValue) -> JsonObject:
    """The object that holds the words: `{"error": {…}}`, `[{"error": {…}}]` (Gemini), or the document itself (vLLM)."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return EMPTY
    inner = document.get("error")
    if isinstance(inner, str):  # Ollama
        return {"message": inner}
    return inner if isinstance(inner, dict) else document


def _words(document: JsonValue, body: bytes | str | JsonValue) -> str:
    error = _error(document)
    for key in ("message", "detail", "error_message"):
        value = error.get(key)
        if isinstance(value, str) and value:
            # OpenRouter hides what the provider behind it said in the metadata.
            metadata = error.get("metadata")
            raw = metadata.get("raw") if isinstance(metadata, dict) else None
            return f"{value} {raw}" if isinstance(raw, str) else value
        if value:
            return _spelt(value)
    if document is not None:
        return _spelt(document)
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")


def _spelt(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _codes(document: JsonValue) -> str:
    error = _error(document)
    return " ".join(str(error[key]) for key in ("code", "type", "status") if error.get(key))


def _code(document: JsonValue) -> int | None:
    """The HTTP status that an error inside a stream names, if it names one."""
    code = _error(document).get("code")
    if isinstance(code, str) and code.isdecimal():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _walk(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    children: Sequence[tuple[str, JsonValue]] = ()
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = [("", item) for item in value]
    for key, child in children:
        yield key, child
        yield from _walk(child)
