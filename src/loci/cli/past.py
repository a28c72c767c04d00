"""The past of a memory in the terminal: what changed, who wrote which line, and taking a change back."""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import typer
from letta_client import Letta
from rich.text import Text

from loci.cli import screen
from loci.cli.connect import connected
from loci.cli.find import agent_called
from loci.cli.options import AgentArgument, JsonOption, KeyOption, ServerOption
from loci.errors import NotFound
from loci.types.json import JsonObject

ChangeArgument = Annotated[
    str, typer.Argument(metavar="CHANGE", help="The number of a change, or the id of several made as one.")
]
_PREVIEW_CHARS = 60
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def history(
    agent: AgentArgument,
    block: Annotated[str | None, typer.Argument(metavar="BLOCK", help="A label; everything if left out.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 20,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    List what changed in a memory, when and by whom; the newest first.

    Examples:
      loci memory history ada
      loci memory history ada human --limit 5
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
        path = f"/v1/agents/{found.id}/memory/history"
        if block is not None:
            path = f"/v1/blocks/{_block_id(connection.client, found.id, block)}/history"
        changes = _objects(connection.client.get(f"{path}?limit={limit}", cast_to=object))
    if json:
        screen.emit(changes)
    else:
        screen.show_table(("CHANGE", "WHEN", "WHO", "WHAT", "TEXT"), [_row(change) for change in changes])


def diff(
    change: ChangeArgument, json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None
) -> None:
    """
    Show what a change did, line by line.

    Example:
      loci memory diff 42
    """
    with connected(server, api_key) as connection:
        changes = _objects(connection.client.get(f"/v1/memory/changes/{change}", cast_to=object))
    if json:
        screen.emit(changes)
    else:
        _show_diffs(changes)


def blame(
    agent: AgentArgument,
    block: Annotated[str, typer.Argument(metavar="BLOCK", help="The label of a block, such as human.")],
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Show for each line of a block who wrote it, and in which change.

    Example:
      loci memory blame ada human
    """
    with connected(server, api_key) as connection:
        found = agent_called(connection.client, agent)
        block_id = _block_id(connection.client, found.id, block)
        lines = _objects(connection.client.get(f"/v1/blocks/{block_id}/blame", cast_to=object))
    if json:
        screen.emit(lines)
    else:
        rows = [(str(line["change_id"]), _when(line), _who(line), str(line["text"])) for line in lines]
        screen.show_table(("CHANGE", "WHEN", "WHO", "LINE"), rows)


def undo(
    change: ChangeArgument, json: JsonOption = False, server: ServerOption = None, api_key: KeyOption = None
) -> None:
    """
    Take a change back, and keep what was changed since. It is refused where something later would be lost.

    Example:
      loci memory undo 42
    """
    with connected(server, api_key) as connection:
        done = cast("JsonObject", connection.client.post(f"/v1/memory/changes/{change}/undo", cast_to=object))
    changes = _objects(done["changes"])
    if json:
        screen.emit(done)
    elif changes:
        _show_diffs(changes)
        screen.note(f"Taken back. To have it again: loci memory undo {done['change_set_id']}")
    else:
        screen.note("There was nothing left to take back.")


def _block_id(client: Letta, agent_id: str, label: str) -> str:
    held = client.agents.retrieve(agent_id, include=["agent.blocks"]).blocks
    for block in held:
        if block.label == label and block.id:
            return block.id
    labels = ", ".join(block.label or "" for block in held)
    raise NotFound(f"The agent has no block '{label}'.", hint=f"It has: {labels}.")


def _objects(answer: object) -> Sequence[JsonObject]:
    return cast("Sequence[JsonObject]", answer)


def _row(change: JsonObject) -> tuple[str, str, str, str, str]:
    lines = str(change["diff"]).splitlines()
    changed = [line for line in lines if line[:1] in "+-"]
    text = screen.preview(" ".join(changed), _PREVIEW_CHARS)
    return str(change["id"]), _when(change), _who(change), _what(change), text


def _what(change: JsonObject) -> str:
    """What was done with what: a block by its label, anything else by its name, or its id if it was put somewhere."""
    verb, _, kind = str(change["action"]).partition("_")
    state = change["after"] or change["before"]
    name = change["label"] or (state.get("name") if isinstance(state, Mapping) else None)
    if verb in ("attach", "detach"):
        name = name or change["subject_id"]
    subject = (kind or "block") if change["subject"] == "attachment" else change["subject"]
    return " ".join(str(word) for word in (verb, subject, name) if word)


def _show_diffs(changes: Sequence[JsonObject]) -> None:
    for change in changes:
        words = " ".join(_row(change)[:4])
        screen.out.print(Text(screen.safe(words), "bold"))
        for line in str(change["diff"]).splitlines():
            screen.out.print(Text(screen.safe(line), _COLOURS.get(line[:1], "")))


def _when(change: JsonObject) -> str:
    return str(change["at"] or "")[:19].replace("T", " ")


def _who(change: JsonObject) -> str:
    return str(cast("JsonObject", change["author"])["kind"])
