"""Our messages on the chat-completions wire."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline_snapshot import snapshot
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

from loci.agent.context import Window
from loci.model.base import ModelInfo, ModelRequest, ProviderConfig
from loci.model.chat_dialect import dialect_of
from loci.model.chat_encode import NO_PICTURE, PICTURES, TURNS, Encoder, as_object
from loci.types.agents import ModelSettings
from loci.types.messages import ApprovalAnswer, Image, Kind, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from loci.types.tools import ToolSchema
from tests.model.contract import INFO, LOOK, assistant, message, request, results, user
from tests.model.sdk import _must_suit
from tests.pure.histories import valid_histories

EXTENSIONS = {"reasoning", "reasoning_content", "reasoning_details", "extra_content", "cache_control"}
HOSTED = "https://api.openai.com/v1"


def encoder(
    kind: str = "openai", *, url: str = "http://127.0.0.1:9/v1", name: str = "one", images: bool = True
) -> Encoder:
    info = ModelInfo(
        handle=f"{kind}/{name}",
        name=name,
        provider=kind,
        provider_type=kind,
        window_tokens=8_000,
        supports_images=images,
    )
    return Encoder(dialect_of(info, ProviderConfig(name=kind, provider_type=kind, base_url=url)))


def body(
    asked: ModelRequest, by: Encoder | None = None, *, name: str = "one", without: Iterable[str] = (), **info: Any
) -> Any:
    sent = (by or encoder()).body(replace(INFO, name=name, **info), asked, without=frozenset(without))
    sent = json.loads(b"".join(sent.pieces))
    _must_suit(CompletionCreateParamsStreaming, without_extensions(sent))
    return sent


def without_extensions(value: Any) -> Any:
    """Leave out what other providers have added to the wire."""
    if isinstance(value, list):
        return [without_extensions(each) for each in value]
    if isinstance(value, dict):
        return {key: without_extensions(each) for key, each in value.items() if key not in EXTENSIONS}
    return value


def sent_messages(*messages: Message, by: Encoder | None = None) -> Any:
    return body(request(*messages, system=""), by)["messages"]


def test_a_whole_request():
    history = (
        user("Rain?"),
        assistant(Text("I look twice."), ToolCall("call_1", "look", '{"q": "rain"}'), ToolCall("call_2", "look", "{}")),
        results(ToolResult("call_1", "look", "It rains."), ToolResult("call_2", "look", "No word.", status="error")),
        assistant(Text("It rains.")),
        user("Thanks."),
    )
    settings = ModelSettings(temperature=0.5, max_output_tokens=100)

    assert body(request(*history, settings=settings)) == snapshot(
        {
            "model": "one",
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 100,
            "temperature": 0.5,
            "parallel_tool_calls": False,
            "messages": [
                {"role": "system", "content": "You are kind."},
                {"role": "user", "content": "Rain?"},
                {
                    "role": "assistant",
                    "content": "I look twice.",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "look", "arguments": '{"q": "rain"}'},
                        },
                        {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "It rains."},
                {"role": "tool", "tool_call_id": "call_2", "content": "No word."},
                {"role": "assistant", "content": "It rains."},
                {"role": "user", "content": "Thanks."},
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "look",
                        "description": "Looks something up.",
                        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
                    },
                },
            ],
        },
    )


def test_the_hosted_api_gets_its_newer_names():
    settings = ModelSettings(max_output_tokens=9, verbosity="low", reasoning_effort="low", temperature=0.1)
    hosted = body(request(settings=settings, user="u"), encoder(url=HOSTED), name="gpt-4.1")

    assert hosted["max_completion_tokens"] == 9
    assert (hosted["verbosity"], hosted["reasoning_effort"], hosted["user"]) == ("low", "low", "u")
    assert "max_tokens" not in hosted


@pytest.mark.parametrize(
    ("name", "kept"), [("o3", False), ("gpt-5-mini", False), ("gpt-5-chat", True), ("gpt-4o", True)]
)
def test_hosted_reasoning_models_are_spared_what_they_refuse(name: str, kept: bool):
    sent = body(request(settings=ModelSettings(temperature=0.1)), encoder(url=HOSTED), name=name)

    assert ("temperature" in sent) is kept


@pytest.mark.parametrize(
    ("kind", "choice", "expected", "offered"),
    [
        ("vllm", "auto", None, ["look", "note"]),
        ("vllm", "required", "required", ["look", "note"]),
        ("vllm", "none", "none", ["look", "note"]),
        ("vllm", "note", {"type": "function", "function": {"name": "note"}}, ["look", "note"]),
        ("lmstudio", "note", "required", ["note"]),
        ("ollama", "note", "required", ["note"]),
    ],
)
def test_the_tool_choice(kind: str, choice: str, expected: Any, offered: list[str]):
    note = ToolSchema(name="note", description="", parameters={})
    sent = body(request(tools=(LOOK, note), tool_choice=choice), encoder(kind))

    assert sent.get("tool_choice") == expected
    assert [tool["function"]["name"] for tool in sent["tools"]] == offered


def test_without_tools_nothing_is_said_about_them():
    assert set(body(request(tools=(), tool_choice="required"))) == {"model", "stream", "stream_options", "messages"}


def test_thinking_has_its_own_shape_at_openrouter():
    effort = body(request(settings=ModelSettings(reasoning_effort="high")), encoder("openrouter"))
    budget = body(request(settings=ModelSettings(reasoning_tokens_max=500)), encoder("openrouter"))

    assert effort["reasoning"] == {"effort": "high"}
    assert budget["reasoning"] == {"max_tokens": 500}


def test_models_that_cache_only_what_is_marked_get_marks():
    sent = body(request(user("Rain?")), encoder("openrouter", name="anthropic/claude"))

    assert sent["messages"] == snapshot(
        [
            {
                "role": "system",
                "content": [{"type": "text", "text": "You are kind.", "cache_control": {"type": "ephemeral"}}],
            },
            {
                "role": "user",
                "content": [{"type": "text", "text": "Rain?", "cache_control": {"type": "ephemeral"}}],
            },
        ],
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"type": "object"}},
            {"type": "json_schema", "json_schema": {"name": "response", "schema": {"type": "object"}}},
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
        ),
    ],
)
def test_the_response_format(wanted: Any, expected: Any):
    assert body(request(response_format=wanted)).get("response_format") == expected


def test_only_a_schema_without_options_is_strict():
    whole = {
        "type": "object",
        "properties": {"q": {"type": "string"}},
        "required": ["q"],
        "additionalProperties": False,
    }
    strict = ToolSchema(name="strict", description="", parameters=whole)
    loose = ToolSchema(name="loose", description="", parameters={**whole, "required": []})
    sent = body(request(tools=(strict, loose), settings=ModelSettings(strict=True)))

    assert ["strict" in tool["function"] for tool in sent["tools"]] == [True, False]


def test_pictures_by_data_and_by_address():
    shown = message(
        Role.USER, Text("Look:"), Image("image/png", "QUJD"), Image(url="https://x.example/a.jpg", detail="low")
    )

    assert sent_messages(shown) == snapshot(
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look:"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.jpg", "detail": "low"}},
                ],
            },
        ],
    )
    blind = sent_messages(shown, by=encoder(images=False))
    assert blind == [{"role": "user", "content": f"Look:\n{NO_PICTURE}\n{NO_PICTURE}"}]


def test_what_the_system_says_comes_in_user_role_as_stored():
    alert = message(Role.USER, Text('{"type": "system_alert", "message": "Full."}'), kind=Kind.ALERT)

    assert sent_messages(alert) == [{"role": "user", "content": '{"type": "system_alert", "message": "Full."}'}]


def test_an_approval_is_not_shown():
    history = (
        user("Go."),
        assistant(ToolCall("call_1", "look", "{}")),
        message(Role.APPROVAL, ApprovalAnswer("call_1", approve=True)),
        results(ToolResult("call_1", "look", "Done.")),
    )

    assert [each["role"] for each in sent_messages(*history)] == ["user", "assistant", "tool"]


def test_reasoning_details_and_call_signatures_go_home_as_they_came():
    said = assistant(
        Reasoning(
            "Hm.", '[{"type": "reasoning.text", "text": "Hm.", "signature": "s"}]', provider="openai", id="reasoning"
        ),
        ToolCall("call_1", "look", "{}", signature='{"google": {"thought_signature": "s"}}', provider="openai"),
    )
    history = (user("Go."), said, results(ToolResult("call_1", "look", "Done.")))
    home, abroad = sent_messages(*history)[1], sent_messages(*history, by=encoder("groq"))[1]

    assert home["reasoning"] == "Hm."
    assert home["reasoning_details"][0]["signature"] == "s"
    assert home["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "s"}}
    assert set(abroad) == {"role", "content", "tool_calls"}
    assert "extra_content" not in abroad["tool_calls"][0]


def test_ids_are_made_to_fit_and_stay_in_pairs():
    long = "call_" + "x" * 60
    history = (user("Go."), assistant(ToolCall(long, "look", "{}")), results(ToolResult(long, "look", "Done.")))
    for by, length in ((encoder(), 29), (encoder("mistral"), 9)):
        sent = sent_messages(*history, by=by)
        call_id = sent[1]["tool_calls"][0]["id"]

        assert sent[2]["tool_call_id"] == call_id
        assert len(call_id) == length


@pytest.mark.parametrize("spoilt", ["{", "[1]", '"x"', "no json", "\ud800"])
def test_spoilt_arguments_do_not_spoil_the_history(spoilt: str):
    assert isinstance(json.loads(as_object(spoilt)), dict)


@pytest.mark.parametrize("text", ['{"q": 1}', '{ "q":"ä" }'])
def test_proper_arguments_are_sent_as_the_model_wrote_them(text: str):
    assert as_object(text) == text


def test_half_a_character_is_no_error():
    assert sent_messages(user("cut \ud83d here"))[0]["content"] == "cut ? here"


def test_a_message_is_spelt_once_even_when_it_is_loaded_again():
    by, first = encoder(), user("Rain?")
    sent_messages(first, by=by)
    spelt = by._kept.get(first.id)
    sent_messages(message(Role.USER, Text("Rain?"), id=first.id), by=by)

    assert by._kept.get(first.id) is spelt


def test_an_edited_message_is_spelt_anew():
    by = encoder()
    first = user("Rain?")
    sent_messages(first, by=by)
    edited = message(Role.USER, Text("Sun?"), id=first.id)

    assert sent_messages(edited, by=by)[0]["content"] == "Sun?"


def test_what_is_kept_has_a_bound():
    by = encoder()
    by._kept._half = 10_000
    for _ in range(500):
        sent_messages(user("x" * 100), by=by)

    assert 0 < len(by._kept) < 120


CALLS = (assistant(ToolCall("call_1", "look", "{}"), ToolCall("call_2", "look", "{}")),)


@pytest.mark.parametrize(
    "history",
    [
        (user("Go."), *CALLS, user("Never mind.")),
        (user("Go."), *CALLS, results(ToolResult("call_1", "look", "Half."))),
        (user("Go."), results(ToolResult("call_9", "look", "Whose?"))),
        (
            user("Go."),
            *CALLS,
            user("Late."),
            results(ToolResult("call_1", "look", "a"), ToolResult("call_2", "look", "b")),
        ),
        (user("Go."), assistant(ToolCall("same", "look", "{}"), ToolCall("same", "look", "{}"))),
    ],
)
def test_a_history_that_providers_would_refuse_is_mended(history: tuple[Message, ...]):
    must_pair(sent_messages(*history))


def must_pair(sent: Any) -> None:
    """After each message with calls come exactly its results."""
    waiting: list[str] = []
    for each in sent:
        if each["role"] == "tool":
            waiting.remove(each["tool_call_id"])
        else:
            assert waiting == []
            waiting = [call["id"] for call in each.get("tool_calls") or ()]
            assert len(set(waiting)) == len(waiting)
    assert waiting == []


IDS = st.sampled_from(["call_1", "call_2", "x" * 50, "functions.look:0"])
PARTS: "st.SearchStrategy[Part]" = st.one_of(
    st.builds(Text, st.text(max_size=5)),
    st.builds(Reasoning, st.text(max_size=5), provider=st.sampled_from(["openai", "other"]), id=st.just("reasoning")),
    st.builds(Image, st.none(), st.just("QUJD")),
    st.builds(ToolCall, IDS, st.just("look"), st.sampled_from(["{}", "{", '{"q": 1}', ""])),
    st.builds(ToolResult, IDS, st.just("look"), st.text(max_size=5)),
    st.builds(ApprovalAnswer, IDS, st.booleans()),
)
MESSAGES = st.lists(st.builds(message, st.sampled_from(Role), PARTS, PARTS), max_size=8)


@given(MESSAGES)
def test_any_history_makes_a_request_that_the_openai_package_would_send(history: list[Message]):
    must_pair(body(request(*history, system="Be."))["messages"])


@pytest.mark.parametrize(
    ("info", "limit"),
    [
        ({"window_tokens": 100_000}, 20_000),
        ({"window_tokens": 100_000, "output_tokens_max": 4_096}, 4_096),
        ({"window_tokens": 8_000}, 4_000),
    ],
)
def test_no_more_is_asked_for_than_the_model_can_write(info: Any, limit: int):
    assert body(request(settings=ModelSettings(max_output_tokens=20_000)), **info)["max_tokens"] == limit


def test_without_pictures_their_place_is_named():
    shown = message(Role.USER, Text("Look:"), Image("image/png", "QUJD"))
    by = encoder()

    assert NO_PICTURE in body(request(shown), by, without=[PICTURES])["messages"][1]["content"]
    assert isinstance(body(request(shown), by)["messages"][1]["content"], list)


def test_turns_can_be_joined():
    history = (user("One."), user("Two."), assistant(Text("Three.")), assistant(Text("Four.")), user("Five."))
    sent = body(request(*history), without=[TURNS])["messages"]

    assert [(each["role"], each["content"]) for each in sent[1:]] == [
        ("user", "One.\nTwo."),
        ("assistant", "Three.\nFour."),
        ("user", "Five."),
    ]


@st.composite
def growing_talks(draw: st.DrawFn) -> list[list[Message]]:
    """What one conversation sends, request by request: it grows, and now and then something is changed or gone."""
    size = draw(st.sampled_from([1, 20, 200]))
    talk = [user(f"Beginning {number} " * size) for number in range(draw(st.integers(60, 70)))]
    sent: list[list[Message]] = []
    for history in draw(st.lists(valid_histories(), min_size=1, max_size=3)):
        talk = talk + [replace(message, id=f"{message.id}-{len(talk)}") for message in history]
        match draw(st.sampled_from(["grow", "edit", "forget"])):
            case "edit":
                place = draw(st.integers(0, 59))
                talk = [*talk[:place], replace(talk[place], parts=(Text("Changed."),)), *talk[place + 1 :]]
            case "forget":
                talk = talk[draw(st.integers(1, 10)) :]
            case _:
                pass
        sent.append(talk)
    return sent


@settings(max_examples=40)
@given(growing_talks(), st.sampled_from(["openai", "mistral", "openrouter"]))
def test_what_is_kept_of_a_talk_changes_no_byte_of_it(talks: list[list[Message]], kind: str) -> None:
    name = "anthropic/claude" if kind == "openrouter" else "one"
    lasting = encoder(kind, name=name)
    for talk in talks:
        asked = request(*talk, system="Be brief.")
        known, anew = lasting.body(INFO, asked), encoder(kind, name=name).body(INFO, asked)
        assert b"".join(known.pieces) == b"".join(anew.pieces)
        assert (known.fields, known.call_ids) == (anew.fields, anew.call_ids)


@settings(max_examples=40)
@given(st.lists(valid_histories(), min_size=1, max_size=3), st.sampled_from(["openai", "mistral"]))
def test_a_window_that_grows_in_place_is_sent_as_one_that_was_made_anew(talks: list[list[Message]], kind: str) -> None:
    lasting, window = encoder(kind), Window(system=message(Role.SYSTEM, Text("Be brief.")))
    window.add([user(f"Beginning {number}") for number in range(70)])
    for talk in talks:
        for each in talk:
            window.add([replace(each, id=f"{each.id}-{len(window.messages)}")])
            known = lasting.body(INFO, replace(request(), messages=window.messages))
            anew = encoder(kind).body(INFO, replace(request(), messages=tuple(window.messages)))
            assert b"".join(known.pieces) == b"".join(anew.pieces)
            assert known.call_ids == anew.call_ids


def test_what_was_sent_of_a_long_talk_is_sent_again_without_a_copy() -> None:
    by, talk = encoder(), [user(f"{number} " * 200) for number in range(500)]
    earlier = by.body(INFO, request(*talk)).pieces
    for turn in range(20):
        talk.append(user(f"And {turn}."))
        pieces = by.body(INFO, request(*talk)).pieces
        assert pieces[1] is earlier[1]
        assert len(pieces) == 3
