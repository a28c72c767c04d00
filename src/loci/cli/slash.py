"""The commands of a chat: a word after a slash."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from rich.text import Text

from loci.cli import screen, view
from loci.cli.find import agent_called
from loci.cli.session import DEFAULT, Session
from loci.errors import NotFound

_SEARCH_LIMIT = 5
_AGENTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Command:
    """What a word does, and how it is explained."""

    usage: str
    summary: str
    act: Callable[[Session, str], None]


class Leave(Exception):
    """The talk is over."""


def obey(session: Session, line: str) -> None:
    """Do what a line says that begins with a slash. Raises Leave, and NotFound for a word that is no command."""
    word, _, rest = line.partition(" ")
    name = {"/exit": "/quit", "/q": "/quit", "/?": "/help", "/models": "/model", "/agent": "/agents"}.get(word, word)
    if name not in COMMANDS:
        near = get_close_matches(word, COMMANDS, n=1)
        raise NotFound(f"There is no {word}.", hint=f"Did you mean {near[0]}?" if near else "/help lists them.")
    COMMANDS[name].act(session, rest.strip())


def _memory(session: Session, _rest: str) -> None:
    agent = session.refreshed()
    if agent.blocks:
        view.show_blocks(agent, screen.talk)
    else:
        screen.note("This agent has no blocks.")


def _search(session: Session, rest: str) -> None:
    if not rest:
        raise NotFound("There is nothing to search for.", hint="Write it behind: /search tea")
    hits = view.search(session.connection.client, session.agent.id, rest, _SEARCH_LIMIT)
    if hits:
        view.show_hits(hits, screen.talk)
    else:
        screen.note("Nothing found. (What stands in the blocks is always in sight: /memory)")


def _model(session: Session, rest: str) -> None:
    if rest:
        session.use_model(rest)
        screen.note(f"{session.agent.name} now uses {session.agent.model}.")
        return
    for model in session.connection.client.models.list():
        handle = model.handle or model.name
        mark = ("● ", "green") if handle == session.agent.model else "  "
        screen.talk.print(Text.assemble(mark, handle, (f"  {model.max_context_window:,} tokens", "dim")))
    screen.note("Switch with /model HANDLE")


def _new(session: Session, _rest: str) -> None:
    session.begin_anew()
    screen.note("A new conversation. What was said before is out of sight; the memory is the same.")


def _agents(session: Session, rest: str) -> None:
    client = session.connection.client
    if rest:
        session.agent, session.conversation_id = agent_called(client, rest), DEFAULT
        session.last = session.context_tokens = None
        screen.note(f"You are talking to {session.agent.name} ({session.agent.model}).")
        return
    for agent in client.agents.list(limit=_AGENTS_SHOWN, order="desc").items:
        mark = ("● ", "green") if agent.id == session.agent.id else "  "
        screen.talk.print(Text.assemble(mark, screen.safe(agent.name), (f"  {agent.model}", "dim")))
    screen.note("Switch with /agents NAME")


def show_thoughts(session: Session) -> None:
    """Unfold what the agent thought for its last answer."""
    thoughts = "".join(session.last.thoughts).strip() if session.last else ""
    if thoughts:
        screen.talk.print(Text(screen.safe(thoughts), "dim italic"))
    else:
        screen.note("There were no thoughts behind the last answer.")


def _think(session: Session, rest: str) -> None:
    if rest in ("on", "off"):
        session.show_thinking = rest == "on"
        screen.note(f"Thinking is {'shown' if session.show_thinking else 'folded'} from now on.")
    else:
        show_thoughts(session)


def _stop(session: Session, _rest: str) -> None:
    screen.note("Stopped." if session.stop() else "Nothing is under way here.")


def _help(_session: Session, _rest: str) -> None:
    for command in COMMANDS.values():
        screen.talk.print(Text.assemble(f"  {command.usage:<18}", (command.summary, "dim")))
    screen.note("  Enter sends; Esc-Enter or a \\ at the end begins a new line. Ctrl-C stops an answer.")


def _quit(_session: Session, _rest: str) -> None:
    raise Leave


COMMANDS = {
    "/memory": Command("/memory", "what the agent always has in mind", _memory),
    "/search": Command("/search TEXT", "what it has archived, and all that was ever said", _search),
    "/model": Command("/model [HANDLE]", "which models there are; switch to one", _model),
    "/new": Command("/new", "a new conversation with the same memory", _new),
    "/agents": Command("/agents [NAME]", "which agents there are; switch to one", _agents),
    "/think": Command("/think [on|off]", "the thoughts behind the last answer; always show or fold them", _think),
    "/stop": Command("/stop", "stop what is under way in this conversation", _stop),
    "/help": Command("/help", "this list", _help),
    "/quit": Command("/quit", "leave (also Ctrl-D); everything is saved already", _quit),
}
