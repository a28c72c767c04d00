"""The context: what an agent has before it, exactly what the model is shown of it, and what each part costs. Pure.

Order is stable, slow, volatile: system prompt with memory, then messages, which only ever grow at the end; so provider
prompt caches hit from turn to turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loci.agent.compile import rules_section
from loci.agent.kinds import AgentKind
from loci.agent.request import RunRequest
from loci.model.base import ModelRequest
from loci.model.tokens import Ratio, estimate, message_bytes, text_bytes
from loci.tools import rules
from loci.types.agents import Agent
from loci.types.memory import Block
from loci.types.messages import Message, Role, ToolCall
from loci.types.tools import PastCall, Tool, ToolRule, ToolSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An agent with what hangs on it, as it stood at `stamp` (its memory version and time of change)."""

    agent: Agent
    blocks: tuple[Block, ...]
    tools: dict[str, Tool]
    """By name, in the order of attachment."""
    schemas: dict[str, ToolSchema]
    """What the model is shown for each tool, with the arguments that the agent's type adds."""
    schemas_bytes: int
    stamp: tuple[int, str]
    kind: AgentKind


@dataclass(slots=True, kw_only=True)
class Window:
    """The messages that the model is shown, oldest first, after the system prompt. Grows only at its end, and only
    by the run that owns the conversation.
    """

    system: Message
    messages: list[Message] = field(default_factory=list[Message])
    messages_bytes: int = 0
    version: int = 0

    def add(self, messages: Sequence[Message]) -> None:
        """Messages that were just stored. Results go directly behind their calls, also if words came in between."""
        for message in messages:
            if message.role is Role.TOOL:
                self.messages.insert(self._behind_calls(), message)
            else:
                self.messages.append(message)
            self.messages_bytes += message_bytes(message)

    def _behind_calls(self) -> int:
        for number in range(len(self.messages) - 1, -1, -1):
            if self.messages[number].tool_calls:
                return number + 1
        return len(self.messages)

    def open_calls(self) -> tuple[Message, tuple[ToolCall, ...]] | None:
        """The newest message of the agent and its calls, if these have no results yet."""
        for message in reversed(self.messages):
            if message.role is Role.ASSISTANT:
                return (message, message.tool_calls) if message.tool_calls else None
            if message.role is Role.TOOL:
                return None
        return None

    def past_calls(self) -> list[PastCall]:
        """The tool calls since the newest word of the user: what the tool rules look at."""
        found: list[PastCall] = []
        for message in reversed(self.messages):
            if message.is_task:
                break
            found.extend(
                PastCall(name=result.name, output=result.text, ok=result.status == "success")
                for result in reversed(message.tool_results)
            )
        return found[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Estimated tokens of each part of the context."""

    system: int
    tools: int
    messages: int

    @property
    def total(self) -> int:
        """All parts together."""
        return self.system + self.tools + self.messages


def build(bundle: Bundle, window: Window, asked: RunRequest, *, stable_count: int = 0) -> ModelRequest:
    """The request for the next step, with the tools that the rules allow now; they may say that one must be called."""
    agent, kind = bundle.agent, bundle.kind
    schemas = {**bundle.schemas, **{schema.name: schema for schema in asked.client_tools}}
    tools, choice, system = tuple(schemas.values()), kind.tool_choice, window.system.text
    if agent.tool_rules:
        may = rules.allowed(agent.tool_rules, schemas, window.past_calls())
        tools = tuple(schema for name, schema in schemas.items() if name in may.names)
        choice = may.forced or choice
        system = _with_rules(system, agent.tool_rules, bundle.schemas, schemas) if asked.client_tools else system
    return ModelRequest(
        system=system if asked.override_system is None else asked.override_system,
        messages=window.messages,
        tools=tools,
        tool_choice=choice if tools else "none",
        settings=agent.model_settings,
        response_format=agent.response_format,
        stable_count=stable_count,
    )


def _with_rules(system: str, given: Sequence[ToolRule], known: Iterable[str], offered: Iterable[str]) -> str:
    """The compiled prompt, which tells the rules on the tools known, with those on all that are offered now."""
    old, new = rules.rules_text(given, known), rules.rules_text(given, offered)
    if old == new:
        return system
    before, told, behind = system.partition(rules_section(old))
    return before + rules_section(new) + behind if told else f"{system}\n\n{rules_section(new).strip()}"


def size_bytes(window: Window, bundle: Bundle) -> int:
    """How long the whole context is, in bytes of text."""
    return text_bytes(window.system.text) + bundle.schemas_bytes + window.messages_bytes


def bill(window: Window, bundle: Bundle, ratio: Ratio) -> Bill:
    """What the context costs, by part, estimated."""
    return Bill(
        system=estimate(text_bytes(window.system.text), ratio),
        tools=estimate(bundle.schemas_bytes, ratio),
        messages=estimate(window.messages_bytes, ratio),
    )
