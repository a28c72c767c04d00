"""What an agent has before it: its settings, blocks and tools (a `Bundle`), and the messages in its window.

Both are kept in memory between turns, because they are what a turn would otherwise read anew each time, and both are
checked against a version in the database at the start of every turn, so that a change made by another process or
by hand is never missed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from loci.agent.kinds import AgentKind
from loci.model.tokens import message_bytes
from loci.types.agents import Agent
from loci.types.memory import Block
from loci.types.messages import Kind, Message, Role, ToolCall
from loci.types.tools import PastCall, Tool, ToolSchema

K = TypeVar("K")
V = TypeVar("V")

BUNDLES_MAX = 2_000
WINDOWS_MAX = 500


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
            self.messages.insert(self._place(message), message)
        self.messages_bytes += sum(map(message_bytes, messages))

    def _place(self, message: Message) -> int:
        end = len(self.messages)
        if message.role is Role.TOOL:
            for number in range(end - 1, -1, -1):
                if self.messages[number].tool_calls:
                    return number + 1
        return end

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
            if message.role is Role.USER and message.kind is Kind.PLAIN:
                break
            found.extend(
                PastCall(name=result.name, output=result.text, ok=result.status == "success")
                for result in reversed(message.tool_results)
            )
        return found[::-1]


class Cache(Generic[K, V]):
    """The last used values, bounded in number."""

    def __init__(self, entries_max: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._entries_max = entries_max

    def get(self, key: K) -> V | None:
        """The value, now the last used."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value; the one unused for longest makes room."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Caches:
    """Everything kept between turns. Losing it costs time only. Used by the thread that writes to the store."""

    bundles: Cache[str, Bundle] = field(default_factory=lambda: Cache[str, Bundle](BUNDLES_MAX))
    windows: Cache[str, Window] = field(default_factory=lambda: Cache[str, Window](WINDOWS_MAX))
