"""The log: one line an event, for people or for machines, and never a secret."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from loci import log
from loci.errors import BadRequest

KEY = "k3y-of-the-operator"


@pytest.fixture(autouse=True)
def the_log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    for handler in [each for each in root.handlers if each not in before]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def written(file: Path, form: Literal["text", "json"], message: str, *arguments: object, **fields: Any) -> str:
    log.configure(level="info", form=form, secrets=[KEY], file=file)
    logging.getLogger("loci.test").info(message, *arguments, extra=fields)
    return file.read_text("utf-8")


def test_json_is_one_object_a_line_with_the_facts_as_fields(tmp_path: Path):
    line = written(tmp_path / "log", "json", "run %s ended\nat last", "run-1", steps=3, path=Path("/x"))

    document = json.loads(line)
    assert line.count("\n") == 1
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "level": "info",
        "logger": "loci.test",
        "message": "run run-1 ended\nat last",
        "steps": 3,
        "path": "/x",
    }


def test_text_is_a_line_for_people(tmp_path: Path):
    line = written(tmp_path / "log", "text", "run %s ended", "run-1", steps=3, why="it was done")

    assert line[9:] == 'info    loci.test: run run-1 ended steps=3 why="it was done"\n'


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text",
    [
        f"the key is {KEY}!",
        "Authorization: Bearer abcdefghijklmnop",
        "authorization: bearer  abcdefghijklmnop",
        "api_key=abcdefghijklmnop&x=1",
        "api-key: abcdefghijklmnop",
        '{"password": "abcdefghijklmnop"}',
        "refused for sk-proj-abcdefghijklmnop_1234",
        "https://example.com/?token=abcdefghijklmnop",
    ],
)
def test_no_secret_is_written(tmp_path: Path, form: Literal["text", "json"], text: str):
    in_message = written(tmp_path / "message", form, "%s", text)
    in_field = written(tmp_path / "field", form, "refused", said=text)

    for line in (in_message, in_field):
        assert log.HIDDEN in line
        assert KEY not in line
        assert "abcdefghijklmnop" not in line
    if form == "json":
        json.loads(in_message)
        json.loads(in_field)


def test_no_secret_is_written_in_a_traceback(tmp_path: Path):
    log.configure(level="info", form="json", secrets=[KEY], file=tmp_path / "log")
    try:
        int(KEY)
    except ValueError:
        logging.getLogger("loci.test").exception("failed")

    document = json.loads((tmp_path / "log").read_text("utf-8"))
    assert document["trace"].endswith(f"with base 10: '{log.HIDDEN}'")


@pytest.mark.parametrize(
    "text", ["12,345 tokens read", "the token budget is spent", "task-1234567890123456", "a secret garden"]
)
def test_ordinary_words_stay(tmp_path: Path, text: str):
    assert text in written(tmp_path / "log", "text", "%s", text)


def test_a_wrong_level_is_refused_by_name():
    with pytest.raises(BadRequest, match=r"The log level is 'loud', but must be one of debug, info, warning, error\."):
        log.configure(level="loud", form="text")


def test_configured_twice_it_still_writes_once(tmp_path: Path):
    written(tmp_path / "first", "text", "one")
    text = written(tmp_path / "second", "text", "two")

    assert text.count("two") == 1
    assert "two" not in (tmp_path / "first").read_text("utf-8")
