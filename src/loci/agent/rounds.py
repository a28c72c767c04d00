"""A group of agents in conversation: who speaks next is a pure function, and one job lets each speak.

Each agent speaks in an ordinary run, in a thread of its own that belongs to the group. It is told what the others said
since it was heard last; what it missed at the end is put into its thread, so that it knows when the group goes on.
After a crash the job begins anew: by the otids of what it says it finds the runs that it began.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeAlias

from loci.agent.colleagues import answer_of
from loci.agent.deciding import broken
from loci.agent.request import NewMessage, RunRequest
from loci.agent.runs import LiveRun, Runs
from loci.agent.turn import CANCELLED
from loci.clock import Clock
from loci.errors import BadRequest, Busy, Conflict, GivenUp, LociError, NotFound
from loci.ids import new_id
from loci.jobs.worker import FINAL_STATUS, Jobs
from loci.store import agents, conversations, groups, jobs, messages
from loci.store.base import Store, Transaction
from loci.types.actor import Actor
from loci.types.agents import Agent, Conversation
from loci.types.events import RunEnded
from loci.types.groups import Group, GroupType
from loci.types.jobs import Job, NewJob
from loci.types.json import JsonObject
from loci.types.messages import Message, Role, Text, Trust
from loci.types.runs import Ending, Run
from loci.types.usage import Usage

KIND = "group.talk"
AT_ONCE = 64
"""So many groups talk at once; others wait."""
DYNAMIC_TURNS = 10
TERMINATION_TOKEN = "DONE!"  # noqa: S105  a word, not a secret

_HEARD = "[Message from another agent of your group, '{name}' ({id}), not from a person.]\n\n{words}"
_CHOOSE = "[You lead a group. Answer with the name of the agent that shall speak next, and nothing else: {all}.]"
_INSTRUCT = "[You lead a group: {all}. What you answer now goes to all of them. Tell them what to do.]"
_CONCLUDE = "[These are the answers of your group. Answer the person now.]"

_GO_ON = "[Nobody else has said anything. It is your turn again.]"

Turns: TypeAlias = AsyncGenerator[tuple[Agent, LiveRun]]
_News: TypeAlias = asyncio.Queue[tuple[Agent, LiveRun] | LociError | None]


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent of the group said; empty when it failed."""

    agent_id: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """A group with its agents and the threads in which they talk, by id of the agent."""

    group: Group
    agents: Mapping[str, Agent]
    threads: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class _Talk:
    """A talk under way: the runs that speak now, told to whoever listens."""

    actor: Actor
    circle: Circle
    news: _News
    speaking: list[LiveRun] = field(default_factory=list[LiveRun])
    called_off: bool = False


def next_speakers(circle: Circle, said: Sequence[Said]) -> Sequence[str]:
    """Who speaks next, at once if they are several; nobody at the end. PURE."""
    group, members, lead = circle.group, circle.group.agent_ids, circle.group.manager_agent_id or ""
    match group.manager_type:
        case GroupType.ROUND_ROBIN:
            return [members[len(said) % len(members)]] if len(said) < (group.max_turns or len(members)) else []
        case GroupType.SUPERVISOR:
            if len(said) == 1:
                return members
            return [lead] if len(said) in (0, 1 + len(members)) else []
        case _:
            token = group.termination_token or TERMINATION_TOKEN
            if said and token in said[-1].words:
                return []
            if len(said) % 2:
                return [_chosen(circle, said)]
            return [lead] if len(said) // 2 < (group.max_turns or DYNAMIC_TURNS) else []


def _chosen(circle: Circle, said: Sequence[Said]) -> str:
    """The member that the lead named; else the one after the one that spoke last."""
    members, words = circle.group.agent_ids, said[-1].words.casefold()
    by_length = sorted(members, key=lambda agent_id: -len(circle.agents[agent_id].name))
    for agent_id in by_length:
        if agent_id in words or circle.agents[agent_id].name.casefold() in words:
            return agent_id
    last = members.index(said[-2].agent_id) if len(said) > 1 else -1
    return members[(last + 1) % len(members)]


class Rounds:
    """Conversations of groups, as jobs over the runs of this process. `read` makes a request of what a job keeps."""

    def __init__(
        self, store: Store, runs: Runs, work: Jobs, clock: Clock, read: Callable[[JsonObject], RunRequest]
    ) -> None:
        self._store = store
        self._runs = runs
        self._jobs = work
        self._clock = clock
        self._read = read
        self._listening: dict[str, _News] = {}

    async def talk(self, actor: Actor, group_id: str, asked: JsonObject) -> Turns:
        """Say something to a group: the runs of those who speak, as they begin. They go on when nobody stays.

        Raises NotFound, BadRequest, Busy while the group talks; and on the way what ends it.
        """
        news: _News = asyncio.Queue()
        job_id = await self._store.write(self._begin, actor, group_id, asked, news)
        return self._turns(job_id, news)

    async def _turns(self, job_id: str, news: _News) -> Turns:
        while (turn := await news.get()) is not None and not isinstance(turn, LociError):
            yield turn
        await self._jobs.settled(job_id)  # so that who has heard the end can speak to the group again
        if turn is not None:
            raise turn

    def _begin(self, tx: Transaction, actor: Actor, group_id: str, asked: JsonObject, news: _News) -> str:
        now = self._clock.now()
        _circle(tx, actor, group_id, now)
        if jobs.is_open(tx, KIND, group_id):
            raise Busy("The group is talking already.")
        job_id = self._jobs.enqueue(tx, actor, NewJob(kind=KIND, subject_id=group_id, payload=asked), now)
        tx.after_commit(partial(self._listening.__setitem__, job_id, news))
        return job_id

    async def __call__(self, actor: Actor, job: Job) -> None:
        """Let the agents of a group speak, from where they were interrupted, and tell whoever listens."""
        news: _News = self._listening.pop(job.id, None) or asyncio.Queue()
        last: LociError | None = GivenUp(job.id)
        try:
            circle = await self._store.write(_circle, actor, job.subject_id or "", self._clock.now())
            await self._hold(_Talk(actor=actor, circle=circle, news=news), job)
            last = None
        except LociError as error:
            last = error
            raise
        finally:
            news.put_nowait(last)

    async def given_up(self, _actor: Actor, job: Job, error: str | None) -> None:
        """Tell whoever listens to a talk that was called off, or given up, before it began."""
        if (news := self._listening.pop(job.id, None)) is not None:
            news.put_nowait(Conflict(error or "The talk was called off before it began."))

    async def _hold(self, talk: _Talk, job: Job) -> None:
        """Let them speak to the end. A talk that is called off ends with its runs, which end as cancelled."""
        speaking = asyncio.ensure_future(self._speak(talk, job))
        try:
            # Shielded, so that no run is lost between its first transaction and its start.
            await asyncio.shield(speaking)
        except asyncio.CancelledError:
            if (await self._store.read(jobs.get, talk.actor, job.id)).status != "cancelled":
                raise  # the server stops
            talk.called_off = True
            for live in talk.speaking:
                await self._stop(talk.actor, live)
            await speaking
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _stop(self, actor: Actor, live: LiveRun) -> None:
        run = live.run
        with suppress(Conflict):  # it has ended
            await self._runs.cancel(actor, run.agent_id, run_ids=[run.id], conversation_id=run.conversation_id)

    async def _speak(self, talk: _Talk, job: Job) -> None:
        circle, asked = talk.circle, self._read(job.payload)
        talk_id = asked.messages[0].otid or job.id
        said: list[Said] = []
        heard: dict[str, int] = {}
        while speakers := next_speakers(circle, said):
            talk.speaking = []
            for agent_id in speakers:
                own = () if agent_id in heard else asked.messages
                others = _news(circle, agent_id, said[heard.get(agent_id, 0) :])
                first, *rest = [*own, *others, *_part(circle, agent_id, len(said))] or [_note(_GO_ON)]
                first = replace(first, otid=first.otid or f"{talk_id}:{len(said)}")
                live = await self._start(talk, agent_id, replace(asked, messages=(first, *rest)))
                if live.run.id:
                    heard[agent_id] = len(said)
                talk.speaking.append(live)
                talk.news.put_nowait((circle.agents[agent_id], live))
            words = [(await answer_of(live))[0] for live in talk.speaking]
            said += map(Said, speakers, words)
            if not any(words):
                break
        await self._store.write(_tell_rest, talk.actor, circle, talk_id, (said, heard), self._clock.now())

    async def _start(self, talk: _Talk, agent_id: str, request: RunRequest) -> LiveRun:
        """The run in which an agent speaks; one without an id, which has ended, if it cannot."""
        thread_id = talk.circle.threads[agent_id]
        if talk.called_off:
            return _unbegun(agent_id, thread_id, CANCELLED)
        try:
            live = await self._runs.start(talk.actor, agent_id, thread_id, request)
        except LociError as error:
            if error.status not in FINAL_STATUS:
                raise
            return _unbegun(agent_id, thread_id, broken(error))
        if talk.called_off:
            await self._stop(talk.actor, live)
        return live


def _unbegun(agent_id: str, thread_id: str, ending: Ending) -> LiveRun:
    live = LiveRun(Run(id="", agent_id=agent_id, conversation_id=thread_id, status="failed"))
    live.emit(RunEnded(run_id="", ending=ending, usage=Usage(), step_count=0))
    return live


def _news(circle: Circle, agent_id: str, said: Sequence[Said]) -> list[NewMessage]:
    """What the others said."""
    return [
        NewMessage(
            parts=(Text(_HEARD.format(name=circle.agents[item.agent_id].name, id=item.agent_id, words=item.words)),),
            sender_id=item.agent_id,
            trust=Trust.OTHER_AGENT,
        )
        for item in said
        if item.agent_id != agent_id and item.words
    ]


def _part(circle: Circle, agent_id: str, said_count: int) -> list[NewMessage]:
    """What the lead of a group is told to do."""
    group = circle.group
    if agent_id != group.manager_agent_id or (group.manager_type is GroupType.DYNAMIC and said_count % 2):
        return []
    listed = "; ".join(
        f"'{circle.agents[member].name}' ({circle.agents[member].description or member})" for member in group.agent_ids
    )
    words = _CHOOSE if group.manager_type is GroupType.DYNAMIC else _CONCLUDE if said_count else _INSTRUCT
    return [_note(words.format(all=listed))]


def _note(words: str) -> NewMessage:
    return NewMessage(parts=(Text(words),), trust=Trust.SYSTEM)


def _circle(tx: Transaction, actor: Actor, group_id: str, now: datetime) -> Circle:
    group = groups.get(tx, actor, group_id)
    if group.manager_type.sleeps:
        raise BadRequest("Sleep-time agents are not talked with in their group.", hint="Talk with the agent itself.")
    if not group.agent_ids:
        raise BadRequest(f"Group {group_id} has no agents.")
    known = groups.threads(tx, actor, group_id)
    lead = [group.manager_agent_id] if group.manager_agent_id else []
    threads: dict[str, str] = {}
    for agent_id in (*lead, *group.agent_ids):
        try:
            threads[agent_id] = conversations.get(tx, actor, known.get(agent_id, "")).id
        except NotFound:
            made = Conversation(id=new_id("conv"), agent_id=agent_id, is_default=False, created_at=now)
            conversations.insert(tx, actor, made)
            groups.set_thread(tx, actor, group_id, agent_id, made.id)
            threads[agent_id] = made.id
    return Circle(group=group, agents={each: agents.get(tx, actor, each) for each in threads}, threads=threads)


def _tell_rest(
    tx: Transaction,
    actor: Actor,
    circle: Circle,
    talk_id: str,
    spoken: tuple[Sequence[Said], Mapping[str, int]],
    now: datetime,
) -> None:
    """Put what was said after an agent spoke last into its thread, once, if that is free."""
    said, heard = spoken
    for agent_id, count in heard.items():
        news = _news(circle, agent_id, said[count:])
        thread, otid = conversations.get(tx, actor, circle.threads[agent_id]), f"{talk_id}:rest"
        if not news or thread.busy_run_id is not None or messages.by_otid(tx, thread.id, otid) is not None:
            continue
        blank = Message(id="", role=Role.USER, parts=(), created_at=now, agent_id=agent_id, conversation_id=thread.id)
        new = [
            replace(blank, id=new_id("message"), trust=item.trust, parts=item.parts, sender_id=item.sender_id)
            for item in news
        ]
        messages.insert(tx, actor, [replace(new[0], otid=otid), *new[1:]])
        tokens = thread.prompt_tokens_last
        conversations.advance(tx, actor, thread.id, busy_run_id=None, prompt_tokens=tokens, now=now)
