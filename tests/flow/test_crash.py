"""Kill the process at every statement and after every commit of a turn; nothing is lost, nothing happens twice.

The promise: what was acknowledged is there afterwards, memory changes are made exactly once, a tool with an effect
outside is never run again in silence, and the conversation goes on.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from loci.agent.creating import NewAgent, NewBlock
from loci.errors import StoreFailure
from loci.model.scripted import ScriptedModel
from loci.store import blocks, runs
from loci.store.base import Store
from loci.testing.agents import ACTOR, Bench, Setup, bench, ending_of, events_of, messages_of
from loci.testing.crashing import Crash, CrashingStore
from loci.types.messages import Message, Role
from loci.types.runs import StopReason
from tests.flow.tools import Outside, builtins

SCRIPT = """Please note it and post it.
@call memory_insert {"label": "human", "new_string": "Likes tea."}
@call post {"text": "tea"}
@then
@call memory_insert {"label": "human", "new_string": "Lives in Porto."}
@then
@say All done."""
AGENT = NewAgent(
    model="scripted/default",
    embedding_given=True,
    blocks=(NewBlock(label="human", value="Unknown."),),
    tool_names=("post",),
)


@dataclass
class Killed:
    """What the world saw before the process died."""

    acknowledged: bool
    told: list[Message]
    posts: int


async def run_until_killed(
    folder: Path, *, statement: int | None = None, commit: int | None = None
) -> tuple[Killed, bool]:
    """Send the script to a server that dies at the given point; whether it died."""
    outside = Outside()
    made: list[CrashingStore] = []

    def wrap(store: Store) -> Store:
        made.append(CrashingStore(store, statement=statement, commit=commit))
        return made[0]

    killed = Killed(acknowledged=False, told=[], posts=0)
    async with bench(folder, builtins(outside), Setup(model=ScriptedModel(), wrap=wrap)) as room:
        await room.create(AGENT)
        made[0].armed = True
        died = False
        try:
            live = await room.start(SCRIPT)
            killed.acknowledged = True
            ended = asyncio.ensure_future(events_of(live))
            tasks = list(room.runs._tasks)
            await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
            died = any(isinstance(task.exception(), Crash) for task in tasks if task.done() and not task.cancelled())
            killed.told = messages_of(live._events)
            ended.cancel()
        except Crash:
            died = True
        killed.posts = outside.ran.count("post")
    return killed, died


async def check_after(folder: Path, killed: Killed) -> None:
    """Start again on the same data and look at everything that was promised."""
    outside = Outside()
    async with bench(folder, builtins(outside), Setup(model=ScriptedModel())) as room:
        room.agent_id = (await agent_ids(room))[0]
        taken_up = await room.runs.resume()
        while room.runs._tasks:
            await asyncio.sleep(0)
        stored = await room.stored()
        ids = {item.id for item in stored}
        assert {item.id for item in killed.told} <= ids
        assert not await room.kit.store.read(runs.unfinished)
        if killed.acknowledged or taken_up:
            await check_memory(room, stored, killed, outside)
        events = await room.send("@say Still here.")
        assert ending_of(events).ending.reason is StopReason.END_TURN


async def check_memory(room: Bench, stored: list[Message], killed: Killed, outside: Outside) -> None:
    said = [item for item in stored if item.role is Role.USER and item.text == SCRIPT]
    assert len(said) == 1
    held = await room.kit.store.read(blocks.blocks_of_agent, ACTOR, room.agent_id)
    assert held[0].value == "Unknown.\nLikes tea.\nLives in Porto."
    posts = killed.posts + outside.ran.count("post")
    unknown = [result for item in stored for result in item.tool_results if "outcome unknown" in result.text]
    assert posts <= 1
    assert posts == 1 or unknown, "an effect neither happened nor was reported as unknown"
    assert len([result for item in stored for result in item.tool_results]) == 3
    assert [item.text for item in stored if item.role is Role.ASSISTANT][-1] == "All done."


async def agent_ids(room: Bench) -> list[str]:
    rows = await room.kit.store.read(lambda tx: tx.all("select id from agents"))
    return [str(row["id"]) for row in rows]


async def test_the_script_runs_to_its_end_without_a_crash(tmp_path: Path) -> None:
    killed, died = await run_until_killed(tmp_path)

    assert not died
    assert killed.posts == 1
    await check_after(tmp_path, killed)


async def test_a_crash_at_any_statement_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    points = 0
    died = True
    while died:
        points += 1
        folder = tmp_path / f"statement-{points}"
        killed, died = await run_until_killed(folder, statement=points)
        await check_after(folder, killed)

    assert points > 30, "a turn with three steps has more statements than that"


async def test_a_crash_after_any_commit_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    points = 0
    died = True
    while died:
        points += 1
        folder = tmp_path / f"commit-{points}"
        killed, died = await run_until_killed(folder, commit=points)
        await check_after(folder, killed)

    assert points == 6, "open, call stored, three steps, and the one without a crash"


async def test_a_store_that_fails_is_an_error_and_not_a_crash(tmp_path: Path) -> None:
    async with bench(tmp_path, builtins(Outside()), Setup(model=ScriptedModel())) as room:
        await room.create(AGENT)
        await room.kit.store.close()
        with pytest.raises(StoreFailure):
            await room.start(SCRIPT)
