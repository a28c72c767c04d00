"""One message and its answer: for scripts, and for those who only want to know one thing."""

from letta_client.types.agents.letta_streaming_response import LettaErrorMessage

from loci.cli import screen
from loci.cli.connect import explained
from loci.cli.paint import LivePainter, PlainPainter, SilentPainter, call_line
from loci.cli.session import Session
from loci.cli.turn import Turn
from loci.errors import LociError


def answer_once(session: Session, text: str, *, json: bool) -> bool:
    """Say it, write the answer, and tell whether it came to a good end."""
    turn = _as_json(session, text) if json else _as_text(session, text)
    if isinstance(turn.error, LettaErrorMessage):
        screen.complain(LociError(turn.error.message, hint=turn.error.detail))
    elif turn.error is not None:
        raise explained(turn.error, session.connection.place) from turn.error
    elif turn.stop_reason == "requires_approval":
        calls = ", ".join(call_line(call) for call in turn.asked.values())
        screen.note(f"It waits for a yes to {calls}. Answer in `loci chat {session.agent.name}`.")
    elif not turn.is_good:
        screen.note(f"It ended early: {(turn.stop_reason or 'interrupted').replace('_', ' ')}.")
    return turn.is_good and turn.stop_reason != "requires_approval"


def _as_text(session: Session, text: str) -> Turn:
    if screen.out.is_terminal:
        with LivePainter(screen.out, show_thinking=False) as painter:
            return session.say(text, painter)
    plain = PlainPainter()
    turn = session.say(text, plain)
    plain.end_line()
    return turn


def _as_json(session: Session, text: str) -> Turn:
    session.by_tokens = False  # each message whole
    turn = session.say(text, SilentPainter())
    screen.emit(
        {
            "agent_id": session.agent.id,
            "conversation_id": session.conversation_id,
            "run_id": turn.run_id,
            "messages": [event.model_dump(mode="json") for event in turn.messages],
            "stop_reason": turn.stop_reason,
            "usage": turn.usage.model_dump(mode="json", exclude={"message_type"}) if turn.usage else None,
        }
    )
    return turn
