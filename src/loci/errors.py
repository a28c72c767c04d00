"""One tree of errors; the docstring of a class is its default message, `hint` says what to do about it.

    LociError
    ├── BadRequest 400 · Unprocessable 422 · Unauthorized 401 · Forbidden 403
    ├── NotFound 404 · Conflict 409 (Busy, AwaitingApproval, Taken, VersionConflict) · Gone 410
    ├── TooLarge 413 · UnsupportedMedia 415 · NotAvailable 501
    ├── ProviderUnusable 400 · AddressRefused 400 (AddressForeign 403) · FetchFailed 502
    ├── McpFailed 502 (McpTimedOut 408) · SandboxFailed 502 (SandboxBusy 503)
    ├── MemoryRefused 422 (BlockTooLong, BlockReadOnly, TextNotFound …): the agent reads these as tool results
    ├── ModelFailure (by kind: authentication, rate limit, context too long …)
    └── StoreFailure 503

Failures that a model can act on become tool results; the rest is turned into HTTP at one place, the API edge.
"""

import inspect
from enum import StrEnum
from typing import ClassVar


class LociError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    hint: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "").split("\n\n")[0]
        self.advice = hint or type(self).hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.advice}" if self.advice else self.message


class BadRequest(LociError):
    """The request cannot be carried out as it stands."""

    status = 400


class Unprocessable(LociError):
    """The request is well formed but means nothing here."""

    status = 422


class Unauthorized(LociError):
    """A valid API key is needed."""

    status = 401
    hint = "Send it as 'Authorization: Bearer <key>'."


class Forbidden(LociError):
    """This key may not do that."""

    status = 403


class NotFound(LociError):
    """There is no such thing."""

    status = 404


class Conflict(LociError):
    """The request clashes with what is stored."""

    status = 409


class Busy(Conflict):
    """The conversation is currently being processed: it is busy with another active run."""

    hint = "Wait for that run to end, or cancel it."

    def __init__(self, message: str | None = None, *, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class AwaitingApproval(Conflict):
    """The agent is waiting for approval of a tool call."""

    hint = "Answer it with a message of type 'approval', or cancel the run."


class VersionConflict(Conflict):
    """Someone else changed this in the meantime; nothing was overwritten."""

    hint = "Read it again and repeat the edit."


class Gone(LociError):
    """It was here once and has expired."""

    status = 410


class TooLarge(LociError):
    """The request is larger than this server takes."""

    status = 413


class UnsupportedMedia(LociError):
    """A file of this kind cannot be read here."""

    status = 415


class ProviderUnusable(BadRequest):
    """The provider cannot be used as it is stored."""


class AddressRefused(BadRequest):
    """Requests to that address are not let out."""

    hint = "Only public addresses can be reached; the operator can open a private host by name."


class AddressForeign(AddressRefused):
    """Requests to that address are let out for organisations that the operator trusts."""

    status = 403


class FetchFailed(LociError):
    """The address could not be read."""

    status = 502


class McpFailed(LociError):
    """The MCP server could not be used."""

    status = 502
    hint = "Other tools still work. Whoever runs that server can see why."


class McpTimedOut(McpFailed):
    """The MCP server did not answer in time."""

    status = 408


class SandboxFailed(LociError):
    """The service that lends machines for tools could not be used."""

    status = 502
    hint = "Nothing was run. `loci doctor` says whether its key and address work."


class SandboxBusy(SandboxFailed):
    """The service that lends machines for tools has none to spare now."""

    status = 503
    hint = "Nothing was run. Try again later, or raise the limits of the account there."


class GivenUp(LociError):
    """The server stops before a run has ended. The run goes on at the next start."""

    status = 503
    hint = "What was sent is stored: look at the run later, and do not send it again."

    def __init__(self, run_id: str) -> None:
        super().__init__(f"The server stopped before {run_id} ended.")
        self.run_id = run_id


class NotAvailable(LociError):
    """This server cannot do that as it is set up."""

    status = 501


class MemoryRefused(LociError):
    """The memory edit was refused and nothing was changed."""

    status = 422


class BlockTooLong(MemoryRefused):
    """The edit would make the block longer than its limit."""

    hint = "Shorten the text, or move details to archival memory."


class BlockReadOnly(MemoryRefused):
    """The block is read-only."""

    hint = "It was set by the operator and cannot be edited with tools."


class BlockUnknown(MemoryRefused):
    """There is no block with this label."""


class TextNotFound(MemoryRefused):
    """The old text did not appear verbatim in the block."""

    hint = "Copy it exactly as it stands in the block, including line breaks."


class TextAmbiguous(MemoryRefused):
    """Multiple occurrences of the old text: it must be unique."""

    hint = "Give more of the surrounding text."


class ToolRefused(LociError):
    """The tool could not be run with these arguments."""

    status = 400


class ModelFault(StrEnum):
    """What kind of trouble a model provider reported."""

    AUTHENTICATION = "llm_authentication"
    CREDITS = "llm_insufficient_credits"
    RATE_LIMIT = "llm_rate_limit"
    TIMEOUT = "llm_timeout"
    OVERLOADED = "llm_overloaded"
    CONTEXT_TOO_LONG = "llm_context_window_exceeded"
    BAD_REQUEST = "llm_bad_request"
    CONNECTION = "llm_connection"
    BAD_REPLY = "llm_bad_reply"
    REFUSED = "llm_content_filter"
    OTHER = "llm_error"


MODEL_FAULT_STATUS: dict[ModelFault, int] = {
    ModelFault.AUTHENTICATION: 401,
    ModelFault.CREDITS: 402,
    ModelFault.RATE_LIMIT: 429,
    ModelFault.TIMEOUT: 504,
    ModelFault.OVERLOADED: 503,
    ModelFault.CONTEXT_TOO_LONG: 400,
    ModelFault.BAD_REQUEST: 400,
    ModelFault.CONNECTION: 502,
    ModelFault.BAD_REPLY: 502,
    ModelFault.REFUSED: 400,
    ModelFault.OTHER: 500,
}


class ModelFailure(LociError):
    """The model provider failed."""

    def __init__(self, fault: ModelFault, message: str, *, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.fault = fault
        self.detail = detail or message

    @property
    def http_status(self) -> int:
        """The status that a blocking request answers with."""
        return MODEL_FAULT_STATUS[self.fault]


class StoreFailure(LociError):
    """The database could not be read or written."""

    status = 503
    hint = "Nothing that was acknowledged is lost. Check the disk and try again."
