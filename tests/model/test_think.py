"""Thoughts in tags, told apart while they stream."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.model.think import ThinkTags


def split(*pieces: str) -> tuple[str, str]:
    tags = ThinkTags()
    found = [pair for piece in pieces for pair in tags.split(piece)] + tags.close()
    thoughts = "".join(text for is_thought, text in found if is_thought)
    return thoughts, "".join(text for is_thought, text in found if not is_thought)


@pytest.mark.parametrize(
    ("text", "thoughts", "rest"),
    [
        ("<think>Hm.</think>Hey", "Hm.", "Hey"),
        ("\n<think>\nHm.\n</think>\n\nHey", "Hm.", "Hey"),
        ("<think></think>Hey", "", "Hey"),
        ("<think>Hm", "Hm", ""),
        ("Hey <think>no</think>", "", "Hey <think>no</think>"),
        ("<thin", "", "<thin"),
        ("<b>Hey</b>", "", "<b>Hey</b>"),
        ("", "", ""),
        ("<think>a < b </thin x</think>Hey", "a < b </thin x", "Hey"),
    ],
)
def test_where_thoughts_end(text: str, thoughts: str, rest: str):
    assert split(text) == (thoughts, rest)


@given(st.text("<>/think ab\n", max_size=30), st.lists(st.integers(0, 60), max_size=6))
def test_it_does_not_matter_where_the_stream_cuts(text: str, cuts: list[int]):
    text = "<think>" + text + "</think>\n\nHey"
    edges = [0, *sorted(cuts), len(text)]

    assert split(*(text[start:end] for start, end in pairwise(edges))) == split(text)
