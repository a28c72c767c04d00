"""`loci move`: bring the agents of another server here, one by one, so that it can be stopped and run again.

What an agent file holds comes as an agent file. Passages come one by one, as the file of other servers has none.
Blocks and folders that agents shared there are shared here. A copy that was begun is marked with where it came from,
and as done at its end; a second run leaves the done ones alone and begins the others anew.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated

import letta_client
import orjson
import typer
from letta_client import Letta
from letta_client.types import AgentState

from loci.cli import screen
from loci.cli.connect import connected, explained
from loci.cli.options import JsonOption, KeyOption, ServerOption, commands
from loci.errors import BadRequest

app = commands()

BEGUN, DONE = "loci_moving_from", "loci_moved_from"
"""What the metadata of a copy call the id that the agent had."""
PAGE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An agent that was brought here."""

    name: str
    old_id: str
    new_id: str
    messages: int
    passages: int
    shared_blocks: int


@app.callback(invoke_without_command=True)
def move(
    source: Annotated[str, typer.Option("--from", metavar="URL", help="The server where the agents are now.")],
    *,
    source_key: Annotated[str | None, typer.Option("--from-key", metavar="KEY", help="The key it wants.")] = None,
    agent: Annotated[list[str] | None, typer.Option(help="Only this one, by name or id. Can be repeated.")] = None,
    json: JsonOption = False,
    server: ServerOption = None,
    api_key: KeyOption = None,
) -> None:
    """
    Bring the agents of another server here, with their memory and what was said.

    Nothing changes on the other server. Run it again at any time: agents that are here already are left alone.

    Examples:
      loci move --from http://localhost:8283 --server http://localhost:8284
      loci move --from https://letta.example.org --from-key sk-… --agent ada --agent grace
    """
    with connected(server, api_key) as connection, _source(source, source_key) as other:
        if connection.base_url == source.rstrip("/").removesuffix("/v1"):
            raise BadRequest("Both servers are the same.", hint="Name where the agents shall go with --server.")
        moved = list(_move(other, connection.client, agent or []))
    if json:
        screen.emit([asdict(item) for item in moved])
    else:
        screen.note(f"{screen.amount(len(moved), 'agent')} brought here. `loci agents list` shows them.")


@contextmanager
def _source(url: str, key: str | None) -> Generator[Letta]:
    base_url = url.rstrip("/").removesuffix("/v1")
    try:
        with Letta(base_url=base_url, api_key=key or "none", timeout=600.0) as client:
            client.health()
            yield client
    except letta_client.APIError as error:
        raise explained(error, base_url) from error


def _move(source: Letta, target: Letta, chosen: Sequence[str]) -> Iterator[Moved]:
    agents = [item for item in source.agents.list(limit=PAGE_ROWS) if not chosen or {item.name, item.id} & set(chosen)]
    missing = set(chosen) - {item.name for item in agents} - {item.id for item in agents}
    if missing:
        raise BadRequest(f"There is no agent {', '.join(sorted(missing))} on the other server.")
    here = _known(target)
    blocks: dict[str, str] = {}
    folders: dict[str, str] = {}
    for number, agent in enumerate(agents, 1):
        copy = here.get(agent.id)
        if copy is not None and (copy.metadata or {}).get(DONE) == agent.id:
            # What it holds now is for those who have it to say; what others hold with it comes from here.
            _same_blocks(source, target, agent.id, copy.id, blocks, fresh=False)
            _same_folders(source, target, agent, copy.id, folders, fresh=False)
            screen.note(f"[{number}/{len(agents)}] {agent.name} is here already.")
            continue
        if copy is not None:
            target.agents.delete(copy.id)
        moved = _move_one(source, target, agent, blocks, folders)
        screen.note(
            f"[{number}/{len(agents)}] {agent.name}: {screen.amount(moved.messages, 'message')}, "
            f"{screen.amount(moved.passages, 'passage')}"
        )
        yield moved


def _known(target: Letta) -> dict[str, AgentState]:
    """The copies that are here, by the id that the agent had."""
    found: dict[str, AgentState] = {}
    for agent in target.agents.list(limit=PAGE_ROWS):
        marks = agent.metadata or {}
        old = marks.get(DONE) or marks.get(BEGUN)
        if isinstance(old, str):
            found[old] = agent
    return found


def _move_one(
    source: Letta, target: Letta, agent: AgentState, blocks: dict[str, str], folders: dict[str, str]
) -> Moved:
    document = source.get(f"/v1/agents/{agent.id}/export", cast_to=object)
    if not isinstance(document, dict):
        raise BadRequest(f"The other server's file of '{agent.name}' is no agent file.")
    file = ("agent.af", orjson.dumps(document))
    made = target.agents.import_file(file=file, append_copy_suffix=False)
    new_id = made.agent_ids[0]
    for warning in (made.model_extra or {}).get("warnings", []):
        screen.note(f"  {warning}")
    marks = {**(agent.metadata or {}), BEGUN: agent.id}
    target.agents.update(new_id, metadata=marks)
    shared = _same_blocks(source, target, agent.id, new_id, blocks, fresh=True)
    _same_folders(source, target, agent, new_id, folders, fresh=True)
    passages = _passages(source, target, agent.id, new_id)
    del marks[BEGUN]
    target.agents.update(new_id, metadata={**marks, DONE: agent.id})
    messages = sum(1 for _ in {message.id for message in target.agents.messages.list(new_id, limit=PAGE_ROWS)})
    return Moved(
        name=agent.name, old_id=agent.id, new_id=new_id, messages=messages, passages=passages, shared_blocks=shared
    )


def _same_blocks(source: Letta, target: Letta, old_id: str, new_id: str, blocks: dict[str, str], *, fresh: bool) -> int:
    """Let a fresh copy hold the blocks that came with another agent; how many. `blocks` leads from old to new."""
    mine = {block.label: block.id for block in target.agents.blocks.list(new_id)}
    shared = 0
    for block in source.agents.blocks.list(old_id):
        own = mine.get(block.label)
        known = blocks.setdefault(block.id, own) if own else blocks.get(block.id)
        if known is None or known == own or not fresh:
            continue
        if own:
            target.agents.blocks.detach(own, agent_id=new_id)
            target.blocks.delete(own)
        target.agents.blocks.attach(known, agent_id=new_id)
        shared += 1
    return shared


def _same_folders(
    source: Letta, target: Letta, agent: AgentState, new_id: str, folders: dict[str, str], *, fresh: bool
) -> None:
    """The same for folders; those that are no part of the agent's file are named."""
    mine = {folder.name: folder.id for folder in target.agents.folders.list(new_id, limit=PAGE_ROWS)}
    for folder in source.agents.folders.list(agent.id, limit=PAGE_ROWS):
        suffixed = re.compile(re.escape(folder.name) + "_[0-9a-f]{8}")
        own = mine.get(folder.name) or next((mine[name] for name in mine if suffixed.fullmatch(name)), None)
        known = folders.setdefault(folder.id, own) if own else folders.get(folder.id)
        if known == own or not fresh:
            continue
        if known is None:
            screen.note(f"  The folder '{folder.name}' did not come with the agent. Send its files here again.")
            continue
        if own:
            target.agents.folders.detach(own, agent_id=new_id)
            target.folders.delete(own)
        target.agents.folders.attach(known, agent_id=new_id)


def _passages(source: Letta, target: Letta, old_id: str, new_id: str) -> int:
    """Bring the archive, oldest first, unless it came with the file; how many passages are here."""
    here = len(target.agents.passages.list(new_id, limit=1))
    count, last = 0, None
    while True:
        page = source.agents.passages.list(old_id, limit=PAGE_ROWS, ascending=True, after=last or letta_client.omit)
        for passage in page if not here else ():
            target.agents.passages.create(
                new_id, text=passage.text, tags=passage.tags or [], created_at=passage.created_at or letta_client.omit
            )
        count += len(page)
        if len(page) < PAGE_ROWS:
            return count
        last = page[-1].id
