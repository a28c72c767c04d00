"""A command on a terminal of its own, with somebody who types and reads."""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli import nursery
from tests.cli.command import ALONE
from tests.cli.nursery import Child

TIMEOUT_S = 30

ENTER, CTRL_C, CTRL_D, CTRL_T, UP, ALT_ENTER = "\r", "\x03", "\x04", "\x14", "\x1b[A", "\x1b\r"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_=>78]|\([AB0])")


class Terminal:
    """What is on the way to a program and back."""

    def __init__(self, handle: int, child: Child) -> None:
        self._handle = handle
        self._child = child
        self._read = 0
        self.raw = ""

    @property
    def text(self) -> str:
        """All that was written, without the commands to the terminal."""
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def type(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def say(self, line: str) -> None:
        """Type a message and send it."""
        self.type(line + ENTER)

    def sees(self, words: str) -> None:
        """Wait until this is written, after what was seen before."""
        end_s = time.monotonic() + TIMEOUT_S
        while words not in self.text[self._read :]:
            if time.monotonic() > end_s or not self._more(end_s):
                raise AssertionError(f"{words!r} is not in:\n{self.text[self._read :]}")
        self._read = self.text.index(words, self._read) + len(words)

    def ends(self) -> int:
        """Wait for the end of the program; its exit status."""
        while self._more(time.monotonic() + TIMEOUT_S):
            pass
        return self._child.wait()

    def _more(self, end_s: float) -> bool:
        ready, _, _ = select.select([self._handle], [], [], max(0.0, end_s - time.monotonic()))
        if not ready:
            return False
        try:
            piece = os.read(self._handle, 65_536)
        except OSError:  # the program has closed its side
            return False
        self.raw += piece.decode("utf-8", "replace")
        return bool(piece)


@contextmanager
def terminal(*words: str, columns: int = 200, rows: int = 40, **environment: str) -> Iterator[Terminal]:
    """Run a command on a terminal of that size; it is killed if it has not ended with the block."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    # No answer comes to a question for the cursor's position: nobody draws this terminal.
    surroundings = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **ALONE, **environment}
    del surroundings["COLUMNS"]
    child = nursery.start(words, {**os.environ, **surroundings}, (theirs, theirs, theirs))
    os.close(theirs)
    try:
        yield Terminal(ours, child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.signal(signal.SIGKILL)
        child.close()
        os.close(ours)
