"""`loci chat`: a talk with an agent in the terminal, or one message and its answer for a script."""

import sys
from collections.abc import Mapping
from typing import Annotated

import letta_client
import typer
from letta_client import Letta
from letta_client.types import AgentState
from letta_client.types.agents.letta_streaming_response import LettaErrorMessage
from rich.text import Text

from loci.cli import screen
from loci.cli.connect import Connection, connected, explained
from loci.cli.find import NEWCOMER, agent_called, create_agent, latest_agent
from loci.cli.once import answer_once
from loci.cli.options import JsonOption, KeyOption, ServerOption, commands
from loci.cli.paint import LivePainter, call_line
from loci.cli.prompt import Prompt
from loci.cli.session import DEFAULT, Decision, Session, waiting
from loci.cli.slash import COMMANDS, Leave, obey, show_thoughts
from loci.cli.turn import Call, Turn
from loci.errors import BadRequest, LociError, NotFound
from loci.model.demo import SETUP

app = commands()

_PREVIEW_CHARS = 100


@app.command()
def chat(
    agent: Annotated[
        str | None, typer.Argument(metavar="AGENT", help="Name or id; the one used last if left out.")
    ] = None,
    *,
    message: Annotated[
        str | None,
        typer.Option("--message", "-m", metavar="TEXT", help="Say this, print the answer, leave; - reads a pipe."),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="HANDLE", help="Give the agent this model first.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Begin a new conversation; the memory stays.")] = False,
    conversation: Annotated[
        str | None, typer.Option(metavar="ID", help="Go on with this conversation instead of the default one.")
    ] = None,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Talk to an agent and watch it remember.

    Without a server on this machine the data is opened directly;
    without any agent one is made. A message from a pipe is answered
    like one given with -m.

    Examples:
      loci chat
      loci chat ada --new
      loci chat ada -m "What do you know about me?"
      git log -5 | loci chat ada --json | jq -r .stop_reason
    """
    text = _given_message(message, json=json)
    with connected(server, api_key) as connection:
        session = Session(connection, _chosen(connection.client, agent, model, may_ask=text is None))
        if model and session.agent.model != model:
            session.use_model(model)
        if new:
            session.begin_anew()
        elif conversation:
            session.conversation_id = conversation
        if text is None:
            _talk(session)
        elif not answer_once(session, text, json=json):
            raise typer.Exit(1)


def _given_message(message: str | None, *, json: bool) -> str | None:
    text = sys.stdin.read() if message == "-" or (message is None and not sys.stdin.isatty()) else message
    if text is not None and not text.strip():
        raise BadRequest("The message is empty.")
    if text is None and json:
        raise BadRequest("JSON is for one message.", hint='Give it: loci chat --json -m "Hello"')
    return text


def _chosen(client: Letta, word: str | None, model: str | None, *, may_ask: bool) -> AgentState:
    """The agent that is meant, made if need be: the first one ever without asking, one with a new name after a yes."""
    if word is None:
        return latest_agent(client) or _made(client, NEWCOMER, model)
    try:
        return agent_called(client, word)
    except NotFound:
        if not may_ask or not typer.confirm(f"There is no agent '{word}'. Make it?", default=True, err=True):
            raise
    return _made(client, word, model)


def _made(client: Letta, name: str, model: str | None) -> AgentState:
    agent = create_agent(client, name, model=model)
    screen.note(f"Made an agent called '{agent.name}'. It remembers you from now on.")
    return agent


def _talk(session: Session) -> None:
    _greet(session)
    prompt = Prompt(
        session.connection.settings.home / "chat_history",
        commands={name: command.summary for name, command in COMMANDS.items()},
        status=lambda: _status(session),
        show_thinking=lambda: show_thoughts(session),
    )
    while True:
        try:
            line = prompt.ask()
            if line.startswith("/"):
                obey(session, line)
            elif line:
                _exchange(session, line)
        except KeyboardInterrupt:
            screen.note("Ctrl-D or /quit leaves.")
        except (EOFError, Leave):
            break
        except LociError as error:
            screen.complain(error)
        except letta_client.APIError as error:
            screen.complain(explained(error, session.connection.place))
    _part(session)


def _greet(session: Session) -> None:
    agent, connection = session.agent, session.connection
    where = connection.base_url or f"{connection.place}, opened here because no server runs"
    screen.talk.print(Text.assemble("Talking to ", (screen.safe(agent.name), "bold"), f" ({agent.model})"))
    screen.note(f"{where}\n/help for commands, Ctrl-C stops an answer, Ctrl-D leaves")
    if agent.model == screen.SCRIPTED:
        _explain_stand_in(connection)
    newest = session.newest()
    for who, words in session.last_words(newest):
        screen.note(f"{who}: {screen.preview(words, _PREVIEW_CHARS)}")
    screen.talk.print()
    if calls := waiting(newest):
        _conclude(session, _settled(session, calls))


def _explain_stand_in(connection: Connection) -> None:
    real = [
        model.handle for model in connection.client.models.list() if model.handle and model.handle != screen.SCRIPTED
    ]
    advice = f"There are real models now; give the agent one: /model {real[0]}" if real else f"{SETUP} (Here: /model)"
    stand_in = "This agent has no language model, only a script that knows a few phrases: try “my name is Ada”."
    screen.talk.print(Text(f"{stand_in} {advice}", "yellow"))


def _status(session: Session) -> str:
    tokens = f" · {session.context_tokens:,} tokens in sight" if session.context_tokens else ""
    conversation = "" if session.conversation_id == DEFAULT else " · another conversation"
    return f"{session.agent.name} · {session.agent.model}{conversation}{tokens} · /help"


def _exchange(session: Session, text: str) -> None:
    with LivePainter(screen.talk, show_thinking=session.show_thinking) as painter:
        turn = session.say(text, painter)
    if turn.asked and turn.stop_reason == "requires_approval":
        turn = _settled(session, turn.asked)
    _conclude(session, turn)


def _settled(session: Session, calls: Mapping[str, Call]) -> Turn:
    """Ask about calls that wait for a yes, and go on until none does."""
    while True:
        decisions = {call.id: _decided(call) for call in calls.values()}
        with LivePainter(screen.talk, show_thinking=session.show_thinking) as painter:
            turn = session.decide(decisions, calls, painter)
        calls = turn.asked
        if not calls or turn.stop_reason != "requires_approval":
            return turn


def _decided(call: Call) -> Decision:
    answer = typer.prompt(f"{call_line(call)}\nMay it do that? yes, no, or why not", default="no", err=True)
    word = str(answer).strip()
    if word.lower() in ("y", "yes"):
        return Decision(approve=True)
    return Decision(approve=False, reason=None if word.lower() in ("n", "no") else word)


def _conclude(session: Session, turn: Turn) -> None:
    """The line below an answer: what it cost, or why there is none."""
    if isinstance(turn.error, LettaErrorMessage):
        screen.complain(LociError(turn.error.message, hint=turn.error.detail))
    elif turn.error is not None:
        screen.complain(explained(turn.error, session.connection.place))
    elif turn.stop_reason == "cancelled":
        screen.note("Stopped. What is above is kept.")
    elif turn.stop_reason is None:
        screen.note("Left alone: it goes on, and /stop ends it.")
    elif not turn.is_good:
        screen.note(f"It ended early: {turn.stop_reason.replace('_', ' ')}.")
    if turn.usage is not None and turn.usage.total_tokens:
        steps = turn.usage.step_count or 1
        tokens = f"{turn.usage.prompt_tokens or 0:,} tokens read, {turn.usage.completion_tokens or 0:,} written"
        screen.note(f"{tokens}{f', {steps} steps' if steps > 1 else ''}")
    screen.talk.print()


def _part(session: Session) -> None:
    if session.conversation_id != DEFAULT:
        screen.note(f"Go on with it: loci chat {session.agent.name} --conversation {session.conversation_id}")
