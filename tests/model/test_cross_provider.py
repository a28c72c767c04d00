"""Any history, written by any mix of providers, makes a request that each provider's own types and rules accept."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loci.testing.fake_provider import Answer, CallTool, Say, Think
from loci.types.messages import Image, Reasoning, Role, Text, ToolCall, ToolResult
from tests.model.providers import LOOK, PNG, SIGNATURE, WIRES, Wire, asking, message, request, user
from tests.model.sdk import must_suit_anthropic, must_suit_gemini, must_suit_openai

IDS = st.sampled_from(["call_1", "call_2", "toolu_3", "functions.look:0", "x" * 80])
MAKERS = [*WIRES, "else"]


def seal(maker: str) -> str:
    """What that maker alone can read."""
    return base64.b64encode(f"sealed by {maker}".encode()).decode()


def mark(maker: str) -> str:
    """An item id of that maker's."""
    return json.dumps({"id": f"item_{maker}", "phase": "commentary"})


def thoughts(maker: str) -> str:
    return f"Thoughts of {maker}."


@st.composite
def made(draw: st.DrawFn):
    """A part of an answer, with marks of its maker."""
    maker = draw(st.sampled_from(MAKERS))
    signature = draw(st.sampled_from([None, seal(maker), mark(maker)]))
    match draw(st.sampled_from(["text", "thought", "call"])):
        case "text":
            return Text(draw(st.sampled_from(["", " ", "Words."])), signature, maker)
        case "thought":
            return Reasoning(
                draw(st.sampled_from(["", thoughts(maker)])),
                draw(st.sampled_from([None, seal(maker)])),
                maker,
                redacted=draw(st.sampled_from([None, seal(maker)])),
                native=draw(st.sampled_from([True, True, False])),
                id=draw(st.sampled_from([None, f"item_{maker}", f"item_{maker}_2"])),
            )
        case _:
            arguments = draw(st.sampled_from(["", "{}", '{"q": "x"}', "{", "[1]"]))
            return ToolCall(draw(IDS), "look", arguments, signature, maker)


PARTS = st.one_of(
    made(),
    st.builds(Text, st.sampled_from(["", " ", "Words."])),
    st.builds(Image, media_type=st.just("image/png"), data=st.sampled_from([PNG, "cGl4ZWxz", "%%%"])),
    st.builds(Image, url=st.sampled_from([f"data:image/png;base64,{PNG}", "data:,", "https://127.0.0.1/a.png"])),
    st.builds(ToolResult, IDS, st.just("look"), st.sampled_from(["", "ok"]), st.sampled_from(["success", "error"])),
)
HISTORIES = st.lists(
    st.builds(
        lambda role, parts: message(role, *parts),
        st.sampled_from([*Role, Role.ASSISTANT, Role.ASSISTANT]),
        st.lists(PARTS, max_size=4),
    ),
    max_size=8,
)
SLOWLY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.parametrize("wire", WIRES)
@SLOWLY
@given(history=HISTORIES, stable_count=st.integers(0, 8))
async def test_any_history_is_accepted(wire: Wire, history, stable_count):
    async with asking(wire, Answer(parts=[Say("Yes.")])) as asked:
        await asked.answer(request(*history, tools=(LOOK,), stable_count=stable_count))
        sent = asked.sent

    RULES[wire](sent)
    body = json.dumps(sent)
    for maker in MAKERS:
        if maker != wire:
            assert seal(maker) not in body
            assert thoughts(maker) not in body
            assert f"item_{maker}" not in body


def anthropic_rules(sent: Any) -> None:
    must_suit_anthropic(sent)
    turns = sent["messages"]
    _alternating([turn["role"] for turn in turns], "user", "assistant")
    waiting: list[str] = []
    for turn in turns:
        blocks = turn["content"]
        assert blocks
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert results == waiting
        assert [block["type"] for block in blocks[: len(results)]] == ["tool_result"] * len(results), (
            "results come first"
        )
        waiting = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if turn["role"] == "assistant":
            assert blocks[-1]["type"] not in ("thinking", "redacted_thinking")
    assert not waiting
    assert json.dumps(sent).count('"cache_control"') <= 4


def openai_rules(sent: Any) -> None:
    must_suit_openai(sent)
    called, answered = set[str](), set[str]()
    for position, item in enumerate(sent["input"]):
        match item.get("type"):
            case "function_call":
                assert item["call_id"] not in called
                assert len(item["call_id"]) <= 64
                assert isinstance(json.loads(item["arguments"]), dict)
                called.add(item["call_id"])
            case "function_call_output":
                assert item["call_id"] in called - answered
                answered.add(item["call_id"])
            case "reasoning":
                assert item["encrypted_content"]
                follower = sent["input"][position + 1]
                assert (
                    follower.get("type") in ("reasoning", "message", "function_call") or follower["role"] == "assistant"
                )
    assert called == answered


def gemini_rules(sent: Any) -> None:
    must_suit_gemini(sent)
    waiting: list[str] = []
    roles = [turn["role"] for turn in sent["contents"]]
    assert (roles[0], roles[-1]) == ("user", "user")
    for turn in sent["contents"]:
        assert turn["parts"]
        results = [part["functionResponse"]["id"] for part in turn["parts"] if "functionResponse" in part]
        if waiting:
            assert results == waiting
        waiting = [part["functionCall"]["id"] for part in turn["parts"] if "functionCall" in part]
        if turn["role"] == "model" and waiting:
            first = next(part for part in turn["parts"] if "functionCall" in part)
            assert "thoughtSignature" in first


RULES = {"anthropic": anthropic_rules, "responses": openai_rules, "google": gemini_rules}


def _alternating(roles: list[str], first: str, second: str) -> None:
    assert roles == ([first, second] * len(roles))[: len(roles)]
    assert roles[-1] == first


async def test_one_talk_passes_through_all_three_and_back():
    """Each answers with thoughts and a call; the next is shown the talk so far, but no thoughts of others."""
    answer = Answer(
        parts=[Think("Secret thoughts.", SIGNATURE), CallTool("call_1", "look", '{"q": "x"}', SIGNATURE)],
        stop="tool_calls",
    )
    history = [user("Rain?")]
    for wire in (*WIRES, *WIRES):
        async with asking(wire, answer) as asked:
            whole = await asked.answer(request(*history, tools=(LOOK,)))
            RULES[wire](asked.sent)
            seen = json.dumps(asked.sent).count("Secret thoughts.")
        own = [stored for stored in history if any(getattr(part, "provider", None) == wire for part in stored.parts)]
        assert seen == len(own)
        history += [
            message(Role.ASSISTANT, *whole.parts),
            message(Role.TOOL, ToolResult("call_1", "look", "no")),
        ]
