"""One answer of an agent, as it comes in: the events of the public client, sorted into what a reader cares about.

Ctrl-C while an answer comes asks for its run to be cancelled, and the rest of the stream is still read, so that what is
on the screen is what is stored. A second Ctrl-C stops waiting.
"""

import queue
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from types import FrameType
from typing import Protocol, TypeAlias

import letta_client
from letta_client.types.agents import (
    ApprovalRequestMessage,
    AssistantMessage,
    LettaStreamingResponse,
    ReasoningMessage,
    ToolCallMessage,
)
from letta_client.types.agents.letta_streaming_response import (
    LettaErrorMessage,
    LettaPing,
    LettaStopReason,
    LettaUsageStatistics,
)
from letta_client.types.tool_return_message import ToolReturnMessage

GOOD_ENDINGS = frozenset({"end_turn", "tool_rule", "requires_approval"})


@dataclass(slots=True)
class Call:
    """A tool call as far as it is known; `arguments` is JSON that may still be growing."""

    id: str
    name: str = ""
    arguments: str = ""


class Painter(Protocol):
    """Shows an answer while it comes."""

    def think(self, text: str) -> None:
        """More thinking."""
        ...

    def say(self, text: str, *, fresh: bool) -> None:
        """More words; `fresh` begins another message."""
        ...

    def call(self, call: Call) -> None:
        """A call begins or grows."""
        ...

    def result(self, call: Call, text: str, *, ok: bool) -> None:
        """A tool was run."""
        ...


@dataclass(slots=True)
class Turn:
    """What is known of an answer. `asked` are the calls that wait for a yes."""

    painter: Painter
    run_id: str | None = None
    messages: list[LettaStreamingResponse] = field(default_factory=list[LettaStreamingResponse])
    """What was told, without signs of life, ending and bill."""
    thoughts: list[str] = field(default_factory=list[str])
    calls: dict[str, Call] = field(default_factory=dict[str, Call])
    asked: dict[str, Call] = field(default_factory=dict[str, Call])
    stop_reason: str | None = None
    usage: LettaUsageStatistics | None = None
    error: letta_client.APIError | LettaErrorMessage | None = None
    _speaking: str | None = None
    _last_call: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it came to the end that was meant."""
        return self.error is None and self.stop_reason in GOOD_ENDINGS

    def feed(self, event: LettaStreamingResponse) -> None:
        """Take in the next event."""
        if not isinstance(event, LettaPing | LettaStopReason | LettaUsageStatistics | LettaErrorMessage):
            self.messages.append(event)
        match event:
            case ReasoningMessage():
                self.thoughts.append(event.reasoning)
                self.painter.think(event.reasoning)
            case AssistantMessage():
                self._say(event)
            case ToolCallMessage():
                self._call(event)
            case ApprovalRequestMessage():
                for call in self._call(event):
                    self.asked[call.id] = call
            case ToolReturnMessage():
                self._result(event)
            case LettaStopReason():
                self.stop_reason = event.stop_reason
            case LettaUsageStatistics():
                self.usage = event
            case LettaErrorMessage():
                self.error = event
            case LettaPing():
                self.run_id = event.run_id or self.run_id
            case _:
                pass

    def _say(self, event: AssistantMessage) -> None:
        content = event.content
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        speaking = event.otid or event.id
        self.painter.say(text, fresh=speaking != self._speaking)
        self._speaking = speaking

    def _call(self, event: ToolCallMessage | ApprovalRequestMessage) -> list[Call]:
        given = event.tool_calls if isinstance(event.tool_calls, list) else [event.tool_call]
        grown: list[Call] = []
        for piece in given:
            self._last_call = piece.tool_call_id or self._last_call
            call = self.calls.setdefault(self._last_call, Call(self._last_call))
            call.name += piece.name or ""
            call.arguments += piece.arguments or ""
            self.painter.call(call)
            grown.append(call)
        return grown

    def _result(self, event: ToolReturnMessage) -> None:
        for result in event.tool_returns or [event]:
            call = self.calls.get(result.tool_call_id) or Call(result.tool_call_id, event.name or "a tool")
            text = result.tool_return if isinstance(result.tool_return, str) else ""
            self.painter.result(call, text, ok=result.status == "success")


class _Note(Enum):
    INTERRUPT = "ctrl-c"
    END = "end"


News: TypeAlias = LettaStreamingResponse | letta_client.APIError | _Note
Ask: TypeAlias = Callable[[], Iterable[LettaStreamingResponse]]


def follow(ask: Ask, turn: Turn, cancel: Callable[[str], None]) -> None:
    """Ask, and feed the answer to the turn as it comes. `cancel` is called with the id of the run, once that is known.

    What goes wrong on the way ends the turn and stands in its `error`.
    """
    news = queue.SimpleQueue[News]()
    threading.Thread(target=_read, args=(ask, news.put), daemon=True, name="loci-answer").start()
    interrupts, cancelled = 0, False
    with _on_interrupt(lambda: news.put(_Note.INTERRUPT)):
        while (event := news.get()) is not _Note.END:
            if event is _Note.INTERRUPT:
                interrupts += 1
            elif isinstance(event, letta_client.APIError):
                turn.error = event
            else:
                turn.feed(event)
            if interrupts > 1:
                break
            if interrupts and turn.run_id and not cancelled:
                cancelled = True
                cancel(turn.run_id)


def _read(ask: Ask, put: Callable[[News], None]) -> None:
    try:
        for event in ask():
            put(event)
    except letta_client.APIError as error:
        put(error)
    finally:
        put(_Note.END)


@contextmanager
def _on_interrupt(action: Callable[[], None]) -> Generator[None]:
    """Let Ctrl-C call this instead of tearing the code apart wherever it is."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        action()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
