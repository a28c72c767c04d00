"""What an agent is shown of a file: a stretch of numbered lines, bounded in characters. Pure."""

from dataclasses import dataclass

LINE_MAX_CHARS = 5_000
"""A longer line is cut where it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A stretch of a file as text for the prompt, and which of its lines that is."""

    shown: str
    first: int
    last: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which lines are wanted: from `first` on, counted from 1; `count` None means as many as fit."""

    first: int = 1
    count: int | None = None


WHOLE = Stretch()


def view(text: str, limit_chars: int, wished: Stretch = WHOLE) -> View:
    """The lines that are wanted, as far as they fit into the limit; at least one."""
    lines = text.split("\n")
    count = wished.count
    first = min(max(1, wished.first), len(lines))
    wanted = lines[first - 1 :] if count is None else lines[first - 1 : first - 1 + max(1, count)]
    kept: list[str] = []
    room = limit_chars
    for number, line in enumerate(wanted, first):
        shown = f"{number}: {_cut(line, min(LINE_MAX_CHARS, max(0, limit_chars)))}"
        if kept and len(shown) + 1 > room:
            break
        room -= len(shown) + 1
        kept.append(shown)
    last = first + len(kept) - 1
    if first == 1 and count is None:
        head = f"[Viewing file start (out of {len(lines)} lines)]"
    else:
        head = f"[Viewing lines {first} to {last} (out of {len(lines)} lines)]"
    tail = [f"[{len(lines) - last} more lines: read on with offset={last + 1}]"] if last < len(lines) else []
    return View(shown="\n".join([head, *kept, *tail]), first=first, last=last, total=len(lines))


def _cut(line: str, limit_chars: int) -> str:
    return line if len(line) <= limit_chars else f"{line[:limit_chars]}… [{len(line) - limit_chars} more characters]"
