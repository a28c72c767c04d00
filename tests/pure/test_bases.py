"""A request told by an earlier one is the same request, and little of it is new."""

from hypothesis import given
from hypothesis import strategies as st

from loci.agent.bases import HELD_MAX_BYTES, HELD_MAX_S, NEW_MIN_BYTES, Base, Bases, Delta, delta


def retold(told: Delta) -> bytes:
    body = told.base.body
    return body[: told.head_bytes] + told.new + body[len(body) - told.tail_bytes :]


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_any_text_told_by_any_other_comes_back(base, body):
    assert retold(delta(Base("b", base.encode(), 0.0), body.encode())) == body.encode()


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_what_was_put_between_is_all_that_is_new(head, new, tail):
    told = delta(Base("b", head + tail, 0.0), head + new + tail)
    assert retold(told) == head + new + tail
    assert len(told.new) <= len(new)


def test_a_conversation_that_grows_is_told_by_few_bases():
    bases, made, written = Bases(), 0, 0
    messages = b""
    for number in range(2_000):
        messages += b'{"role":"user","content":"%d"},' % number
        body = b'{"messages":[' + messages + b'],"tools":[' + b"x" * 2_000 + b"]}"
        told = bases.told("conv", body, 0.0)
        assert retold(told) == body
        made += told.is_base
        written += len(told.new) + (len(body) if told.is_base else 0)
    assert made < 25
    assert written < 10_000 * NEW_MIN_BYTES // 8


def test_another_conversation_a_long_time_and_a_failure_begin_anew():
    bases = Bases()
    assert bases.told("one", b"body", 0.0).is_base
    assert not bases.told("one", b"body", HELD_MAX_S).is_base
    assert bases.told("one", b"body", HELD_MAX_S + 1).is_base
    assert bases.told("two", b"body", 0.0).is_base
    bases.forget()
    assert bases.told("two", b"body", 0.0).is_base


def test_what_is_held_is_bounded():
    bases, half = Bases(), b"x" * (HELD_MAX_BYTES // 2)
    for name in ("one", "two", "three"):
        assert bases.told(name, half, 0.0).is_base
    assert not bases.told("three", half, 0.0).is_base
    assert bases.told("one", half, 0.0).is_base
    assert bases.told("huge", half * 3, 0.0).is_base
    assert bases.told("huge", half * 3, 0.0).is_base
