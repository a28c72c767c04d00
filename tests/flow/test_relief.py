"""Memory pressure through the loop: the warning, compaction, and what a full window never does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loci.agent.creating import NewBlock
from loci.agent.opening import load_window
from loci.agent.request import ApprovalReply, RunRequest
from loci.agent.turn import Caches
from loci.errors import Conflict, ModelFault
from loci.model.base import ModelRequest
from loci.model.script import Bill
from loci.model.scripted import failure
from loci.store import conversations, messages
from loci.store.conversations import default_id
from loci.testing.agents import ACTOR, Bench, Setup, bench, ending_of, memory_tools, standard_agent
from loci.types.agents import CompactionMode, CompactionSettings
from loci.types.events import Compacted
from loci.types.messages import Kind, Role, Text, ToolCall
from loci.types.runs import StopReason
from loci.types.tools import RequiresApproval
from tests.flow.tools import Outside, builtins

WINDOW_TOKENS = 8_000


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, memory_tools) as made:
        await made.create(replace(standard_agent(), context_window_tokens=WINDOW_TOKENS))
        yield made


async def fill(room: Bench, turns: int) -> None:
    for number in range(turns):
        await room.send(f"word {number}", [Bill(1_000, 10), f"answer {number}"])


async def shown(room: Bench) -> list[str]:
    """What the window holds, read anew from the database."""
    conversation = await room.kit.store.read(conversations.get, ACTOR, default_id(room.agent_id))
    found = await room.kit.store.read(messages.window, ACTOR, conversation)
    return [item.id for item in found]


async def test_the_agent_is_warned_once_when_its_window_fills(room: Bench) -> None:
    await fill(room, 2)
    await room.send("more", [Bill(6_000, 10), "ok"])
    await room.send("again", [Bill(6_100, 10), "ok"])
    await room.send("and again", [Bill(6_200, 10), "ok"])

    notes = [item for item in await room.stored() if item.kind is Kind.ALERT]
    assert len(notes) == 1
    assert "save it now" in orjson.loads(notes[0].text)["message"]


async def test_a_full_window_is_compacted_and_nothing_is_lost_from_recall(room: Bench) -> None:
    await fill(room, 12)
    before = await room.stored()
    await room.send("nearly full", [Bill(7_500, 10), "ok"])
    events = await room.send("now it must", ["They counted words together."], ["fine"])

    compacted = next(event for event in events if isinstance(event, Compacted))
    assert orjson.loads(compacted.summary.text)["message"].endswith("They counted words together.")
    assert int(str(compacted.stats["messages_count_after"])) < int(str(compacted.stats["messages_count_before"]))
    stored = await room.stored()
    assert {item.id for item in before} <= {item.id for item in stored}
    covers = compacted.summary.extra["covers"] if compacted.summary.extra else []
    assert isinstance(covers, list)
    window = await shown(room)
    assert not set(covers) & set(window)
    assert window[1] == compacted.summary.id
    last = room.model.requests[-1]
    assert last.messages[0].id == compacted.summary.id
    assert last.messages[-1].text == "now it must"


async def test_the_window_in_memory_is_the_window_in_the_database(room: Bench) -> None:
    await fill(room, 12)
    await room.send("nearly full", [Bill(7_500, 10), "ok"])
    await room.send("now it must", ["A summary."], [Bill(900, 10), "fine"])
    kept = room.kit.caches.windows.get(default_id(room.agent_id))

    assert kept is not None
    assert [kept.system.id, *(item.id for item in kept.messages)] == await shown(room)


async def test_a_prompt_that_is_too_long_for_the_provider_is_compacted_and_sent_again(room: Bench) -> None:
    await fill(room, 10)
    events = await room.send("go", [failure(ModelFault.CONTEXT_TOO_LONG)], ["A summary."], ["Here I am."])

    assert ending_of(events).ending.reason is StopReason.END_TURN
    assert len([event for event in events if isinstance(event, Compacted)]) == 1


async def test_a_prompt_that_stays_too_long_is_an_error_with_its_cause(room: Bench) -> None:
    too_long = [failure(ModelFault.CONTEXT_TOO_LONG)]
    events = await room.send("go", too_long, too_long, too_long)

    assert ending_of(events).ending.error_type == "llm_context_window_exceeded"
    assert ending_of(events).ending.reason is StopReason.CONTEXT_WINDOW_OVERFLOW
    events = await room.send("shorter", ["fine"])
    assert ending_of(events).ending.reason is StopReason.END_TURN


async def test_a_system_prompt_that_fills_the_window_alone_is_not_sent(tmp_path: Path) -> None:
    async with bench(tmp_path, memory_tools) as room:
        blocks = (NewBlock(label="human", value="x " * 30_000), NewBlock(label="persona", value="I am kind."))
        await room.create(replace(standard_agent(), context_window_tokens=WINDOW_TOKENS, blocks=blocks))
        ending = ending_of(await room.send("hello", ["never said"])).ending

        assert ending.reason is StopReason.CONTEXT_WINDOW_OVERFLOW
        assert room.model.requests == []
        assert "'human' (60,000 characters), 'persona'" in (ending.detail or "")


async def test_a_summariser_that_fails_does_not_stop_the_conversation(room: Bench) -> None:
    await fill(room, 12)
    await room.send("nearly full", [Bill(7_500, 10), "ok"])
    events = await room.send("now it must", [failure(ModelFault.OTHER)], ["fine"])

    assert ending_of(events).ending.reason is StopReason.END_TURN
    compacted = next(event for event in events if isinstance(event, Compacted))
    assert "No summary could be written" in compacted.summary.text


@pytest.mark.parametrize("mode", ["sliding_window", "all", "self_compact_all", "self_compact_sliding_window"])
async def test_every_mode_leaves_the_newest_words(room: Bench, mode: CompactionMode) -> None:
    await fill(room, 12)
    room.model.add(["A summary."])
    report = await room.runs.compact(ACTOR, room.agent_id, None, CompactionSettings(mode=mode))

    assert report.summary == "A summary."
    assert report.messages_after < report.messages_before
    await room.send("what now?", ["on we go"])
    texts = [item.text for item in room.model.requests[-1].messages]
    assert texts[-1] == "what now?"
    assert ("answer 11" in texts) is True
    own = mode.startswith("self_compact")
    summarised = room.model.requests[-2]
    assert (summarised.messages[0].text == "word 0") is own


async def test_there_must_be_something_to_compact(room: Bench) -> None:
    with pytest.raises(Conflict):
        await room.runs.compact(ACTOR, room.agent_id, None, None)


async def test_a_summary_of_a_summary_covers_both(room: Bench) -> None:
    await fill(room, 12)
    room.model.add(["First."])
    await room.runs.compact(ACTOR, room.agent_id, None, CompactionSettings(mode="all"))
    await fill(room, 6)
    room.model.add(["Second."])
    await room.runs.compact(ACTOR, room.agent_id, None, CompactionSettings(mode="all"))

    summaries = [item for item in await room.stored() if item.kind is Kind.SUMMARY]
    first, second = (item.extra["covers"] for item in summaries if item.extra)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert set(first) | {summaries[0].id} <= set(second)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["talk", "talk", "note", "edit by hand", "compact"]), min_size=2, max_size=10))
def test_the_prompt_changes_only_with_memory_and_history_only_grows(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    import asyncio  # noqa: PLC0415  hypothesis drives a loop of its own here

    asyncio.run(_play(tmp_path_factory.mktemp("prompt"), actions))


async def _play(folder: Path, actions: list[str]) -> None:
    from loci.agent.creating import author_of  # noqa: PLC0415
    from loci.store import blocks  # noqa: PLC0415

    async with bench(folder, memory_tools, Setup()) as room:
        await room.create(standard_agent())
        await room.send("hello", ["hi"])
        for number, action in enumerate(actions):
            before = room.model.requests[-1]
            if action == "edit by hand":
                held = await room.kit.store.read(blocks.blocks_of_agent, ACTOR, room.agent_id)
                changed = replace(held[0], value=f"By hand {number}.")
                await room.kit.store.write(blocks.update, ACTOR, author_of(ACTOR), changed, room.kit.clock.now())
            elif action == "compact":
                room.model.add(["Sum."])
                try:
                    await room.runs.compact(ACTOR, room.agent_id, None, CompactionSettings(mode="all"))
                except Conflict:
                    room.model._steps = room.model._steps[:-1] if room.model._steps else None
            await room.send(f"turn {number}", ["yes"])
            after = room.model.requests[-1]
            if action in ("talk", "note"):
                _same_beginning(before, after)
            elif action == "edit by hand":
                assert f"By hand {number}." in after.system


def _same_beginning(before: ModelRequest, after: ModelRequest) -> None:
    assert after.system == before.system
    count = len(before.messages)
    assert [item.id for item in after.messages[:count]] == [item.id for item in before.messages]
    assert after.messages[-1].role is Role.USER
    assert isinstance(after.messages[-1].parts[0], Text)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
async def test_a_result_that_came_after_newer_words_takes_none_of_them_with_it(tmp_path: Path, share: float) -> None:
    """An answer and new words are stored before the result of the call, and shown behind it."""
    async with bench(tmp_path, builtins(Outside())) as room:
        await room.create(
            replace(standard_agent(), tool_names=("post",), tool_rules=(RequiresApproval(tool_name="post"),))
        )
        for number in range(3):
            await room.send(f"question {number}", [ToolCall(f"c{number}", "post", '{"text": "a"}')])
            reply = RunRequest(approvals=(ApprovalReply(call_id=f"c{number}"),))
            await room.send(f"words {number}", [f"answer {number}"], request=reply)
        room.model.add("They talked.")
        await room.runs.compact(ACTOR, room.agent_id, None, CompactionSettings(sliding_window_percentage=share))

        place = default_id(room.agent_id)
        kept = room.kit.caches.windows.get(place)
        conversation = await room.kit.store.read(conversations.get, ACTOR, place)
        stored = await room.kit.store.write(load_window, Caches(), ACTOR, conversation)
        assert kept is not None
        assert [item.id for item in stored.messages] == [item.id for item in kept.messages]
        assert set(await shown(room)) == {stored.system.id, *(item.id for item in kept.messages)}
        assert "words 2" in [item.text for item in stored.messages]


async def test_a_summary_of_a_summary_takes_the_place_of_the_first(room: Bench) -> None:
    """The first summary was stored after messages that outlived it in the window."""
    await fill(room, 8)
    for _ in range(3):
        room.model.add("They counted.")
        await room.runs.compact(ACTOR, room.agent_id, None, CompactionSettings(sliding_window_percentage=0.1))
        window = room.kit.caches.windows.get(default_id(room.agent_id))
        assert window is not None
        assert await shown(room) == [window.system.id, *(item.id for item in window.messages)]
        assert [item.kind for item in window.messages].count(Kind.SUMMARY) == 1
