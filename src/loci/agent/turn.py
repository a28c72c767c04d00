"""A turn: the working state of one run while it goes on, and the kit of outside things that every run uses."""

from collections.abc import Callable
from dataclasses import dataclass, field

from loci.agent.context import tokens_now
from loci.agent.kinds import AgentKind
from loci.agent.request import ApprovalReply, RunRequest
from loci.agent.stop import Stop
from loci.agent.window import Bundle, Caches, Window
from loci.clock import Clock
from loci.model.base import Model, Models
from loci.model.tokens import START, Ratio
from loci.store.base import Store
from loci.tools.base import Builtins, ToolRunner
from loci.types.actor import Actor
from loci.types.agents import Conversation, ModelSettings
from loci.types.events import Event
from loci.types.memory import ActorKind, Author
from loci.types.messages import Message, Trust
from loci.types.runs import Limits, Run
from loci.types.tools import ToolSchema
from loci.types.usage import Usage


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

    @property
    def handle(self) -> str:
        """The handle of the model that answers."""
        agent = self.bundle.agent
        return self.request.override_model or self.conversation.model or agent.model

    @property
    def settings(self) -> ModelSettings:
        """What is asked of the model."""
        return self.bundle.agent.model_settings

    @property
    def window_tokens(self) -> int:
        """The context window: the agent's, but never more than the model has."""
        most = self.bundle.agent.context_window_tokens
        return min(most, self.model.info.window_tokens) if self.model else most

    def ratio(self, kit: Kit) -> Ratio:
        """Bytes for each token of this turn's model."""
        return kit.ratios.get(self.handle, START)

    def tokens_now(self, kit: Kit) -> int:
        """How full the window is."""
        counted_tokens, counted_bytes = self.context_tokens, self.counted_bytes
        return tokens_now(
            self.window, self.bundle, self.ratio(kit), counted_tokens=counted_tokens, counted_bytes=counted_bytes
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
