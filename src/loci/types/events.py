"""What a run tells while it goes on: one stream of events feeds the API, the UI, the CLI, the log and the tests.

`Delta` events are previews of a message that is being written; everything else is sent only after the step behind it
has been committed ("saved before said").
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from loci.types.json import JsonObject, text_of
from loci.types.messages import Message
from loci.types.runs import Ending, Run, StopReason
from loci.types.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """The run is stored and owns its conversation."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of the message `message_id` that the model is writing now. `index` numbers the parts of that message."""

    message_id: str
    step_id: str
    index: int
    kind: Literal["text", "reasoning", "tool_call"]
    text: str = ""
    """New words (text, reasoning) or a new piece of the JSON arguments (tool_call)."""
    signature: str | None = None
    call_id: str | None = None
    name: str | None = None
    asks_approval: bool = False
    """This call will wait for a person or for the client, so it is told as a question from its first piece on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStored:
    """A message of this run is committed. `streamed` says that its parts were already sent as deltas."""

    message: Message
    streamed: bool = False
    asks_approval: bool = False
    """The calls in this message wait for a person or for the client."""
    asked: tuple[str, ...] = ()
    """Ids of the calls that wait, where not all of them do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """A step is committed with all it brought."""

    step_id: str
    usage: Usage
    context_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """Messages left the window and a summary took their place."""

    summary: Message
    trigger: str
    stats: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The one last event of a run."""

    run_id: str
    ending: Ending
    usage: Usage
    step_count: int
    context_tokens: int | None = None


Event: TypeAlias = RunStarted | Delta | MessageStored | StepEnded | Compacted | RunEnded


def end_of(run: Run) -> RunEnded:
    """The last event of a run that has ended, from what is stored of it."""
    error = run.error or {}
    ending = Ending(
        reason=run.stop_reason or StopReason.ERROR,
        error_type=text_of(error, "error_type"),
        message=text_of(error, "message"),
        detail=text_of(error, "detail"),
    )
    return RunEnded(run_id=run.id, ending=ending, usage=run.usage, step_count=run.step_count)
