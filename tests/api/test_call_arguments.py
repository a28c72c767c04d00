"""The arguments of a call are told word for word and what remains is the same object, wherever the text is cut."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.api.call_arguments import CallArguments, split_arguments

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["thinking", "message", "request_heartbeat"]) | st.text(max_size=6)
ARGUMENTS = st.dictionaries(KEYS, JSON | st.text(), max_size=6)
TOLD = ("thinking", "message")
HIDDEN = ("thinking", "request_heartbeat")


def pieces(text: str, cuts: list[int]) -> list[str]:
    marks = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(marks)]


def read(parts: list[str]) -> tuple[str, dict[str, str]]:
    reader = CallArguments(told=TOLD, hidden=HIDDEN)
    rest, words = "", dict[str, str]()
    for part in parts:
        piece = reader.feed(part)
        rest += piece.rest
        for key, text in piece.words.items():
            words[key] = words.get(key, "") + text
    return rest, words


@given(
    ARGUMENTS, st.lists(st.integers(0, 10_000), max_size=8), st.booleans(), st.sampled_from([None, 1]), st.booleans()
)
def test_words_and_rest_are_what_the_whole_object_says(value, cuts, ascii_only, indent, one_by_one):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    rest, words = read(list(text) if one_by_one else pieces(text, cuts))

    assert json.loads(rest) == {key: item for key, item in value.items() if key not in HIDDEN}
    told = {key: item for key, item in value.items() if key in TOLD and isinstance(item, str) and item}
    assert words == told


@given(st.text(), st.lists(st.integers(0, 10_000), max_size=6))
def test_any_text_is_taken_without_harm(text, cuts):
    rest, _ = read(pieces(text, cuts))
    if not text.lstrip(" \t\r\n").startswith("{"):
        assert rest == text


def test_words_come_as_soon_as_they_are_written():
    reader = CallArguments(told=TOLD, hidden=HIDDEN)
    seen = [
        reader.feed(part)
        for part in ('{"thin', 'king": "I see', " it", '", "label": "hu', 'man", "request_heart', 'beat": tr', "ue}")
    ]
    assert [piece.words.get("thinking") for piece in seen] == [None, "I see", " it", None, None, None, None]
    assert [piece.rest for piece in seen] == ["", "", "", '{"label":"hu', 'man"', "", "}"]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (r"a\ud83d\ude00b", "a\U0001f600b"),
        (r"half \ud83d", "half \ufffd"),
        (r"\ud83d then", "\ufffd then"),
        (r"back\\slash \"quoted\"", 'back\\slash "quoted"'),
        (r"no \x escape", r"no \x escape"),
        ("raw\nline", "raw\nline"),
    ],
)
def test_escapes(inside, expected):
    text = f'{{"message": "{inside}"}}'
    assert split_arguments(text, told=TOLD, hidden=HIDDEN).words == {"message": expected}
    for cut in range(len(text)):
        assert read([text[:cut], text[cut:]])[1] == {"message": expected}
