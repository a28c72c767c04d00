"""What the library and the providers' packages raise, as a `Failed` event.

The library sorts some errors by codes that only that provider uses, also inside a stream that began well. Where it
does not, `faults` decides from the status and the words, as for every other provider.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import httpx2
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)

from loci.errors import ModelFault
from loci.model.base import Failed
from loci.model.faults import MESSAGES, RETRYABLE, Trouble, failed, failed_from
from loci.types.json import JsonValue

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

_NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)
_SORTED: tuple[tuple[type[Exception], ModelFault], ...] = (
    (ModelQuotaExceededError, ModelFault.CREDITS),
    (ModelContextWindowExceededError, ModelFault.CONTEXT_TOO_LONG),
    (ModelOverloadedError, ModelFault.OVERLOADED),
)
_UNSENT: tuple[tuple[type[Exception], ModelFault], ...] = (
    (ModelTimeoutError, ModelFault.TIMEOUT),
    (ModelRequestTimeout, ModelFault.TIMEOUT),
    (httpx2.TimeoutException, ModelFault.TIMEOUT),
    (ModelConnectionError, ModelFault.CONNECTION),
    (httpx2.TransportError, ModelFault.CONNECTION),
    (OSError, ModelFault.CONNECTION),
    (ModelRequestRejectedError, ModelFault.BAD_REQUEST),
    (UserError, ModelFault.BAD_REQUEST),
)
"""Errors that came with no answer of the provider."""


def failure(error: Exception, *, secret: str | None) -> Failed:
    """Describe the error. `secret` is the key that must not be told."""
    sorted_fault = next((fault for kind, fault in _SORTED if isinstance(error, kind)), None)
    if isinstance(error, ModelHTTPError):
        body = cast("JsonValue", error.body)
        trouble = Trouble(status=error.status_code, body=body if body is not None else error.message)
        found = replace(failed_from(trouble, secret=secret, now=_NO_DATE), http_status=error.status_code)
    elif isinstance(error, ModelAPIError) and error.body is not None:
        found = failed_from(Trouble(status=None, body=cast("JsonValue", error.body)), secret=secret, now=_NO_DATE)
    else:
        fault = next((fault for kind, fault in _UNSENT if isinstance(error, kind)), ModelFault.BAD_REPLY)
        found = failed(fault, _words(error), secret=secret)
    if isinstance(error, ModelAPIError) and error.retry_after is not None:
        found = replace(found, retry_after_s=error.retry_after)
    if sorted_fault is not None:
        retryable = sorted_fault in RETRYABLE
        found = replace(found, fault=sorted_fault, message=MESSAGES[sorted_fault], retryable=retryable)
    return found


def _words(error: Exception) -> str:
    """Say what happened; the reason is often the cause below."""
    words = error.message if isinstance(error, ModelAPIError | UnexpectedModelBehavior | UserError) else str(error)
    cause = error.__cause__
    if isinstance(cause, Exception) and str(cause) and str(cause) not in words:
        words = f"{words} ({cause})"
    return words or type(error).__name__
