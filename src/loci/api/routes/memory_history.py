"""The past of memory: what changed, when and by whom, who wrote which line, what was known at a time; and undoing."""

from dataclasses import replace
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from loci.agent.creating import author_of
from loci.api.answers import json_answer
from loci.api.bodies import new_router
from loci.api.core import Actor, Services
from loci.api.parameters import AgentId, BlockId, ChangeId, Moment, NewestFirst
from loci.api.shapes import BlockShape
from loci.api.wire_journal import ChangeShape, LineShape, UndoneShape, wire_change, wire_line
from loci.api.wire_values import wire_block
from loci.errors import NotFound
from loci.memory.journal import blame, block_at, blocks_at
from loci.memory.undo import revert, undo
from loci.store import agents, journal
from loci.store.base import Transaction
from loci.types import actor as actors
from loci.types.memory import Block, JournalEntry, Subject
from loci.types.paging import Page

router = new_router("memory")

AsOf = Annotated[Moment, Query(description="The time to look back to; without a zone it is UTC.")]


def _of_agent(tx: Transaction, actor: actors.Actor, agent_id: str, page: Page) -> list[JournalEntry]:
    agents.get(tx, actor, agent_id)
    return journal.of_agent(tx, actor, agent_id, page)


def _of_block(tx: Transaction, actor: actors.Actor, block_id: str, page: Page) -> list[JournalEntry]:
    found = journal.page_of_subject(tx, actor, Subject.BLOCK, block_id, page)
    if not found and not journal.of_subject(tx, actor, Subject.BLOCK, block_id, newest_rows=1):
        raise NotFound(f"There is no block {block_id}, and there never was.")
    return found


def _changes(tx: Transaction, actor: actors.Actor, change_id: str) -> list[JournalEntry]:
    if change_id.isdecimal():
        return [journal.get(tx, actor, int(change_id))]
    return journal.of_change_set(tx, actor, change_id)


@router.get("/agents/{agent_id}/memory/history", response_model=list[ChangeShape])
async def list_memory_history(agent_id: AgentId, services: Services, actor: Actor, page: NewestFirst) -> Response:
    """What the agent changed, and what anybody changed in the blocks that it holds; the newest first."""
    found = await services.store.read(_of_agent, actor, agent_id, page)
    return json_answer([wire_change(entry) for entry in found])


@router.get("/agents/{agent_id}/memory/blocks", response_model=list[BlockShape])
async def list_memory_as_of(agent_id: AgentId, services: Services, actor: Actor, as_of: AsOf) -> Response:
    """The core memory of an agent as it was at a time."""

    def read(tx: Transaction) -> list[Block]:
        agents.get(tx, actor, agent_id)
        return blocks_at(tx, actor, agent_id, as_of)

    return json_answer([wire_block(block) for block in await services.store.read(read)])


@router.get("/blocks/{block_id}/history", response_model=list[ChangeShape])
async def list_block_history(block_id: BlockId, services: Services, actor: Actor, page: NewestFirst) -> Response:
    """All that happened to a block, the newest first; also after it was deleted."""
    found = await services.store.read(_of_block, actor, block_id, page)
    return json_answer([wire_change(entry) for entry in found])


@router.get("/blocks/{block_id}/blame", response_model=list[LineShape])
async def blame_block(block_id: BlockId, services: Services, actor: Actor) -> Response:
    """For each line of a block the change that brought it in."""
    lines = await services.store.read(blame, actor, block_id)
    return json_answer([wire_line(number, line) for number, line in enumerate(lines, 1)])


@router.get("/blocks/{block_id}/past", response_model=BlockShape)
async def retrieve_block_as_of(block_id: BlockId, services: Services, actor: Actor, as_of: AsOf) -> Response:
    """A block as it was at a time, also if it was deleted since."""
    block = await services.store.read(block_at, actor, block_id, as_of)
    if block is None:
        raise NotFound(f"There was no block {block_id} at {as_of.isoformat()}.")
    return json_answer(wire_block(block))


@router.get("/memory/changes/{change_id}", response_model=list[ChangeShape])
async def retrieve_change(change_id: ChangeId, services: Services, actor: Actor) -> Response:
    """What one ChangeSet did, in order; or one entry, by its number."""
    found = await services.store.read(_changes, actor, change_id)
    return json_answer([wire_change(entry) for entry in found])


@router.post("/memory/changes/{change_id}/undo", response_model=UndoneShape)
async def undo_change(change_id: ChangeId, services: Services, actor: Actor) -> Response:
    """Take a change back, all of it or nothing. What others changed since is kept; where that cannot be, it is refused
    with the text that would be lost.
    """
    author = replace(author_of(actor), reason=f"Undo of {change_id}")
    now = services.clock.now()

    def take_back(tx: Transaction) -> tuple[str, list[JournalEntry]]:
        done = (
            undo(tx, actor, author, int(change_id), now=now)
            if change_id.isdecimal()
            else revert(tx, actor, author, change_id, now=now)
        )
        return done, journal.find_change_set(tx, actor, done)

    done, entries = await services.store.write(take_back)
    return json_answer({"change_set_id": done, "changes": [wire_change(entry) for entry in entries]})
