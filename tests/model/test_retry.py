"""Asking again: how often, how long after, and when not."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loci.clock import FakeClock
from loci.errors import ModelFault
from loci.model.base import Failed, Model, TextDelta
from loci.model.retry import RetryModel
from loci.model.scripted import ScriptedModel, failure
from loci.testing.fake_provider import Scripted
from loci.types.messages import Text
from tests.model import test_scripted
from tests.model.contract import ModelContract, answer, ask
from tests.model.contract import failure as failure_of

BUSY = failure(ModelFault.OVERLOADED)


def retrying(steps: Sequence[Any], *, luck: float = 0.5) -> tuple[RetryModel, ScriptedModel, FakeClock]:
    clock, inner = FakeClock(), ScriptedModel.of(steps)
    return RetryModel(inner, clock=clock, random=lambda: luck), inner, clock


class TestContract(ModelContract):
    @asynccontextmanager
    async def playing(self, *script: Scripted) -> AsyncGenerator[Model]:
        yield RetryModel(test_scripted.playing(*script), clock=FakeClock())


async def test_it_asks_again_and_later_each_time():
    model, inner, clock = retrying([[BUSY], [BUSY], [BUSY], "Yes."])

    assert (await answer(model)).parts == (Text("Yes."),)
    assert clock.slept_s == [0.5, 1.0, 2.0]
    assert len(inner.requests) == 4


async def test_after_three_retries_it_gives_up():
    model, inner, _ = retrying([[BUSY]] * 9)

    assert await ask(model) == [BUSY]
    assert len(inner.requests) == 4


@pytest.mark.parametrize(("luck", "slept"), [(0.0, 0.25), (1.0, 0.75)])
async def test_the_wait_has_jitter(luck: float, slept: float):
    model, _, clock = retrying([[BUSY], "Yes."], luck=luck)
    await answer(model)

    assert clock.slept_s == [slept]


async def test_retry_after_is_honoured():
    model, _, clock = retrying([[failure(ModelFault.RATE_LIMIT, retry_after_s=7.0)], "Yes."])
    await answer(model)

    assert clock.slept_s[0] >= 7.0
    assert clock.slept_s[0] < 8.0


async def test_who_asks_for_too_long_a_wait_is_passed_on():
    limited = failure(ModelFault.RATE_LIMIT, retry_after_s=600.0)
    model, _, clock = retrying([[limited], "Yes."])

    assert await ask(model) == [limited]
    assert clock.slept_s == []


@pytest.mark.parametrize(
    "fault",
    [
        ModelFault.AUTHENTICATION,
        ModelFault.CREDITS,
        ModelFault.CONTEXT_TOO_LONG,
        ModelFault.BAD_REQUEST,
        ModelFault.REFUSED,
    ],
)
async def test_what_would_fail_again_is_not_asked_again(fault: ModelFault):
    model, inner, _ = retrying([[failure(fault)], "Yes."])

    assert (await failure_of(model)).fault is fault
    assert len(inner.requests) == 1


async def test_once_words_were_passed_on_there_is_no_second_try():
    model, inner, _ = retrying([[TextDelta(0, "Once"), BUSY], "Yes."])

    assert await ask(model) == [TextDelta(0, "Once"), BUSY]
    assert len(inner.requests) == 1


async def test_who_was_silent_for_minutes_is_not_asked_again_but_a_gateway_is():
    silent = failure(ModelFault.TIMEOUT)
    gateway = Failed(fault=ModelFault.TIMEOUT, message="m", detail="d", http_status=504, retryable=True)
    first, _, _ = retrying([[silent], "Yes."])
    second, _, _ = retrying([[gateway], "Yes."])

    assert await ask(first) == [silent]
    assert (await answer(second)).parts == (Text("Yes."),)


async def test_the_model_behind_it_is_closed_with_it():
    closed: list[bool] = []

    class Holding(ScriptedModel):
        async def aclose(self) -> None:
            closed.append(True)

    await RetryModel(Holding(), clock=FakeClock()).aclose()
    await RetryModel(ScriptedModel(), clock=FakeClock()).aclose()

    assert closed == [True]
