# ruff: noqa: E501  what a server says stands in one line
"""What providers say when they say no, each as one kind of fault."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import ModelFault
from loci.model.faults import DETAIL_CHARS, MESSAGES, Trouble, failed_from, masked
from loci.types.json import JsonValue

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

F = ModelFault
# status, body as the named server sends it (shortened), fault
SAID: list[tuple[str, int | None, Any, ModelFault]] = [
    ("openai", 400, {"error": {"message": "Too long.", "code": "context_length_exceeded"}}, F.CONTEXT_TOO_LONG),
    ("openai", 400, {"error": {"message": "Your input exceeds the context window of this model."}}, F.CONTEXT_TOO_LONG),
    ("openai", 401, {"error": {"message": "Incorrect API key provided: sk-ab***yz.", "code": "invalid_api_key"}}, F.AUTHENTICATION),
    ("openai", 403, {"error": {"message": "Country not supported", "code": "unsupported_country"}}, F.AUTHENTICATION),
    ("openai", 404, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}, F.BAD_REQUEST),
    ("openai", 429, {"error": {"message": "Rate limit reached for x", "code": "rate_limit_exceeded"}}, F.RATE_LIMIT),
    ("openai", 429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, F.CREDITS),
    ("openai", 429, {"error": {"message": "Request too large for gpt-4o on tokens per min (TPM): Limit 30000"}}, F.CONTEXT_TOO_LONG),
    ("openai", 400, {"error": {"message": "Blocked.", "code": "content_filter"}}, F.REFUSED),
    ("openai", 500, {"error": {"message": "The server had an error", "type": "server_error"}}, F.OTHER),
    ("openai", 503, {"error": {"message": "The engine is overloaded"}}, F.OVERLOADED),
    ("openai", 400, {"error": {"message": "Invalid value for 'temperature'"}}, F.BAD_REQUEST),
    ("vllm", 400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000", "code": 400}, F.CONTEXT_TOO_LONG),
    ("vllm", 400, {"error": {"message": "The decoder prompt (length 5000) is longer than the maximum model length of 4096."}}, F.CONTEXT_TOO_LONG),
    ("llama.cpp", 400, {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error"}}, F.CONTEXT_TOO_LONG),
    ("llama.cpp", 503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, F.OVERLOADED),
    ("ollama", 404, {"error": {"message": "model 'x' not found, try pulling it first"}}, F.BAD_REQUEST),
    ("ollama", 500, {"error": "the input length exceeds the context length"}, F.CONTEXT_TOO_LONG),
    ("lmstudio", 400, {"error": "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}, F.CONTEXT_TOO_LONG),
    ("lmstudio", 400, {"error": "The number of tokens to keep from the initial prompt is greater than the context length."}, F.CONTEXT_TOO_LONG),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"}}, F.CONTEXT_TOO_LONG),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "input length and `max_tokens` exceed context limit"}}, F.CONTEXT_TOO_LONG),
    ("anthropic", 413, {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}}, F.CONTEXT_TOO_LONG),
    ("anthropic", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}}, F.CREDITS),
    ("anthropic", 401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, F.AUTHENTICATION),
    ("anthropic", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, F.OVERLOADED),
    ("anthropic", None, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, F.OVERLOADED),
    ("gemini", 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."}}], F.CONTEXT_TOO_LONG),
    ("gemini", 400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}, F.AUTHENTICATION),
    ("gemini", 429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Resource exhausted"}}, F.RATE_LIMIT),
    ("groq", 413, {"error": {"message": "Request too large for model `x` on tokens per minute (TPM): Limit 6000", "code": "rate_limit_exceeded"}}, F.CONTEXT_TOO_LONG),
    ("mistral", 400, {"object": "error", "message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"}, F.CONTEXT_TOO_LONG),
    ("mistral", 422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "user"]}]}, F.BAD_REQUEST),
    ("xai", 400, {"error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens."}, F.CONTEXT_TOO_LONG),
    ("together", 422, {"error": {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193"}}, F.CONTEXT_TOO_LONG),
    ("bedrock", 400, {"message": "Input is too long for requested model."}, F.CONTEXT_TOO_LONG),
    ("openrouter", 402, {"error": {"code": 402, "message": "Insufficient credits"}}, F.CREDITS),
    ("openrouter", None, {"error": {"code": 502, "message": "Provider returned error"}}, F.OVERLOADED),
    ("openrouter", 400, {"error": {"message": "Provider returned error", "metadata": {"raw": "maximum context length is 8 tokens"}}}, F.CONTEXT_TOO_LONG),
    ("cloudflare", 524, "<html>A timeout occurred</html>", F.TIMEOUT),
    ("nginx", 502, "<html>Bad Gateway</html>", F.OVERLOADED),
    ("nginx", 504, "", F.TIMEOUT),
    ("any", 408, {}, F.TIMEOUT),
    ("any", 418, {}, F.BAD_REQUEST),
    ("any", 599, {}, F.OTHER),
    ("any", None, "broke", F.OTHER),
]  # fmt: skip


@pytest.mark.parametrize(("server", "status", "body", "fault"), SAID)
def test_what_a_server_says_is_understood(server: str, status: int | None, body: Any, fault: ModelFault):
    spelt = body if isinstance(body, str) else json.dumps(body).encode()
    failed = failed_from(Trouble(status=status, body=spelt), secret=None, now=NOW)

    assert failed.fault is fault
    assert failed.http_status == status
    assert failed.message == MESSAGES[fault]


@pytest.mark.parametrize(
    ("fault", "retryable"),
    [
        (F.RATE_LIMIT, True),
        (F.OVERLOADED, True),
        (F.OTHER, True),
        (F.AUTHENTICATION, False),
        (F.CREDITS, False),
        (F.CONTEXT_TOO_LONG, False),
        (F.BAD_REQUEST, False),
        (F.REFUSED, False),
    ],
)
def test_what_may_be_gone_when_asked_again(fault: ModelFault, retryable: bool):
    status, body = next((status, body) for _, status, body, kind in SAID if kind is fault)

    assert failed_from(Trouble(status=status, body=json.dumps(body)), secret=None, now=NOW).retryable is retryable


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({"retry-after": "1.5"}, {}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, {}, 0.25),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, {}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, {}, 0.0),
        ({"retry-after": "soon"}, {}, None),
        ({}, {"error": {"message": "x", "details": [{"@type": "x"}, {"retryDelay": "34s"}]}}, 34.0),
        ({}, {"error": {"message": "Please try again in 1.2s."}}, 1.2),
        ({}, {"error": {"message": "Please try again in 2m3.5s."}}, 123.5),
        ({}, {"error": {"message": "Please try again in 250ms."}}, 0.25),
        ({}, {"error": {"message": "No."}}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], body: JsonValue, seconds: float | None):
    failed = failed_from(Trouble(status=429, body=body, headers=headers), secret=None, now=NOW)

    assert failed.retry_after_s == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijkl.",
        "GET https://x.example/v1beta/models?key=AIzaSyA-abcdefgh failed",
        "header Authorization: Bearer abc.def.ghi was refused",
        "gsk_abcdefghijklmnop is no key",
        "the key my-own-secret is wrong",
    ],
)
def test_keys_are_masked(text: str):
    shown = masked(text, "my-own-secret")

    assert "***" in shown
    assert not any(part in shown for part in ("abcdefgh", "abc.def.ghi", "my-own-secret"))


def test_ordinary_words_are_not_masked():
    text = "The task-force asks about risk-management and sk- alone."

    assert masked(text) == text


def test_the_words_of_a_provider_are_kept_and_cut():
    failed = failed_from(Trouble(status=400, body={"error": {"message": "y" * 9_000}}), secret=None, now=NOW)

    assert failed.detail == "y" * DETAIL_CHARS


KEYS = st.sampled_from(["error", "message", "code", "metadata", "raw", "retryDelay"])
BODY = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(st.none() | st.integers(300, 599), BODY)
def test_any_answer_is_some_fault(status: int | None, body: Any):
    failed = failed_from(Trouble(status=status, body=body), secret="key", now=NOW)

    assert failed.fault in ModelFault
    assert failed.detail
