"""Kill the process at every point between a person's answer and the result of the call it was about.

A call that was approved may have run when the process died: it is never run a second time in silence. An answer that
was not acknowledged is asked for again.
"""

import asyncio
from pathlib import Path

import pytest

from loci.agent.creating import NewAgent
from loci.agent.request import ApprovalReply, RunRequest
from loci.model.scripted import ScriptedModel
from loci.store import approvals
from loci.store.base import Store
from loci.store.conversations import default_id
from loci.testing.agents import ACTOR, Bench, Setup, bench, ending_of, events_of
from loci.testing.crashing import Crash, CrashingStore
from loci.types.runs import StopReason
from loci.types.tools import RequiresApproval
from tests.flow.tools import Outside, builtins

AGENT = NewAgent(
    model="scripted/default",
    embedding_given=True,
    tool_names=("post",),
    tool_rules=(RequiresApproval(tool_name="post"),),
)


async def pending(room: Bench) -> list[str]:
    place = default_id(room.agent_id)
    found = await room.kit.store.read(approvals.of_conversation, ACTOR, place, pending_only=True)
    return [item.call_id for item in found]


async def answer_until_killed(folder: Path, statement: int | None, commit: int | None) -> tuple[str, bool, bool, int]:
    """Approve a call on a server that dies at the given point: agent, whether acknowledged, whether it died, posts."""
    outside, made = Outside(), list[CrashingStore]()

    def wrap(store: Store) -> Store:
        made.append(CrashingStore(store, statement=statement, commit=commit))
        return made[0]

    async with bench(folder, builtins(outside), Setup(model=ScriptedModel(), wrap=wrap)) as room:
        await room.create(AGENT)
        events = await room.send('@call post {"text": "tea"}\n@then\n@say All done.')
        assert ending_of(events).ending.reason is StopReason.REQUIRES_APPROVAL
        made[0].armed = True
        acknowledged, died = False, False
        try:
            live = await room.start(
                "", request=RunRequest(approvals=(ApprovalReply(call_id=(await pending(room))[0]),))
            )
            acknowledged = True
            ended = asyncio.ensure_future(events_of(live))
            tasks = list(room.runs._tasks)
            await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
            died = any(isinstance(task.exception(), Crash) for task in tasks if task.done() and not task.cancelled())
            ended.cancel()
        except Crash:
            died = True
        return room.agent_id, acknowledged, died, outside.ran.count("post")


async def check_after(folder: Path, agent_id: str, *, acknowledged: bool, posts: int) -> None:
    outside = Outside()
    async with bench(folder, builtins(outside), Setup(model=ScriptedModel())) as room:
        room.agent_id = agent_id
        await room.runs.resume()
        while room.runs._tasks:
            await asyncio.sleep(0)
        left = await pending(room)
        assert not (acknowledged and left), "an acknowledged answer is asked for again"
        if left:
            await room.send("", request=RunRequest(approvals=tuple(ApprovalReply(call_id=call) for call in left)))
        results = [result for item in await room.stored() for result in item.tool_results]
        total = posts + outside.ran.count("post")
        assert len(results) == 1
        assert total <= 1, "the effect happened twice"
        assert total == 1 or "outcome unknown" in results[0].text
        events = await room.send("@say Still here.")
        assert ending_of(events).ending.reason is StopReason.END_TURN


@pytest.mark.parametrize("kind", ["statement", "commit"])
async def test_an_approved_call_is_never_run_twice(tmp_path: Path, kind: str) -> None:
    points, died, worst = 0, True, 0
    while died:
        points += 1
        at = (points, None) if kind == "statement" else (None, points)
        folder = tmp_path / f"{kind}-{points}"
        agent_id, acknowledged, died, posts = await answer_until_killed(folder, *at)
        await check_after(folder, agent_id, acknowledged=acknowledged, posts=posts)
        worst = max(worst, posts if died else 0)

    assert points > 3
    assert kind == "commit" or worst == 1, "no crash came after the effect, so nothing was shown"
