"""A file's text as chunks that search finds: paragraphs where they fit, else lines, else pieces of a line. Pure."""

from collections.abc import Iterator

CHUNK_CHARS = 1_200


def chunks_of(text: str, size_chars: int = CHUNK_CHARS) -> list[tuple[int, str]]:
    """Chunks in order as (first line, text), none of them empty or longer than the size. All words are in them."""
    found: list[tuple[int, str]] = []
    held: list[str] = []
    start, room = 1, size_chars
    for number, line in _lines(text, size_chars):
        # A new paragraph begins a new chunk, unless the one before is still short.
        begins = line.strip() and held and not held[-1].strip() and room < size_chars // 2
        if held and (len(line) > room or begins):
            _close(found, start, held)
            held, room = [], size_chars
        if not held:
            start = number
        held.append(line)
        room -= len(line) + 1
    _close(found, start, held)
    return found


def _close(found: list[tuple[int, str]], start: int, held: list[str]) -> None:
    first = next((number for number, line in enumerate(held) if line.strip()), None)
    if first is not None:
        found.append((start + first, "\n".join(held[first:]).rstrip()))


def _lines(text: str, size_chars: int) -> Iterator[tuple[int, str]]:
    """Numbered lines, those that are too long in pieces, which end between two words if they can."""
    for number, line in enumerate(text.split("\n"), 1):
        at = 0
        while len(line) - at > size_chars:
            end = line.rfind(" ", at + size_chars // 2, at + size_chars)
            end = at + size_chars if end < 0 else end
            yield number, line[at:end]
            at = end
        yield number, line[at:]
