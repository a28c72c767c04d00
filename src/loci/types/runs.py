"""A run is one answer to one request: steps, and exactly one ending."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from loci.types.json import EMPTY, JsonObject
from loci.types.usage import Usage


class StopReason(StrEnum):
    """Why a run ended, with the names of the Letta V1 API."""

    END_TURN = "end_turn"
    ERROR = "error"
    LLM_API_ERROR = "llm_api_error"
    INVALID_LLM_RESPONSE = "invalid_llm_response"
    INVALID_TOOL_CALL = "invalid_tool_call"
    MAX_STEPS = "max_steps"
    MAX_TOKENS_EXCEEDED = "max_tokens_exceeded"
    NO_TOOL_CALL = "no_tool_call"
    TOOL_RULE = "tool_rule"
    CANCELLED = "cancelled"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    REQUIRES_APPROVAL = "requires_approval"
    CONTEXT_WINDOW_OVERFLOW = "context_window_overflow_in_system_prompt"


RunStatus: TypeAlias = Literal["created", "running", "completed", "failed", "cancelled"]

COMPLETED = frozenset(
    {StopReason.END_TURN, StopReason.MAX_STEPS, StopReason.TOOL_RULE, StopReason.REQUIRES_APPROVAL},
)


def status_of(reason: StopReason) -> RunStatus:
    """The run status that a stop reason stands for on the wire."""
    if reason is StopReason.CANCELLED:
        return "cancelled"
    return "completed" if reason in COMPLETED else "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended. `message` is for anyone, `detail` for the person who can mend it."""

    reason: StopReason
    error_type: str | None = None
    message: str | None = None
    detail: str | None = None
    status_code: int = 500
    """HTTP status of a blocking answer when the ending is a failure."""

    @property
    def words(self) -> str:
        """Both in one text, in which nothing stands twice."""
        message, detail = self.message or "The run failed.", self.detail or ""
        return detail if detail.startswith(message) else f"{message} {detail}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use up. Every one of them ends the run with its own reason."""

    steps_max: int = 50
    total_tokens_max: int | None = None
    cost_usd_max: float | None = None
    duration_s_max: float = 3_600.0
    repeated_failures_max: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A stored run. `request` holds what the client asked for, as needed to resume it after a crash. Project (None is
    the default one) and template are the agent's.
    """

    id: str
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    agent_id: str
    conversation_id: str
    status: RunStatus = "created"
    stop_reason: StopReason | None = None
    background: bool = False
    request: JsonObject = field(default_factory=lambda: EMPTY)
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    callback_url: str | None = None
    usage: Usage = field(default_factory=Usage)
    step_count: int = 0
    error: JsonObject | None = None
    ttft_ns: int | None = None
    total_duration_ns: int | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    cancel_requested: bool = False
    created_by: str | None = None
    """The user for whom it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A stored step: one model call and the tools it led to. Project and template are the agent's, as of a run."""

    id: str
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    run_id: str
    agent_id: str
    conversation_id: str
    number: int
    model: str
    provider: str
    usage: Usage = field(default_factory=Usage)
    context_window_tokens: int = 0
    status: Literal["success", "failed", "cancelled", "pending"] = "success"
    stop_reason: StopReason | None = None
    error: JsonObject | None = None
    feedback: Literal["positive", "negative"] | None = None
    tags: tuple[str, ...] = ()
    duration_ns: int = 0
    model_duration_ns: int = 0
    tools_duration_ns: int = 0
    created_at: datetime | None = None
    transaction_id: str | None = None
    """What an accounting system outside knows the step by."""


class ApprovalStatus(StrEnum):
    """Where a question stands. Only `pending` blocks."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A call that waits for a person (`kind` approval) or for the client to run it (`kind` client)."""

    call_id: str
    conversation_id: str
    agent_id: str
    run_id: str
    message_id: str
    tool_name: str
    arguments: str
    kind: Literal["approval", "client"]
    status: ApprovalStatus = ApprovalStatus.PENDING
    answer: JsonObject | None = None
    created_at: datetime | None = None
    answered_at: datetime | None = None
