"""Whatever an agent is made of, its file brings it back: a second export equals the first."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loci.agent.agentfile import Exported, FileArchive, exported, import_file
from loci.agent.agentfolders import FileFolder, TextFile
from loci.api.agentfile_in import Wishes, parse, read_file
from loci.api.agentfile_out import wire_file
from loci.api.wire_agents import unknown_model
from loci.files.viewing import Stretch, view
from loci.store import folders
from loci.store.base import Transaction
from loci.testing.agents import ACTOR, Bench, bench, memory_tools
from loci.types.agents import Agent, AgentType, CompactionSettings, ModelSettings
from loci.types.files import File, FileView, Folder
from loci.types.memory import Archive, Block, Passage
from loci.types.messages import ApprovalAnswer, Image, Kind, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from loci.types.paging import Page
from loci.types.tools import (
    ConstrainChildTools,
    ExitLoop,
    MaxCountPerStep,
    RequiresApproval,
    RunFirst,
    Tool,
    ToolType,
)
from tests.api.files import timeless

START = datetime(2026, 3, 1, 12, 30, 5, 123456, tzinfo=UTC)
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WORDS = st.text(alphabet='ab {}"\\:,é世\n', max_size=30) | st.sampled_from(
    ['{"status": "OK", "message": "x"}', '{"type": "login"}', '{"type": "heartbeat", "reason": "r"}', '{"type": 5}']
)
MAYBE = st.none() | st.text(alphabet="abc", min_size=1, max_size=8)
JSON = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | WORDS, lambda inner: st.lists(inner, max_size=2))
OBJECT = st.dictionaries(st.text(alphabet="kvw", min_size=1, max_size=3), JSON, max_size=3)
NAMES = st.sampled_from(["memory_insert", "memory_replace", "roll", "send_message", "gone"])
CALL = st.builds(ToolCall, st.sampled_from(["c1", "c2", "c-3"]), NAMES, WORDS, MAYBE, MAYBE)
THOUGHT = st.builds(Reasoning, WORDS, MAYBE, MAYBE, redacted=MAYBE, native=st.booleans(), id=MAYBE)
IMAGE = st.sampled_from(
    [Image("image/png", PIXEL), Image("image/png", PIXEL, detail="low"), Image(url="https://a.b/c")]
)
TEXT = st.builds(Text, WORDS, MAYBE, MAYBE)
LINES = st.lists(WORDS, max_size=2).map(tuple)
STATUS = st.sampled_from(["success", "error"])
RESULT = st.builds(ToolResult, st.sampled_from(["c1", "c2"]), NAMES, WORDS, STATUS, LINES, LINES)
ANSWER = st.builds(ApprovalAnswer, st.sampled_from(["c1", "c2"]), st.booleans(), MAYBE)
PARTS: dict[Role, st.SearchStrategy[Part]] = {
    Role.SYSTEM: TEXT,
    Role.USER: TEXT | IMAGE,
    Role.ASSISTANT: TEXT | THOUGHT | CALL,
    Role.TOOL: RESULT,
    Role.APPROVAL: ANSWER | RESULT,
}
RULES = st.sampled_from(
    [
        RunFirst(tool_name="roll", args={"sides": 6}),
        ExitLoop(tool_name="roll"),
        ConstrainChildTools(tool_name="roll", children=("memory_insert",)),
        MaxCountPerStep(tool_name="memory_insert", max_count_limit=2),
        RequiresApproval(tool_name="roll"),
    ]
)
TYPES = st.sampled_from([kind for kind in AgentType if kind not in {AgentType.SPLIT_THREAD, AgentType.VOICE_CONVO}])
TAGS = st.lists(st.text(alphabet="tuv:", min_size=1, max_size=4), max_size=3, unique=True).map(sorted).map(tuple)


@st.composite
def said(draw: st.DrawFn) -> tuple[list[Message], list[str]]:
    """Messages, and which of them are in the window, in the order of the file."""
    found: list[Message] = []
    for number in range(draw(st.integers(0, 6))):
        role = draw(st.sampled_from(list(PARTS)))
        kinds = [Kind.PLAIN, Kind.SUMMARY, Kind.ALERT] if role is Role.USER else [Kind.PLAIN]
        kind = draw(st.sampled_from(kinds))
        covers = {"summary": draw(WORDS), "covers": [item.id for item in found]} if kind is Kind.SUMMARY else None
        message = Message(
            id=f"m{number}",
            role=role,
            kind=kind,
            parts=tuple(draw(st.lists(PARTS[role], min_size=1, max_size=3))),
            created_at=START + timedelta(microseconds=draw(st.integers(0, 10**12))),
            agent_id="",
            conversation_id="",
            name=draw(MAYBE),
            otid=draw(st.none() | st.just(f"otid-{number}")),
            sender_id=draw(MAYBE),
            model=draw(MAYBE),
            extra=covers,
        )
        found.append(message)
    left = draw(st.integers(0, len(found)))
    prompt = Message(
        id="prompt",
        role=Role.SYSTEM,
        kind=Kind.SYSTEM_PROMPT,
        parts=(Text("P"),),
        created_at=START,
        agent_id="",
        conversation_id="",
    )
    return [prompt, *found], ["prompt", *(message.id for message in found[left:])]


AGENTS = st.builds(
    Agent,
    id=st.just("agent"),
    name=st.text(alphabet="Ab c", min_size=1, max_size=9),
    agent_type=TYPES,
    system=WORDS,
    model=st.just("scripted/default"),
    description=st.none() | WORDS,
    tags=TAGS,
    tool_rules=st.lists(RULES, max_size=3, unique_by=repr).map(tuple),
    model_settings=st.builds(
        ModelSettings,
        max_output_tokens=st.none() | st.integers(1, 9_999),
        temperature=st.none() | st.sampled_from([0.0, 0.7, 2.0]),
        parallel_tool_calls=st.booleans(),
        reasoning_effort=st.none() | st.just("low"),
        verbosity=st.none() | st.just("high"),
        strict=st.booleans(),
        raw=OBJECT,
    ),
    compaction_settings=st.builds(CompactionSettings, prompt=st.none() | WORDS, clip_chars=st.none() | st.just(5)),
    response_format=st.none() | st.just({"type": "json_object"}),
    context_window_tokens=st.integers(1_000, 200_000),
    tool_exec_environment=st.dictionaries(st.sampled_from(["KEY", "TOKEN"]), st.just("")),
    metadata=OBJECT,
    timezone=st.sampled_from(["UTC", "Asia/Tokyo"]),
    message_buffer_autoclear=st.booleans(),
    hidden=st.none() | st.booleans(),
    max_files_open=st.integers(1, 9),
    per_file_view_window_limit_chars=st.integers(1, 9),
)
BLOCKS = st.lists(
    st.builds(
        Block,
        id=st.just(""),
        label=st.text(alphabet="abc", min_size=1, max_size=5),
        value=WORDS,
        description=st.none() | WORDS,
        limit_chars=st.integers(1, 500),
        read_only=st.booleans(),
        hidden=st.none() | st.booleans(),
        tags=TAGS,
        metadata=OBJECT,
        template_name=MAYBE,
        is_template=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda block: block.label,
)
ROLL = Tool(
    id="",
    name="roll",
    tool_type=ToolType.CUSTOM,
    description="Roll.",
    json_schema={"name": "roll", "parameters": {"type": "object", "properties": {"sides": {"type": "integer"}}}},
    source_code="def roll(sides: int) -> int: ...",
    pip_requirements=({"name": "dice"},),
    default_requires_approval=True,
    return_limit_chars=10,
    metadata={"k": 1},
)
PASSAGES = st.builds(
    Passage,
    id=st.just(""),
    archive_id=st.just(""),
    text=WORDS.filter(bool),
    tags=TAGS,
    metadata=OBJECT,
    created_at=st.just(START),
)
ARCHIVES = st.builds(
    FileArchive,
    archive=st.builds(Archive, id=st.just(""), name=MAYBE.map(str), description=st.none() | WORDS, metadata=OBJECT),
    passages=st.lists(PASSAGES, max_size=2).map(tuple),
)


FOLDERS = st.lists(
    st.builds(
        Folder,
        id=st.just(""),
        name=st.text(alphabet="ab c_", min_size=1, max_size=9).filter(str.strip).map(str.strip),
        description=st.none() | WORDS,
        instructions=st.none() | WORDS,
        metadata=OBJECT,
    ),
    max_size=2,
    unique_by=lambda folder: folder.name,
)
NAMES_OF_FILES = st.lists(st.text(alphabet="ab.é", min_size=3, max_size=9), max_size=3, unique=True)
STRETCHES = st.none() | st.builds(Stretch) | st.builds(Stretch, first=st.integers(1, 3), count=st.integers(1, 3))


@st.composite
def filed(draw: st.DrawFn) -> tuple[list[FileFolder], list[tuple[File, str, Stretch]]]:
    """Folders with files, and which lines of which of them are open, in the order of opening."""
    found: list[FileFolder] = []
    opened: list[tuple[File, str, Stretch]] = []
    for number, folder in enumerate(draw(FOLDERS)):
        files: list[TextFile] = []
        for name in draw(NAMES_OF_FILES):
            words = draw(st.none() | WORDS.map(lambda words: f"{words}\n" * 3))
            file = File(
                id=f"{number}/{name}",
                folder_id="",
                folder_name=folder.name,
                name=name,
                original_name=draw(WORDS.filter(bool)),
                media_type=draw(st.sampled_from(["text/plain", "application/pdf"])),
                size_bytes=draw(st.integers(1, 10**9)),
                status="error" if words is None else draw(st.sampled_from(["embedding", "completed"])),
                error="It is damaged." if words is None else None,
            )
            files.append((file, words))
            stretch = draw(STRETCHES)
            if words is not None and stretch is not None:
                opened.append((file, words, stretch))
        found.append(FileFolder(folder=folder, files=tuple(files)))
    return found, draw(st.permutations(opened))


def seen(agent: Agent, opened: list[tuple[File, str, Stretch]]) -> list[FileView]:
    """What the agent sees, as far as it may have files open."""
    views: list[FileView] = []
    for number, (file, words, stretch) in enumerate(opened[: agent.max_files_open]):
        part = view(words, agent.per_file_view_window_limit_chars, stretch)
        at = START + timedelta(seconds=number)
        lines = {"shown": part.shown, "line_first": part.first, "line_last": part.last}
        views.append(FileView(file=file, is_open=True, accessed_at=at, **lines))
    return views


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Bench]]:
    """One store for all examples."""
    with asyncio.Runner() as runner:
        opened = bench(tmp_path_factory.mktemp("store"), memory_tools)
        try:
            yield runner, runner.run(opened.__aenter__())
        finally:
            runner.run(opened.__aexit__(None, None, None))


@settings(max_examples=50, deadline=None)
@given(AGENTS, BLOCKS, st.booleans(), st.lists(ARCHIVES, max_size=2), st.tuples(said(), filed()))
def test_the_second_export_equals_the_first(place, agent, blocks, rolls, archives, held):
    (messages, window), (shelf, opened) = held
    first = Exported(
        agent=agent,
        blocks=blocks,
        tools=[ROLL] if rolls else [],
        archives=archives,
        messages=messages,
        window_ids=window,
        folders=shelf,
        opened=seen(agent, opened),
    )
    written = json.dumps(wire_file(first, unknown_model(agent), None, skills=[], exported_at=None))
    runner, store = place
    again = runner.run(_through(store, written.encode()))
    assert timeless(again) == timeless(json.loads(written))


async def _through(place: Bench, raw: bytes) -> dict[str, Any]:
    file = read_file(parse(raw), Wishes(copy_suffix=False), lambda _key, text: text, START)
    made = await import_file(place.kit, ACTOR, file)
    assert not [warning for warning in made.warnings if "Files without a text" not in warning]
    found = await place.kit.store.read(exported, ACTOR, made.agent_ids[0], None, with_messages=True)
    await place.kit.store.write(forget_folders)  # so that the names are free for the next one
    return wire_file(found, unknown_model(found.agent), None, skills=[], exported_at=None)


def forget_folders(tx: Transaction) -> None:
    for folder in folders.listing(tx, ACTOR, Page(limit_rows=100)):
        folders.delete(tx, ACTOR, folder.id)
