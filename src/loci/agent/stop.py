"""Ending a run from outside, in whatever phase it is: waiting for a model, running a tool, or between steps.

Only waiting that has no effect on our own data runs under `guard`, so a stop never tears a transaction.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from loci.errors import LociError
from loci.types.runs import Ending, StopReason

T = TypeVar("T")


class Stopped(LociError):
    """The run was ended from outside."""

    status = 409

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


CANCELLED = Ending(reason=StopReason.CANCELLED, message="The run was cancelled.", status_code=409)


class Stop:
    """A request to end, and the work that it interrupts."""

    def __init__(self) -> None:
        self.ending: Ending | None = None
        self._working: asyncio.Task[Any] | None = None  # the value is not looked at here

    def set(self, ending: Ending = CANCELLED) -> None:
        """Ask the run to end this way. The first request stands."""
        if self.ending is None:
            self.ending = ending
            if self._working is not None:
                self._working.cancel()

    async def guard(self, work: Coroutine[Any, Any, T], *, seconds_left: float) -> T:
        """Do the work unless asked to stop. Raises Stopped when asked, or when the time is up."""
        if self.ending is not None:
            work.close()
            raise Stopped(self.ending)
        self._working = asyncio.ensure_future(work)
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds_left), self.set, OUT_OF_TIME)
        try:
            return await self._working
        except asyncio.CancelledError:
            if self.ending is None:
                raise
            raise Stopped(self.ending) from None
        finally:
            timer.cancel()
            self._working = None


OUT_OF_TIME = Ending(
    reason=StopReason.ERROR,
    error_type="run_timeout",
    message="The run took longer than it may and was ended.",
    detail="Raise limits.seconds in config.toml if such runs are expected.",
    status_code=504,
)
