"""OpenAI Responses: nothing stored, reasoning encrypted, item ids and phases kept, whatever the model is called."""

import openai
import pytest
from inline_snapshot import snapshot

from loci.testing.fake_provider import Answer, CallTool, Received, Refusal, Say, Think, served
from loci.testing.fake_responses import FakeResponses
from loci.types.agents import ModelSettings
from loci.types.messages import Image, Reasoning, Role, Text, ToolCall, ToolResult
from tests.model.providers import LOOK, SIGNATURE, asking, message, request, user
from tests.model.sdk import OPENAI_EVENT, events, must_suit_openai

YES = Answer(parts=[Say("Yes.")])
FULL = Answer(
    parts=[
        Think("Hm.", SIGNATURE),
        Say("Well."),
        CallTool("call_1", "look", '{"q": "x"}'),
        Think("", "b3RoZXI="),
        Say("So."),
    ],
    stop="tool_calls",
    cached_tokens=50,
    reasoning_tokens=9,
)


async def test_the_fake_tells_the_truth():
    received = Received(path="/v1/responses", query="", headers={}, body={"model": "gpt-5.5"})
    for event in events(FakeResponses().frames(FULL, received)):
        OPENAI_EVENT.validate_python(event)

    async with (
        served(FakeResponses(FULL)) as url,
        openai.AsyncOpenAI(api_key="x", base_url=url) as client,
        client.responses.stream(model="gpt-5.5", input="Rain?") as stream,
    ):
        whole = await stream.get_final_response()

    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call", "reasoning", "message"]
    assert whole.output[0].model_dump()["encrypted_content"] == SIGNATURE
    assert whole.output_text == "Well.So."


async def test_the_package_knows_the_fake_errors():
    async with (
        served(FakeResponses(Refusal(status=429))) as url,
        openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as client,
    ):
        with pytest.raises(openai.RateLimitError, match="The provider says no"):
            await client.responses.create(model="gpt-5.5", input="Rain?")


async def test_items_come_in_whole():
    async with asking("responses", FULL) as asked:
        whole = await asked.answer(request())

    assert whole.parts == snapshot(
        (
            Reasoning(text="Hm.", signature="c2VhbGVk", provider="responses", id="rs_0"),
            Text(text="Well.", signature='{"id":"msg_1","phase":"final_answer"}', provider="responses"),
            ToolCall(id="call_1", name="look", arguments='{"q": "x"}', signature='{"id":"fc_2"}', provider="responses"),
            Reasoning(text="", signature="b3RoZXI=", provider="responses", id="rs_3"),
            Text(text="So.", signature='{"id":"msg_4","phase":"final_answer"}', provider="responses"),
        )
    )
    assert (whole.usage.cached_input_tokens, whole.usage.reasoning_tokens) == (50, 9)


async def test_a_request_with_everything():
    async with asking("responses", FULL, YES) as asked:
        whole = await asked.answer(request())
        await asked.answer(
            request(
                message(Role.USER, Text("What is this?"), Image(url="https://a.example/b.png", detail="low")),
                message(Role.ASSISTANT, *whole.parts),
                message(Role.TOOL, ToolResult("call_1", "look", "no such thing", status="error")),
                user("Look again."),
                tools=(LOOK,),
                settings=ModelSettings(
                    reasoning_effort="high", max_output_tokens=5_000, temperature=0.3, verbosity="low"
                ),
                user="user-7",
            ),
        )
        sent = asked.sent

    must_suit_openai(sent)
    assert sent == snapshot(
        {
            "model": "gpt-5.5",
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"text": "What is this?", "type": "input_text"},
                        {"image_url": "https://a.example/b.png", "type": "input_image", "detail": "low"},
                    ],
                },
                {
                    "id": "rs_0",
                    "summary": [{"text": "Hm.", "type": "summary_text"}],
                    "encrypted_content": "c2VhbGVk",
                    "type": "reasoning",
                },
                {
                    "role": "assistant",
                    "id": "msg_1",
                    "content": [{"text": "Well.", "type": "output_text", "annotations": []}],
                    "type": "message",
                    "status": "completed",
                    "phase": "final_answer",
                },
                {"name": "look", "arguments": '{"q":"x"}', "call_id": "call_1", "type": "function_call", "id": "fc_2"},
                {"id": "rs_3", "summary": [], "encrypted_content": "b3RoZXI=", "type": "reasoning"},
                {
                    "role": "assistant",
                    "id": "msg_4",
                    "content": [{"text": "So.", "type": "output_text", "annotations": []}],
                    "type": "message",
                    "status": "completed",
                    "phase": "final_answer",
                },
                {"type": "function_call_output", "call_id": "call_1", "output": "no such thing"},
                {"role": "user", "content": "Look again."},
            ],
            "instructions": "You are kind.",
            "max_output_tokens": 5000,
            "parallel_tool_calls": False,
            "reasoning": {"effort": "high", "context": "all_turns", "summary": "auto"},
            "store": False,
            "text": {"verbosity": "low"},
            "tool_choice": "auto",
            "tools": [
                {
                    "name": "look",
                    "parameters": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
                    "type": "function",
                    "description": "Looks something up.",
                    "strict": False,
                }
            ],
            "user": "user-7",
        }
    )


@pytest.mark.parametrize("name", ["gpt-5", "o3", "gpt-5.6-sol", "gpt-6-astra", "gpt-99-unheard-of", "o9-mini", "qwen5"])
async def test_every_model_keeps_its_encrypted_reasoning(name: str):
    async with asking("responses", FULL, YES, name=name) as asked:
        whole = await asked.answer(request())
        await asked.answer(
            request(
                user("Rain?"),
                message(Role.ASSISTANT, *whole.parts),
                message(Role.TOOL, ToolResult("call_1", "look", "ok")),
            ),
        )
        sent = asked.sent

    must_suit_openai(sent)
    assert sent["store"] is False
    assert "reasoning.encrypted_content" in sent["include"]
    sealed = [item["encrypted_content"] for item in sent["input"] if item.get("type") == "reasoning"]
    assert sealed == [SIGNATURE, "b3RoZXI="]


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "ft:gpt-4o:org::1", "gpt-3.5-turbo"])
async def test_models_without_reasoning_are_asked_for_none(name: str):
    async with asking("responses", YES, name=name) as asked:
        await asked.answer(request(settings=ModelSettings(reasoning_effort="high", temperature=0.2)))
        sent = asked.sent

    assert "reasoning" not in sent
    assert "reasoning.encrypted_content" not in sent.get("include", [])
    assert (sent["temperature"], sent["store"]) == (0.2, False)


@pytest.mark.parametrize(
    ("name", "settings", "reasoning", "temperature"),
    [
        ("gpt-5", ModelSettings(temperature=0.2), {"summary": "auto"}, None),
        ("gpt-5.4", ModelSettings(temperature=0.2), {"context": "all_turns"}, 0.2),
        (
            "gpt-5.4",
            ModelSettings(temperature=0.2, reasoning_effort="none"),
            {"effort": "none", "context": "all_turns"},
            0.2,
        ),
        (
            "gpt-5.4",
            ModelSettings(reasoning_effort="low"),
            {"effort": "low", "summary": "auto", "context": "all_turns"},
            None,
        ),
        (
            "gpt-99",
            ModelSettings(temperature=0.2, reasoning_effort="xhigh"),
            {"effort": "xhigh", "summary": "auto"},
            None,
        ),
        ("gpt-99", ModelSettings(reasoning_effort="ultra"), {"effort": "ultra", "summary": "auto"}, None),
        ("qwen5", ModelSettings(temperature=0.2), {"summary": "auto"}, 0.2),
    ],
)
async def test_how_much_to_think(name: str, settings: ModelSettings, reasoning, temperature):
    async with asking("responses", YES, name=name) as asked:
        await asked.answer(request(settings=settings))

    assert asked.sent.get("reasoning") == reasoning
    assert asked.sent.get("temperature") == temperature


async def test_reasoning_without_its_seal_stays_at_home():
    thoughts = Reasoning("Hm.", None, "responses", id="rs_1")
    async with asking("responses", YES) as asked:
        await asked.answer(request(user("One?"), message(Role.ASSISTANT, thoughts, Text("One.")), user("Two?")))

    assert [item.get("type", item.get("role")) for item in asked.sent["input"]] == ["user", "assistant", "user"]


async def test_reasoning_that_leads_nowhere_stays_at_home():
    thoughts = Reasoning("Hm.", SIGNATURE, "responses", id="rs_1")
    async with asking("responses", YES) as asked:
        await asked.answer(request(user("One?"), message(Role.ASSISTANT, thoughts), user("Two?")))

    assert [item["content"] for item in asked.sent["input"]] == ["One?", "Two?"]


async def test_all_parts_of_a_summary_stay_with_their_item():
    parts = (
        Reasoning("First.", SIGNATURE, "responses", id="rs_1"),
        Reasoning("Second.", None, "responses", id="rs_1"),
        Text("One."),
    )
    async with asking("responses", YES) as asked:
        await asked.answer(request(user("One?"), message(Role.ASSISTANT, *parts), user("Two?")))

    item = asked.sent["input"][1]
    assert (item["id"], item["encrypted_content"]) == ("rs_1", SIGNATURE)
    assert [summary["text"] for summary in item["summary"]] == ["First.", "Second."]


async def test_strict_tools_are_sent_as_such():
    async with asking("responses", YES) as asked:
        await asked.answer(request(tools=(LOOK,), settings=ModelSettings(strict=True)))

    (tool,) = asked.sent["tools"]
    assert tool["strict"] is True
    assert tool["parameters"]["additionalProperties"] is False


async def test_tools_are_sent_as_they_are_otherwise():
    async with asking("responses", YES) as asked:
        await asked.answer(request(tools=(LOOK,)))

    (tool,) = asked.sent["tools"]
    assert (tool["strict"], tool["parameters"]) == (False, LOOK.parameters)


async def test_a_spoilt_mark_is_left_out():
    parts = (Text("One.", "not json", "responses"), ToolCall("call_1", "look", "{}", '["x"]', "responses"))
    async with asking("responses", YES) as asked:
        await asked.answer(
            request(
                user("One?"), message(Role.ASSISTANT, *parts), message(Role.TOOL, ToolResult("call_1", "look", "ok"))
            ),
        )

    must_suit_openai(asked.sent)
    assert all("id" not in item for item in asked.sent["input"])
