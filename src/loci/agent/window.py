"""What an agent has before it: its settings, blocks and tools (a `Bundle`), and the messages in its window.

Both are kept in memory between turns, because they are what a turn would otherwise read anew each time, and both are
checked against a version in the database at the start of every turn, so that a change made by another process or
by hand is never missed.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from loci.types.agents import Agent
from loci.types.memory import Block
from loci.types.messages import Message
from loci.types.tools import Tool, ToolSchema

K = TypeVar("K")
V = TypeVar("V")

BUNDLES_MAX = 2_000
WINDOWS_MAX = 500
WINDOW_MESSAGES_MAX = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An agent with what hangs on it, as it stood at `stamp` (its memory version and time of change)."""

    agent: Agent
    blocks: tuple[Block, ...]
    tools: tuple[Tool, ...]
    schemas: tuple[ToolSchema, ...]
    """What the model is shown for `tools`, in the same order, with the arguments that its agent type adds."""
    stamp: tuple[int, str]


@dataclass(slots=True, kw_only=True)
class Window:
    """The messages that the model is shown, oldest first, after the system prompt. Grows only at its end, and only
    by the run that owns the conversation."""

    system: Message
    messages: list[Message] = field(default_factory=lambda: list[Message]())
    version: int = 0


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

    def drop(self, key: K) -> None:
        """Forget a value."""
        self._entries.pop(key, None)


@dataclass(frozen=True, slots=True)
class Caches:
    """Everything kept between turns. Losing it costs time only."""

    bundles: Cache[str, Bundle] = field(default_factory=lambda: Cache[str, Bundle](BUNDLES_MAX))
    windows: Cache[str, Window] = field(default_factory=lambda: Cache[str, Window](WINDOWS_MAX))
