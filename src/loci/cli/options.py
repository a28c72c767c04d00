"""What several commands share: how they are declared, and their options."""

from typing import Annotated, Any

import typer


def commands(about: str | None = None) -> typer.Typer:
    """An application of one command, or of several, which are listed under `about`."""
    several: dict[str, Any] = {} if about is None else {"help": about, "no_args_is_help": True}
    return typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False, **several)


JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar=["LOCI_BASE_URL", "LETTA_BASE_URL"],
        help="The server to ask. Without it: the one on this machine if it runs, else the data file directly.",
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        envvar=["LOCI_API_KEY", "LETTA_API_KEY"],
        help="The key that the server wants. The server on this machine needs none here.",
    ),
]
AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="The name or the id of an agent.")]
