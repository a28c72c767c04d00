"""`loci agents`: list, create, show, delete, export and import them."""

from pathlib import Path
from typing import Annotated

import typer
from letta_client.types import AgentState
from rich.text import Text

from loci.cli import screen, view
from loci.cli.connect import connected
from loci.cli.find import agent_called, create_agent
from loci.cli.options import AgentArgument, JsonOption, KeyOption, ServerOption, commands
from loci.errors import BadRequest

app = commands("List, create, show, delete, export and import agents.")


@app.command("list")
def list_agents(
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 50,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    List agents, the newest first.

    Examples:
      loci agents list
      loci agents list --json | jq -r '.[].name'
    """
    with connected(server, api_key) as connection:
        agents = connection.client.agents.list(limit=limit, order="desc").items
    if json:
        screen.emit([agent.model_dump(mode="json") for agent in agents])
    elif not agents:
        screen.note("No agents yet. `loci chat` makes one and talks to it.")
    else:
        titles = ("NAME", "MODEL", "CREATED", "ID")
        screen.show_table(titles, [(agent.name, agent.model or "", _day(agent), agent.id) for agent in agents])


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    *,
    model: Annotated[str | None, typer.Option(help="Its model, see `loci models`; the default if left out.")] = None,
    persona: Annotated[str | None, typer.Option(help="Who it is, in its own words.")] = None,
    human: Annotated[str | None, typer.Option(help="What it knows about you from the start.")] = None,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Create an agent with a memory of itself, of you, and an archive.

    Examples:
      loci agents create ada
      loci agents create ada --model ollama/qwen3:8b --human "Lives in Porto."
    """
    with connected(server, api_key) as connection:
        agent = create_agent(connection.client, name, model=model, persona=persona, human=human)
    if json:
        screen.emit(agent.model_dump(mode="json"))
    else:
        print(agent.id)
        screen.note(f"'{agent.name}' uses {agent.model}. Talk to it: loci chat {agent.name}")


@app.command()
def show(
    agent: AgentArgument, json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None
) -> None:
    """
    Show an agent: its model, tools and memory.

    Example:
      loci agents show ada
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
    if json:
        screen.emit(found.model_dump(mode="json"))
        return
    facts = [
        ("Name", found.name),
        ("Id", found.id),
        ("Model", found.model or ""),
        ("Embedding", found.embedding or "none: searched by words only"),
        ("Type", found.agent_type),
        ("Tools", ", ".join(tool.name or "" for tool in found.tools)),
        ("Tags", ", ".join(found.tags)),
        ("Created", _day(found)),
    ]
    for title, value in facts:
        if value:
            screen.out.print(Text.assemble((f"{title:<10}", "dim"), value))
    screen.out.print()
    view.show_blocks(found, screen.out)


@app.command()
def delete(
    agent: AgentArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Delete an agent with its conversations. Its memory blocks stay and can be attached to another agent.

    Example:
      loci agents delete ada --yes
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
        if not yes:
            _ask(found)
        connection.client.agents.delete(found.id)
    screen.note(f"'{found.name}' is deleted.")


@app.command("export")
def export_agent(
    agent: AgentArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; standard output if left out.")
    ] = None,
    no_messages: Annotated[bool, typer.Option("--no-messages", help="Leave out what was said.")] = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Write an agent as a file (.af): settings, tools, memory and messages; no values of secrets.

    Examples:
      loci agents export ada -o ada.af
      loci agents export ada --no-messages > ada.af
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
        document = connection.client.agents.export_file(found.id, scrub_messages=no_messages)
    if output is None:
        print(document)
        return
    try:
        output.write_text(document + "\n", encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{output} cannot be written: {error.strerror}.") from error
    screen.note(f"'{found.name}' is in {output}.")


@app.command("import")
def import_agent(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An agent file (.af).")],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it; as in the file if left out.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model; as in the file if left out.")] = None,
    no_messages: Annotated[bool, typer.Option("--no-messages", help="Leave out what was said.")] = False,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Make the agents of a file (.af), of this server or another.

    Examples:
      loci agents import ada.af
      loci agents import ada.af --name bea --model ollama/qwen3:8b
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from error
    with connected(server, api_key) as connection:
        made = connection.client.agents.import_file(
            file=(file.name, raw), name=name, model=model, strip_messages=no_messages, append_copy_suffix=False
        )
    if json:
        screen.emit(made.model_dump(mode="json"))
        return
    for agent_id in made.agent_ids:
        print(agent_id)
    for warning in (made.model_extra or {}).get("warnings", []):
        screen.note(str(warning))


def _ask(agent: AgentState) -> None:
    if not screen.talk.is_terminal:
        raise BadRequest("Deleting needs a yes.", hint=f"Repeat it with --yes: loci agents delete {agent.name} --yes")
    typer.confirm(f"Delete '{agent.name}' ({agent.id}) with all that was said?", abort=True, err=True)


def _day(agent: AgentState) -> str:
    return f"{agent.created_at:%Y-%m-%d}" if agent.created_at else ""
