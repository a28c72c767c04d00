"""What every command writes with: data to `out`, talk to `talk`; both can be read without colours or terminal."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loci.errors import LociError

out = Console(highlight=False)
talk = Console(stderr=True, highlight=False)
for _console in (out, talk):
    _console.soft_wrap = not _console.is_terminal  # who reads a pipe wants lines as they are

SCRIPTED = "scripted/default"
"""The model that is none: what agents get when there is no other."""

_PREVIEW_CHARS = 80
_COMMANDS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def complain(error: LociError) -> None:
    """Say what went wrong and what can be done about it."""
    talk.print(Text.assemble(("Error: ", "bold red"), error.message))
    if error.advice:
        talk.print(Text(error.advice, "dim"))


def note(text: str) -> None:
    """Say something by the way."""
    talk.print(Text(text, "dim"))


def indented(console: Console, text: str, *, indent: int, style: str = "") -> None:
    """Write below what it belongs to; on a terminal, wrapped where it stands."""
    if console.is_terminal:
        console.print(Padding(Text(text, style), (0, 0, 0, indent)))
    else:
        for line in text.splitlines():
            console.print(Text(" " * indent + line))


def item(console: Console, head: Text, text: str, *, indent: int) -> None:
    """Write a text beside its head; on a terminal, wrapped where it begins."""
    head.pad_right(max(0, indent - head.cell_len))
    if console.is_terminal:
        grid = Table.grid()
        grid.add_column(width=indent)
        grid.add_row(head, Text(text))
        console.print(grid)
    else:
        console.print(head + Text(text))


def emit(value: object) -> None:
    """Write data as JSON, for programs."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Write rows under titles. Without a terminal nothing is cut off."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(safe(cell)) for cell in row))
    out.print(table) if out.is_terminal else _show_plain(titles, rows)


def _show_plain(titles: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    lines = [[str(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def safe(text: str) -> str:
    """The text without anything that would command the terminal: memories and answers may come from anywhere."""
    return _COMMANDS.sub("", text)


def preview(text: str, limit_chars: int = _PREVIEW_CHARS) -> str:
    """The text as one line of at most that length."""
    line = safe(" ".join(text.split()))
    return line if len(line) <= limit_chars else line[: limit_chars - 1].rstrip() + "…"


def short_path(path: Path | str) -> str:
    """A path as people write it."""
    text, home = str(path), str(Path.home())
    return "~" + text[len(home) :] if text == home or text.startswith(home + "/") else text


def bar(used: int, limit: int, *, cells: int = 10) -> str:
    """How full something is, as a bar."""
    filled = min(cells, round(cells * used / limit)) if limit else cells
    return "█" * filled + "░" * (cells - filled)


def amount(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
