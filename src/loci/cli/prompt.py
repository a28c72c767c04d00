"""The line where a person writes: with history, several lines, completion of commands, and a status below."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse #888888", "prompt": "bold"})
_MARK = "> "
_MENU_LINES = 6


class Prompt:
    """Asks for the next message."""

    def __init__(
        self,
        history: Path,
        *,
        commands: Mapping[str, str],
        status: Callable[[], str],
        show_thinking: Callable[[], None],
    ) -> None:
        history.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(history, os.O_WRONLY | os.O_CREAT, 0o600))  # what people say to an agent is theirs alone
        self._session: PromptSession[str] = PromptSession(
            [("class:prompt", _MARK)],
            multiline=True,
            prompt_continuation="  ",
            history=FileHistory(str(history)),
            completer=_CommandCompleter(commands),
            complete_while_typing=True,
            key_bindings=_keys(show_thinking),
            bottom_toolbar=status,
            style=_STYLE,
            enable_open_in_editor=True,
            reserve_space_for_menu=_MENU_LINES,
        )

    def ask(self) -> str:
        """What was written. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C."""
        return self._session.prompt().strip()


def _keys(show_thinking: Callable[[], None]) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("c-t")
    def _(_event: KeyPressEvent) -> None:
        run_in_terminal(show_thinking)

    return keys


class _CommandCompleter(Completer):
    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """The commands that begin like this."""
        text = document.text_before_cursor
        if text.startswith("/") and " " not in text and "\n" not in text:
            for name, summary in self._commands.items():
                if name.startswith(text):
                    yield Completion(name, start_position=-len(text), display_meta=summary)
