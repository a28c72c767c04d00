"""Time as a seam: the server reads it through a `Clock`, tests move a fake one."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@lru_cache(maxsize=256)
def zone_named(name: str) -> tzinfo:
    """A timezone by its IANA name; UTC if it is none that we know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The wall clock, with zone UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds for measuring spans; never goes back."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait that many seconds."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The wall clock, with zone UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds for measuring spans; never goes back."""
        return time.perf_counter()

    async def sleep(self, delay_s: float) -> None:
        """Wait that many seconds."""
        await asyncio.sleep(delay_s)


class FakeClock:
    """A clock that only moves when told; `sleep` moves it."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        """The set time."""
        return self._now

    def monotonic_s(self) -> float:
        """The set time as seconds."""
        return self._now.timestamp()

    def advance(self, delay_s: float) -> None:
        """Move time forward."""
        self._now += timedelta(seconds=delay_s)

    async def sleep(self, delay_s: float) -> None:
        """Move time forward instead of waiting, and let others run."""
        self.slept_s.append(delay_s)
        self.advance(delay_s)
        await asyncio.sleep(0)
