"""A message is a list of parts, stored once and never changed in place by the loop.

Parts are our own shapes: each model adapter translates them at one point, just before the call. What a provider needs
to see again on the next turn (reasoning signatures, encrypted reasoning, thought signatures) rides along in `provider`
and `signature`, so that nothing is lost when the history is sent back.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from loci.types.json import JsonObject


class Role(StrEnum):
    """Who speaks. `tool` carries tool results; `approval` a person's answer to calls that had to be asked for."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    APPROVAL = "approval"


class Kind(StrEnum):
    """Why a message exists; ordinary talk is `plain`. All else is written by the system, as JSON in user role."""

    PLAIN = "plain"
    SYSTEM_PROMPT = "system_prompt"
    SUMMARY = "summary"
    ALERT = "alert"
    LOGIN = "login"
    HEARTBEAT = "heartbeat"
    TRANSCRIPT = "transcript"
    """What others said, given to an agent to work on."""


class Trust(StrEnum):
    """Where a text came from, and so how far it may be believed (lowest wins when texts are merged)."""

    USER = "user"
    OPERATOR = "operator"
    AGENT = "agent"
    TOOL = "tool"
    WEB = "web"
    OTHER_AGENT = "other_agent"
    IMPORT = "import"
    SYSTEM = "system"


ToolStatus: TypeAlias = Literal["success", "error"]


@dataclass(frozen=True, slots=True)
class Text:
    """Words. `signature` is a provider's opaque mark on them (Gemini thought signatures), sent back unchanged."""

    text: str
    signature: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: either `data` (base64) with its `media_type`, or a `url` the provider fetches itself."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The model's thinking. `text` is empty when the provider redacted it; then `redacted` or `signature` holds the
    opaque form that must go back to the same `provider`. `native` is False for thoughts passed as a tool argument.
    """

    text: str
    signature: str | None = None
    provider: str | None = None
    redacted: str | None = None
    native: bool = True
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants `name` run. `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str
    signature: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of the call `call_id`. `text` is what the model reads."""

    call_id: str
    name: str
    text: str
    status: ToolStatus = "success"
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalAnswer:
    """A person's word on one call that had to be asked for."""

    call_id: str
    approve: bool
    reason: str | None = None


Part: TypeAlias = Text | Image | Reasoning | ToolCall | ToolResult | ApprovalAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One stored message. `seq` orders all messages of the database and is 0 until stored."""

    id: str
    role: Role
    parts: tuple[Part, ...]
    created_at: datetime
    agent_id: str
    conversation_id: str
    kind: Kind = Kind.PLAIN
    trust: Trust = Trust.USER
    seq: int = 0
    name: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    model: str | None = None
    extra: JsonObject | None = None
    """Facts about the message that only some kinds have: what a summary covers, compaction numbers."""

    @property
    def is_task(self) -> bool:
        """Whether it was given to the agent to answer or to work on."""
        return self.role is Role.USER and self.kind in (Kind.PLAIN, Kind.TRANSCRIPT)

    @property
    def text(self) -> str:
        """All words of the message, joined; no reasoning, no calls."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls in the order the model wrote them."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """The results in the order of their calls."""
        return tuple(part for part in self.parts if isinstance(part, ToolResult))
