"""Estimates of prompt size, learned from what providers bill."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.model.kept import Kept
from loci.model.tokens import (
    IMAGE_BYTES,
    START,
    Ratio,
    estimate,
    learn,
    message_bytes,
    messages_bytes,
    request_bytes,
    text_bytes,
    with_cost,
)
from loci.types.messages import Image, Role, Text, ToolCall
from loci.types.usage import Usage
from tests.model.contract import INFO, assistant, message, request, user


def test_the_first_guess_is_four_bytes_a_token():
    assert [estimate(size) for size in (0, 1, 4, 5, 4_000)] == [0, 1, 1, 2, 1_000]


def test_the_first_bill_replaces_the_guess_and_later_ones_move_it():
    once = learn(START, size_bytes=3_000, prompt_tokens=1_000)
    twice = learn(once, size_bytes=5_000, prompt_tokens=1_000)

    assert once == Ratio(3.0, 1)
    assert twice == Ratio(4.0, 2)


@given(st.floats(1.5, 7.5), st.floats(1.0, 8.0))
def test_it_converges_on_what_is_billed(truth: float, start: float):
    ratio = Ratio(start, 100)
    for _ in range(40):
        ratio = learn(ratio, size_bytes=round(truth * 100_000), prompt_tokens=100_000)

    assert ratio.bytes_per_token == pytest.approx(truth, rel=0.01)


@given(st.lists(st.tuples(st.integers(-5, 10**9), st.integers(-5, 10**9)), max_size=20))
def test_no_bill_leads_it_astray(bills: list[tuple[int, int]]):
    ratio = START
    for size, tokens in bills:
        ratio = learn(ratio, size_bytes=size, prompt_tokens=tokens)

    assert 1.0 <= ratio.bytes_per_token <= 8.0


@given(st.text())
def test_the_size_is_that_of_utf_8(text: str):
    assert text_bytes(text) == len(text.encode("utf-8", "surrogatepass"))


def test_a_picture_has_a_fixed_size_and_a_longer_message_is_larger():
    picture = message(Role.USER, Image("image/png", "A" * 5_000_000))

    assert message_bytes(picture) < IMAGE_BYTES + 100
    assert message_bytes(user("longer text")) > message_bytes(user("text"))
    assert message_bytes(assistant(ToolCall("c", "look", "{}"))) > message_bytes(user("look{}"))


def test_a_request_is_the_sum_of_its_parts():
    bare = request_bytes(request(user("Rain?"), system="", tools=()))

    assert bare == message_bytes(user("Rain?"))
    assert request_bytes(request(user("Rain?"), system="12345", tools=())) == bare + 5
    assert request_bytes(request(user("Rain?"), system="")) > bare + len("look")


def test_an_edited_message_is_measured_anew():
    first = user("Rain?")
    before = messages_bytes([first])

    assert messages_bytes([replace(first, parts=(Text("Rain, rain, rain?"),))]) == before + len(", rain, rain")


def test_the_price_of_an_answer():
    priced = replace(INFO, price_input_usd=2.0, price_output_usd=10.0)
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=100_000)

    assert with_cost(priced, usage).cost_usd == pytest.approx(3.0)
    assert with_cost(INFO, usage).cost_usd == 0.0
    assert with_cost(priced, replace(usage, cost_usd=0.5)).cost_usd == 0.5


def test_what_is_asked_for_is_kept_and_the_rest_forgotten():
    kept: Kept[int] = Kept(100)
    kept.put("mine", 1)
    for number in range(1_000):
        kept.put(f"other {number}", number)
        assert kept.get("mine") == 1
        assert len(kept) <= 101

    assert kept.get("other 0") is None


def test_what_alone_would_fill_it_is_not_kept():
    kept: Kept[str] = Kept(100)
    kept.put("large", "x", weight=51)

    assert kept.get("large") is None


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 70)), max_size=60))
def test_the_bound_holds_whatever_is_kept_and_asked_for(steps: list[tuple[str, int]]):
    kept: Kept[str] = Kept(100)
    for key, weight in steps:
        before = kept.get(key)
        kept.put(key, f"{key} {weight}", weight)

        assert before is None or before.startswith(key)
        assert kept.weight <= 100


def test_what_becomes_young_again_keeps_its_weight():
    kept: Kept[str] = Kept(100)
    for key in "abcde" * 20:
        if kept.get(key) is None:
            kept.put(key, key, 20)

    assert kept.weight <= 100
