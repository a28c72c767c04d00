"""Random histories: what a window may hold, valid or broken, in any order that crashes and imports can leave."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from loci.types.messages import ApprovalAnswer, Kind, Message, Part, Role, Text, ToolCall, ToolResult

START = datetime(2026, 3, 1, tzinfo=UTC)
WORDS = st.text(alphabet="abc déé世界\n", min_size=0, max_size=60)


def message(number: int, role: Role, *parts: Part, kind: Kind = Kind.PLAIN) -> Message:
    """A message whose id is its number."""
    return Message(
        id=f"message-{number}",
        role=role,
        kind=kind,
        parts=parts,
        created_at=START + timedelta(minutes=number),
        agent_id="agent-1",
        conversation_id="conv-1",
        seq=number + 1,
    )


@st.composite
def valid_histories(draw: st.DrawFn) -> list[Message]:
    """Turns as the loop stores them: words of the user, calls with their results, answers, notes, summaries."""
    history: list[Message] = []

    def add(role: Role, *parts: Part, kind: Kind = Kind.PLAIN) -> None:
        history.append(message(len(history), role, *parts, kind=kind))

    for turn in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from([Kind.PLAIN, Kind.PLAIN, Kind.PLAIN, Kind.ALERT, Kind.SUMMARY]))
        add(Role.USER, Text(draw(WORDS) * draw(st.sampled_from([1, 1, 40]))), kind=kind)
        for step in range(draw(st.integers(0, 3))):
            ids = [f"call_{turn}_{step}_{n}" for n in range(draw(st.integers(1, 3)))]
            calls = [ToolCall(call_id, "look", '{"a": 1}') for call_id in ids]
            add(Role.ASSISTANT, *([Text("hm")] if draw(st.booleans()) else []), *calls)
            if draw(st.booleans()):
                add(Role.APPROVAL, *(ApprovalAnswer(call_id, approve=True) for call_id in ids))
            text = draw(WORDS) * draw(st.sampled_from([1, 10, 300]))
            add(Role.TOOL, *(ToolResult(call_id, "look", text) for call_id in ids))
        if draw(st.booleans()):
            add(Role.ASSISTANT, Text(draw(WORDS)))
    return history


@st.composite
def broken_histories(draw: st.DrawFn) -> list[Message]:
    """Valid ones with messages dropped, doubled and moved."""
    history = draw(valid_histories())
    kept = [item for item in history if draw(st.integers(0, 9)) > 1]
    doubled = [twin for item in kept for twin in ([item, item] if draw(st.integers(0, 9)) == 0 else [item])]
    return draw(st.permutations(doubled)) if draw(st.booleans()) else doubled
