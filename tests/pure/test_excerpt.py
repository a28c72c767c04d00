"""Long texts are shown where the words of the query stand."""

from hypothesis import given
from hypothesis import strategies as st

from loci.memory.excerpt import excerpt

FILLER = "lorem ipsum dolor sit amet " * 200


def test_a_short_text_is_shown_whole():
    assert excerpt("short", "anything", 100) == "short"


def test_the_part_with_most_words_is_shown():
    text = f"{FILLER} the heron {FILLER} a heron near the pond {FILLER}"
    shown = excerpt(text, "the heron of the pond", 200)

    assert "a heron near the pond" in shown
    assert shown.startswith("…")
    assert shown.endswith(f"of {len(text)}]")


def test_without_a_match_the_beginning_is_shown():
    assert excerpt(FILLER, "zebra", 30).startswith("lorem ipsum dolor")
    assert excerpt(FILLER, "", 30).startswith("lorem ipsum dolor")


@given(st.text(max_size=300), st.text(max_size=20), st.integers(1, 100))
def test_what_is_shown_is_a_part_of_the_text_and_bounded(text: str, query: str, limit_chars: int):
    shown = excerpt(text, query, limit_chars)
    if len(text) <= limit_chars:
        assert shown == text
    else:
        part = shown.rpartition(" [characters ")[0].removeprefix("…").removesuffix("…")
        assert len(shown) <= limit_chars + 60
        assert part in text or part == "" or text.endswith("…") or text.startswith("…")
