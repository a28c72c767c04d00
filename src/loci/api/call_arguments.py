"""Reads the JSON arguments of a tool call while they are still being written.

Agents that think out loud pass their thoughts as an argument of the call, and say things by calling a tool. Whoever
watches wants those words as they come, and the call without them. `CallArguments` takes the text in any pieces, tells
the words of the arguments asked for, and gives back the JSON that is left: pieces that together are again one object.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto

_PLAIN = re.compile(r'[^"\\]+')
"""Inside a string: as far as nothing special comes."""
_UNICODE_LENGTH = 6
_BLANK = " \t\r\n"


class _At(Enum):
    START = auto()
    KEY_OR_END = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    WORDS = auto()
    RAW = auto()
    AFTER = auto()
    BROKEN = auto()


@dataclass(slots=True)
class Piece:
    """What one piece of text brought: new words by argument, and more of the JSON that is left."""

    words: dict[str, str] = field(default_factory=dict[str, str])
    rest: str = ""


class CallArguments:
    """Feed it pieces of one JSON object. Members in `told` are told as words when they are strings; members in
    `hidden` are left out of what remains. Text that is no object comes back untouched.
    """

    def __init__(self, *, told: Collection[str], hidden: Collection[str]) -> None:
        self._told = frozenset(told)
        self._hidden = frozenset(hidden)
        self._at = _At.START
        self._held = ""  # the key being read, or an escape that is not complete yet
        self._key = ""
        self._raw_key = ""
        self._members = 0
        self._depth = 0
        self._in_string = False
        self._out = Piece()

    def feed(self, text: str) -> Piece:
        """Take the next piece of the arguments."""
        self._out = Piece()
        position = 0
        while position < len(text):
            position = self._step(text, position)
        return self._out

    def _step(self, text: str, position: int) -> int:
        match self._at:
            case _At.WORDS:
                return self._read_words(text, position)
            case _At.RAW:
                return self._read_raw(text, position)
            case _At.KEY:
                return self._read_key(text, position)
            case _At.BROKEN | _At.AFTER:
                self._out.rest += text[position:]
                return len(text)
            case _:
                return position + self._read_between(text[position])

    def _read_between(self, char: str) -> int:
        """A character outside of keys and values; 1 when it is used up, 0 when it begins a value."""
        if self._at is _At.START:
            # The brace waits for the first member that is shown, so that thoughts stand before the call they led to.
            if char == "{":
                self._at = _At.KEY_OR_END
            else:
                self._out.rest += char
                self._at = _At.START if char in _BLANK else _At.BROKEN
        elif char in _BLANK or (char == "," and self._at is _At.KEY_OR_END):
            return 1
        elif self._at is _At.COLON:
            self._at = _At.VALUE
        elif self._at is _At.VALUE:
            return self._begin_value(char)
        elif char == '"':
            self._at, self._held = _At.KEY, ""
        else:
            self._at = _At.AFTER
            self._out.rest += char if self._members else "{" + char
        return 1

    def _begin_value(self, char: str) -> int:
        is_string = char == '"'
        hidden = self._key in self._hidden
        if not hidden:
            self._out.rest += f'{"," if self._members else "{"}"{self._raw_key}":'
            self._members += 1
        if is_string and self._key in self._told:
            self._at, self._held = _At.WORDS, ""
            if not hidden:
                self._out.rest += char
            return 1
        self._at, self._depth, self._in_string = _At.RAW, 0, False
        return 0

    def _read_key(self, text: str, position: int) -> int:
        end = _end_of_string(text, position, self._held)
        self._held += text[position:end]
        if end < len(text):
            self._raw_key = self._held
            self._key = _decode(self._held)
            self._held = ""
            self._at = _At.COLON
            return end + 1
        return end

    def _read_words(self, text: str, position: int) -> int:
        end = _end_of_string(text, position, self._held)
        piece = text[position:end]
        if self._key not in self._hidden:
            self._out.rest += piece
        closed = end < len(text)
        words, self._held = (self._held + piece, "") if closed else _complete(self._held + piece)
        if words:
            self._out.words[self._key] = self._out.words.get(self._key, "") + _decode(words)
        if not closed:
            return end
        if self._key not in self._hidden:
            self._out.rest += '"'
        self._at = _At.KEY_OR_END
        return end + 1

    def _read_raw(self, text: str, position: int) -> int:
        """A value that nobody reads: only its end matters."""
        end = position
        while end < len(text):
            if self._in_string:
                end = _end_of_string(text, end, self._held)
                if end == len(text):
                    break
                self._in_string, self._held = False, ""
            elif (char := text[end]) == '"':
                self._in_string, self._held = True, ""
                self._take_raw(text[position : end + 1])
                position = end + 1
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
            if self._depth < 0 or (self._depth == 0 and not self._in_string and text[end] == ","):
                self._take_raw(text[position:end])
                self._at = _At.KEY_OR_END
                return end
            end += 1
        if self._in_string:
            # Only whether the string stands before an escaped character matters when the next piece comes.
            self._held = _tail(self._held + text[position:end])
        self._take_raw(text[position:end])
        return end

    def _take_raw(self, text: str) -> None:
        if self._key not in self._hidden:
            self._out.rest += text


def split_arguments(arguments: str, *, told: Collection[str], hidden: Collection[str]) -> Piece:
    """The same for arguments that are complete."""
    return CallArguments(told=told, hidden=hidden).feed(arguments)


def _end_of_string(text: str, position: int, before: str) -> int:
    """Where the closing quote stands, or the end of the text. `before` is what was read of the string so far."""
    escaped = _is_escaping(before)
    while position < len(text):
        if escaped:
            escaped = False
            position += 1
            continue
        plain = _PLAIN.match(text, position)
        if plain:
            position = plain.end()
        elif text[position] == '"':
            return position
        else:
            escaped = True
            position += 1
    return position


def _is_escaping(text: str) -> bool:
    """Whether the text ends in a backslash that waits for its character."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _tail(text: str) -> str:
    return "\\" if _is_escaping(text) else ""


def _complete(raw: str) -> tuple[str, str]:
    """The part of a string's inside that can be decoded now, and the unfinished escape at its end."""
    last = raw.rfind("\\")
    if last < 0:
        return raw, ""
    if _is_escaping(raw):
        cut = len(raw) - 1
    elif _is_escaping(raw[: last + 1]) and raw[last + 1] == "u" and len(raw) - last < _UNICODE_LENGTH:
        cut = last
    else:
        cut = len(raw)
    # The first half of a surrogate pair waits for the second.
    start = cut - _UNICODE_LENGTH
    if start >= 0 and _is_high_surrogate(raw[start:cut]) and _is_escaping(raw[: start + 1]):
        cut = start
    return raw[:cut], raw[cut:]


def _is_high_surrogate(text: str) -> bool:
    return text[:2] == "\\u" and text[2:4].lower() in {"d8", "d9", "da", "db"}


def _decode(raw: str) -> str:
    """The inside of a JSON string as text. What is not valid stays as it was; half a character becomes U+FFFD."""
    if "\\" not in raw:
        return raw
    try:
        decoded = str(json.loads(f'"{raw}"', strict=False))
    except json.JSONDecodeError:
        return raw
    return decoded.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
