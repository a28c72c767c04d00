"""Thoughts that a server leaves in the text as `<think>…</think>`, as many local ones do, told apart while they stream.

Only an answer that begins with the tag is taken for one. PURE: text goes in, (is thought, text) pairs come out.
"""

from typing import Literal

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """The splitter of one answer. `settled` once nothing can follow but text; then it need not be asked any more."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "inside", "text"] = "start"

    @property
    def settled(self) -> bool:
        """Whether all that follows is text."""
        return self._state == "text"

    def split(self, text: str) -> list[tuple[bool, str]]:
        """What is known of the text so far; a piece that may be half a tag is held back."""
        held = self._held + text
        self._held = ""
        if self._state == "start":
            begin = held.lstrip()
            if begin.startswith(OPEN):
                self._state, held = "inside", begin[len(OPEN) :].lstrip("\n")
            elif OPEN.startswith(begin):
                self._held = held
                return []
            else:
                self._state = "text"
        if self._state == "inside":
            return self._inside(held)
        return [(False, held)] if held else []

    def _inside(self, held: str) -> list[tuple[bool, str]]:
        thought, tag, rest = held.partition(CLOSE)
        if tag:
            self._state = "text"
            found = [(True, thought.rstrip("\n")), (False, rest.lstrip("\n"))]
        else:
            keep = next((size for size in range(len(CLOSE) - 1, 0, -1) if held.endswith(CLOSE[:size])), 0)
            self._held = held[len(held) - keep :]
            found = [(True, held[: len(held) - keep])]
        return [piece for piece in found if piece[1]]

    def close(self) -> list[tuple[bool, str]]:
        """What was held back when the answer ended."""
        held, self._held = self._held, ""
        return [(self._state == "inside", held)] if held else []
