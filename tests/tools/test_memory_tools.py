"""The memory tools as an agent meets them: through the loop, on a real database, with what the model reads back."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from loci.agent.creating import NewAgent, NewBlock
from loci.model.embed import BuiltInEmbedder
from loci.store import blocks, journal
from loci.testing.agents import ACTOR, Bench, Setup, bench, memory_tools, messages_of
from loci.types.agents import AgentType
from loci.types.memory import ActorKind, JournalEntry, Subject
from loci.types.messages import ToolCall, ToolResult
from loci.types.paging import Page

EVERY = (
    "core_memory_append",
    "core_memory_replace",
    "memory_insert",
    "memory_replace",
    "memory_rethink",
    "memory",
    "memory_apply_patch",
    "archival_memory_insert",
    "archival_memory_search",
    "conversation_search",
)
AGENT = NewAgent(
    model="scripted/default",
    embedding="loci/wordllama",
    blocks=(
        NewBlock(label="human", value="Name: Ada.\nLives in Porto."),
        NewBlock(label="policy", value="Be kind.", read_only=True),
        NewBlock(label="small", value="", limit_chars=20),
    ),
    tool_names=EVERY,
)


@pytest.fixture(params=["by words and meaning", "by words only"])
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    both = request.param == "by words and meaning"
    setup = Setup(embedder=BuiltInEmbedder() if both else None)
    async with bench(tmp_path, memory_tools, setup) as made:
        await made.create(AGENT if both else replace(AGENT, embedding=None, embedding_given=True))
        yield made


async def use(room: Bench, name: str, **arguments: Any) -> ToolResult:
    """Let the agent call one tool; what it reads back."""
    call = ToolCall(f"call_{len(room.model.requests)}", name, orjson.dumps(arguments).decode())
    events = await room.send("go", [call], ["done"])
    return next(result for item in messages_of(events) for result in item.tool_results)


async def value(room: Bench, label: str) -> str | None:
    held = await room.kit.store.read(blocks.blocks_of_agent, ACTOR, room.agent_id)
    return next((block.value for block in held if block.label == label), None)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("core_memory_append", {"label": "human", "content": "Likes tea."}, "Name: Ada.\nLives in Porto.\nLikes tea."),
        (
            "core_memory_replace",
            {"label": "human", "old_content": "Porto", "new_content": "Lisbon"},
            "Name: Ada.\nLives in Lisbon.",
        ),
        (
            "memory_insert",
            {"label": "human", "new_string": "Top.", "insert_line": 0},
            "Top.\nName: Ada.\nLives in Porto.",
        ),
        (
            "memory_insert",
            {"label": "human", "new_string": "Late.", "insert_line": "-1"},
            "Name: Ada.\nLives in Porto.\nLate.",
        ),
        ("memory_replace", {"label": "human", "old_string": "\nLives in Porto.", "new_string": ""}, "Name: Ada."),
        ("memory_rethink", {"label": "human", "new_memory": "Ada, Porto."}, "Ada, Porto."),
        (
            "memory",
            {"command": "str_replace", "path": "/memories/human", "old_string": "Ada", "new_string": "Eva"},
            "Name: Eva.\nLives in Porto.",
        ),
        (
            "memory",
            {"command": "insert", "path": "/memories/human", "insert_text": "New.", "insert_line": 1},
            "Name: Ada.\nNew.\nLives in Porto.",
        ),
        (
            "memory_apply_patch",
            {"label": "human", "patch": " Name: Ada.\n-Lives in Porto.\n+Lives in Lisbon."},
            "Name: Ada.\nLives in Lisbon.",
        ),
    ],
)
async def test_an_edit_changes_the_block_and_shows_its_new_value(
    room: Bench, name: str, arguments: dict[str, Any], expected: str
) -> None:
    result = await use(room, name, **arguments)

    assert (result.status, result.text) == ("success", expected)
    assert await value(room, "human") == expected


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("core_memory_append", {"label": "policy", "content": "x"}, "read-only"),
        ("core_memory_append", {"label": "small", "content": "x" * 30}, "may have 20 characters"),
        ("core_memory_append", {"label": "mood", "content": "x"}, "available sections = human, policy, small"),
        ("core_memory_replace", {"label": "human", "old_content": "nope", "new_content": "x"}, "not found"),
        ("memory", {"command": "create", "path": "/memories/human", "file_text": "x"}, "is a block 'human' already"),
        ("memory", {"command": "delete", "path": "/memories/policy"}, "read-only"),
        ("memory", {"command": "fly"}, "There is no command 'fly'"),
        (
            "memory_apply_patch",
            {"label": "human", "patch": "*** Delete Block: mood"},
            "Block field mood does not exist",
        ),
        ("archival_memory_insert", {"content": "   "}, "is empty"),
        ("archival_memory_search", {"query": "x", "start_datetime": "soon"}, "which is no date"),
        ("conversation_search", {"query": "x", "roles": ["robot"]}, "There is no role 'robot'"),
        ("memory_insert", {"label": "human"}, "needs 'new_string'"),
    ],
)
async def test_a_refusal_says_why_and_changes_nothing(
    room: Bench, name: str, arguments: dict[str, Any], says: str
) -> None:
    result = await use(room, name, **arguments)

    assert result.status == "error"
    assert says in result.text
    assert await value(room, "human") == "Name: Ada.\nLives in Porto."
    assert await value(room, "policy") == "Be kind."


async def test_blocks_are_made_renamed_and_taken_away_by_the_agent_itself(room: Bench) -> None:
    made = await use(
        room, "memory", command="create", path="/memories/project", file_text="Build.", description="What we do."
    )
    assert made.text.startswith("Successfully created memory block 'project'.")
    assert await value(room, "project") == "Build."
    await use(room, "memory", command="rename", old_path="/memories/project", new_path="/memories/work")
    assert (await value(room, "project"), await value(room, "work")) == (None, "Build.")
    await use(room, "memory", command="rename", path="/memories/work", description="Better.")
    await use(room, "memory", command="delete", path="/memories/work")
    assert await value(room, "work") is None


async def test_a_patch_over_several_blocks_is_all_or_nothing(room: Bench) -> None:
    patch = "*** Add Block: notes\n+First.\n*** Update Block: human\n-Lives in Porto.\n+Lives in Lisbon."
    await use(room, "memory_apply_patch", label="", patch=patch)
    assert (await value(room, "notes"), await value(room, "human")) == ("First.", "Name: Ada.\nLives in Lisbon.")

    broken = await use(
        room, "memory_apply_patch", label="", patch="*** Delete Block: notes\n*** Update Block: human\n-no\n+yes"
    )
    assert broken.status == "error"
    assert await value(room, "notes") == "First."


async def test_notes_are_kept_and_found_with_tags_and_times(room: Bench) -> None:
    await use(room, "archival_memory_insert", content="Ada's cello was made in Cremona in 1751.", tags=["music"])
    await use(room, "archival_memory_insert", content="The invoice for the roof was paid.", tags=["house", "money"])
    assert (
        await use(room, "archival_memory_insert", content="Basil grows well in June.", tags=["garden"])
    ).status == "success"

    found = orjson.loads((await use(room, "archival_memory_search", query="cello Cremona")).text)
    assert found["results"][0]["content"] == "Ada's cello was made in Cremona in 1751."
    assert set(found["results"][0]) == {"id", "timestamp", "content", "tags", "relevance"}
    tagged = orjson.loads((await use(room, "archival_memory_search", query="", tags=["house", "garden"])).text)
    assert {row["content"][:5] for row in tagged["results"]} == {"The i", "Basil"}
    both = orjson.loads(
        (await use(room, "archival_memory_search", query="", tags=["house", "money"], tag_match_mode="all")).text
    )
    assert len(both["results"]) == 1
    none = await use(room, "archival_memory_search", query="cello", end_datetime="2020-01-01")
    assert none.text == "No results found."


async def test_what_was_said_is_found_again_page_by_page(room: Bench) -> None:
    for number in range(8):
        await room.send(f"My lucky number {number} is on the blue door.", [f"I see, {number}."])
    await room.send("The lighthouse keeper is called Tomas.", ["Tomas, noted."])

    page = orjson.loads((await use(room, "conversation_search", query="lighthouse keeper", limit=3)).text)
    assert page["results"][0]["content"] == "The lighthouse keeper is called Tomas."
    assert set(page["results"][0]) == {"timestamp", "time_ago", "role", "relevance", "content"}
    first = orjson.loads(
        (await use(room, "conversation_search", query="lucky number blue door", roles=["user"], limit=3)).text
    )
    second = orjson.loads(
        (
            await use(
                room,
                "conversation_search",
                query="lucky number blue door",
                roles=["user"],
                limit=3,
                offset=first["next_offset"],
            )
        ).text
    )
    contents = [row["content"] for row in first["results"] + second["results"]]
    assert len(set(contents)) == 6
    assert {row["role"] for row in first["results"]} == {"user"}


async def entries(room: Bench) -> list[JournalEntry]:
    return await room.kit.store.read(journal.of_agent, ACTOR, room.agent_id, Page(limit_rows=100, ascending=True))


async def test_every_edit_is_in_the_journal_with_its_author_and_source(room: Bench) -> None:
    await use(room, "core_memory_append", label="human", content="Likes tea.")

    entry = [item for item in await entries(room) if item.subject is Subject.BLOCK and item.action == "update"][-1]
    assert isinstance(entry.before, dict)
    assert isinstance(entry.after, dict)
    assert (entry.before["value"], entry.after["value"]) == (
        "Name: Ada.\nLives in Porto.",
        "Name: Ada.\nLives in Porto.\nLikes tea.",
    )
    author = entry.author
    assert (author.kind, author.agent_id) == (ActorKind.AGENT, room.agent_id)
    said = [item for item in await room.stored() if item.text == "go"]
    assert author.source_message_id == said[-1].id
    assert author.run_id == said[-1].run_id
    assert author.tool_call_id is not None
    assert entry.change_set_id is not None


async def test_a_sleeptime_agent_ends_when_it_has_finished(room: Bench) -> None:
    kind = replace(AGENT, agent_type=AgentType.SLEEPTIME, tool_names=(), embedding=None, embedding_given=True)
    await room.create(kind)
    edit = ToolCall(
        "c1",
        "memory_insert",
        '{"thinking": "t", "label": "human", "new_string": "Late riser.", "request_heartbeat": true}',
    )
    done = ToolCall("c2", "memory_finish_edits", '{"thinking": "t", "request_heartbeat": false}')
    await room.send("Here is the talk.", [edit], [done])

    assert (await value(room, "human") or "").endswith("Late riser.")
