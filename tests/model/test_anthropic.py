"""Anthropic: thinking with its signatures, cache marks, and how much to think per generation of models."""

import anthropic
import pytest
from inline_snapshot import snapshot

from loci.model.base import ModelRequest
from loci.testing.fake_anthropic import FakeAnthropic
from loci.testing.fake_provider import Answer, CallTool, Received, Redacted, Refusal, Say, Think, served
from loci.types.agents import ModelSettings
from loci.types.messages import Image, Reasoning, Role, Text, ToolCall, ToolResult
from tests.model.providers import LOOK, PNG, SIGNATURE, asking, message, request, user
from tests.model.sdk import ANTHROPIC_EVENT, events, must_suit_anthropic

YES = Answer(parts=[Say("Yes.")])
FULL = Answer(
    parts=[Think("Hm.", SIGNATURE), Redacted("aGlkZGVu"), Say("Well."), CallTool("toolu_1", "look", '{"q": "x"}')],
    stop="tool_calls",
    cached_tokens=50,
    cache_write_tokens=7,
)
SHOWN = {"type": "adaptive", "display": "summarized"}


async def test_the_fake_tells_the_truth():
    received = Received(path="/v1/messages", query="", headers={}, body={"model": "claude-opus-5-5"})
    for event in events(FakeAnthropic().frames(FULL, received)):
        if event != {"type": "ping"}:  # known to the stream reader, not to its types
            ANTHROPIC_EVENT.validate_python(event)

    async with served(FakeAnthropic(FULL)) as url, anthropic.AsyncAnthropic(api_key="x", base_url=url) as client:
        manager = client.messages.stream(
            model="claude-opus-5-5", max_tokens=9, messages=[{"role": "user", "content": "Rain?"}]
        )
        async with manager as stream:
            whole = await stream.get_final_message()

    assert [block.type for block in whole.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert whole.content[0].model_dump()["signature"] == SIGNATURE
    assert whole.content[3].model_dump()["input"] == {"q": "x"}
    assert (whole.stop_reason, whole.usage.output_tokens) == ("tool_use", 20)


async def test_the_package_knows_the_fake_errors():
    async with (
        served(FakeAnthropic(Refusal(status=401))) as url,
        anthropic.AsyncAnthropic(api_key="x", base_url=url, max_retries=0) as client,
    ):
        with pytest.raises(anthropic.AuthenticationError, match="The provider says no"):
            await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "Rain?"}])


async def test_thinking_comes_in_whole():
    async with asking("anthropic", FULL) as asked:
        whole = await asked.answer(request())

    assert whole.parts == (
        Reasoning("Hm.", SIGNATURE, "anthropic"),
        Reasoning("", provider="anthropic", redacted="aGlkZGVu"),
        Text("Well."),
        ToolCall("toolu_1", "look", '{"q": "x"}'),
    )
    assert (whole.usage.cached_input_tokens, whole.usage.cache_write_tokens) == (50, 7)


async def test_a_request_with_everything():
    async with asking("anthropic", FULL, YES) as asked:
        whole = await asked.answer(request())
        await asked.answer(
            request(
                message(
                    Role.USER, Text("What is this?"), Image("image/jpeg", PNG), Image(url="https://a.example/b.png")
                ),
                message(Role.ASSISTANT, *whole.parts),
                message(Role.TOOL, ToolResult("toolu_1", "look", "no such thing", status="error")),
                user("Look again."),
                tools=(LOOK,),
                stable_count=1,
                settings=ModelSettings(reasoning_effort="high", max_output_tokens=5_000, temperature=0.3),
                user="user-7",
            ),
        )
        sent = asked.sent

    must_suit_anthropic(sent)
    assert sent == snapshot(
        {
            "max_tokens": 5000,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "What is this?", "type": "text"},
                        {
                            "source": {
                                "data": PNG,
                                "media_type": "image/png",
                                "type": "base64",
                            },
                            "type": "image",
                        },
                        {
                            "source": {"type": "url", "url": "https://a.example/b.png"},
                            "type": "image",
                            "cache_control": {"type": "ephemeral", "ttl": "5m"},
                        },
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"thinking": "Hm.", "signature": "c2VhbGVk", "type": "thinking"},
                        {"data": "aGlkZGVu", "type": "redacted_thinking"},
                        {"text": "Well.", "type": "text"},
                        {"id": "toolu_1", "type": "tool_use", "name": "look", "input": {"q": "x"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "tool_use_id": "toolu_1",
                            "type": "tool_result",
                            "content": [{"text": "no such thing", "type": "text"}],
                            "is_error": True,
                        },
                        {"text": "Look again.", "type": "text", "cache_control": {"type": "ephemeral", "ttl": "5m"}},
                    ],
                },
            ],
            "model": "claude-opus-5-5",
            "metadata": {"user_id": "user-7"},
            "output_config": {"effort": "high"},
            "stream": True,
            "system": [{"type": "text", "text": "You are kind.", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
            "thinking": SHOWN,
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
            "tools": [
                {
                    "name": "look",
                    "description": "Looks something up.",
                    "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
                    "cache_control": {"type": "ephemeral", "ttl": "5m"},
                }
            ],
        }
    )


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("claude-haiku-4-5", ModelSettings(), (None, None)),
        (
            "claude-haiku-4-5",
            ModelSettings(reasoning_effort="low"),
            ({"type": "enabled", "budget_tokens": 2_048}, None),
        ),
        (
            "claude-haiku-4-5",
            ModelSettings(reasoning_tokens_max=5_000),
            ({"type": "enabled", "budget_tokens": 5_000}, None),
        ),
        (
            "claude-haiku-4-5",
            ModelSettings(reasoning_tokens_max=5_000, max_output_tokens=4_096),
            ({"type": "enabled", "budget_tokens": 3_072}, None),
        ),
        ("claude-haiku-4-5", ModelSettings(reasoning_effort="high", max_output_tokens=1_500), (None, None)),
        ("claude-opus-4-8", ModelSettings(reasoning_effort="xhigh"), (SHOWN, "xhigh")),
        ("claude-opus-4-8", ModelSettings(reasoning_tokens_max=5_000), (SHOWN, None)),
        ("claude-opus-4-8", ModelSettings(reasoning_effort="none"), (None, None)),
        ("claude-sonnet-5", ModelSettings(reasoning_effort="none"), ({"type": "disabled"}, None)),
        ("claude-zenith-9", ModelSettings(reasoning_effort="max"), (SHOWN, "max")),
        ("claude-opus-4-8", ModelSettings(), (None, None)),
        ("claude-opus-5-5", ModelSettings(), (SHOWN, None)),
        (
            "claude-opus-4-5",
            ModelSettings(reasoning_effort="max"),
            ({"type": "enabled", "budget_tokens": 32_768}, None),
        ),
        ("kimi-k3", ModelSettings(reasoning_effort="low"), ({"type": "enabled", "budget_tokens": 2_048}, None)),
    ],
)
async def test_how_much_to_think(name: str, settings: ModelSettings, expected):
    async with asking("anthropic", YES, name=name) as asked:
        await asked.answer(request(settings=settings))
        sent = asked.sent

    must_suit_anthropic(sent)
    assert (sent.get("thinking"), sent.get("output_config", {}).get("effort")) == expected


@pytest.mark.parametrize(
    ("name", "settings", "temperature"),
    [
        ("claude-haiku-4-5", ModelSettings(temperature=0.2), 0.2),
        ("claude-haiku-4-5", ModelSettings(temperature=0.2, reasoning_effort="low"), None),
        ("claude-opus-5-5", ModelSettings(temperature=0.2), None),
        ("claude-zenith-9", ModelSettings(temperature=0.2), None),
        ("kimi-k3", ModelSettings(temperature=0.2), 0.2),
    ],
)
async def test_a_temperature_goes_where_it_is_taken(name: str, settings: ModelSettings, temperature: float | None):
    async with asking("anthropic", YES, name=name) as asked:
        await asked.answer(request(settings=settings))

    assert asked.sent.get("temperature") == temperature


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("claude-opus-5-5", ModelSettings()),
        ("claude-haiku-4-5", ModelSettings(reasoning_effort="low")),
    ],
)
async def test_a_model_that_cannot_be_forced_is_asked_freely(name: str, settings: ModelSettings):
    async with asking("anthropic", YES, name=name) as asked:
        await asked.answer(request(tool_choice="required", settings=settings))

    assert asked.sent["tool_choice"]["type"] == "auto"


@pytest.mark.parametrize(
    ("name", "limit", "known", "expected"),
    [
        ("claude-opus-5-5", None, None, 128_000),
        ("claude-opus-5-5", 1_000, None, 1_000),
        ("claude-zenith-9", None, None, 64_000),
        ("kimi-k3", None, 9_000, 9_000),
        ("kimi-k3", None, None, 16_384),
        ("kimi-k3", 200, 9_000, 200),
    ],
)
async def test_an_output_limit_is_always_sent(name: str, limit: int | None, known: int | None, expected: int):
    async with asking("anthropic", YES, name=name, output_tokens_max=known) as asked:
        await asked.answer(request(settings=ModelSettings(max_output_tokens=limit)))

    assert asked.sent["max_tokens"] == expected


async def test_cache_marks_stand_at_tools_system_stable_part_and_end():
    history = [user("One?"), message(Role.ASSISTANT, Text("One.")), user("Two?"), message(Role.ASSISTANT, Text("Two."))]
    async with asking("anthropic", YES) as asked:
        await asked.answer(request(*history, user("Three?"), stable_count=3))
        sent = asked.sent

    def marked(blocks):
        return [block.get("text", block.get("name")) for block in blocks if "cache_control" in block]

    assert marked(sent["tools"]) == ["note"]
    assert marked(sent["system"]) == ["You are kind."]
    assert [marked(turn["content"]) for turn in sent["messages"]] == [[], [], ["Two?"], [], ["Three?"]]


async def test_words_added_to_a_stable_turn_make_it_new():
    history = [user("One?"), message(Role.ASSISTANT, Text("One.")), user("Two?"), user("Or three?")]
    async with asking("anthropic", YES) as asked:
        await asked.answer(request(*history, stable_count=3))
        marks = [len([b for b in turn["content"] if "cache_control" in b]) for turn in asked.sent["messages"]]

    assert marks == [1, 0, 1]


async def test_unsigned_thoughts_stay_at_home():
    history = [
        user("One?"),
        message(Role.ASSISTANT, Reasoning("Cut off", None, "anthropic"), Text("One.")),
        user("Two?"),
    ]
    async with asking("anthropic", YES) as asked:
        await asked.answer(request(*history))

    assert asked.sent["messages"][1]["content"] == [{"type": "text", "text": "One."}]


async def test_the_models_own_extra_settings_are_passed_on():
    async with asking("anthropic", YES) as asked:
        await asked.answer(ModelRequest(system="", messages=[user("Rain?")], extra={"service_tier": "standard_only"}))

    assert asked.sent["service_tier"] == "standard_only"
    assert not asked.sent.get("system")
