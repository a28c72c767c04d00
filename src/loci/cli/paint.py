"""How an answer appears: alive on a terminal, plain anywhere else.

On a terminal the words stream as Markdown, thinking is folded to one line, a tool is one line with its result, and what
the agent writes to its memory is told in the moment it is stored. Elsewhere the words alone go to the standard output.
"""

import sys
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from loci.cli import screen
from loci.cli.chips import chip, read_arguments
from loci.cli.markdown import Block, split_complete
from loci.cli.turn import Call
from loci.clock import SystemClock

_ARGUMENTS_CHARS = 60
_RESULT_CHARS = 70
_CHIP_CHARS = 100
_REFRESH_PER_S = 12


class LivePainter:
    """Paints one answer on a terminal. Use it in a `with` block; the moving part is gone when that ends."""

    def __init__(self, console: Console, *, show_thinking: bool) -> None:
        self._console = console
        self._show_thinking = show_thinking
        self._clock = SystemClock()
        self._spinner = Spinner("dots", style="dim")
        self._label = Text("…", "dim")
        self._words = ""
        self._thoughts = ""
        self._thinking_since_s: float | None = None
        self._live = Live(
            console=console, get_renderable=self._moving, transient=True, refresh_per_second=_REFRESH_PER_S
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._settle()
        self._live.stop()

    def think(self, text: str) -> None:
        """More thinking."""
        self._finish_words()
        if self._thinking_since_s is None:
            self._thinking_since_s = self._clock.monotonic_s()
        self._thoughts += screen.safe(text)
        self._label = Text(f"thinking: {screen.preview(self._thoughts[-200:], 200)[-_RESULT_CHARS:]}", "dim italic")

    def say(self, text: str, *, fresh: bool) -> None:
        """More words."""
        self._finish_thinking()
        if fresh:
            self._finish_words()
        done, self._words = split_complete(self._words + screen.safe(text))
        if done.strip():
            self._console.print(Block(done))
            self._console.print()

    def call(self, call: Call) -> None:
        """A call begins or grows."""
        self._settle()
        self._label = Text(f"{call.name} {screen.preview(call.arguments, _ARGUMENTS_CHARS)}", "dim")

    def result(self, call: Call, text: str, *, ok: bool) -> None:
        """A tool was run."""
        self._settle()
        self._console.print(result_line(call, text, ok=ok))
        self._label = Text("…", "dim")

    def _moving(self) -> RenderableType:
        if self._words.strip():
            return Block(self._words, max(3, self._console.height - 2))
        self._spinner.update(text=self._label)
        return self._spinner

    def _settle(self) -> None:
        self._finish_thinking()
        self._finish_words()

    def _finish_words(self) -> None:
        words, self._words = self._words, ""
        if words.strip():
            self._console.print(Block(words))

    def _finish_thinking(self) -> None:
        if self._thinking_since_s is None:
            return
        spent_s = self._clock.monotonic_s() - self._thinking_since_s
        thoughts, self._thoughts, self._thinking_since_s = self._thoughts, "", None
        self._label = Text("…", "dim")
        if self._show_thinking:
            self._console.print(Text(thoughts.strip(), "dim italic"))
        else:
            self._console.print(Text(f"∴ thought for {spent_s:.1f} s  (Ctrl-T shows it)", "dim italic"))


class PlainPainter:
    """Writes the words of an answer to the standard output as they come, and the rest to the standard error output."""

    def __init__(self) -> None:
        self._column = 0

    def think(self, text: str) -> None:
        """Thinking is left out."""

    def say(self, text: str, *, fresh: bool) -> None:
        """More words."""
        if fresh:
            self.end_line()
        sys.stdout.write(text)  # as it is: no terminal reads it
        sys.stdout.flush()
        self._column = 0 if text.endswith("\n") else self._column + len(text)

    def call(self, call: Call) -> None:
        """A call is told when it has its result."""

    def result(self, call: Call, text: str, *, ok: bool) -> None:
        """A tool was run."""
        self.end_line()
        screen.talk.print(result_line(call, text, ok=ok))

    def end_line(self) -> None:
        """End the line that was begun, if one was."""
        if self._column:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._column = 0


class SilentPainter:
    """Shows nothing."""

    def think(self, text: str) -> None:
        """Nothing."""

    def say(self, text: str, *, fresh: bool) -> None:
        """Nothing."""

    def call(self, call: Call) -> None:
        """Nothing."""

    def result(self, call: Call, text: str, *, ok: bool) -> None:
        """Nothing."""


def result_line(call: Call, text: str, *, ok: bool) -> Text:
    """One line for a call and its result: a chip if it changed the memory."""
    saved = chip(call.name, call.arguments) if ok else None
    if saved is not None:
        done, words = saved
        return Text.assemble((f"● {done}", "green"), f": {screen.preview(words, _CHIP_CHARS)}" if words else "")
    mark = ("✓ ", "dim") if ok else ("✗ ", "red")
    line = Text.assemble(mark, (call_line(call), "cyan"))
    result = screen.preview(_message(text), _RESULT_CHARS)
    return line.append(f" → {result}", "dim" if ok else "red") if result else line


def _message(result: str) -> str:
    """What a result says, if it is JSON that says something; else all of it."""
    said = read_arguments(result).get("message")
    return said if isinstance(said, str) else result


def call_line(call: Call) -> str:
    """A call as people write one."""
    shown = ", ".join(
        f"{name}={screen.preview(str(value), _ARGUMENTS_CHARS)}"
        for name, value in read_arguments(call.arguments).items()
    )
    return f"{call.name}({screen.preview(shown, _ARGUMENTS_CHARS)})"
