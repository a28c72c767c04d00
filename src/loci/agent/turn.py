"""A turn: the working state of one run while it goes on, what stops it, and the kit of things that every run uses.

Agents and windows are kept in memory between turns, because they are what a turn would otherwise read anew each time.
Both are checked against a version in the database at the start of every turn, so that a change made by another process
or by hand is never missed.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from loci.agent.context import Bundle, Window, bill
from loci.agent.kinds import AgentKind
from loci.agent.request import ApprovalReply, RunRequest
from loci.clock import Clock
from loci.errors import LociError
from loci.model.base import Failed, Finished, Model, ModelRequest, Models
from loci.model.tokens import START, Ratio, estimate
from loci.store.base import Store, Transaction
from loci.store.traces import CallType
from loci.tools.base import Builtins, ToolRunner
from loci.types.actor import Actor
from loci.types.agents import Conversation
from loci.types.events import Event
from loci.types.memory import ActorKind, Author
from loci.types.messages import Message, Trust
from loci.types.runs import Ending, Limits, Run, StopReason
from loci.types.tools import ToolSchema
from loci.types.usage import Usage

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

BUNDLES_MAX = 2_000
WINDOWS_MAX = 500
CALLS_MAX = 2_000


class Stopped(LociError):
    """The run was ended from outside."""

    status = 409

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


CANCELLED = Ending(reason=StopReason.CANCELLED, message="The run was cancelled.", status_code=409)
OUT_OF_TIME = Ending(
    reason=StopReason.ERROR,
    error_type="run_timeout",
    message="The run took longer than it may and was ended.",
    detail="Raise limits.seconds in config.toml if such runs are expected.",
    status_code=504,
)


@dataclass(slots=True)
class Stop:
    """A request to end a run from outside, in whatever phase it is, and the work that it interrupts.

    Only waiting that has no effect on our own data runs under `guard`, so a stop never tears a transaction.
    """

    ending: Ending | None = None
    _working: asyncio.Task[Any] | None = None  # the value is not looked at here

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


class Cache(Generic[K, V]):
    """The last used values, bounded in number."""

    def __init__(self, entries_max: int) -> None:
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._entries_max = entries_max

    def get(self, key: K) -> V | None:
        """The value, now the last used."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value; the one unused for longest makes room."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Caches:
    """Everything kept between turns. Losing it costs time only. Used by the thread that writes to the store."""

    bundles: Cache[str, Bundle] = field(default_factory=lambda: Cache[str, Bundle](BUNDLES_MAX))
    windows: Cache[str, Window] = field(default_factory=lambda: Cache[str, Window](WINDOWS_MAX))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """A call of a model that has ended, to be written down when there is time (see `loci.agent.tracing`)."""

    actor: Actor
    run: Run
    step_id: str | None
    call_type: CallType
    model: Model
    request: ModelRequest
    """Without its messages where the answer says what was sent."""
    answer: Finished | Failed
    duration_s: float
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What runs need from outside, and what they keep between them."""

    store: Store
    models: Models
    clock: Clock
    builtins: Builtins
    runner: ToolRunner
    limits: Limits
    caches: Caches = field(default_factory=Caches)
    ratios: dict[str, Ratio] = field(default_factory=dict[str, Ratio])
    """Bytes for each token, learned by model handle."""
    after_turn: Callable[[Transaction, Actor, Run, datetime], None] | None = None
    """Told of the end of each run of an agent that has a sleep-time agent, within the transaction that ends it."""
    call_back: Callable[[Transaction, Actor, Run, datetime], None] | None = None
    """The same for each run that names an address to be called."""
    calls: deque[ModelCall] | None = field(default_factory=lambda: deque[ModelCall](maxlen=CALLS_MAX))
    """Calls that wait to be written down; None: nobody wants to know. When it is full the oldest is given up."""


@dataclass(slots=True, kw_only=True)
class Turn:
    """One run at work. Only the run itself changes it."""

    actor: Actor
    run: Run
    request: RunRequest
    limits: Limits
    bundle: Bundle
    conversation: Conversation
    window: Window
    kind: AgentKind
    resumed: bool = False
    """A crash interrupted this run: what it had begun outside may have had its effect."""
    replies: dict[str, ApprovalReply] = field(default_factory=dict[str, ApprovalReply])
    known_version: int = 0
    """The agent's memory version that the system prompt shows, our own edits of this run counted in."""
    stale: bool = False
    """The system prompt must be compiled anew before the next step."""
    model: Model | None = None
    stop: Stop = field(default_factory=Stop)
    emit: Callable[[Event], None] = field(default=lambda event: None)  # noqa: ARG005  nobody listens yet
    started_s: float = 0.0
    first_token_s: float | None = None
    usage: Usage = field(default_factory=Usage)
    step_count: int = 0
    context_tokens: int = 0
    """Tokens of the window after the last answer, as reported or estimated; 0 when not known yet."""
    counted_bytes: int = 0
    """How much of `window.messages_bytes` is in `context_tokens`."""
    stable_count: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    flushes: int = 0
    """How often this run has compacted because the provider refused the prompt."""
    partial_id: str = ""
    """The id under which the message that is being written is previewed."""
    partial: str = ""
    """What the model had said when it was stopped in the middle."""
    work: "Work | None" = None
    """The step that has begun and is not stored; an end of the run is its end, too."""

    @property
    def handle(self) -> str:
        """The handle of the model that answers."""
        agent = self.bundle.agent
        return self.request.override_model or self.conversation.model or agent.model

    @property
    def window_tokens(self) -> int:
        """The context window: the agent's, but never more than the model has."""
        most = self.bundle.agent.context_window_tokens
        return min(most, self.model.info.window_tokens) if self.model else most

    def ratio(self, kit: Kit) -> Ratio:
        """Bytes for each token of this turn's model."""
        return kit.ratios.get(self.handle, START)

    def tokens_now(self, kit: Kit) -> int:
        """How full the window is: what the provider counted last, and an estimate of what came since."""
        if self.context_tokens:
            return self.context_tokens + estimate(self.window.messages_bytes - self.counted_bytes, self.ratio(kit))
        return bill(self.window, self.bundle, self.ratio(kit)).total

    def note_call(  # noqa: PLR0913  what there is to know of a call
        self,
        kit: Kit,
        model: Model,
        request: ModelRequest,
        answer: Finished | Failed,
        *,
        call_type: CallType,
        duration_s: float,
        step_id: str | None = None,
    ) -> None:
        """Leave a note of a call that has ended, if anybody wants to know."""
        if kit.calls is None:
            return
        sent = isinstance(answer, Finished) and answer.sent
        kit.calls.append(
            ModelCall(
                actor=self.actor,
                run=self.run,
                step_id=step_id,
                call_type=call_type,
                model=model,
                request=replace(request, messages=() if sent else tuple(request.messages)),  # the window will grow
                answer=answer,
                duration_s=duration_s,
                ended_at=kit.clock.now(),
            )
        )

    def client_tools(self) -> dict[str, ToolSchema]:
        """Tools that the client runs itself, by name."""
        return {schema.name: schema for schema in self.request.client_tools}

    def author(self, step_id: str, tool_call_id: str | None = None) -> Author:
        """The agent as the author of a change of memory."""
        source = next((message.id for message in reversed(self.window.messages) if message.trust is Trust.USER), None)
        return Author(
            kind=ActorKind.AGENT,
            id=self.run.agent_id,
            trust=Trust.AGENT,
            agent_id=self.run.agent_id,
            run_id=self.run.id,
            step_id=step_id,
            tool_call_id=tool_call_id,
            source_message_id=source,
        )


@dataclass(slots=True, kw_only=True)
class Work:
    """What one step has brought so far."""

    step_id: str
    message_id: str
    started_s: float
    ended_s: float = 0.0
    assistant: Message | None = None
    stored: bool = False
    """The assistant message is in the database already."""
    streamed: bool = False
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"
    model_s: float = 0.0
    tools_s: float = 0.0
