"""Edits and merges of a block's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.errors import BlockReadOnly, BlockTooLong, BlockUnknown, MemoryRefused, TextAmbiguous, TextNotFound
from loci.memory import edits
from loci.memory.merge import merge
from loci.memory.ranking import fuse
from loci.store.search import Candidate
from loci.types.memory import Block


def block(value: str, *, limit: int = 1_000, read_only: bool = False) -> Block:
    return Block(id="block-1", label="human", value=value, limit_chars=limit, read_only=read_only)


def test_appending_adds_a_line() -> None:
    assert edits.append(block("a"), "b").value == "a\nb"
    assert edits.append(block(""), "b").value == "b"


def test_replacing_all_takes_every_occurrence() -> None:
    assert edits.replace_all(block("tea and tea"), "tea", "mate").value == "mate and mate"
    assert edits.replace_all(block("tea and tea"), "tea", "").value == " and "


def test_replacing_one_wants_exactly_one() -> None:
    assert edits.replace_one(block("likes tea"), "tea", "mate").value == "likes mate"
    with pytest.raises(TextNotFound, match="did not appear verbatim"):
        edits.replace_one(block("likes tea"), "coffee", "mate")
    with pytest.raises(TextAmbiguous, match="Multiple occurrences of 'tea' in lines 1, 2"):
        edits.replace_one(block("tea\ntea"), "tea", "mate")


@pytest.mark.parametrize(
    ("line", "expected"), [(0, "new\na\nb"), (1, "a\nnew\nb"), (2, "a\nb\nnew"), (-1, "a\nb\nnew")]
)
def test_lines_go_in_after_the_line_that_is_named(line: int, expected: str) -> None:
    assert edits.insert_line(block("a\nb"), "new", line).value == expected


@pytest.mark.parametrize("line", [3, -2, 100])
def test_a_line_that_is_not_there_is_refused_with_those_that_are(line: int) -> None:
    with pytest.raises(MemoryRefused, match="must be from 0 to 2"):
        edits.insert_line(block("a\nb"), "new", line)


@pytest.mark.parametrize("text", ["Line 3: hello", "1→ hello", "ok\nLine 2: hello", "# NOTE: Line numbers are shown"])
def test_line_numbers_never_go_into_memory(text: str) -> None:
    for edit in (lambda: edits.insert_line(block("a"), text, -1), lambda: edits.rewrite(block("a"), text)):
        with pytest.raises(MemoryRefused, match="line numbers"):
            edit()


def test_a_refused_edit_says_how_long_it_would_be() -> None:
    with pytest.raises(BlockTooLong, match="may have 5 characters; this edit would make it 7") as refused:
        edits.append(block("abc", limit=5), "def")
    assert "archival memory" in str(refused.value)


def test_a_read_only_block_tells_the_agent_why() -> None:
    with pytest.raises(BlockReadOnly, match="read-only") as refused:
        edits.append(block("policy", read_only=True), "x")
    assert "operator" in str(refused.value)


def test_an_unknown_block_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BlockUnknown, match=r"no block at all.* Make one with the tool `memory`"):
        edits.named([], "mood")
    with pytest.raises(BlockUnknown, match=r"Block field mood does not exist \(available sections = human\)"):
        edits.named([block("a")], "mood")


def test_a_patch_finds_its_lines_by_their_content() -> None:
    assert edits.apply_patch("a\nb\nc", " a\n-b\n+B\n c") == "a\nB\nc"
    assert edits.apply_patch("a\nb\nc", "@@\n-a\n@@\n-c\n+d") == "b\nd"
    assert edits.apply_patch("", "+first") == "first"
    with pytest.raises(TextNotFound, match="did not appear"):
        edits.apply_patch("a", "-x\n+y")
    with pytest.raises(TextAmbiguous, match="2 times"):
        edits.apply_patch("a\na", "-a\n+b")
    with pytest.raises(MemoryRefused, match="no lines that begin"):
        edits.apply_patch("a", "nothing here")


LINES = st.lists(st.text(alphabet="abcd ", max_size=6), max_size=8).map("\n".join)


@given(LINES, LINES, LINES)
def test_a_merge_is_symmetric_in_whether_it_can_be_done_and_keeps_one_sided_changes(
    base: str, left: str, right: str
) -> None:
    assert merge(base, left, base) == left
    assert merge(base, base, right) == right
    assert merge(base, left, left) == left
    assert (merge(base, left, right) is None) == (merge(base, right, left) is None)


@given(st.integers(0, 9), st.integers(0, 9))
def test_changes_of_different_lines_both_hold(first: int, second: int) -> None:
    base = [f"line {number}" for number in range(10)]
    left, right = list(base), list(base)
    left[first], right[second] = "LEFT", "RIGHT"
    merged = merge("\n".join(base), "\n".join(left), "\n".join(right))

    if first == second:
        assert merged is None
    elif abs(first - second) > 1:
        assert merged is not None
        assert merged.split("\n")[first] == "LEFT"
        assert merged.split("\n")[second] == "RIGHT"


SCORES = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


@given(st.lists(st.tuples(SCORES, st.none() | st.floats(-1, 1)), max_size=20))
def test_fused_scores_are_between_none_and_one_in_falling_order(pairs: list[tuple[float, float | None]]) -> None:
    ranked = fuse([Candidate(seq=number, words=words, likeness=near) for number, (words, near) in enumerate(pairs)])

    assert sorted(item.seq for item in ranked) == list(range(len(pairs)))
    scores = [item.score for item in ranked]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@given(st.lists(SCORES, min_size=2, max_size=20))
def test_without_vectors_words_decide_alone(words: list[float]) -> None:
    ranked = fuse([Candidate(seq=number, words=value) for number, value in enumerate(words)])

    assert [words[item.seq] for item in ranked] == sorted(words, reverse=True)


@given(st.lists(st.tuples(SCORES, st.floats(-1, 1)), min_size=1, max_size=20))
def test_what_is_best_in_both_is_best(pairs: list[tuple[float, float]]) -> None:
    best = (max(words for words, _ in pairs) + 1, max(near for _, near in pairs) + 0.5)
    ranked = fuse([Candidate(seq=n, words=words, likeness=near) for n, (words, near) in enumerate([*pairs, best])])

    assert ranked[0].seq == len(pairs)
