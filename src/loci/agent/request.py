"""What a client asks of an agent: new messages, answers to open questions, and the bounds of the work."""

from dataclasses import dataclass, field

from loci.types.json import EMPTY, JsonObject
from loci.types.messages import Part, Role, ToolStatus, Trust
from loci.types.runs import Limits
from loci.types.tools import ToolSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be said to the agent. `otid` is the client's own id; the same one twice is stored once."""

    parts: tuple[Part, ...]
    role: Role = Role.USER
    otid: str | None = None
    name: str | None = None
    sender_id: str | None = None
    trust: Trust = Trust.USER


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalReply:
    """The answer to one call: a decision (`approve`, `reason`), or what the client got by running it (`result`)."""

    call_id: str
    approve: bool = True
    reason: str | None = None
    result: str | None = None
    status: ToolStatus = "success"
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One request for a run. Approvals are dealt with before the messages."""

    messages: tuple[NewMessage, ...] = ()
    approvals: tuple[ApprovalReply, ...] = ()
    approval_otid: str | None = None
    limits: Limits = field(default_factory=Limits)
    client_tools: tuple[ToolSchema, ...] = ()
    client_skills: tuple[JsonObject, ...] = ()
    override_model: str | None = None
    override_system: str | None = None
    background: bool = False
    stream_tokens: bool = False
    """Whether anyone wants to see messages while they are written (`Delta` events)."""
    callback_url: str | None = None
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
