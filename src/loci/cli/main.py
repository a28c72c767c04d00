"""The command `loci`: a table of subcommands, each in a module that is imported when it is asked for.

So `loci --version` and `loci --help` answer at once, and no command pays for what another needs. Data goes to the
standard output, talk to the standard error output. Exit status: 0 done, 1 failed, 2 asked wrongly, 130 interrupted.
"""

import gc
import importlib
import sys
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from loci import __version__
from loci.cli import screen
from loci.errors import LociError

COMMANDS = {
    "chat": ("loci.cli.chat", "Talk to an agent and watch it remember."),
    "server": ("loci.cli.server", "Start the server."),
    "agents": ("loci.cli.agents", "List, create, show and delete agents."),
    "memory": ("loci.cli.memory", "Read, change and search what an agent knows, and see and undo what changed."),
    "models": ("loci.cli.models", "List the models that agents can use."),
    "mcp": ("loci.cli.mcp", "Offer the agents and their memory to MCP clients, over stdio."),
    "move": ("loci.cli.moving", "Bring the agents of another server here."),
    "orgs": ("loci.cli.orgs", "List and create organisations that share a server and see nothing of each other."),
    "keys": ("loci.cli.keys", "Create, list and revoke the keys of users."),
    "status": ("loci.cli.status", "Tell whether a server runs, and where."),
    "doctor": ("loci.cli.doctor", "Explain the set-up: what is there, what is missing, what to do next."),
}

HELP = """
Agents that remember: a server that speaks the Letta V1 API, and a terminal to talk to its agents.

Begin with [bold]loci chat[/bold]: it works at once, without a server and without a key.
For SDKs and other programs: [bold]loci server[/bold].
"""


class Commands(TyperGroup):
    """The group whose subcommands are only stand-ins, good for a list, until one of them is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401  these types are private to Typer
        """Find the subcommand; a word that is none is refused with those near to it."""
        name, found, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            found = _indented(get_command(_imported(COMMANDS[name][0]).app))
        return name, found, rest


def _indented(command: Any) -> Any:  # noqa: ANN401  as above
    """The command, and those below it: an empty line keeps examples that follow the first paragraph from losing their
    indentation, which Typer takes for the margin of what is shown there.
    """
    for each in (command, *getattr(command, "commands", {}).values()):
        each.help = each.help and each.help.replace("\n\n", "\n\n\n", 1)
    return command


def _imported(module: str) -> ModuleType:
    """What an import makes stays for good: the collector need not look at it, now (a sixth of the time) or later."""
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()


app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _stand_in() -> None:
    """Never run: `Commands` puts the real one in its place."""


for _name, (_module, _summary) in COMMANDS.items():
    app.command(_name, help=_summary)(_stand_in)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"loci {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """The entry point."""
    try:
        app()
    except LociError as error:
        screen.complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
