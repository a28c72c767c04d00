"""Compaction: what must hold of every plan, whatever the history and the window."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.memory import compaction
from loci.types.agents import CompactionMode, CompactionSettings
from loci.types.messages import Kind, Message, Role, Text, ToolCall, ToolResult
from tests.pure.histories import message, valid_histories

MODES: list[CompactionMode] = ["sliding_window", "all", "self_compact_all", "self_compact_sliding_window"]
WINDOWS = st.sampled_from([2_000, 4_096, 8_192, 32_768, 128_000, 1_000_000])


def tokens_of(item: Message) -> int:
    texts = [part.text for part in item.parts if isinstance(part, Text | ToolResult)]
    return 4 + sum(len(text) // 4 + 1 for text in texts)


def newest_word(history: list[Message]) -> Message | None:
    return next((item for item in reversed(history) if item.role is Role.USER and item.kind is Kind.PLAIN), None)


def plan_of(history: list[Message], window: int, fixed: int, settings: CompactionSettings) -> compaction.CompactionPlan:
    sizes = [tokens_of(item) for item in history]
    return compaction.plan(history, sizes, window_tokens=window, fixed_tokens=fixed, settings=settings)


@given(valid_histories(), WINDOWS, st.floats(0, 0.6), st.sampled_from(MODES))
def test_a_plan_parts_nothing_drops_no_newest_word_and_fits_or_says_so(
    history: list[Message], window: int, fixed_share: float, mode: CompactionMode
) -> None:
    settings = CompactionSettings(mode=mode)
    fixed = int(window * fixed_share)
    plan = plan_of(history, window, fixed, settings)

    gone, kept = [item.id for item in plan.evicted], [item.id for item in plan.kept]
    assert sorted(gone + kept) == sorted(item.id for item in history)
    assert kept == [item.id for item in history if item.id in kept]
    newest = newest_word(history)
    assert newest is None or newest.id in kept

    kept_calls = {call.id for item in plan.kept for call in item.tool_calls}
    kept_results = {result.call_id for item in plan.kept for result in item.tool_results}
    assert kept_calls == kept_results

    saved = 0
    clipped = {clip.call_id: clip.chars_max for clip in plan.clips}
    for item in plan.kept:
        for result in item.tool_results:
            if result.call_id in clipped:
                assert clipped[result.call_id] < len(result.text)
                saved += (len(result.text) - clipped[result.call_id] - 40) // 4
    left = fixed + sum(map(tokens_of, plan.kept)) - saved + (plan.summary_tokens_max if gone else 0)
    assert plan.overflow == (left > int(window * settings.flush_fraction))


@given(valid_histories(), WINDOWS, st.sampled_from(MODES))
def test_only_what_cannot_leave_makes_an_overflow(history: list[Message], window: int, mode: CompactionMode) -> None:
    plan = plan_of(history, window, 0, CompactionSettings(mode=mode))

    if plan.overflow:
        newest = newest_word(history)
        must_stay = {newest.id} if newest else set()
        last_unit = {item.id for item in plan.kept[-3:]}
        summaries = {item.id for item in plan.kept if item.kind is Kind.SUMMARY}
        assert {item.id for item in plan.kept} <= must_stay | last_unit | summaries


@given(valid_histories(), WINDOWS, st.sampled_from(MODES))
def test_flushing_again_and_again_comes_to_an_end(history: list[Message], window: int, mode: CompactionMode) -> None:
    settings = CompactionSettings(mode=mode)
    most = len(history)
    for flush in range(most + 1):
        plan = plan_of(history, window, 0, settings)
        if not plan.evicted:
            return
        assert any(item.kind is not Kind.SUMMARY for item in plan.evicted)
        history = [message(1_000 + flush, Role.USER, Text("s"), kind=Kind.SUMMARY), *plan.kept]
    pytest.fail("each flush found something more to take")


@given(valid_histories(), WINDOWS, st.floats(0, 1), st.sampled_from(["sliding_window", "self_compact_sliding_window"]))
def test_a_sliding_window_takes_its_share_or_all_that_may_go(
    history: list[Message], window: int, share: float, mode: CompactionMode
) -> None:
    plan = plan_of(history, window, 0, CompactionSettings(mode=mode, sliding_window_percentage=share))

    talk_count = sum(item.kind is not Kind.SUMMARY for item in history)
    taken = sum(item.kind is not Kind.SUMMARY for item in plan.evicted)
    newest = newest_word(history)
    still_free = [item for item in plan.kept[:-1] if item is not newest and item.kind is not Kind.SUMMARY]
    last_call = next((item for item in reversed(plan.kept) if item.tool_calls), None)
    if last_call is not None:
        still_free = [item for item in still_free if item.seq < last_call.seq]
    assert taken >= share * talk_count or not still_free


@given(valid_histories(), WINDOWS, st.sampled_from(["all", "self_compact_all"]))
def test_mode_all_leaves_nothing_before_the_newest_word(
    history: list[Message], window: int, mode: CompactionMode
) -> None:
    plan = plan_of(history, window, 0, CompactionSettings(mode=mode))

    newest = newest_word(history)
    if newest is not None:
        before = [item for item in plan.kept if item.seq < newest.seq]
        assert all(item.kind is Kind.SUMMARY for item in before)


@given(valid_histories(), WINDOWS, st.sampled_from(MODES), st.data())
def test_words_in_system_role_stay(
    history: list[Message], window: int, mode: CompactionMode, data: st.DataObject
) -> None:
    starts = [n for n, item in enumerate(history) if item.role is Role.USER]
    place = data.draw(st.sampled_from(starts))
    note = message(500, Role.SYSTEM, Text("note"), kind=Kind.ALERT)
    plan = plan_of([*history[:place], note, *history[place:]], window, 0, CompactionSettings(mode=mode))

    assert note in plan.kept


def test_a_summary_alone_is_not_summarised_again() -> None:
    history = [message(0, Role.USER, Text("s"), kind=Kind.SUMMARY), message(1, Role.USER, Text("hello"))]

    for mode in MODES:
        assert plan_of(history, 8_000, 0, CompactionSettings(mode=mode)).evicted == ()


def test_a_summary_goes_into_the_next_one() -> None:
    history = [message(0, Role.USER, Text("s"), kind=Kind.SUMMARY), *[talk(9)[n] for n in range(1, 9)]]

    assert history[0] in plan_of(history, 8_000, 0, CompactionSettings()).evicted


def test_much_core_memory_leaves_some_talk_in_the_window() -> None:
    plan = plan_of(talk(200), 10_000, 6_000, CompactionSettings())

    assert len(plan.kept) > 3
    assert not plan.overflow


def test_steps_of_one_long_turn_leave_when_the_model_finds_it_too_long() -> None:
    history = [message(0, Role.USER, Text("work"))]
    for step in range(6):
        history.append(message(2 * step + 1, Role.ASSISTANT, ToolCall(f"c{step}", "look", "{}")))
        history.append(message(2 * step + 2, Role.TOOL, ToolResult(f"c{step}", "look", "seen")))

    for mode in MODES:
        plan = plan_of(history, 128_000, 0, CompactionSettings(mode=mode))
        assert [item.id for item in plan.evicted][:2] == ["message-1", "message-2"]
        assert plan.kept[0].id == "message-0"
        assert plan.kept[-1].id == "message-12"


def test_a_model_with_long_tokens_gets_its_results_cut_shorter() -> None:
    """Six characters a token: cutting four characters frees less than one token."""
    history = [
        message(0, Role.USER, Text("go")),
        message(1, Role.ASSISTANT, ToolCall("c1", "look", "{}")),
        message(2, Role.TOOL, ToolResult("c1", "look", "r" * 60_000)),
    ]
    plan = compaction.plan(history, [2, 2, 10_000], window_tokens=4_000, fixed_tokens=0, settings=CompactionSettings())

    assert not plan.overflow
    assert plan.clips[0].chars_max <= (3_600 - 4) * 6


def talk(count: int) -> list[Message]:
    roles = (Role.USER, Role.ASSISTANT)
    return [message(number, roles[number % 2], Text(f"word {number} " * 20)) for number in range(count)]


def test_a_sliding_window_takes_the_oldest_and_keeps_the_newest() -> None:
    history = talk(40)
    plan = plan_of(history, 2_000, 100, CompactionSettings())

    assert [item.id for item in plan.evicted] == [f"message-{n}" for n in range(len(plan.evicted))]
    assert len(plan.evicted) >= 12
    assert not plan.overflow


def test_mode_all_keeps_the_newest_word_and_what_follows_it() -> None:
    history = talk(9)
    plan = plan_of(history, 100_000, 0, CompactionSettings(mode="all"))

    assert [item.id for item in plan.kept] == ["message-8"]


def test_a_long_result_of_the_newest_step_is_cut_and_the_words_of_the_user_are_not() -> None:
    history = [
        message(0, Role.USER, Text("w" * 2_000)),
        message(1, Role.ASSISTANT, ToolCall("c1", "look", "{}")),
        message(2, Role.TOOL, ToolResult("c1", "look", "r" * 40_000)),
    ]
    plan = plan_of(history, 4_000, 0, CompactionSettings())

    assert [item.id for item in plan.kept] == ["message-0", "message-1", "message-2"]
    assert [clip.call_id for clip in plan.clips] == ["c1"]
    assert not plan.overflow


def test_room_is_made_for_the_summary_too() -> None:
    history = [
        *talk(4),
        message(4, Role.USER, Text("go")),
        message(5, Role.ASSISTANT, ToolCall("c1", "look", "{}")),
        message(6, Role.TOOL, ToolResult("c1", "look", "r" * 13_600)),
    ]
    sizes = [tokens_of(item) for item in history]
    plan = plan_of(history, 4_000, 0, CompactionSettings())

    assert plan.evicted
    assert sum(sizes[-3:]) < 3_600 < sum(sizes[-3:]) + plan.summary_tokens_max
    assert [clip.call_id for clip in plan.clips] == ["c1"]


def test_a_summary_covers_what_the_summary_before_it_covered() -> None:
    earlier = Message(
        id="message-old-summary",
        role=Role.USER,
        kind=Kind.SUMMARY,
        parts=(Text("s"),),
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        agent_id="agent-1",
        conversation_id="conv-1",
        extra={"covers": ["message-a", "message-b"]},
    )

    assert compaction.covered_ids([earlier, *talk(2)]) == [
        "message-a",
        "message-b",
        "message-old-summary",
        "message-0",
        "message-1",
    ]


@pytest.mark.parametrize(
    ("tokens", "warned", "expected"),
    [(699, False, "none"), (700, False, "warn"), (700, True, "none"), (899, True, "none"), (900, True, "flush")],
)
def test_pressure_warns_once_and_flushes_before_the_window_is_full(tokens: int, *, warned: bool, expected: str) -> None:
    assert compaction.pressure(tokens, 1_000, CompactionSettings(), warned=warned) == expected


def test_a_transcript_names_speakers_and_dates_and_leaves_out_the_middle_when_long() -> None:
    history = [
        message(0, Role.USER, Text("My cat is called Miso.")),
        message(1, Role.ASSISTANT, Text("Nice."), ToolCall("c", "memory_insert", '{"label":"human"}')),
        message(2, Role.TOOL, ToolResult("c", "memory_insert", "done")),
    ]

    assert compaction.transcript(history, 10_000) == (
        "[2026-03-01 00:00] user: My cat is called Miso.\n"
        '[2026-03-01 00:01] agent: Nice. (calls memory_insert {"label":"human"})\n'
        "[2026-03-01 00:02] tool: (memory_insert returned: done)"
    )
    short = compaction.transcript(talk(50), 400)
    assert "characters left out" in short
    assert len(short) <= 450


def test_a_transcript_tells_the_day_that_it_was_for_the_person() -> None:
    late = replace(message(0, Role.USER, Text("Tomorrow I fly.")), created_at=datetime(2026, 3, 1, 22, tzinfo=UTC))

    assert compaction.transcript([late], 1_000) == "[2026-03-01 22:00] user: Tomorrow I fly."
    sydney = timezone(timedelta(hours=11))
    assert compaction.transcript([late], 1_000, sydney) == "[2026-03-02 09:00] user: Tomorrow I fly."


def test_the_summary_stands_in_the_window_as_a_note_of_the_system() -> None:
    packed = orjson.loads(compaction.summary_text("They met.", "2026-03-01 01:00:00 AM UTC+0000"))

    assert packed["type"] == "system_alert"
    assert packed["message"].endswith("The following is a summary of the previous messages:\n They met.")
