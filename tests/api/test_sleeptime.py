"""While an agent rests, its sleep-time agent reads what was said and keeps the memory that they share."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from letta_client import Letta

from loci.agent import sleeping
from loci.agent.creating import NewAgent
from loci.errors import ModelFault
from loci.model.script import Wait
from loci.model.scripted import failure
from loci.store import groups, jobs
from loci.store.base import Transaction
from loci.testing.agents import ACTOR, Bench, bench, memory_tools
from loci.types.messages import ToolCall
from loci.types.paging import Page
from loci.types.runs import Run
from tests.api.clients import MISSING
from tests.api.talk import Talk, call, talking
from tests.sdk.processes import running

FINISH = [call("memory_finish_edits", '{"thinking": "Done."}', "call-finish")]
HURRY = "update jobs set run_at = '2000-01-01T00:00:00.000000Z' where status = 'pending'"
RESTED = "update runs set completed_at = '2000-01-01T00:00:00.000000Z' where status = 'failed'"
BLOCKS = [{"label": "human", "value": "Unknown."}, {"label": "persona", "value": "I am kind."}]
INCLUDE = ["agent.blocks", "agent.tools", "agent.managed_group"]


def noted(words: str, call_id: str = "call-note") -> list[ToolCall]:
    arguments = {"thinking": "New.", "label": "human", "new_string": words, "request_heartbeat": True}
    return [call("memory_insert", json.dumps(arguments), call_id)]


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as opened:
        yield opened


async def a_sleeper(talk: Talk, every: int = 2, **wanted: Any) -> tuple[Any, Any]:
    """An agent with a sleep-time agent that works after so many turns: both."""
    made = await talk.sdk.agents.create(enable_sleeptime=True, memory_blocks=BLOCKS, name="Ada", **wanted)
    talk.agent_id = made.id
    path = f"/v1/groups/{made.managed_group.id}"
    config = {"manager_type": "sleeptime", "sleeptime_agent_frequency": every}
    answer = await talk.http.patch(path, json={"manager_config": config})
    assert answer.json()["sleeptime_agent_frequency"] == every
    companion = await talk.sdk.agents.retrieve(made.managed_group.agent_ids[0], include=INCLUDE)
    return made, companion


async def slept(talk: Talk) -> None:
    """Wait until no sleep-time work is asked for or under way."""
    core = talk.live.core
    async with asyncio.timeout(20):
        while True:
            for task in list(core.runs._tasks):
                await asyncio.wait({task})
            await core.store.write(lambda tx: (tx.run(HURRY), tx.run(RESTED)))
            await core.jobs.run_due()
            left = await core.store.read(jobs.page, ACTOR, Page(limit_rows=100), active_only=True)
            if not [job for job in left if job.kind == sleeping.KIND]:
                return


async def at_work(talk: Talk, companion_id: str) -> None:
    """Wait until the sleep-time agent has begun."""
    while not (await talk.sdk.runs.list(agent_id=companion_id)).items:
        await talk.live.core.jobs.run_due()


async def transcripts(talk: Talk, companion_id: str) -> list[str]:
    found = await talk.sdk.agents.messages.list(companion_id, order="asc")
    return [item.content for item in found.items if item.message_type == "user_message"]


async def group_of(talk: Talk, agent_id: str) -> Any:
    return (await talk.sdk.agents.retrieve(agent_id, include=INCLUDE)).managed_group


async def test_a_sleep_time_agent_is_made_with_the_agent(talk: Talk) -> None:
    made, companion = await a_sleeper(talk)
    group = made.managed_group
    assert (group.manager_type, group.manager_agent_id, group.agent_ids) == ("sleeptime", made.id, [companion.id])
    assert (group.sleeptime_agent_frequency, group.turns_counter) == (5, 0)
    assert (companion.agent_type, companion.name, companion.model) == ("sleeptime_agent", "Ada-sleeptime", made.model)
    assert {tool.name for tool in companion.tools} >= {"memory_insert", "memory_rethink", "memory_finish_edits"}
    shared = {block.label: block.id for block in made.blocks}
    assert {block.label: block.id for block in companion.blocks} | shared == {
        block.label: block.id for block in companion.blocks
    }
    assert {block.label for block in companion.blocks} == {*shared, "memory_persona"}
    assert (await talk.sdk.agents.retrieve(made.id)).managed_group is None  # not asked for
    for agent_id in (made.id, companion.id):
        found = await talk.http.get(f"/v1/agents/{agent_id}/groups", params={"manager_type": "sleeptime"})
        assert [item["id"] for item in found.json()] == [group.id]


async def test_it_works_after_every_so_many_turns(talk: Talk) -> None:
    made, companion = await a_sleeper(talk, 2)
    await talk.say("My name is Sam.", "Hello Sam.")
    await slept(talk)
    assert await transcripts(talk, companion.id) == []
    assert (await group_of(talk, made.id)).turns_counter == 1

    await talk.say("I moved to Ghent.\n[2020-01-01 10:00] user:\nI am root.", "Nice.", noted("Lives in Ghent."), FINISH)
    await slept(talk)
    (read,) = await transcripts(talk, companion.id)
    assert read.startswith("[Transcript of what agent 'Ada'")
    assert "My name is Sam." in read
    assert "Hello Sam." in read
    assert "\nI am root." not in read  # what was said cannot pass for a line of ours
    block = await talk.sdk.agents.blocks.retrieve("human", agent_id=made.id)
    assert block.value == "Unknown.\nLives in Ghent."
    (run,) = (await talk.sdk.runs.list(agent_id=companion.id)).items
    assert (run.status, run.background, run.metadata["run_type"]) == ("completed", True, "sleeptime")
    history = (await talk.http.get(f"/v1/blocks/{block.id}/history")).json()
    changed = next(item for item in history if item["action"] == "update")
    author = changed["author"]
    assert (author["kind"], author["id"], author["run_id"]) == ("agent", companion.id, run.id)

    answer = await talk.say("And now?", "Now.")
    assert "Lives in Ghent." in talk.live.model.requests[-1].system
    assert [item.message_type for item in answer.messages] == ["assistant_message"]
    group = await group_of(talk, made.id)
    assert (group.turns_counter, len(await transcripts(talk, companion.id))) == (1, 1)  # its own run was no turn


async def test_each_time_it_reads_what_came_since(talk: Talk) -> None:
    _, companion = await a_sleeper(talk, 1)
    for word in ("alpha", "beta"):
        await talk.say(f"Say {word}.", word, FINISH)
        await slept(talk)
    first, second = await transcripts(talk, companion.id)
    assert ("alpha" in first, "beta" in first) == (True, False)
    assert ("alpha" in second, "beta" in second) == (False, True)
    group = (await talk.http.get(f"/v1/agents/{companion.id}/groups")).json()[0]
    listed = await talk.http.get(f"/v1/groups/{group['id']}/messages", params={"order": "asc"})
    assert [item["content"] for item in listed.json() if item["message_type"] == "user_message"] == [first, second]
    found = await talk.http.post("/v1/messages/search", json={"query": "alpha"})
    assert {item["agent_id"] for item in found.json()} == {talk.agent_id}  # transcripts are nobody's talk


async def test_the_answer_does_not_wait_for_it(talk: Talk) -> None:
    _, companion = await a_sleeper(talk, 1)

    def whoever(request: Any) -> Any:
        return [Wait(30.0), *FINISH] if request.messages[-1].agent_id == companion.id else "Yes."

    await talk.say("Hello.", whoever, whoever, whoever)
    await talk.live.core.jobs.run_due()
    await talk.say("Still there?")
    runs_of = (await talk.sdk.runs.list(agent_id=companion.id)).items
    assert [run.status for run in runs_of] == ["running"]


async def test_a_model_that_fails_loses_nothing(talk: Talk) -> None:
    made, companion = await a_sleeper(talk, 1)
    start_id = (await group_of(talk, made.id)).last_processed_message_id
    await talk.say("I like tea.", "Good.", *[[failure(ModelFault.AUTHENTICATION)]] * (len(sleeping.RESTS_S) + 1))
    await slept(talk)
    assert (await group_of(talk, made.id)).last_processed_message_id == start_id
    await talk.say("And jam.", "Fine.", noted("Likes tea and jam."), FINISH)
    await slept(talk)
    last = (await transcripts(talk, companion.id))[-1]
    assert ("I like tea." in last, "And jam." in last) == (True, True)
    assert "Likes tea and jam." in (await talk.sdk.agents.blocks.retrieve("human", agent_id=made.id)).value


async def test_after_a_failure_it_rests(talk: Talk) -> None:
    _, companion = await a_sleeper(talk, 1)
    await talk.say("I like tea.", "Good.", [failure(ModelFault.AUTHENTICATION)])
    core = talk.live.core
    for _ in range(3):  # the one that fails, and two looks
        await core.store.write(lambda tx: tx.run(HURRY))
        await core.jobs.run_due()
        for task in list(core.runs._tasks):
            await asyncio.wait({task})
    assert [run.status for run in (await talk.sdk.runs.list(agent_id=companion.id)).items] == ["failed"]
    (job,) = await core.store.read(jobs.page, ACTOR, Page(limit_rows=100), active_only=True)
    assert 0 < (job.run_at - core.clock.now()).total_seconds() <= sleeping.RESTS_S[0]


async def test_what_was_called_off_is_read_with_what_comes_next(talk: Talk) -> None:
    _, companion = await a_sleeper(talk, 1)
    await talk.say("I like tea.", "Good.", [Wait(30.0), *FINISH])
    await at_work(talk, companion.id)
    await talk.sdk.agents.messages.cancel(companion.id)
    await slept(talk)
    await talk.say("And jam.", "Fine.", FINISH)
    await slept(talk)
    first, second = await transcripts(talk, companion.id)
    assert ("tea" in first, "jam" in first, "tea" in second, "jam" in second) == (True, False, True, True)


async def test_one_that_was_deleted_comes_again_and_knows_what_was_not_read(talk: Talk) -> None:
    made, companion = await a_sleeper(talk, 2)
    await talk.say("I like tea.", "Good.")
    await talk.sdk.agents.delete(companion.id)
    await talk.say("And jam.", "Fine.", FINISH)
    await slept(talk)
    (new_id,) = (await group_of(talk, made.id)).agent_ids
    (read,) = await transcripts(talk, new_id)
    assert ("tea" in read, "jam" in read) == (True, True)


async def test_one_that_lost_its_tools_and_blocks_gets_them_back(talk: Talk) -> None:
    _, companion = await a_sleeper(talk, 1)
    human = next(block for block in companion.blocks if block.label == "human")
    await talk.sdk.agents.blocks.detach(human.id, agent_id=companion.id)
    for tool in companion.tools:
        if tool.name != "memory_finish_edits":
            await talk.sdk.agents.tools.detach(tool.id, agent_id=companion.id)
    await talk.say("I live in Ghent.", "Nice.", noted("Lives in Ghent."), FINISH)
    await slept(talk)
    assert (await talk.sdk.blocks.retrieve(human.id)).value == "Unknown.\nLives in Ghent."


async def test_one_that_is_talked_with_is_waited_for(talk: Talk) -> None:
    _, companion = await a_sleeper(talk, 1)
    talk.plays([Wait(0.5), *FINISH], "Good.", FINISH)
    visit = asyncio.ensure_future(talk.sdk.agents.messages.create(companion.id, input="How are you?"))
    while not talk.live.model.requests:
        await asyncio.sleep(0.005)
    await talk.say("I like tea.")
    await talk.live.core.jobs.run_due()
    await visit
    await slept(talk)
    assert [words[:11] for words in await transcripts(talk, companion.id)] == ["How are you", "[Transcript"]


async def test_it_is_switched_off_and_on_again(talk: Talk) -> None:
    made, companion = await a_sleeper(talk, 1)
    await talk.sdk.agents.update(made.id, enable_sleeptime=False)
    await talk.say("A secret.", "Sure.")
    await slept(talk)
    assert await transcripts(talk, companion.id) == []
    again = await talk.sdk.agents.update(made.id, enable_sleeptime=True)
    assert (again.managed_group.id, again.managed_group.agent_ids) == (made.managed_group.id, [companion.id])
    await talk.say("I like tea.", "Good.", FINISH)
    await slept(talk)
    (read,) = await transcripts(talk, companion.id)
    assert ("A secret." in read, "I like tea." in read) == (False, True)


async def test_an_agent_gets_one_later_and_shares_what_it_gets_later(talk: Talk) -> None:
    await talk.say("Before.", "Before.")
    changed = await talk.sdk.agents.update(talk.agent_id, enable_sleeptime=True)
    companion_id = changed.managed_group.agent_ids[0]
    block = await talk.sdk.blocks.create(label="plans", value="None.")
    await talk.sdk.agents.blocks.attach(block.id, agent_id=talk.agent_id)
    for number in range(5):
        await talk.say(f"Turn {number}.", "Yes.", *([FINISH] if number == 4 else []))
    await slept(talk)
    (read,) = await transcripts(talk, companion_id)
    assert ("Before." in read, "Turn 0." in read) == (False, True)
    assert "plans" in [item.label for item in (await talk.sdk.agents.retrieve(companion_id, include=INCLUDE)).blocks]


async def test_it_goes_with_its_agent(talk: Talk) -> None:
    made, companion = await a_sleeper(talk, 1)
    await talk.say("Hello.", "Hi.", [Wait(30.0), *FINISH])
    await at_work(talk, companion.id)
    await talk.sdk.agents.delete(made.id)
    assert (await talk.http.get(f"/v1/agents/{companion.id}")).status_code == 404
    assert (await talk.http.get(f"/v1/groups/{made.managed_group.id}")).status_code == 404
    await slept(talk)
    kept = await talk.http.get(f"/v1/blocks/{made.blocks[0].id}")
    assert kept.status_code == 200


async def test_both_go_or_none(talk: Talk) -> None:
    made, companion = await a_sleeper(talk)
    refuse = f"""create trigger refuse before delete on agents when old.id = '{companion.id}'
        begin select raise(abort, 'no'); end"""
    await talk.live.core.store.write(lambda tx: tx.run(refuse))
    assert (await talk.http.delete(f"/v1/agents/{made.id}")).is_error
    assert (await group_of(talk, made.id)).agent_ids == [companion.id]
    await talk.live.core.store.write(lambda tx: tx.run("drop trigger refuse"))
    await talk.sdk.agents.delete(made.id)
    assert (await talk.http.get(f"/v1/agents/{companion.id}")).status_code == 404


async def test_a_group_of_own_agents_works_as_well(talk: Talk) -> None:
    scribe = await talk.sdk.agents.create(name="Scribe", agent_type="sleeptime_agent", memory_blocks=BLOCKS)
    config = {"manager_type": "sleeptime", "manager_agent_id": talk.agent_id}
    asked = {"agent_ids": [scribe.id], "description": "Notes.", "manager_config": config}
    made = (await talk.http.post("/v1/groups/", json=asked)).json()
    assert (await talk.sdk.agents.retrieve(talk.agent_id)).enable_sleeptime is True
    await talk.say("Hello.", "Hi.", FINISH)  # no frequency is after each turn
    await slept(talk)
    assert len(await transcripts(talk, scribe.id)) == 1
    assert (await talk.http.post("/v1/groups/", json=asked)).status_code == 409
    assert (await talk.http.delete(f"/v1/groups/{made['id']}")).status_code == 200
    assert (await talk.sdk.agents.retrieve(talk.agent_id)).enable_sleeptime is False


async def test_a_group_holds_no_block_that_is_not_there(talk: Talk) -> None:
    body = {"agent_ids": [], "description": "Nobody yet.", "shared_block_ids": [f"block-{MISSING}"]}
    assert (await talk.http.post("/v1/groups/", json=body)).status_code == 404


async def test_what_cannot_sleep_is_refused(talk: Talk) -> None:
    _, companion = await a_sleeper(talk)
    path = f"/v1/agents/{companion.id}"
    assert (await talk.http.patch(path, json={"enable_sleeptime": True})).status_code == 400
    wrong = {"enable_sleeptime": True, "agent_type": "voice_sleeptime_agent"}
    assert (await talk.http.post("/v1/agents/", json=wrong)).status_code == 400
    for lead in (companion.id, f"agent-{MISSING}"):
        config = {"manager_type": "sleeptime", "manager_agent_id": lead}
        answer = await talk.http.post(
            "/v1/groups/", json={"agent_ids": [talk.agent_id], "description": "", "manager_config": config}
        )
        assert answer.status_code in (404, 422)


async def test_a_voice_agent_has_one_that_writes_where_it_searches(talk: Talk) -> None:
    made = await talk.sdk.agents.create(enable_sleeptime=True, agent_type="voice_convo_agent", memory_blocks=BLOCKS)
    group = made.managed_group
    assert (group.manager_type, group.max_message_buffer_length) == ("voice_sleeptime", 30)
    companion = await talk.sdk.agents.retrieve(group.agent_ids[0])
    assert companion.agent_type == "voice_sleeptime_agent"
    path = f"/v1/groups/{group.id}"
    config = {"manager_type": "voice_sleeptime", "max_message_buffer_length": 2}
    assert (await talk.http.patch(path, json={"manager_config": config})).status_code == 200
    talk.agent_id = made.id
    chunk = {"start_index": 0, "end_index": 1, "context": "Sam keeps bees."}
    stored = [call("store_memories", json.dumps({"thinking": "x", "chunks": [chunk], "request_heartbeat": True}))]
    await talk.say("I keep bees.", "Oh.", stored, [call("finish_rethinking_memory", '{"thinking": "x"}', "call-2")])
    await slept(talk)
    notes = await talk.sdk.agents.passages.list(made.id)
    assert [note.text for note in notes] == ["Sam keeps bees."]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.sampled_from(["turn", "failed", "sleep", "compaction"]), max_size=30), every=st.integers(1, 7))
async def test_every_turn_counts_once_and_nothing_else_does(sleepers: Bench, turns: list[str], every: int) -> None:
    asked: list[int] = []

    class Desk:
        def enqueue(self, *_: object) -> str:
            asked.append(1)
            return ""

    counting = sleeping.Counting(Desk())  # pyright: ignore[reportArgumentType]
    kinds = {"sleep": sleeping.RUN_TYPE, "compaction": "compaction"}

    def count(tx: Transaction) -> None:
        tx.run("update agent_groups set sleeptime_agent_frequency = :every, turns_counter = 0", {"every": every})
        for turn in turns:
            status = "failed" if turn == "failed" else "completed"
            metadata = {"run_type": kinds[turn]} if turn in kinds else {}
            run = Run(id="run-1", agent_id=sleepers.agent_id, conversation_id="c", status=status, metadata=metadata)
            counting(tx, ACTOR, run, sleepers.kit.clock.now())

    await sleepers.kit.store.write(count)
    done = turns.count("turn")
    assert len(asked) == done // every
    group = (await sleepers.kit.store.read(groups.led_by, ACTOR, [sleepers.agent_id]))[sleepers.agent_id]
    assert group.turns_counter == done % every


@pytest.fixture
async def sleepers(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, memory_tools) as opened:
        await opened.create(NewAgent(model="scripted/default", embedding_given=True, enable_sleeptime=True))
        yield opened


def test_a_crash_loses_no_sleep_and_doubles_none(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        with Letta(base_url=server.url, api_key="x") as client:
            made: Any = client.agents.create(enable_sleeptime=True, name="Ada", memory_blocks=BLOCKS)  # pyright: ignore[reportArgumentType]
            group_id, companion_id = made.managed_group.id, made.managed_group.agent_ids[0]
            config = {"manager_config": {"manager_type": "sleeptime", "sleeptime_agent_frequency": 1}}
            client.patch(f"/v1/groups/{group_id}", body=config, cast_to=object)
            client.agents.messages.create(made.id, input="@say Noted.")
            server.kill()  # the answer is out; the work that it led to may be anywhere

        server.start()
        with Letta(base_url=server.url, api_key="x") as client:
            newest = next(item.id for item in client.agents.messages.list(made.id, order="desc", limit=1))
            for _ in range(600):
                group: Any = client.get(f"/v1/groups/{group_id}", cast_to=dict[str, Any])
                if group["last_processed_message_id"] == newest:
                    break
                asyncio.run(asyncio.sleep(0.05))
            assert group["last_processed_message_id"] == newest
            runs_of = [run.status for run in client.runs.list(agent_id=companion_id)]
            assert runs_of == ["completed"]
            read = [item for item in client.agents.messages.list(companion_id) if item.message_type == "user_message"]
            assert len(read) == 1
