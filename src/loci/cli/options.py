"""Options that several commands share."""

from typing import Annotated

import typer

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
