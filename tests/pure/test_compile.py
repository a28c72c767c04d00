"""The compiled prompt: its layout, byte for byte, and that only its tail moves when only numbers change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from loci.agent.compile import CORE_MEMORY, CompiledPrompt, PromptMetadata, compile_system, time_text
from loci.types.agents import Agent, AgentType
from loci.types.memory import Block

AT = datetime(2026, 11, 23, 23, 42, 38, tzinfo=UTC)
NUMBERS = PromptMetadata(compiled_at=AT, recall_count=12)
AGENT = Agent(id="agent-1", name="Ada", agent_type=AgentType.LETTA_V1, system="You remember.", model="test/model")
HUMAN = Block(
    id="block-1", label="human", value="Name: Mira\nLives in Porto", description="The person.", limit_chars=500
)
POLICY = Block(id="block-2", label="policy", value="Be kind.", description="Rules.", limit_chars=100, read_only=True)


def compiled(
    agent: Agent = AGENT, *blocks: Block, numbers: PromptMetadata = NUMBERS, rules: str = ""
) -> CompiledPrompt:
    return compile_system(agent, blocks, rules_text=rules, metadata=numbers)


def test_the_whole_layout() -> None:
    numbers = replace(NUMBERS, archival_count=3, tags=("travel", "work"))

    assert compiled(AGENT, HUMAN, POLICY, numbers=numbers, rules="- Call look first.").text == snapshot("""\
You remember.

<memory_blocks>
The following memory blocks are currently engaged in your core memory unit:

<human>
<description>
The person.
</description>
<metadata>
- chars_current=25
- chars_limit=500
</metadata>
<value>
Name: Mira
Lives in Porto
</value>
</human>

<policy>
<description>
Rules.
</description>
<metadata>
- read_only=true
- chars_current=8
- chars_limit=100
</metadata>
<value>
Be kind.
</value>
</policy>

</memory_blocks>

<tool_usage_rules>
- Call look first.
</tool_usage_rules>

<memory_metadata>
- AGENT_ID: agent-1
- CONVERSATION_ID: default
- Today is Monday, 2026-11-23
- System prompt last recompiled: 2026-11-23 11:42:38 PM UTC+0000
- 12 previous messages between you and the user are stored in recall memory
- 3 total memories you created are stored in archival memory (use tools to access them)
- Available archival memory tags: travel, work
</memory_metadata>""")


def test_what_is_not_there_leaves_no_empty_section() -> None:
    prompt = compiled()

    assert [name for name, _ in prompt.parts] == ["system", "external_memory_summary"]
    assert "archival" not in prompt.text
    assert "tags" not in prompt.text
    assert compiled(replace(AGENT, system="  ")).text.startswith("<memory_metadata>")


def test_parts_have_the_names_under_which_the_context_is_billed() -> None:
    names = [name for name, _ in compiled(AGENT, HUMAN, rules="- Call look first.").parts]

    assert names == ["system", "core_memory", "tool_usage_rules", "external_memory_summary"]


def test_memory_goes_where_the_system_text_wants_it() -> None:
    prompt = compiled(replace(AGENT, system=f"Before.\n{CORE_MEMORY}\nBehind."), HUMAN)

    assert prompt.text.startswith("Before.\n<memory_blocks>")
    assert prompt.text.endswith("</memory_metadata>\nBehind.")
    assert CORE_MEMORY not in prompt.text


def test_a_placeholder_in_a_memory_is_a_word_like_any_other() -> None:
    prompt = compiled(replace(AGENT, system=f"Before. {CORE_MEMORY}"), replace(HUMAN, value=CORE_MEMORY))

    assert prompt.text.count("<memory_blocks>") == 1
    assert f"<value>\n{CORE_MEMORY}\n</value>" in prompt.text


def test_blocks_stand_in_the_order_in_which_they_are_attached() -> None:
    text = compiled(AGENT, POLICY, HUMAN).text

    assert text.index("<policy>") < text.index("<human>")


def test_line_numbers_are_a_view_and_counted_by_no_limit() -> None:
    prompt = compile_system(AGENT, [HUMAN], rules_text="", metadata=NUMBERS, line_numbers=True)

    assert "1→ Name: Mira\n2→ Lives in Porto\n" in prompt.text
    assert "- chars_current=25\n" in prompt.text
    assert "Never write them into memory" in prompt.text


def test_skills_are_listed_in_one_line_each() -> None:
    skills = [{"name": "tax", "description": "How to file taxes", "location": "/skills/tax"}, {}]
    prompt = compile_system(AGENT, [], rules_text="", metadata=NUMBERS, skills=skills)

    assert "<available_skills>\n- tax: How to file taxes (/skills/tax)\n" in prompt.text


def test_a_conversation_of_its_own_is_named() -> None:
    assert "- CONVERSATION_ID: conv-7\n" in compiled(numbers=replace(NUMBERS, conversation_label="conv-7")).text


TEXTS = st.text(max_size=40)
BLOCKS = st.lists(
    st.builds(
        Block,
        id=st.just("block-1"),
        label=st.sampled_from(["human", "persona", "notes"]),
        value=TEXTS,
        description=st.none() | TEXTS,
        read_only=st.booleans(),
    ),
    max_size=4,
)
SYSTEMS = st.one_of(TEXTS, st.tuples(TEXTS, TEXTS).map(CORE_MEMORY.join))
MANY_NUMBERS = st.builds(
    PromptMetadata,
    compiled_at=st.integers(0, 10**6).map(lambda minutes: AT + timedelta(minutes=minutes)),
    recall_count=st.integers(0, 10**6),
    archival_count=st.integers(0, 10**6),
    tags=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3).map(tuple),
)


@given(SYSTEMS, BLOCKS, TEXTS, MANY_NUMBERS)
def test_the_parts_joined_are_the_text(system: str, blocks: list[Block], rules: str, numbers: PromptMetadata) -> None:
    agent = replace(AGENT, system=system)
    prompt = compiled(agent, *blocks, numbers=numbers, rules=rules)

    assert "".join(text for _, text in prompt.parts) == prompt.text
    assert all(text for _, text in prompt.parts)
    assert compiled(agent, *blocks, numbers=numbers, rules=rules) == prompt


@given(TEXTS, BLOCKS, TEXTS, MANY_NUMBERS, MANY_NUMBERS)
def test_other_numbers_change_the_tail_only(
    system: str, blocks: list[Block], rules: str, first: PromptMetadata, second: PromptMetadata
) -> None:
    agent = replace(AGENT, system=system)
    one, other = (compiled(agent, *blocks, numbers=numbers, rules=rules) for numbers in (first, second))

    assert one.parts[:-1] == other.parts[:-1]
    assert one.parts[-1][0] == other.parts[-1][0] == "external_memory_summary"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2026-11-23 11:42:38 PM UTC+0000"),
        ("Europe/Berlin", "2026-11-24 12:42:38 AM CET+0100"),
        ("America/New_York", "2026-11-23 06:42:38 PM EST-0500"),
        ("Nowhere/Land", "2026-11-23 11:42:38 PM UTC+0000"),
        ("", "2026-11-23 11:42:38 PM UTC+0000"),
        ("../../etc/passwd", "2026-11-23 11:42:38 PM UTC+0000"),
        ("Europe", "2026-11-23 11:42:38 PM UTC+0000"),
    ],
)
def test_times_are_told_in_the_zone_of_the_agent(zone: str, expected: str) -> None:
    assert time_text(AT, zone) == expected
