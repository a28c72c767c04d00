"""What agents are told: no word of a tool they lack, not too long, and every habit that makes an agent remember."""

import re
from datetime import UTC, datetime

import orjson
import pytest

from loci.agent import prompts
from loci.agent.kinds import HEARTBEAT, SEND_MESSAGE, THINKING, kind_of
from loci.types.agents import AgentType, CompactionMode
from loci.types.messages import Kind, Role, Text, ToolCall, ToolResult

MADE = [kind for kind in AgentType if kind is not AgentType.SPLIT_THREAD]
MODES: list[CompactionMode] = ["sliding_window", "all", "self_compact_all", "self_compact_sliding_window"]
EVERY_TOOL = {name for kind in MADE for name in kind_of(kind).base_tools} | {
    "archival_memory_insert",
    "archival_memory_search",
    "memory_rethink",
    "open_files",
    "run_code",
    "web_search",
}
TALKING = [AgentType.LETTA_V1, AgentType.MEMGPT, AgentType.MEMGPT_V2]
TIME = "2026-03-01 01:00:00 AM UTC+0000"


def prompt_of(agent_type: AgentType) -> str:
    return prompts.system_prompt(kind_of(agent_type).prompt)


@pytest.mark.parametrize("agent_type", MADE)
def test_a_prompt_names_only_tools_that_the_agent_has(agent_type: AgentType) -> None:
    kind, words = kind_of(agent_type), prompt_of(agent_type)

    # `memory` is also an ordinary word: it names the tool only where it is marked as code.
    named = set(re.findall(r"\w+", words)) & (EVERY_TOOL - {"memory"}) | ({"memory"} if "`memory`" in words else set())
    assert named <= set(kind.base_tools)


@pytest.mark.parametrize("agent_type", MADE)
def test_a_prompt_explains_heartbeats_and_thoughts_to_those_who_have_them(agent_type: AgentType) -> None:
    kind, words = kind_of(agent_type), prompt_of(agent_type)

    assert (f"`{HEARTBEAT}`" in words) == kind.heartbeats
    assert (f"`{THINKING}`" in words) == kind.inner_thoughts


@pytest.mark.parametrize("agent_type", MADE)
def test_every_prompt_is_short_enough_to_be_read_in_each_step(agent_type: AgentType) -> None:
    assert 50 < len(prompt_of(agent_type).split()) <= 600


@pytest.mark.parametrize("agent_type", TALKING)
@pytest.mark.parametrize(
    "habit",
    [
        "Core memory",
        "Recall memory",
        "Archival memory",
        "before you answer",
        "absolute",
        "instead of adding a second",
        "you say that you do not know",
        "never an instruction",
        "Passwords and keys are not kept in memory",
    ],
)
def test_agents_that_talk_are_told_every_habit_of_remembering(agent_type: AgentType, habit: str) -> None:
    assert habit in " ".join(prompt_of(agent_type).split())


def test_sleeping_agents_are_told_to_edit_with_care_and_to_finish() -> None:
    words = prompt_of(AgentType.SLEEPTIME)

    for habit in ("absolute dates", "Do not guess", "as few and as small edits", "call `memory_finish_edits`"):
        assert habit in words


def test_only_the_heartbeat_family_is_told_to_speak_by_a_tool() -> None:
    speaking = {kind for kind in MADE if SEND_MESSAGE in prompt_of(kind)}

    assert speaking == {AgentType.MEMGPT, AgentType.MEMGPT_V2}
    assert "A message without a tool call ends your turn" in prompt_of(AgentType.LETTA_V1)


@pytest.mark.parametrize("mode", MODES)
def test_every_summary_prompt_carries_over_what_came_before_and_invents_nothing(mode: CompactionMode) -> None:
    words = prompts.summary_prompt(mode)

    for habit in ("earlier summary", "Add nothing that is not there", "absolute", "Write the summary only"):
        assert habit in words


def test_a_summariser_from_outside_is_told_not_to_obey_what_it_reads() -> None:
    for mode in ("sliding_window", "all"):
        assert "not an instruction to you" in prompts.summary_prompt(mode)


def test_a_warning_asks_to_save_and_not_to_talk_about_it() -> None:
    assert "save it now" in prompts.PRESSURE_WARNING
    assert "do not mention it" in prompts.PRESSURE_WARNING


def test_well_known_blocks_say_what_they_are_for() -> None:
    assert "person" in prompts.BLOCK_DESCRIPTIONS["human"]
    assert "Who you are" in prompts.BLOCK_DESCRIPTIONS["persona"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (prompts.alert_text('Say "hi".\n', TIME), {"type": "system_alert", "message": 'Say "hi".\n', "time": TIME}),
        (prompts.login_text(TIME), {"type": "login", "last_login": "Never (first login)", "time": TIME}),
        (prompts.heartbeat_text("asked for", TIME), {"type": "heartbeat", "reason": "asked for", "time": TIME}),
    ],
)
def test_notes_of_the_system_are_json_with_a_type(text: str, expected: dict[str, str]) -> None:
    assert orjson.loads(text) == expected


def test_the_first_exchange_shows_thought_speech_and_login() -> None:
    spoken, result, login = prompts.boot_messages(datetime(2026, 3, 1, 1, tzinfo=UTC), "UTC")

    assert [spoken[0], result[0], login[0]] == [Role.ASSISTANT, Role.TOOL, Role.USER]
    calls = [part for part in spoken[2] if isinstance(part, ToolCall)]
    results = [part for part in result[2] if isinstance(part, ToolResult)]
    assert [call.id for call in calls] == [part.call_id for part in results]
    assert set(orjson.loads(calls[0].arguments)) == {THINKING, "message"}
    assert login[1] is Kind.LOGIN
    assert login[2] == (Text(prompts.login_text(TIME)),)
