"""How one agent reaches another: by a run of that agent's own, in its default conversation.

A run that an agent started carries in its metadata how deep it is in the chain of agents that asked each other, so the
bound on that depth also holds after a restart. An agent that is at work cannot be asked: two that ask each other get
an error to read instead of waiting for ever.
"""

import asyncio
from collections.abc import Sequence

from loci.agent.request import DEPTH, NewMessage, RunRequest
from loci.agent.runs import LiveRun, Runs
from loci.errors import AwaitingApproval, Busy, ToolRefused
from loci.store import agents
from loci.store.base import Store
from loci.store.turns import spoken_text
from loci.tools.base import ToolContext
from loci.tools.builtin.agents import Reply
from loci.types.agents import Agent
from loci.types.events import MessageStored
from loci.types.messages import Role, Text, Trust
from loci.types.paging import Page
from loci.types.runs import COMPLETED, StopReason

DEPTH_MAX = 5
"""How many agents may stand in one chain behind the one that a person asked."""
ANSWER_WAIT_S = 240.0
"""How long an answer is waited for: less than any tool may take, so that the model reads what happened."""


class Colleagues:
    """The other agents of an organisation, over the runs of this process."""

    def __init__(self, store: Store, runs: Runs, *, wait_s: float = ANSWER_WAIT_S) -> None:
        self._store = store
        self._runs = runs
        self._wait_s = wait_s

    async def ask(self, caller: ToolContext, agent_id: str, message: str) -> Reply:
        """Start a run of that agent and wait for its end; if that takes too long, the run goes on alone."""
        other, live = await self._start(caller, agent_id, message, waits=True)
        try:
            async with asyncio.timeout(self._wait_s):
                answer, trouble = await answer_of(live)
        except TimeoutError:
            answer, trouble = "", f"it took longer than {self._wait_s:g} seconds, and is still at work."
        return Reply(agent_id=other.id, name=other.name, run_id=live.run.id, answer=answer, trouble=trouble)

    async def tell(self, caller: ToolContext, agent_id: str, message: str) -> Reply:
        """Start a run of that agent in the background."""
        other, live = await self._start(caller, agent_id, message, waits=False)
        return Reply(agent_id=other.id, name=other.name, run_id=live.run.id)

    async def tagged(
        self, caller: ToolContext, match_all: Sequence[str], match_some: Sequence[str], limit_rows: int
    ) -> Sequence[str]:
        """The ids of the agents that carry these tags, oldest first, without the caller."""
        chosen = agents.AgentFilter(tags=tuple(match_all), match_all_tags=True, some_tags=tuple(match_some))
        page = Page(limit_rows=limit_rows + 1, ascending=True)
        found = await self._store.read(agents.listing, caller.actor, chosen, page)
        return [agent.id for agent in found if agent.id != caller.agent.id][:limit_rows]

    async def _start(self, caller: ToolContext, agent_id: str, message: str, *, waits: bool) -> tuple[Agent, LiveRun]:
        if caller.depth >= DEPTH_MAX:
            raise ToolRefused(
                f"{DEPTH_MAX} agents have asked each other already, and no more may be asked.",
                hint="Answer with what you know.",
            )
        if agent_id == caller.agent.id:
            raise ToolRefused("You cannot send a message to yourself.")
        other = await self._store.read(agents.get, caller.actor, agent_id)
        request = RunRequest(
            messages=(_said(caller.agent, message, waits=waits),),
            background=not waits,
            metadata={"run_type": "agent_message", DEPTH: caller.depth + 1, "caller_run_id": caller.run_id},
        )
        try:
            return other, await self._runs.start(caller.actor, other.id, None, request)
        except Busy:
            raise ToolRefused(
                f"Agent '{other.name}' ({other.id}) is at work, perhaps on what led to you, and cannot be asked now.",
                hint="Go on without it, or try again later.",
            ) from None
        except AwaitingApproval:
            raise ToolRefused(
                f"Agent '{other.name}' ({other.id}) waits for a person's approval and cannot be asked now.",
                hint="Go on without it, or try again later.",
            ) from None


def _said(speaker: Agent, message: str, *, waits: bool) -> NewMessage:
    """The message with a line before it that says who speaks, because a model sees no sender."""
    after = "Your answer goes back to that agent." if waits else "Nobody waits for an answer."
    head = f"[Message from another agent, '{speaker.name}' ({speaker.id}), not from a person. {after}]"
    return NewMessage(parts=(Text(f"{head}\n\n{message}"),), sender_id=speaker.id, trust=Trust.OTHER_AGENT)


async def answer_of(live: LiveRun) -> tuple[str, str | None]:
    """All that the agent said in a run, and what kept it from answering."""
    said: list[str] = []
    async for batch in live.follow():
        stored = [event.message for event in batch if isinstance(event, MessageStored)]
        said += [spoken_text(message) for message in stored if message.role is Role.ASSISTANT]
    ending = (await live.ended()).ending
    if ending.reason is StopReason.REQUIRES_APPROVAL:
        return "", "it waits for a person's approval of a tool call."
    if ending.reason not in COMPLETED:
        return "", ending.message or f"its run ended with {ending.reason.value}."
    answer = "\n".join(words for words in said if words)
    return answer, None if answer else "it said nothing."
