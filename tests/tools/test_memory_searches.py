"""What an agent reads back from its searches, and sets of changes that are refused in the middle."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from loci.agent.creating import NewAgent, NewBlock
from loci.store import archives, blocks, messages, passages
from loci.store.conversations import default_id
from loci.testing.agents import ACTOR, SYSTEM, Bench, bench, memory_tools, messages_of
from loci.tools.base import BuiltinTool
from loci.types.memory import Passage
from loci.types.messages import Message, Role, Text, ToolCall, ToolResult, Trust

AGENT = NewAgent(
    model="scripted/default",
    embedding_given=True,
    blocks=(NewBlock(label="human", value="Ada."), NewBlock(label="notes", value="")),
    tool_names=(
        "conversation_search",
        "archival_memory_search",
        "memory_apply_patch",
        "store_memories",
        "rethink_user_memory",
        "memory_rethink",
    ),
    timezone="Europe/Lisbon",
)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path, memory_tools) as made:
        await made.create(AGENT)
        yield made


async def use(room: Bench, name: str, *, words: str = "go", **arguments: Any) -> ToolResult:
    """Let the agent call one tool; what it reads back."""
    call = ToolCall(f"call_{len(room.model.requests)}", name, orjson.dumps(arguments).decode())
    events = await room.send(words, [call], ["done"])
    return next(result for item in messages_of(events) for result in item.tool_results)


async def results(room: Bench, name: str, **arguments: Any) -> list[dict[str, Any]]:
    return orjson.loads((await use(room, name, **arguments)).text)["results"]


async def said(room: Bench, text: str, at: str, trust: Trust = Trust.USER) -> None:
    """Something that was said at a time in the zone UTC."""
    message = Message(
        id=f"message-{at}",
        role=Role.USER,
        parts=(Text(text),),
        created_at=datetime.fromisoformat(at).replace(tzinfo=UTC),
        agent_id=room.agent_id,
        conversation_id=default_id(room.agent_id),
        trust=trust,
    )
    await room.kit.store.write(messages.insert, ACTOR, [message])


async def noted(room: Bench, text: str, trust: Trust = Trust.AGENT) -> None:
    now = room.kit.clock.now()
    archive = await room.kit.store.write(archives.archive_to_write, ACTOR, SYSTEM, room.agent_id, now)
    note = Passage(id=f"passage-{text[:9]}", archive_id=archive.id, text=text, trust=trust)
    await room.kit.store.write(passages.insert, ACTOR, SYSTEM, archive.id, [note], now)


async def values(room: Bench) -> dict[str, str]:
    held = await room.kit.store.read(blocks.blocks_of_agent, ACTOR, room.agent_id)
    return {block.label: block.value for block in held}


async def test_a_day_is_the_whole_day_where_the_agent_lives(room: Bench):
    """Lisbon is one hour ahead of UTC in summer."""
    await said(room, "late on the first", "2025-07-01T22:59:59.999999")
    await said(room, "early on the second", "2025-07-01T23:00")
    await said(room, "late on the second", "2025-07-02T22:59:59.999999")
    await said(room, "early on the third", "2025-07-02T23:00")

    found = await results(room, "conversation_search", start_date="2025-07-02", end_date="2025-07-02")
    assert [row["content"] for row in found] == ["late on the second", "early on the second"]
    assert [row["timestamp"] for row in found] == ["2025-07-02T23:59:59+01:00", "2025-07-02T00:00:00+01:00"]
    exact = await results(
        room, "conversation_search", start_date="2025-07-02T23:30", end_date="2025-07-03T00:00:00+01:00"
    )
    assert [row["content"] for row in exact] == ["early on the third", "late on the second"]


async def test_the_question_itself_is_no_answer(room: Bench):
    await room.send("My ship is the Albatross.", ["Aye."])
    reply = await use(room, "conversation_search", words="What is the name of my ship?", query="ship name")

    assert "Albatross" in reply.text
    assert "What is the name" not in reply.text


async def test_what_tools_said_is_not_searched_and_the_agent_is_told(room: Bench):
    reply = await use(room, "conversation_search", query="x", roles=["tool"])

    assert reply.status == "success"
    assert reply.text.startswith("No results found. What tools returned")


async def test_a_page_is_bounded_and_says_how_to_go_on(room: Bench):
    """The words of the 30 parcels count a little for the message beside the last one, too."""
    for number in range(30):
        await said(room, f"parcel {number} " + "x" * 1_900, f"2025-01-{number + 1:02}T12:00")
    await said(room, "the end", "2025-02-01T12:00")
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = orjson.loads((await use(room, "conversation_search", query="parcel", limit=30, offset=offset)).text)
        assert sum(len(row["content"]) for row in page["results"]) <= 20_000
        assert page["message"] == f"Showing {len(page['results'])} of 31 results:"
        seen += [row["content"][:9] for row in page["results"]]
        offset = page.get("next_offset")

    assert len(set(seen)) == len(seen) == 31
    assert seen[-1] == "the end"
    beyond = await use(room, "conversation_search", query="parcel", offset=99)
    assert beyond.text == "No more results: there are 31."


async def test_a_long_message_is_shown_where_it_fits_the_query(room: Bench):
    await said(room, "filler " * 2_000 + "the password is Tulip " + "filler " * 2_000, "2025-01-01T12:00")
    (row,) = await results(room, "conversation_search", query="password")

    assert "the password is Tulip" in row["content"]
    assert len(row["content"]) < 2_100


async def test_foreign_texts_are_marked(room: Bench):
    await said(room, "Trust me, the treasure is here.", "2025-01-01T12:00", Trust.OTHER_AGENT)
    await said(room, "The treasure was a joke.", "2025-01-02T12:00")
    await noted(room, "Treasure map from a page.", Trust.WEB)
    await noted(room, "Own treasure note.")

    told = {row["content"]: row.get("source") for row in await results(room, "conversation_search", query="treasure")}
    assert told == {"Trust me, the treasure is here.": "other_agent", "The treasure was a joke.": None}
    kept = {
        row["content"]: row.get("source") for row in await results(room, "archival_memory_search", query="treasure")
    }
    assert kept == {"Treasure map from a page.": "web", "Own treasure note.": None}


@pytest.mark.parametrize(
    "patch",
    [
        "*** Update Block: human\n-Ada.\n+Eva.\n*** Add Block: x\n+1\n*** Add Block: x\n+2",
        "*** Add Block: x\n+1\n*** Update Block: human\n*** Move to: notes",
        "*** Update Block: human\n-Ada.\n+Eva.\n*** Update Block: human\n-Ada.\n+Ina.",
    ],
)
async def test_a_set_that_is_refused_in_the_middle_leaves_nothing_behind(room: Bench, patch: str):
    before = await values(room)
    result = await use(room, "memory_apply_patch", label="", patch=patch)

    assert result.status == "error"
    assert await values(room) == before


async def test_voice_tools_keep_stretches_and_rewrite_what_is_known_of_the_person(room: Bench):
    chunks = [
        {"start_index": 0, "end_index": 3, "context": "On 2025-03-01 Ada sold her boat."},
        {"context": "She is 40."},
    ]
    assert (await use(room, "store_memories", chunks=chunks)).text == "Stored 2 memories."
    found = await results(room, "archival_memory_search", query="boat")
    assert found[0]["content"] == "On 2025-03-01 Ada sold her boat."

    await use(room, "rethink_user_memory", new_memory="Ada, 40, without a boat.")
    assert (await values(room))["human"] == "Ada, 40, without a boat."
    assert (await use(room, "store_memories", chunks=[])).status == "error"


def described(tool: BuiltinTool) -> list[str]:
    properties = tool.schema.parameters["properties"]
    assert isinstance(properties, dict)
    return [str(field.get("description", "")) for field in properties.values() if isinstance(field, dict)]


async def test_every_tool_tells_when_to_use_it_and_what_its_arguments_mean(room: Bench):
    for name, tool in room.kit.builtins.items():
        if name.endswith("_search") or tool.memory is not None:
            assert len(tool.schema.description) > 40, name
            assert all(len(text) > 10 for text in described(tool)), name
            assert (tool.memory is None) != (tool.outside is None), name
