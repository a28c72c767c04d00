"""Ask again when a provider stumbles: at most three times, later each time, and never once words were passed on.

A provider that says when to come back (Retry-After) is believed, up to a minute; if it wants longer, the failure is
passed on with that number, because a person should not be kept waiting in silence. Waiting goes through the clock.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from random import SystemRandom
from typing import Protocol, cast, runtime_checkable

from loci.clock import Clock
from loci.errors import ModelFault
from loci.model.base import Failed, Model, ModelEvent, ModelInfo, ModelRequest, Showing

RETRIES_MAX = 3
FIRST_DELAY_S = 0.5
DELAY_S_MAX = 60.0

_RANDOM = SystemRandom()


@runtime_checkable
class Closing(Protocol):
    """A model that holds connections of its own."""

    async def aclose(self) -> None:
        """Close them."""
        ...


class RetryModel:
    """A model that asks another one, and asks again. `random` gives numbers from 0 to 1."""

    def __init__(self, inner: Model, *, clock: Clock, random: Callable[[], float] = _RANDOM.random) -> None:
        self._inner = inner
        self._clock = clock
        self._random = random

    @property
    def info(self) -> ModelInfo:
        """What is known about the model behind it."""
        return self._inner.info

    async def body(self, request: ModelRequest) -> bytes:
        """What the model behind it would send; an empty object when it cannot show that."""
        return await self._inner.body(request) if isinstance(self._inner, Showing) else b"{}"

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Ask; on a failure that may pass, and before the first piece, wait and ask again."""
        for attempt in range(RETRIES_MAX + 1):
            delay_s: float | None = None
            passed_on = False
            # A model's stream is a generator, which has to be closed for the connection to be.
            events = cast("AsyncGenerator[ModelEvent]", self._inner.stream(request))
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Failed) and not passed_on:
                        delay_s = self._delay_s(event, attempt)
                        if delay_s is not None:
                            break
                    passed_on = True
                    yield event
            if delay_s is None:
                return
            await self._clock.sleep(delay_s)

    async def aclose(self) -> None:
        """Close what the model behind it holds."""
        if isinstance(self._inner, Closing):
            await self._inner.aclose()

    def _delay_s(self, event: Failed, attempt: int) -> float | None:
        """How long to wait before the next try; None when there should be none."""
        silent = event.fault is ModelFault.TIMEOUT and event.http_status is None
        if not event.retryable or attempt == RETRIES_MAX or silent:  # who was silent for minutes is not asked again
            return None
        backoff_s = FIRST_DELAY_S * 2**attempt * (0.5 + self._random())
        if event.retry_after_s is None:
            return backoff_s
        # A little later than asked for, so that all who were told the same do not come at once.
        return event.retry_after_s + backoff_s / 4 if event.retry_after_s <= DELAY_S_MAX else None
