"""What the library and the providers' packages raise, as a `Failed` event.

The library sorts errors by the provider's own codes, also those inside a stream that began well; the HTTP status
decides where it does not. The key never gets into a text.
"""

import json

import httpx2
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
    UserError,
)

from loci.errors import ModelFault
from loci.model.base import Failed

TROUBLES: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    OSError,
    httpx2.HTTPError,
    httpx2.StreamError,
)
"""What the library and the packages under it raise when a provider sends something nobody expected."""

_DETAIL_CHARS = 2_000
_SORTED: tuple[tuple[type[Exception], ModelFault], ...] = (
    (ModelQuotaExceededError, ModelFault.CREDITS),
    (ModelContextWindowExceededError, ModelFault.CONTEXT_TOO_LONG),
    (ModelOverloadedError, ModelFault.OVERLOADED),
    (ModelRateLimitError, ModelFault.RATE_LIMIT),
    (ModelAuthenticationError, ModelFault.AUTHENTICATION),
    (ModelTimeoutError, ModelFault.TIMEOUT),
    (ModelRequestTimeout, ModelFault.TIMEOUT),
    (ModelUnavailableError, ModelFault.OVERLOADED),
    (ModelConnectionError, ModelFault.CONNECTION),
    (httpx2.TimeoutException, ModelFault.TIMEOUT),
    (httpx2.TransportError, ModelFault.CONNECTION),
    (OSError, ModelFault.CONNECTION),
    (ModelServerError, ModelFault.OTHER),
    (ModelRequestRejectedError, ModelFault.BAD_REQUEST),
    (UserError, ModelFault.BAD_REQUEST),
    (ModelAPIError, ModelFault.BAD_REPLY),
    (UnexpectedModelBehavior, ModelFault.BAD_REPLY),
)
_STATUS = {
    401: ModelFault.AUTHENTICATION,
    402: ModelFault.CREDITS,
    403: ModelFault.AUTHENTICATION,
    408: ModelFault.TIMEOUT,
    409: ModelFault.OVERLOADED,
    413: ModelFault.CONTEXT_TOO_LONG,
    429: ModelFault.RATE_LIMIT,
    503: ModelFault.OVERLOADED,
    504: ModelFault.TIMEOUT,
    529: ModelFault.OVERLOADED,
}
_MESSAGES = {
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
_RETRYABLE = frozenset(
    {
        ModelFault.RATE_LIMIT,
        ModelFault.TIMEOUT,
        ModelFault.OVERLOADED,
        ModelFault.CONNECTION,
        ModelFault.BAD_REPLY,
        ModelFault.OTHER,
    },
)


def failed(error: Exception, *, secret: str | None) -> Failed:
    """Describe the error. `secret` is the key that must not be told."""
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    fault = _fault(error, status)
    detail = _detail(error)
    if secret:
        detail = detail.replace(secret, "***")
    return Failed(
        fault=fault,
        message=_MESSAGES[fault],
        detail=detail[:_DETAIL_CHARS],
        http_status=status,
        retry_after_s=error.retry_after if isinstance(error, ModelAPIError) else None,
        retryable=fault in _RETRYABLE,
    )


def _fault(error: Exception, status: int | None) -> ModelFault:
    for kind, fault in _SORTED[:2]:
        if isinstance(error, kind):
            return fault
    if status is not None and status in _STATUS:
        return _STATUS[status]
    return next((fault for kind, fault in _SORTED if isinstance(error, kind)), ModelFault.BAD_REPLY)


def _detail(error: Exception) -> str:
    body = error.body if isinstance(error, ModelAPIError) else None
    if isinstance(body, str) and body:
        return body
    if body is not None:
        return json.dumps(body, ensure_ascii=False, default=str)
    cause = error.__cause__
    words = error.message if isinstance(error, ModelAPIError | UnexpectedModelBehavior | UserError) else str(error)
    if isinstance(cause, Exception) and str(cause) and str(cause) not in words:
        words = f"{words} ({cause})"
    return words or type(error).__name__
