"""Agent types as data. What one type does differently from another stands in a row here and in its prompt only.

Types of the MemGPT family speak through `send_message`, think in an argument of each call and ask for the next step
with a heartbeat (arXiv 2310.08560, section 2.4); `letta_v1_agent` goes on after a tool call and yields without one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loci.errors import BadRequest
from loci.types.agents import AgentType
from loci.types.json import JsonObject, JsonValue
from loci.types.tools import ContinueLoop, ExitLoop, ToolRule, ToolSchema

THINKING = "thinking"
HEARTBEAT = "request_heartbeat"
SEND_MESSAGE = "send_message"

_THINKING_SCHEMA: JsonObject = {
    "type": "string",
    "description": "Your private thought before this call, in at most 50 words. Nobody but you sees it.",
}
_HEARTBEAT_SCHEMA: JsonObject = {
    "type": "boolean",
    "description": "True to get control back right after this call and go on; false to end your turn with it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentKind:
    """What sets an agent type apart. `boot`: a new window begins with a short exchange that shows how to talk."""

    agent_type: AgentType
    base_tools: tuple[str, ...]
    tool_rules: tuple[ToolRule, ...] = ()
    heartbeats: bool = False
    inner_thoughts: bool = False
    tool_choice: Literal["auto", "required"] = "auto"
    boot: bool = False
    prompt: str = "letta_v1"


def _rules(exit_tool: str | None, tools: tuple[str, ...]) -> tuple[ToolRule, ...]:
    leaves: tuple[ToolRule, ...] = (ExitLoop(tool_name=exit_tool),) if exit_tool else ()
    return leaves + tuple(ContinueLoop(tool_name=name) for name in tools if name != exit_tool)


def _heartbeat_kind(
    agent_type: AgentType, prompt: str, tools: tuple[str, ...], exit_tool: str | None, *, boot: bool
) -> AgentKind:
    return AgentKind(
        agent_type=agent_type,
        base_tools=tools,
        tool_rules=_rules(exit_tool, tools),
        heartbeats=True,
        inner_thoughts=True,
        tool_choice="required" if tools else "auto",
        boot=boot,
        prompt=prompt,
    )


_MEMGPT = (
    SEND_MESSAGE,
    "conversation_search",
    "core_memory_append",
    "core_memory_replace",
    "memory",
    "memory_apply_patch",
)
_MEMGPT_V2 = (SEND_MESSAGE, "conversation_search", "memory_insert", "memory_replace")
_SLEEPTIME = ("memory_insert", "memory_replace", "memory_rethink", "memory_finish_edits")
_VOICE_SLEEPTIME = ("store_memories", "rethink_user_memory", "finish_rethinking_memory")

_KINDS: dict[AgentType, AgentKind] = {
    kind.agent_type: kind
    for kind in (
        AgentKind(
            agent_type=AgentType.LETTA_V1,
            base_tools=("conversation_search", "memory_insert", "memory_replace"),
        ),
        _heartbeat_kind(AgentType.MEMGPT, "memgpt", _MEMGPT, SEND_MESSAGE, boot=True),
        _heartbeat_kind(AgentType.MEMGPT_V2, "memgpt_v2", _MEMGPT_V2, SEND_MESSAGE, boot=True),
        _heartbeat_kind(AgentType.SLEEPTIME, "sleeptime", _SLEEPTIME, "memory_finish_edits", boot=False),
        _heartbeat_kind(
            AgentType.VOICE_SLEEPTIME, "voice_sleeptime", _VOICE_SLEEPTIME, "finish_rethinking_memory", boot=False
        ),
        _heartbeat_kind(AgentType.REACT, "react", (), None, boot=True),
        _heartbeat_kind(AgentType.WORKFLOW, "workflow", (), None, boot=True),
        AgentKind(agent_type=AgentType.VOICE_CONVO, base_tools=("conversation_search",), prompt="voice_convo"),
    )
}


def kind_of(agent_type: AgentType) -> AgentKind:
    """The row of an agent type. Raises BadRequest for a type that exists in name only."""
    kind = _KINDS.get(agent_type)
    if kind is None:
        raise BadRequest(f"Agents of type {agent_type.value} cannot be made.", hint="Use letta_v1_agent.")
    return kind


def with_heartbeat_arguments(schema: ToolSchema) -> ToolSchema:
    """The schema as agents with heartbeats see it: a thought first, and the wish to go on last."""
    properties = schema.parameters.get("properties")
    required = schema.parameters.get("required")
    own: JsonObject = properties if isinstance(properties, Mapping) else {}
    needed = [str(name) for name in required] if isinstance(required, list) else []
    extra: dict[str, JsonValue] = {} if schema.name == SEND_MESSAGE else {HEARTBEAT: _HEARTBEAT_SCHEMA}
    return ToolSchema(
        name=schema.name,
        description=schema.description,
        parameters={
            **schema.parameters,
            "properties": {THINKING: _THINKING_SCHEMA, **own, **extra},
            "required": list(dict.fromkeys([THINKING, *needed, *extra])),
        },
    )


def split_arguments(arguments: JsonObject) -> tuple[str | None, bool, dict[str, JsonValue]]:
    """The thought, the wish to go on, and what is left for the tool itself."""
    rest = dict(arguments)
    thought, wish = rest.pop(THINKING, None), rest.pop(HEARTBEAT, False)
    asked = wish is True or (isinstance(wish, str) and wish.strip().lower() == "true")
    return (thought if isinstance(thought, str) and thought else None), asked, rest
