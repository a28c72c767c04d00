"""The stream of one background run while it is being written: told, numbered, stored, passed on, in this order."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeAlias

import orjson

from loci.agent.runs import LiveRun
from loci.api.retold import owed
from loci.api.wire_events import RunTeller, wire_end
from loci.api.wire_messages import View, WireObject, wire_list
from loci.api.wire_requests import telling_of, view_of
from loci.store import approvals, messages, run_events, runs
from loci.store.base import Store, Transaction
from loci.types.actor import Actor
from loci.types.events import Delta, Event, MessageStored, end_of
from loci.types.messages import Role

FRESH_FRAMES_MAX = 2_000
"""How many frames of a running stream are kept in memory, so that those who follow it need not read the store."""
_ALL = 1_000_000_000
_ENDINGS = (b'{"message_type":"usage_statistics"', b'{"message_type":"error_message"')
_UNNUMBERED = frozenset({"stop_reason", "usage_statistics"})

Numbered: TypeAlias = tuple[int, bytes]


def is_last(body: bytes) -> bool:
    """Whether a stream ends with this."""
    return body.startswith(_ENDINGS)


def numbered(items: Iterable[WireObject], last_seq_id: int) -> list[Numbered]:
    """The objects as they are stored: each has its number, and all but the ending show it."""
    found: list[Numbered] = []
    for seq_id, item in enumerate(items, last_seq_id + 1):
        if item["message_type"] not in _UNNUMBERED:
            item["seq_id"] = seq_id
        found.append((seq_id, orjson.dumps(item)))
    return found


def append(tx: Transaction, actor: Actor, run_id: str, new: Sequence[Numbered]) -> None:
    """Store what comes next in a stream."""
    run_events.append(tx, actor, run_id, new[0][0], [body.decode() for _, body in new])


@dataclass(slots=True)
class Recording:
    """Takes down one run, and wakes those who follow it."""

    actor: Actor
    last_seq_id: int = 0
    done: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _fresh: deque[Numbered] = field(default_factory=lambda: deque[Numbered](maxlen=FRESH_FRAMES_MAX))

    async def take_down(self, live: LiveRun, store: Store, now: Callable[[], datetime]) -> None:
        """Record the run to its end. Raises StoreFailure."""
        run_id, telling = live.run.id, telling_of(live.run, thinks_in_calls=live.thinks_in_calls)
        teller = RunTeller(run_id, telling, now)
        told_before, debt = await store.read(told_and_owed, self.actor, run_id, telling.view)
        self.last_seq_id = debt.last_seq_id
        await self._keep(store, run_id, debt.items)
        async for batch in live.follow():
            fresh = [event for event in batch if _message_id(event) not in told_before]
            await self._keep(store, run_id, [item for event in fresh for item in teller.tell(event)])

    async def _keep(self, store: Store, run_id: str, items: Sequence[WireObject]) -> None:
        new = numbered(items, self.last_seq_id)
        if not new:
            return
        await store.write(append, self.actor, run_id, new)
        self._fresh.extend(new)
        self.last_seq_id = new[-1][0]
        self.wake()

    def close(self) -> None:
        """Nothing more will come from here."""
        self.done = True
        self.wake()

    def wake(self) -> None:
        """Let all who wait look again."""
        self.news.set()
        self.news = asyncio.Event()

    def after(self, seq_id: int) -> list[Numbered] | None:
        """What was told after that number; None when it is no longer all in memory."""
        if seq_id >= self.last_seq_id:
            return []
        if not self._fresh or self._fresh[0][0] > seq_id + 1:
            return None
        return list(islice(self._fresh, seq_id + 1 - self._fresh[0][0], None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """What a stream still owes, and how far it has come. `ended` says that it has told its ending."""

    items: Sequence[WireObject]
    last_seq_id: int
    ended: bool


def told_and_owed(tx: Transaction, actor: Actor, run_id: str, view: View) -> tuple[Collection[str], Debt]:
    """The ids of the messages that are stored already, and what the stream has to tell to be level with them."""
    told = run_events.after(tx, actor, run_id, 0, _ALL)
    stored = [item for item in messages.of_run(tx, actor, run_id) if item.role in {Role.ASSISTANT, Role.TOOL}]
    asked = approvals.asked(tx, actor, [run_id]) if any(item.tool_calls for item in stored) else set[tuple[str, str]]()
    whole = wire_list(stored, view, asked)
    debt = Debt(
        items=owed((orjson.loads(body) for _, body in told), whole),
        last_seq_id=told[-1][0] if told else 0,
        ended=bool(told) and is_last(told[-1][1].encode()),
    )
    return {message.id for message in stored}, debt


def settle(tx: Transaction, actor: Actor, run_id: str) -> int | None:
    """Complete the stream of a run that nobody records, and say its last number; None while the run goes on."""
    run = runs.get(tx, actor, run_id)
    if run.completed_at is None:
        return None
    _, debt = told_and_owed(tx, actor, run_id, view_of(run))
    if debt.ended:
        return debt.last_seq_id
    new = numbered([*debt.items, *wire_end(end_of(run))], debt.last_seq_id)
    append(tx, actor, run_id, new)
    return new[-1][0]


def _message_id(event: Event) -> str | None:
    match event:
        case Delta(message_id=message_id):
            return message_id
        case MessageStored(message=message):
            return message.id
        case _:
            return None
