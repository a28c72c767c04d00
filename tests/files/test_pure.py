"""Chunks and views: nothing is lost, nothing is too long."""

from hypothesis import given, settings
from hypothesis import strategies as st

from loci.errors import Unprocessable
from loci.files.chunking import chunks_of
from loci.files.kinds import clean_name, with_number
from loci.files.viewing import Stretch, view
from loci.store.terms import words_of

TEXTS = st.text(st.sampled_from("ab é\n\t."), max_size=400) | st.text(max_size=200)


@settings(max_examples=50)
@given(TEXTS, st.integers(8, 60))
def test_chunks_hold_every_word_in_order_and_are_never_too_long(text: str, size: int):
    found = chunks_of(text, size)
    assert all(0 < len(chunk) <= size and chunk.strip() for _, chunk in found)
    assert "".join("".join(chunk.split()) for _, chunk in found) == "".join(text.split())
    starts = [line for line, _ in found]
    assert starts == sorted(starts)
    lines = text.split("\n")
    assert all(chunk.split("\n")[0].rstrip() in lines[line - 1] for line, chunk in found)


def test_chunks_end_where_paragraphs_end():
    text = "First.\n\n" + "Second, longer.\n" * 3 + "\nThird."
    assert chunks_of(text, 60) == [(1, "First.\n\nSecond, longer.\nSecond, longer.\nSecond, longer."), (7, "Third.")]
    assert {word for _, chunk in chunks_of("word " * 100, 48) for word in words_of(chunk)} == {"word"}


@settings(max_examples=50)
@given(TEXTS, st.integers(0, 300), st.integers(-3, 40), st.none() | st.integers(-3, 40))
def test_a_view_holds_whole_numbered_lines_within_its_limit(text: str, limit: int, first: int, count: int | None):
    seen = view(text, limit, Stretch(first=first, count=count))
    lines = text.split("\n")
    body = seen.shown.split("\n")[1:]
    assert 1 <= seen.first <= seen.last <= seen.total == len(lines)
    shown = body[: seen.last - seen.first + 1]
    assert [line.partition(": ")[0] for line in shown] == [str(n) for n in range(seen.first, seen.last + 1)]
    if len(shown) > 1:
        assert sum(len(line) + 1 for line in shown) <= limit
    assert (len(body) > len(shown)) == (seen.last < len(lines))
    if count is not None:
        assert len(shown) <= max(1, count)


@given(st.text(max_size=400))
def test_a_clean_name_stays_as_it_is(name: str):
    try:
        clean = clean_name(name)
    except Unprocessable:
        return
    assert clean_name(clean) == clean
    assert 0 < len(clean) <= 200
    assert not set(clean) & set('/\\<>"\n\x00')
    assert len({clean, with_number(clean, 1), with_number(clean, 2)}) == 3
