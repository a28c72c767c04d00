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
    """The lines that are wanted, as far as they fit into the limit; at least one. A long text costs no more for it."""
    total = text.count("\n") + 1
    first = min(max(1, wished.first), total)
    rest = text if first == 1 else text.split("\n", first - 1)[-1]
    count = total if wished.count is None else max(1, wished.count)
    kept: list[str] = []
    room, at = limit_chars, 0
    for number in range(first, min(total, first + count - 1) + 1):
        end = rest.find("\n", at)
        line = rest[at:] if end < 0 else rest[at:end]
        shown = f"{number}: {_cut(line, min(LINE_MAX_CHARS, max(0, limit_chars)))}"
        if kept and len(shown) + 1 > room:
            break
        room, at = room - len(shown) - 1, end + 1
        kept.append(shown)
    last = first + len(kept) - 1
    part = "file start" if first == 1 and wished.count is None else f"lines {first} to {last}"
    tail = [f"[{total - last} more lines: read on with offset={last + 1}]"] if last < total else []
    shown = "\n".join([f"[Viewing {part} (out of {total} lines)]", *kept, *tail])
    return View(shown=shown, first=first, last=last, total=total)


def _cut(line: str, limit_chars: int) -> str:
    return line if len(line) <= limit_chars else f"{line[:limit_chars]}… [{len(line) - limit_chars} more characters]"
