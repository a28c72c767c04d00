"""Answers are printed block by block: what is printed can never change again."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loci.cli import screen
from loci.cli.markdown import Block, split_complete


def test_a_block_is_complete_at_an_empty_line():
    assert split_complete("one\n\ntwo") == ("one\n\n", "two")
    assert split_complete("one\ntwo\n") == ("", "one\ntwo\n")


def test_an_empty_line_in_a_fence_ends_nothing():
    text = "```py\na = 1\n\nb = 2\n"

    assert split_complete(text) == ("", text)
    assert split_complete(text + "```\n\nafter") == (text + "```\n\n", "after")


def test_a_fence_of_the_other_kind_does_not_close_it():
    assert split_complete("~~~\n```\n\n```\nx") == ("", "~~~\n```\n\n```\nx")


@given(st.lists(st.sampled_from(["word", " ", "\n", "\n\n", "```\n", "~~~", "# "]), max_size=30))
def test_pieces_make_the_same_blocks_as_the_whole(pieces: list[str]):
    printed = rest = ""
    for piece in pieces:
        done, rest = split_complete(rest + piece)
        printed += done

    assert printed + rest == "".join(pieces)
    assert split_complete(rest) == ("", rest)


def drawn(content: object, width: int = 40) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(content)
    return file.getvalue()


def test_only_the_tail_of_a_long_block_is_drawn():
    assert drawn(Block("a  \nb  \nc  \nd", 2)).split() == ["c", "d"]


def test_a_line_stays_a_line_and_is_not_filled_up_with_spaces():
    assert drawn(Block("\none\ntwo\n\n- three\n")) == "one\ntwo\n\n • three\n"


def test_a_link_shows_where_it_leads():
    assert "https://evil.example" in drawn(Block("[bank](https://evil.example)"), 80)


def test_what_would_command_the_terminal_is_taken_out():
    text = "a\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x9b2J\x07\b\r\tb\nc"

    assert screen.safe(text) == "aredlink2J\tb\nc"


@given(st.text())
def test_no_control_character_is_left_but_tab_and_newline(text: str):
    safe = screen.safe(text)

    assert not [c for c in safe if (ord(c) < 32 or 127 <= ord(c) < 160) and c not in "\t\n"]
    assert "".join(c for c in text if c.isalnum()) == "".join(c for c in safe if c.isalnum()) or "\x1b" in text
