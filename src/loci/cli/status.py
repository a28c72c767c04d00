"""`loci status`: whether a server runs, and where the data is."""

import typer
from rich.text import Text

from loci.cli import screen
from loci.cli.connect import found_server
from loci.cli.options import JsonOption, KeyOption, ServerOption, commands
from loci.config import load
from loci.store.owner import database_file, owner_of

app = commands()


@app.command()
def status(json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None) -> None:
    """
    Tell whether a server runs, and where. Exit status 0 if one does, 1 if not.

    Example:
      loci status --json | jq -r .address
    """
    settings = load()
    file = database_file(settings.database_url)
    found = found_server(settings, server, api_key)
    owner = owner_of(file) if file else None
    if json:
        screen.emit(
            {
                "running": found is not None,
                "address": found.base_url if found else None,
                "version": found.version if found else None,
                "process": owner.pid if owner else None,
                "data": str(file) if file else None,
            }
        )
    elif found:
        screen.out.print(Text.assemble(("● ", "green"), f"Loci {found.version or ''} runs at {found.base_url}"))
    else:
        screen.out.print(Text.assemble(("○ ", "dim"), "No server runs. Start it with: loci server"))
        if owner:
            screen.note(f"But process {owner.pid} has the data open, such as `loci chat` in another window.")
    if file and not json and not server:
        screen.note(f"  data: {screen.short_path(file)}{'' if file.exists() else ' (not made yet)'}")
    if not found:
        raise typer.Exit(1)
