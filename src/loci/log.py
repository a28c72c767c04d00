"""The log: one line an event, as text for people or as JSON for machines, on one stream.

Code says what happened with the standard `logging` and puts facts in `extra`; they come out as fields. Whatever looks
like a key, or is one of the secrets that this process knows, is replaced before it is written, in messages, fields and
tracebacks alike.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import orjson

from loci.errors import BadRequest

LEVELS = ("debug", "info", "warning", "error")
HIDDEN = "[hidden]"

_SECRET_CHARS_MIN = 6
_LOOKS_SECRET = re.compile(
    r"(?i)(?P<before>\bbearer\s+|\bbasic\s+|\b(?:api[-_]?key|password|token|secret)[\\\"']*\s*[=:]\s*[\\\"']*)"
    r"[^\s\\\"',;&}]{6,}"
    r"|\b(?:sk|gsk|xai|pk)-[A-Za-z0-9_-]{12,}|\bAIza[A-Za-z0-9_-]{20,}"
)
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}
_CHATTY = ("uvicorn.error", "uvicorn.access", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio")
"""Loggers of libraries whose everyday news only a debugger wants."""


class Redaction:
    """Takes secrets out of a text: those given, and what has the shape of one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= _SECRET_CHARS_MIN}
        known |= {orjson.dumps(secret).decode()[1:-1] for secret in known}  # as it would stand inside JSON
        longest_first = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _LOOKS_SECRET.sub(lambda match: (match["before"] or "") + HIDDEN, text)


def configure(
    *, level: str, form: Literal["text", "json"], secrets: Iterable[str] = (), file: Path | None = None
) -> None:
    """Send the log of this process to a file, or to the standard error output. Raises BadRequest for the level."""
    if level not in LEVELS:
        raise BadRequest(f"The log level is '{level}', but must be one of {', '.join(LEVELS)}.")
    handler = logging.FileHandler(file, encoding="utf-8", delay=True) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(form, Redaction(secrets)))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each.formatter, _Lines)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)


class _Lines(logging.Formatter):
    def __init__(self, form: Literal["text", "json"], redaction: Redaction) -> None:
        super().__init__()
        self._form = form
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line (and, as text, the lines of its traceback)."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        trace = self.formatException(record.exc_info) if record.exc_info else None
        line = _json_line(record, fields, trace) if self._form == "json" else _text_line(record, fields, trace)
        return self._redaction(line)


def _text_line(record: logging.LogRecord, fields: Mapping[str, object], trace: str | None) -> str:
    at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
    facts = "".join(f" {name}={_plain(value)}" for name, value in fields.items())
    after = "" if trace is None else f"\n{trace}"
    return f"{at} {record.levelname.lower():<7} {record.name}: {record.getMessage()}{facts}{after}"


def _json_line(record: logging.LogRecord, fields: Mapping[str, object], trace: str | None) -> str:
    document: dict[str, object] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        **fields,
    }
    if trace is not None:
        document["trace"] = trace
    return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _plain(value: object) -> str:
    text = str(value)
    return orjson.dumps(text).decode() if not text or re.search(r"[\s=\"]", text) else text
