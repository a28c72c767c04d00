"""What a client asks of an agent: new messages, answers to open questions, and the bounds of the work."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loci.types.json import EMPTY, JsonObject
from loci.types.messages import Kind, Part, Role, ToolStatus, Trust
from loci.types.runs import Run
from loci.types.tools import ToolSchema

DEPTH = "agent_depth"
"""Key in a run's metadata: how many agents asked each other to get to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to be said to the agent. `otid` is the client's own id; the same one twice is stored once."""

    parts: tuple[Part, ...]
    role: Role = Role.USER
    otid: str | None = None
    name: str | None = None
    sender_id: str | None = None
    trust: Trust = Trust.USER
    kind: Kind = Kind.PLAIN


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
    steps_max: int | None = None
    """At most so many steps; the server's own bound holds too."""
    client_tools: tuple[ToolSchema, ...] = ()
    client_skills: tuple[JsonObject, ...] = ()
    override_model: str | None = None
    override_system: str | None = None
    background: bool = False
    stream_tokens: bool = False
    """Whether anyone wants to see messages while they are written (`Delta` events)."""
    callback_url: str | None = None
    metadata: JsonObject = field(default_factory=lambda: EMPTY)


def request_json(request: RunRequest) -> JsonObject:
    """What must be known to take the run up again after a crash; the messages are stored on their own."""
    return {
        "steps_max": request.steps_max,
        "client_tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.client_tools
        ],
        "client_skills": list(request.client_skills),
        "override_model": request.override_model,
        "override_system": request.override_system,
        "stream_tokens": request.stream_tokens,
    }


def request_of(run: Run) -> RunRequest:
    """The request that a stored run goes back to, without its messages."""
    stored = run.request
    steps_max, model, system = stored.get("steps_max"), stored.get("override_model"), stored.get("override_system")
    tools, skills = stored.get("client_tools"), stored.get("client_skills")
    return RunRequest(
        steps_max=steps_max if isinstance(steps_max, int) else None,
        client_tools=tuple(_tool(item) for item in tools if isinstance(item, Mapping))
        if isinstance(tools, list)
        else (),
        client_skills=tuple(item for item in skills if isinstance(item, Mapping)) if isinstance(skills, list) else (),
        override_model=model if isinstance(model, str) else None,
        override_system=system if isinstance(system, str) else None,
        background=run.background,
        stream_tokens=stored.get("stream_tokens") is True,
        callback_url=run.callback_url,
        metadata=run.metadata,
    )


def depth_of(run: Run) -> int:
    """How many agents asked each other before this run; 0 for a run that a client asked for."""
    depth = run.metadata.get(DEPTH)
    return max(0, depth) if isinstance(depth, int) else 0


def _tool(item: JsonObject) -> ToolSchema:
    parameters = item.get("parameters")
    return ToolSchema(
        name=str(item.get("name") or ""),
        description=str(item.get("description") or ""),
        parameters=parameters if isinstance(parameters, Mapping) else {"type": "object", "properties": {}},
    )
