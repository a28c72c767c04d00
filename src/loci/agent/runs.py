"""Runs: starting them, following them, cancelling them, and taking them up again after a crash.

A run is a task of its own, so it goes on when the client that asked for it goes away. Whoever wants to know follows
its events from the first one on.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loci.agent import loop, relief
from loci.agent.opening import Repeated, open_run, reopen_run
from loci.agent.request import RunRequest, request_json
from loci.agent.turn import CANCELLED, Kit, Stopped, Turn
from loci.errors import BadRequest, Conflict, GivenUp, LociError, NotFound, StoreFailure
from loci.ids import new_id
from loci.store import approvals, conversations, runs
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import CompactionSettings
from loci.types.events import Event, MessageStored, RunEnded, RunStarted, end_of
from loci.types.messages import Role
from loci.types.runs import ApprovalStatus, Ending, Run, StopReason

log = logging.getLogger(__name__)

BROKEN = Ending(
    reason=StopReason.ERROR,
    error_type="internal_error",
    message="An unknown error occurred",
    detail="The server's log has more.",
)


FREEING_TRIES = 10_000
FREEING_PAUSE_MAX_S = 30.0
"""How long and how often it is tried to store the end of a run on a database that fails: about three days."""


def unheard(event: Event) -> None:
    """The run was told to have ended; nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionReport:
    """What compacting a conversation did."""

    summary: str
    messages_before: int
    messages_after: int


class LiveRun:
    """A run in this process, at work or just ended."""

    def __init__(self, run: Run, *, thinks_in_calls: bool = False) -> None:
        self.run = run
        self.thinks_in_calls = thinks_in_calls
        """Whether this agent's thoughts are arguments of its calls, which whoever tells the run takes out again."""
        self._events: list[Event] = [RunStarted(run_id=run.id)]
        self._waiting: list[asyncio.Future[None]] = []
        self._end: RunEnded | None = None
        self._given_up = False

    def emit(self, event: Event) -> None:
        """Tell all followers."""
        self._events.append(event)
        if isinstance(event, RunEnded):
            self._end = event
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def give_up(self) -> None:
        """Tell all followers that no more comes in this process."""
        self._given_up = True
        for future in self._waiting:
            if not future.done():
                future.set_exception(GivenUp(self.run.id))
        self._waiting.clear()

    async def follow(self, start: int = 0) -> AsyncGenerator[Sequence[Event]]:
        """All events from number `start` on, in batches of those that are there together; ends after RunEnded.

        Raises GivenUp when the server stops before that.
        """
        position = start
        while True:
            ready = self._events[position:]
            position += len(ready)
            if ready:
                yield ready
            elif self._end is not None:
                return
            elif self._given_up:
                raise GivenUp(self.run.id)
            else:
                future = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                await future

    async def ended(self) -> RunEnded:
        """Wait for the end. Raises GivenUp."""
        if self._end is None:
            async for _ in self.follow(len(self._events)):
                pass
        if self._end is None:
            raise LociError("The run has no end.")
        return self._end


Observer = Callable[[Actor, LiveRun], None]


class Runs:
    """All runs of this process."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._live: dict[str, tuple[LiveRun, Turn]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.observers: list[Observer] = []
        """Told of each run that somebody may want to follow later, before its first event."""
        self.after_run: list[Callable[[Actor, str], None]] = []
        """Called with the agent's id when a run has ended: background work on its memory."""

    async def start(self, actor: Actor, agent_id: str, conversation_id: str | None, request: RunRequest) -> LiveRun:
        """Open a run and set it going; its input is stored when this returns.

        Raises NotFound, Busy, AwaitingApproval, BadRequest. A request that was sent before gives the run it led to.
        """
        if not request.messages and not request.approvals:
            raise BadRequest("There is no message in the request.")
        target = conversation_id or conversations.default_id(agent_id)
        kit, now = self._kit, self._kit.clock.now()
        run = Run(
            id=new_id("run"),
            agent_id=agent_id,
            conversation_id=target,
            status="running",
            background=request.background,
            request=request_json(request),
            metadata=request.metadata,
            callback_url=request.callback_url,
            created_at=now,
            created_by=actor.user_id,
        )
        opened = await kit.store.write(open_run, kit, actor, run, request, now)
        if isinstance(opened, Repeated):
            return self._repeated(opened)
        return self._go(actor, opened)

    def _go(self, actor: Actor, turn: Turn) -> LiveRun:
        live = LiveRun(turn.run, thinks_in_calls=turn.kind.inner_thoughts)
        turn.emit = live.emit
        turn.started_s = self._kit.clock.monotonic_s()
        self._live[turn.run.id] = (live, turn)
        if turn.run.background:
            for observer in self.observers:
                observer(actor, live)
        task = asyncio.create_task(self._work(actor, live, turn), name=turn.run.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return live

    async def _work(self, actor: Actor, live: LiveRun, turn: Turn) -> None:
        broken = False
        try:
            ended = await loop.run(turn, self._kit)
        except Exception:
            log.exception("run %s failed", turn.run.id)
            ended = RunEnded(run_id=turn.run.id, ending=BROKEN, usage=turn.usage, step_count=turn.step_count)
            broken = True
        finally:
            self._live.pop(turn.run.id, None)
        live.run = turn.run
        live.emit(ended)
        if broken:
            await self._free(turn)
        for action in self.after_run:
            action(actor, turn.run.agent_id)

    async def _free(self, turn: Turn) -> None:
        """Free the conversation of a broken run, as soon as the database takes it; else the next start does it."""
        turn.emit = unheard
        for attempt in range(FREEING_TRIES):
            try:
                await loop.end(turn, self._kit, BROKEN)
            except StoreFailure as failure:
                log.warning("the end of run %s is not stored yet: %s", turn.run.id, failure)
                await self._kit.clock.sleep(min(2.0**attempt, FREEING_PAUSE_MAX_S))
            else:
                return

    def _repeated(self, opened: Repeated) -> LiveRun:
        """The run that took the same request before: as it goes on, or told again from what is stored."""
        known = self._live.get(opened.run.id)
        if known is not None:
            return known[0]
        live = LiveRun(opened.run)
        for message in opened.messages:
            if message.role not in (Role.USER, Role.APPROVAL):
                live.emit(MessageStored(message=message))
        live.emit(end_of(opened.run))
        return live

    def live(self, run_id: str) -> LiveRun | None:
        """The run if it is at work in this process."""
        found = self._live.get(run_id)
        return None if found is None else found[0]

    async def cancel(
        self,
        actor: Actor,
        agent_id: str,
        *,
        run_ids: Sequence[str] | None = None,
        conversation_id: str | None = None,
    ) -> dict[str, str]:
        """End runs of an agent in whatever phase they are. Raises Conflict when there is nothing to cancel."""
        active = await self._kit.store.read(runs.active_of_agent, actor, agent_id)
        chosen = [
            run
            for run in active
            if (run_ids is None or run.id in run_ids)
            and (conversation_id is None or run.conversation_id == conversation_id)
        ]
        target = conversation_id or conversations.default_id(agent_id)
        closed = await self._kit.store.write(_close_questions, actor, target, run_ids, self._kit.clock.now())
        if not chosen and not closed:
            raise Conflict("There are no active runs to cancel.")
        for run in chosen:
            await self._kit.store.write(runs.ask_cancel, actor, run.id)
            await self._cancel_one(run.id)
        return {run.id: "cancelled" for run in chosen} | dict.fromkeys(closed, "cancelled")

    async def _cancel_one(self, run_id: str) -> None:
        found = self._live.get(run_id)
        if found is not None:
            found[1].stop.set(CANCELLED)
            await found[0].ended()

    async def compact(
        self, actor: Actor, agent_id: str, conversation_id: str | None, settings: CompactionSettings | None
    ) -> CompactionReport:
        """Compact a conversation now. Raises Conflict when nothing can leave its window, Busy while a run is active."""
        target = conversation_id or conversations.default_id(agent_id)
        kit, now = self._kit, self._kit.clock.now()
        run = Run(
            id=new_id("run"),
            agent_id=agent_id,
            conversation_id=target,
            status="running",
            metadata={"run_type": "compaction"},
            created_at=now,
            created_by=actor.user_id,
        )
        turn = await kit.store.write(open_run, kit, actor, run, RunRequest(), now)
        if isinstance(turn, Repeated):
            raise NotFound("There is nothing to compact.")
        turn.started_s = kit.clock.monotonic_s()
        return await self._compact(turn, settings)

    async def _compact(self, turn: Turn, settings: CompactionSettings | None) -> CompactionReport:
        kit, before = self._kit, len(turn.window.messages)
        ending = Ending(reason=StopReason.END_TURN)
        try:
            turn.model = await kit.models.model(turn.actor, turn.handle)
            if settings is not None:
                agent = replace(turn.bundle.agent, compaction_settings=settings)
                turn.bundle = replace(turn.bundle, agent=agent)
            done = await relief.flush(turn, kit, "compact_request")
        except Stopped as stopped:
            ending = stopped.ending
            raise
        except LociError as error:
            ending = Ending(reason=StopReason.ERROR, error_type="compaction_failed", message=str(error))
            raise
        finally:
            await loop.end(turn, kit, ending)
        if done is None:
            raise Conflict("There is nothing to compact: only the newest messages are in the window.")
        words = done.summary.extra.get("summary") if done.summary and done.summary.extra else None
        return CompactionReport(
            summary=words if isinstance(words, str) else "",
            messages_before=before,
            messages_after=len(turn.window.messages),
        )

    async def resume(self) -> int:
        """Take up every run that a crash or a stop interrupted; how many there are. Called once, at the start."""
        left = await self._kit.store.read(runs.unfinished)
        for actor, run_id in left:
            turn = await self._kit.store.write(reopen_run, self._kit, actor, run_id, self._kit.clock.now())
            if turn.run.cancel_requested or turn.run.metadata.get("run_type") == "compaction":
                turn.stop.set(CANCELLED)
            log.info("run %s is taken up again after step %d", run_id, turn.step_count)
            self._go(actor, turn)
        return len(left)

    async def close(self) -> None:
        """Stop working; what is unfinished is taken up at the next start."""
        tasks, lives = list(self._tasks), [live for live, _ in self._live.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for live in lives:
            live.give_up()


def _close_questions(
    tx: Transaction, actor: Actor, conversation_id: str, run_ids: Sequence[str] | None, now: datetime
) -> list[str]:
    """End the open questions of a conversation, if one of these runs (None: any) asked them; the ids of those runs."""
    pending = approvals.of_conversation(tx, actor, conversation_id, pending_only=True)
    if run_ids is not None and all(item.run_id not in run_ids for item in pending):
        return []
    approvals.close(tx, actor, conversation_id, ApprovalStatus.CANCELLED, now)
    return list(dict.fromkeys(item.run_id for item in pending))
