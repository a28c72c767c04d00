"""A talk with one agent: what is said, stopped, allowed and switched. Everything goes through the public client."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import letta_client
from letta_client.types import AgentState
from letta_client.types.agents import ApprovalRequestMessage, AssistantMessage, LettaStreamingResponse, UserMessage
from letta_client.types.agents.approval_create_param import ApprovalCreateParam
from letta_client.types.agents.approval_return_param import ApprovalReturnParam
from letta_client.types.agents.message import Message
from letta_client.types.conversations.message_create_params import Message as NewMessage
from letta_client.types.message_create_param import MessageCreateParam

from loci.cli.connect import Connection
from loci.cli.turn import Call, Painter, Turn, follow
from loci.ids import new_uuid

DEFAULT = "default"
"""The conversation that every agent has from the start."""

NO_CALLS: Mapping[str, Call] = {}
_LOOK_BACK = 20


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a call may run, and why not."""

    approve: bool
    reason: str | None = None


@dataclass(slots=True)
class Session:
    """One person, one agent, one conversation at a time."""

    connection: Connection
    agent: AgentState
    conversation_id: str = DEFAULT
    show_thinking: bool = False
    by_tokens: bool = True
    """Whether words are asked for as they are written, or each message whole."""
    last: Turn | None = None
    context_tokens: int | None = None

    def say(self, text: str, painter: Painter) -> Turn:
        """Say something and follow the answer to its end."""
        # The otid makes a repeated request the same message: the client repeats one that broke off.
        message = MessageCreateParam(role="user", content=text, otid=new_uuid())
        return self._follow(message, painter)

    def decide(self, decisions: Mapping[str, Decision], calls: Mapping[str, Call], painter: Painter) -> Turn:
        """Answer the calls that wait, by their ids, and follow what comes of it."""
        approvals = [
            ApprovalReturnParam(type="approval", tool_call_id=call_id, approve=each.approve, reason=each.reason)
            for call_id, each in decisions.items()
        ]
        return self._follow(ApprovalCreateParam(type="approval", approvals=approvals, otid=new_uuid()), painter, calls)

    def stop(self) -> bool:
        """Cancel whatever is under way in this conversation; False if nothing is."""
        try:
            self.connection.client.conversations.cancel(self.conversation_id, agent_id=self.agent.id)
        except letta_client.ConflictError:
            return False
        return True

    def begin_anew(self) -> None:
        """Open another conversation: the memory stays, what was said is out of sight."""
        self.conversation_id = self.connection.client.conversations.create(agent_id=self.agent.id).id
        self.last = self.context_tokens = None

    def use_model(self, handle: str) -> None:
        """Give the agent another model, from now on."""
        self.agent = self.connection.client.agents.update(self.agent.id, model=handle)

    def refreshed(self) -> AgentState:
        """The agent as it is now, with its blocks."""
        self.agent = self.connection.client.agents.retrieve(self.agent.id, include=["agent.blocks"])
        return self.agent

    def newest(self) -> list[Message]:
        """The newest messages of this conversation, the last one first."""
        messages = self.connection.client.conversations.messages
        return messages.list(self.conversation_id, agent_id=self.agent.id, limit=_LOOK_BACK, order="desc").items

    def last_words(self, newest: Iterable[Message]) -> list[tuple[str, str]]:
        """Who said what last."""
        found: dict[str, str] = {}
        for message in newest:
            who, text = _words(message, self.agent.name)
            if text and who not in found:
                found[who] = text
            if len(found) > 1:
                break
        return list(reversed(found.items()))

    def _follow(self, message: NewMessage, painter: Painter, known: Mapping[str, Call] = NO_CALLS) -> Turn:
        def ask() -> Iterable[LettaStreamingResponse]:
            return self.connection.client.conversations.messages.create(
                self.conversation_id,
                agent_id=self.agent.id if self.conversation_id == DEFAULT else letta_client.omit,
                messages=[message],
                streaming=True,
                stream_tokens=self.by_tokens,
            )

        turn = self.last = Turn(painter, calls=dict(known))
        follow(ask, turn, self._cancel)
        if turn.usage is not None:
            self.context_tokens = turn.usage.context_tokens
        return turn

    def _cancel(self, run_id: str) -> None:
        with contextlib.suppress(letta_client.ConflictError):  # it ended in this very moment
            self.connection.client.agents.messages.cancel(self.agent.id, run_ids=[run_id])


def waiting(newest: Sequence[Message]) -> dict[str, Call]:
    """The calls that wait for a yes since an earlier talk."""
    request = newest[0] if newest else None
    if not isinstance(request, ApprovalRequestMessage):
        return {}
    calls = request.tool_calls if isinstance(request.tool_calls, list) else [request.tool_call]
    return {
        call.tool_call_id: Call(call.tool_call_id, call.name or "", call.arguments or "")
        for call in calls
        if call.tool_call_id
    }


def _words(message: Message, agent_name: str) -> tuple[str, str]:
    match message:
        case UserMessage(content=str(text)) if not text.startswith("{"):  # a notice of the server is JSON
            return "you", text
        case AssistantMessage(content=str(text)):
            return agent_name, text
        case _:
            return "", ""
