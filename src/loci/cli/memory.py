"""`loci memory`: what an agent knows, read, changed, searched, and taken back."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from letta_client.types import AgentState
from letta_client.types.agents import Block

from loci.cli import past, screen, view
from loci.cli.connect import connected
from loci.cli.find import agent_called
from loci.cli.options import AgentArgument, JsonOption, KeyOption, ServerOption, commands
from loci.errors import BadRequest, NotFound

app = commands("Read, change and search what an agent knows, and see and undo what changed.")

for _command in (past.history, past.diff, past.blame, past.undo):
    app.command()(_command)

BlockArgument = Annotated[str, typer.Argument(metavar="BLOCK", help="The label of a block, such as human.")]
_PREVIEW_CHARS = 48


@app.command("ls")
def list_blocks(
    agent: AgentArgument, json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None
) -> None:
    """
    List what is always before the agent's eyes, and how full it is.

    Example:
      loci memory ls ada
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
    if json:
        screen.emit([block.model_dump(mode="json") for block in found.blocks])
    elif not found.blocks:
        screen.note(f"'{found.name}' has no blocks.")
    else:
        screen.show_table(("BLOCK", "FULL", "", "BEGINS"), [_row(block) for block in found.blocks])


def _row(block: Block) -> tuple[str, str, str, str]:
    begins = screen.preview(block.value, _PREVIEW_CHARS) or "(empty)"
    return block.label or "", screen.bar(len(block.value), block.limit or 0), view.fullness(block), begins


@app.command()
def show(
    agent: AgentArgument,
    block: Annotated[str | None, typer.Argument(metavar="BLOCK", help="A label; all blocks if left out.")] = None,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Show memory in full.

    Examples:
      loci memory show ada
      loci memory show ada human > human.txt
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
    chosen = found.blocks if block is None else [_block(found, block)]
    if json:
        shown = [each.model_dump(mode="json") for each in chosen]
        screen.emit(shown if block is None else shown[0])
    elif block is None:
        view.show_blocks(found, screen.out)
    else:
        sys.stdout.write(chosen[0].value + "\n")


@app.command("set")
def set_block(
    agent: AgentArgument,
    block: BlockArgument,
    value: Annotated[str, typer.Argument(metavar="TEXT", help="The new text; - reads it from the standard input.")],
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Replace the text of a block. A block that the agent does not have yet is made.

    Examples:
      loci memory set ada human "Name: Ada. Likes tea."
      loci memory set ada human - < human.txt
    """
    text = sys.stdin.read().rstrip("\n") if value == "-" else value
    with connected(server, api_key) as connection:
        client, found = connection.client, agent_called(connection.client, agent)
        if any(each.label == block for each in found.blocks):
            changed = client.agents.blocks.update(block, agent_id=found.id, value=text)
        else:
            changed = client.blocks.create(label=block, value=text)
            client.agents.blocks.attach(changed.id, agent_id=found.id)
    if json:
        screen.emit(changed.model_dump(mode="json"))
    else:
        screen.note(f"'{block}' of '{found.name}' now has {screen.amount(len(text), 'character')}.")


@app.command()
def search(
    agent: AgentArgument,
    words: Annotated[list[str], typer.Argument(metavar="TEXT", help="Words or a question.")],
    limit: Annotated[int, typer.Option(help="How many at most from each place.", min=1)] = 5,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Search the archive and all that was ever said, by words and by meaning.

    Example:
      loci memory search ada "what does she drink"
    """
    query = " ".join(words).strip()
    if not query:
        raise BadRequest("There is nothing to search for.")
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
        hits = view.search(connection.client, found.id, query, limit)
    if json:
        screen.emit([asdict(hit) for hit in hits])
    elif hits:
        view.show_hits(hits, screen.out)
    else:
        screen.note(f"'{found.name}' knows nothing about that outside its blocks.")


def _block(agent: AgentState, label: str) -> Block:
    for block in agent.blocks:
        if block.label == label:
            return block
    labels = ", ".join(block.label or "" for block in agent.blocks)
    raise NotFound(f"'{agent.name}' has no block '{label}'.", hint=f"It has: {labels}.")
