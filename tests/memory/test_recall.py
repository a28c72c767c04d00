"""Recall: what was said is found, by words and by meaning, and only what was said."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loci.errors import ModelFault, NotFound
from loci.memory.recall import Recall, RecallQuery
from loci.model.embed import BuiltInEmbedder
from loci.store import conversations, runs, turns
from loci.store.agents import AgentFilter
from loci.store.base import Transaction
from loci.store.conversations import default_id
from loci.testing.models import FixedModels
from loci.testing.stores import OTHER_ACTOR
from loci.types.messages import Kind, Role, Text, ToolCall, ToolResult, Trust
from loci.types.runs import Run
from tests.memory.embedders import LetterEmbedder
from tests.memory.talks import ME, Question, Study, add_agent, read_talks, study

USER, AGENT = Role.USER, Role.ASSISTANT


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Study]:
    """Words only."""
    async with study(tmp_path) as made:
        yield made


async def found(desk: Study, text: str = "", **fields: Any) -> list[str]:
    page = await desk.recall.search(ME, desk.agent.id, RecallQuery(text=text, **{"limit": 50, **fields}))
    return [hit.text for hit in page.hits]


async def test_whatever_was_said_is_found_at_once(desk: Study):
    for number in range(20):
        await desk.say(USER, f"The secret of day {number} is word{number}.")
        assert (await found(desk, f"word{number}"))[0] == f"The secret of day {number} is word{number}."


async def test_only_talk_is_found(desk: Study):
    await desk.say(Role.SYSTEM, "You are the walrus keeper.", kind=Kind.SYSTEM_PROMPT)
    await desk.say(USER, '{"type": "login", "walrus": 1}', kind=Kind.LOGIN)
    await desk.say(USER, '{"type": "heartbeat", "walrus": 1}', kind=Kind.HEARTBEAT)
    await desk.say(USER, "A summary with a walrus.", kind=Kind.SUMMARY)
    await desk.say(AGENT, (ToolCall("c1", "look", '{"what": "walrus"}'),))
    await desk.say(Role.TOOL, (ToolResult("c1", "look", "walrus found"),), trust=Trust.TOOL)
    assert await found(desk, "walrus") == []

    await desk.say(AGENT, (Text("I saw a walrus."), ToolCall("c2", "look", "{}")))
    await desk.say(AGENT, (ToolCall("c3", "send_message", '{"message": "The walrus waved."}'),))
    await desk.say(AGENT, (ToolCall("c4", "send_message", '{"message": '),))
    assert sorted(await found(desk, "walrus")) == ["I saw a walrus.", "The walrus waved."]


async def test_the_turn_beside_the_words_is_found_too_but_after_them(desk: Study):
    await desk.say(AGENT, "What is the name of your boat?")
    await desk.say(USER, "Albatross.")
    await desk.say(AGENT, "Lovely.")

    assert await found(desk, "boat name") == ["What is the name of your boat?", "Albatross."]


async def test_turns_of_another_conversation_are_no_neighbours(desk: Study):
    other = await desk.open_conversation()
    await desk.say(AGENT, "What is the name of your boat?")
    await desk.say(USER, "Elsewhere.", conversation_id=other)
    await desk.say(USER, "Albatross.")

    assert await found(desk, "boat name") == ["What is the name of your boat?", "Albatross."]
    assert await found(desk, "boat name", conversation_id=other) == []
    assert await found(desk, conversation_id=other) == ["Elsewhere."]


async def test_speakers_and_times_are_chosen_before_the_best_are(desk: Study):
    day = datetime(2026, 1, 10, tzinfo=UTC)
    for number in range(30):
        await desk.say(USER if number % 2 else AGENT, f"tulip number {number}", at=day + timedelta(days=number))

    assert len(await found(desk, "tulip", roles=(USER,))) == 15
    assert len(await found(desk, "tulip", roles=(USER, AGENT))) == 30
    one = await found(desk, "tulip", since=day + timedelta(days=7), until=day + timedelta(days=7))
    assert one == ["tulip number 7"]
    assert len(await found(desk, "tulip", since=day + timedelta(days=20), roles=(AGENT,))) == 5
    assert await found(desk, "tulip", until=day - timedelta(seconds=1)) == []


async def test_days_and_months_are_words_in_the_zone_of_the_agent(tmp_path: Path):
    async with study(tmp_path, timezone="Asia/Tokyo") as desk:
        await desk.say(USER, "Planted the plum tree.", at=datetime(2025, 10, 31, 20, tzinfo=UTC))

        assert await found(desk, "November") == ["Planted the plum tree."]
        assert await found(desk, "2025-11-01") == ["Planted the plum tree."]
        assert await found(desk, "Saturday") == ["Planted the plum tree."]
        assert await found(desk, "October") == []


async def test_pages_show_every_message_once(desk: Study):
    for number in range(25):
        await desk.say(USER, f"page {number}")
    seen: list[str] = []
    while len(seen) < 25:
        page = await desk.recall.search(ME, desk.agent.id, RecallQuery(text="page", limit=4, offset=len(seen)))
        assert page.total == 25
        seen += [hit.text for hit in page.hits]

    assert sorted(seen) == sorted(f"page {number}" for number in range(25))
    assert await found(desk, "page", offset=25) == []


async def test_deep_pages_reach_further_than_the_first_candidates(desk: Study):
    for number in range(230):
        await desk.say(USER, f"deep {number}")

    assert len(await found(desk, "deep", limit=20, offset=205)) == 20


async def test_without_a_query_the_newest_come_first(desk: Study):
    for number in range(9):
        await desk.say(USER, f"said {number}")

    assert await found(desk, limit=3) == ["said 8", "said 7", "said 6"]
    assert await found(desk, limit=3, offset=3) == ["said 5", "said 4", "said 3"]


async def test_what_the_agent_has_just_read_is_no_memory(desk: Study):
    run = Run(
        id="run-1", agent_id=desk.agent.id, conversation_id=default_id(desk.agent.id), created_at=desk.clock.now()
    )
    await desk.store.write(runs.insert, ME, run)
    await desk.say(USER, "My boat is the Albatross.")
    await desk.say(USER, "What is my boat called?", run_id=run.id)

    assert await found(desk, "boat", before_run_id=run.id) == ["My boat is the Albatross."]
    assert len(await found(desk, "boat")) == 2


async def test_agents_are_searched_together_and_apart(desk: Study):
    mine, friend = desk.agent, await add_agent(desk.store, desk.clock, None)
    await desk.say(USER, "The parrot sings.")
    desk.agent = friend
    await desk.say(USER, "The parrot sleeps.")

    assert await found(desk, "parrot") == ["The parrot sleeps."]
    page = await desk.recall.search_all(ME, RecallQuery(text="parrot sings"), AgentFilter())
    assert [(hit.text, hit.message.agent_id) for hit in page.hits] == [
        ("The parrot sings.", mine.id),
        ("The parrot sleeps.", friend.id),
    ]
    assert [hit.words_rank for hit in page.hits] == [1, 2]
    assert (await desk.recall.search_all(OTHER_ACTOR, RecallQuery(text="parrot"), AgentFilter())).hits == ()
    with pytest.raises(NotFound):
        await desk.recall.search(OTHER_ACTOR, mine.id, RecallQuery(text="parrot"))


async def test_a_query_is_embedded_once_for_all_agents_of_a_model(tmp_path: Path):
    embedder = LetterEmbedder()
    async with study(tmp_path, embedder) as desk:
        await desk.say(USER, "The parrot sings.")
        for _ in range(3):
            desk.agent = await add_agent(desk.store, desk.clock, embedder.info.handle)
            await desk.say(USER, "The parrot sleeps.")
        page = await desk.recall.search_all(ME, RecallQuery(text="a parrot"), AgentFilter())

    assert [hit.likeness_rank is not None for hit in page.hits] == [True] * 4
    assert embedder.asked.count("a parrot") == 1


async def test_a_message_that_was_changed_or_deleted_is_found_as_it_is_now(desk: Study):
    thread = await desk.open_conversation()
    kept = await desk.say(USER, "The code is zebra.", conversation_id=thread)
    await desk.say(USER, "Something else.", conversation_id=thread)
    assert (await found(desk, "zebra"))[0] == "The code is zebra."
    stored = (await desk.store.read(turns.by_seqs, ME, range(100))).values()
    message = next(item for item in stored if item.id == kept.id)

    def edit(tx: Transaction) -> None:
        tx.run(
            "update messages set parts = :parts where id = :id",
            {"id": kept.id, "parts": '[{"type":"text","text":"The code is giraffe."}]'},
        )
        now = turns.by_seqs(tx, ME, [message.seq])[message.seq]
        turns.reindex(tx, ME, now)

    await desk.store.write(edit)
    assert await found(desk, "zebra") == []
    assert (await found(desk, "giraffe"))[0] == "The code is giraffe."

    await desk.store.write(conversations.delete, ME, thread, desk.clock.now())
    assert await found(desk, "giraffe") == []
    left = await desk.store.read(lambda tx: tx.one("select count(*) as n from message_words"))
    assert left == {"n": 0}


async def test_a_failing_model_leaves_search_by_words(tmp_path: Path):
    embedder = LetterEmbedder()
    async with study(tmp_path, embedder) as desk:
        await desk.say(USER, "The quay is windy.")
        for fault in ModelFault:
            embedder.failing = fault
            await desk.say(USER, f"Fault {fault} on the quay.")
            assert f"Fault {fault} on the quay." in await found(desk, "quay fault")
            await desk.recall.index(ME, desk.agent.id)
        embedder.failing = None
        page = await desk.recall.search(ME, desk.agent.id, RecallQuery(text="quay", limit=50))

    assert all(hit.likeness_rank is not None for hit in page.hits)


async def test_meaning_alone_and_words_alone_can_be_asked_for(tmp_path: Path):
    async with study(tmp_path, LetterEmbedder()) as desk:
        await desk.say(USER, "abc")
        await desk.say(USER, "xyz")
        alike = RecallQuery(text="cab cab", by_words=False)
        page = await desk.recall.search(ME, desk.agent.id, alike)
        assert (page.hits[0].text, page.hits[0].words_rank, page.hits[0].likeness_rank) == ("abc", None, 1)

        page = await desk.recall.search(ME, desk.agent.id, RecallQuery(text="xyz", by_meaning=False))
        assert (page.hits[0].text, page.hits[0].words_rank, page.hits[0].likeness_rank) == ("xyz", 1, None)


async def test_several_searches_at_once_index_each_message_once(tmp_path: Path):
    embedder = LetterEmbedder()
    async with study(tmp_path, embedder) as desk:
        for number in range(30):
            await desk.say(USER, f"tide {number}")
        models = FixedModels(embedder=embedder)
        recalls = [desk.recall, Recall(desk.store, models, desk.clock)]
        query = RecallQuery(text="tide", limit=50)
        pages = await asyncio.gather(*(recall.search(ME, desk.agent.id, query) for recall in recalls * 3))
        assert [len({hit.message.id for hit in page.hits}) for page in pages] == [30] * 6
        counted = await desk.store.read(
            lambda tx: [tx.one(f"select count(*) as n from {table}") for table in ("search_rows", "search_vectors")]
        )

    assert counted == [{"n": 30}, {"n": 30}]


def places(questions: list[Question], answers: dict[str, list[str]], within: int) -> int:
    """How many questions have their answer among the first results."""
    return sum(question.answer in answers[question.text][:within] for question in questions)


async def test_words_and_meaning_together_find_more_than_either_alone(tmp_path: Path):
    """105 questions on a year of talk, half of them in other words than the answer."""
    talk, questions = read_talks()
    told: dict[str, dict[str, list[str]]] = {"both": {}, "words": {}, "meaning": {}}
    async with study(tmp_path, BuiltInEmbedder()) as desk:
        await desk.say_all(talk)
        for question in questions:
            for way, fields in (("both", {}), ("words", {"by_meaning": False}), ("meaning", {"by_words": False})):
                told[way][question.text] = await found(desk, question.text, limit=10, **fields)
    counts = {way: [places(questions, answers, within) for within in (1, 5, 10)] for way, answers in told.items()}

    assert len(questions) == 105
    assert counts["both"][0] >= counts["meaning"][0] > counts["words"][0]
    assert counts["both"][1] > counts["meaning"][1] > counts["words"][1]
    assert counts["both"][1] >= 80
    assert counts["both"][2] >= 84
    assert counts["words"][1] >= 60
