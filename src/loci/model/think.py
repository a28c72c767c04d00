"""Thoughts that a server leaves in the text as `<think>…</think>`, as many local ones do, told apart while they stream.

Only an answer that begins with the tag is taken for one. PURE: text goes in, (is thought, text) pairs come out.
"""

from typing import Literal

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """The splitter of one answer. `settled` once nothing can follow but text; then it need not be asked any more."""

    __slots__ = ("_at_start", "_held", "_state")

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "inside", "text"] = "start"
        self._at_start = False
        """Line breaks are dropped here: those between a tag and what it parts."""

    @property
    def settled(self) -> bool:
        """Whether all that follows is text."""
        return self._state == "text" and not self._at_start

    def split(self, text: str) -> list[tuple[bool, str]]:
        """What is known of the text so far; a piece that may be half a tag is held back."""
        held = self._held + text
        self._held = ""
        found: list[tuple[bool, str]] = []
        if self._state == "start":
            begin = held.lstrip()
            if begin.startswith(OPEN):
                self._state, self._at_start, held = "inside", True, begin[len(OPEN) :]
            elif OPEN.startswith(begin):
                self._held = held
                return found
            else:
                self._state = "text"
        if self._state == "inside":
            held = self._inside(held, found)
        if self._state == "text":
            self._add(found, held, is_thought=False)
        return found

    def close(self) -> list[tuple[bool, str]]:
        """What was held back when the answer ended."""
        found: list[tuple[bool, str]] = []
        self._add(found, self._held, is_thought=self._state == "inside")
        self._held = ""
        return found

    def _inside(self, held: str, found: list[tuple[bool, str]]) -> str:
        """Take the thoughts from the front; gives the text behind the closing tag."""
        thought, tag, rest = held.partition(CLOSE)
        if tag:
            self._add(found, thought.rstrip("\n"), is_thought=True)
            self._state, self._at_start = "text", True
            return rest
        half = next((size for size in range(len(CLOSE) - 1, 0, -1) if held.endswith(CLOSE[:size])), 0)
        shown = held[: len(held) - half].rstrip("\n")
        self._held = held[len(shown) :]
        self._add(found, shown, is_thought=True)
        return ""

    def _add(self, found: list[tuple[bool, str]], text: str, *, is_thought: bool) -> None:
        if self._at_start:
            text = text.lstrip("\n")
        if text:
            self._at_start = False
            found.append((is_thought, text))
