"""Sessions with MCP servers, kept between calls: one for each server and configuration, closed when nobody uses it.

A server that hangs, crashes or cannot be reached costs whoever asked it, and nobody else: each session has its own lock
and its own limits of time, and what just failed is not tried again by those who waited for it.
"""

import asyncio
import importlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias, cast

from loci.clock import Clock
from loci.errors import McpFailed
from loci.mcp.base import Dial, Entry, Limits, Session, SessionOver
from loci.mcp.configs import digest
from loci.net import Door
from loci.tools.base import ToolOutcome
from loci.types.json import JsonObject
from loci.types.mcp import OfferedTool

FAILURE_KEPT_S = 3.0
_LOOK_S = 30.0

Key: TypeAlias = tuple[str, str, str, Door]
"""An organisation that loses the operator's trust loses the sessions that it had by another door."""
Open: TypeAlias = Callable[[Dial], Session]


class Sessions:
    """All sessions of this process."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._entries: dict[Key, Entry] = {}
        self._reaper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def tools(self, server_id: str, dial: Dial) -> list[OfferedTool]:
        """What the server offers now. Asked for by a person, so a failure just before does not count."""
        self._entry(server_id, dial).failure = None
        async with self._session(server_id, dial) as session:
            return await session.tools()

    async def call(self, server_id: str, dial: Dial, name: str, args: JsonObject) -> ToolOutcome:
        """Run a tool. A session that was over before the call is opened anew, once; a call is never repeated."""
        try:
            async with self._session(server_id, dial) as session:
                return await session.call(name, args)
        except SessionOver:
            async with self._session(server_id, dial) as session:
                return await session.call(name, args)

    async def look(self, dial: Dial) -> list[OfferedTool]:
        """What a server offers that is not kept: for trying it out, and for asking a person's consent."""
        session = (await _loaded())(dial)
        await session.open()
        try:
            return await session.tools()
        finally:
            await session.close()

    async def drop(self, server_id: str) -> None:
        """Hang up on a server: its configuration is another now, or it is gone."""
        for key in [key for key in self._entries if key[1] == server_id]:
            self._hang_up(self._entries.pop(key))

    async def close(self) -> None:
        """Hang up everywhere."""
        if self._reaper is not None:
            self._reaper.cancel()
        for entry in self._entries.values():
            self._hang_up(entry)
        self._entries.clear()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _entry(self, server_id: str, dial: Dial) -> Entry:
        key = (dial.actor.organization_id, server_id, digest(dial.config), dial.door)
        return self._entries.setdefault(key, Entry())

    @asynccontextmanager
    async def _session(self, server_id: str, dial: Dial) -> AsyncGenerator[Session]:
        entry = self._entry(server_id, dial)
        entry.users += 1
        try:
            async with entry.lock:
                session = entry.session
                if session is None or not session.usable:
                    session = await self._opened(entry, dial)
            yield session
        finally:
            entry.users -= 1
            entry.used_s = self._clock.monotonic_s()

    async def _opened(self, entry: Entry, dial: Dial) -> Session:
        """A new session in place of none, or of one that is over. The caller holds the lock."""
        now_s = self._clock.monotonic_s()
        if entry.failure is not None and now_s - entry.failed_s < FAILURE_KEPT_S:
            raise entry.failure
        self._hang_up(entry)
        self._make_room()
        session = (await _loaded())(dial)
        try:
            await session.open()
        except McpFailed as failure:
            entry.failure, entry.failed_s = failure, self._clock.monotonic_s()
            raise
        entry.session, entry.failure = session, None
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.create_task(self._reap(), name="mcp idle sessions")
        return session

    def _make_room(self) -> None:
        held = {key: entry for key, entry in self._entries.items() if entry.session is not None}
        if len(held) < self._limits.sessions_max:
            return
        idle = [key for key, entry in held.items() if entry.users == 0]
        if not idle:
            raise McpFailed(f"{len(held)} sessions with MCP servers are in use.", hint="Try again a little later.")
        self._hang_up(self._entries.pop(min(idle, key=lambda key: held[key].used_s)))

    def _hang_up(self, entry: Entry) -> None:
        """Close the session of an entry in the background; calls that are under way there break off."""
        session, entry.session = entry.session, None
        if session is not None:
            task = asyncio.create_task(session.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _reap(self) -> None:
        """Close what nobody has used for a while, until nothing is left."""
        while self._entries:
            await self._clock.sleep(min(_LOOK_S, self._limits.idle_s))
            now_s = self._clock.monotonic_s()
            for key, entry in list(self._entries.items()):
                if entry.users == 0 and now_s - entry.used_s >= self._limits.idle_s:
                    self._hang_up(self._entries.pop(key))


async def _loaded() -> Open:
    return await asyncio.to_thread(_load)


def _load() -> Open:
    """Import the SDK, which takes a second: in a thread, and only for those who use it."""
    return cast("Open", importlib.import_module("loci.mcp.connection").Connection)
