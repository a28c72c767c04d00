"""Messages and events made by hand, with ids and times that do not change."""

from datetime import UTC, datetime
from typing import Any

from loci.types.events import Delta, MessageStored, RunEnded
from loci.types.messages import Kind, Message, Part, Role, Text, ToolCall, ToolResult
from loci.types.runs import Ending, StopReason
from loci.types.usage import Usage

RUN = "run-00000000-0000-4000-8000-00000000aaaa"
AGENT = "agent-00000000-0000-4000-8000-000000000001"
STEP = "step-00000000-0000-4000-8000-000000000001"
AT = datetime(2026, 5, 4, 3, 2, 1, 654_321, tzinfo=UTC)


def message_id(number: int) -> str:
    return f"message-00000000-0000-4000-8000-{number:012x}"


def message(number: int, role: Role, *parts: Part, kind: Kind = Kind.PLAIN, **fields: Any) -> Message:
    return Message(
        id=message_id(number),
        role=role,
        parts=parts,
        created_at=AT,
        agent_id=AGENT,
        conversation_id="conv-00000000-0000-4000-8000-000000000001",
        kind=kind,
        run_id=RUN,
        step_id=STEP,
        **fields,
    )


def delta(number: int, text: str, *, kind: Any = "text", index: int = 0, **fields: Any) -> Delta:
    return Delta(message_id=message_id(number), step_id=STEP, index=index, kind=kind, text=text, **fields)


def ended(reason: StopReason = StopReason.END_TURN, **fields: Any) -> RunEnded:
    return RunEnded(
        run_id=RUN,
        ending=Ending(reason=reason, **fields),
        usage=Usage(prompt_tokens=100, completion_tokens=7),
        step_count=1,
        context_tokens=107,
    )


def said(number: int, text: str, **fields: Any) -> MessageStored:
    return MessageStored(message=message(number, Role.ASSISTANT, Text(text)), **fields)


def called(number: int, name: str, arguments: str, **fields: Any) -> MessageStored:
    call = ToolCall(f"call-{number}", name, arguments)
    return MessageStored(message=message(number, Role.ASSISTANT, call), **fields)


def returned(number: int, call_id: str, name: str, text: str, **fields: Any) -> MessageStored:
    return MessageStored(message=message(number, Role.TOOL, ToolResult(call_id, name, text, **fields)))
