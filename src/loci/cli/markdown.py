"""Answers as Markdown while they come: blocks that are complete are printed for good, the last one is still moving."""

import re

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Heading, Markdown
from rich.segment import Segment
from rich.text import Text

_FENCE = re.compile(r" {0,3}(```|~~~)")


def split_complete(text: str) -> tuple[str, str]:
    """The blocks that nothing can change any more, and the rest: cut at the last empty line outside of a code fence."""
    cut = position = 0
    fence: str | None = None
    for line in text.splitlines(keepends=True):
        position += len(line)
        if match := _FENCE.match(line):
            fence = None if fence == match[1] else fence or match[1]
        elif fence is None and not line.strip() and line.endswith("\n"):
            cut = position
    return text[:cut], text[cut:]


class _Heading(Heading):
    """A heading as bold text at the left: an answer is no poster."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render."""
        yield Text.assemble(self.text, style="bold")


class Answer(Markdown):
    """Markdown, as an agent writes it. The address of a link is shown: nobody has to click to see where it leads."""

    elements = {**Markdown.elements, "heading_open": _Heading}  # noqa: RUF012  as declared by rich

    def __init__(self, text: str) -> None:
        super().__init__(text, code_theme="ansi_dark", hyperlinks=False)
        for token in self.parsed:
            for part in token.children or ():
                if part.type == "softbreak":  # in a talk, a new line is meant
                    part.type = "hardbreak"


class Block:
    """A block without empty lines around it; of a long one only the last lines, if the screen has an end to respect."""

    def __init__(self, text: str, lines_max: int | None = None) -> None:
        self._content = Answer(text)
        self._lines_max = lines_max

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render."""
        lines = console.render_lines(self._content, options, pad=False)
        full = [number for number, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
        trimmed = lines[full[0] : full[-1] + 1] if full else []
        for line in trimmed[-self._lines_max :] if self._lines_max else trimmed:
            yield from _without_padding(line)
            yield Segment.line()


def _without_padding(line: list[Segment]) -> list[Segment]:
    """The line without the spaces that only fill it up: who copies an answer wants none of them."""
    while line and not line[-1].text.strip() and not (line[-1].style and line[-1].style.bgcolor):
        line = line[:-1]
    if not line or (line[-1].style and line[-1].style.bgcolor):
        return line
    return [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)]
