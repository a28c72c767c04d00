"""Gemini: thought signatures on texts and calls, thinking by level or by tokens, pictures looked up by us."""

import base64

import pytest
from google import genai
from google.genai import errors, types
from inline_snapshot import snapshot

from loci.net import Door
from loci.testing.fake_gemini import FakeGemini
from loci.testing.fake_provider import Answer, CallTool, Received, Refusal, Say, Think, served
from loci.types.agents import ModelSettings
from loci.types.messages import Image, Reasoning, Role, Text, ToolCall, ToolResult
from tests.model.providers import LOOK, PNG, SIGNATURE, asking, message, request, user
from tests.model.sdk import events, must_suit_gemini

YES = Answer(parts=[Say("Yes.")])
FULL = Answer(
    parts=[
        Think("Hm."),
        Say("Well.", "dGV4dA=="),
        CallTool("c1", "look", '{"q": "x"}', SIGNATURE),
        CallTool("c2", "note", "{}"),
    ],
    stop="tool_calls",
    cached_tokens=50,
    completion_tokens=20,
    reasoning_tokens=9,
)


async def test_the_fake_tells_the_truth():
    received = Received(path="/v1beta/models/gemini-3-pro:streamGenerateContent", query="alt=sse", headers={}, body={})
    for event in events(FakeGemini().frames(FULL, received)):
        types.GenerateContentResponse.model_validate(event)

    async with served(FakeGemini(FULL)) as url:
        client = genai.Client(vertexai=False, api_key="x", http_options={"base_url": url})
        chunks = [
            chunk
            async for chunk in await client.aio.models.generate_content_stream(model="gemini-3-pro", contents="Rain?")
        ]
        await client.aio.aclose()

    parts = [part for chunk in chunks for part in chunk.parts or []]
    assert [part.function_call.name for part in parts if part.function_call] == ["look", "note"]
    assert [part.thought_signature for part in parts if part.thought_signature] == [b"text", b"sealed"]
    assert (chunks[-1].candidates or [])[0].finish_reason == types.FinishReason.STOP


async def test_the_package_knows_the_fake_errors():
    async with served(FakeGemini(Refusal(status=429))) as url:
        client = genai.Client(vertexai=False, api_key="x", http_options={"base_url": url})
        with pytest.raises(errors.ClientError, match="RESOURCE_EXHAUSTED"):
            await client.aio.models.generate_content(model="gemini-3-pro", contents="Rain?")
        await client.aio.aclose()


async def test_parts_come_in_whole():
    async with asking("google", FULL) as asked:
        whole = await asked.answer(request())

    assert whole.parts == (
        Reasoning("Hm.", None, "google"),
        Text("Well.", "dGV4dA==", "google"),
        ToolCall("c1", "look", '{"q": "x"}', SIGNATURE, "google"),
        ToolCall("c2", "note", "{}"),
    )
    assert (whole.usage.completion_tokens, whole.usage.reasoning_tokens, whole.usage.cached_input_tokens) == (20, 9, 50)


async def test_a_request_with_everything():
    async with asking("google", FULL, YES) as asked:
        whole = await asked.answer(request())
        await asked.answer(
            request(
                message(Role.USER, Text("What is this?"), Image("image/png", PNG)),
                message(Role.ASSISTANT, *whole.parts),
                message(Role.TOOL, ToolResult("c1", "look", "no such thing", status="error")),
                message(Role.TOOL, ToolResult("c2", "note", "ok")),
                user("Look again."),
                tools=(LOOK,),
                settings=ModelSettings(reasoning_effort="high", max_output_tokens=5_000, temperature=0.3),
            ),
        )
        sent = asked.sent

    must_suit_gemini(sent)
    assert sent == snapshot(
        {
            "contents": [
                {
                    "parts": [
                        {"text": "What is this?"},
                        {"inlineData": {"data": PNG, "mime_type": "image/png"}},
                    ],
                    "role": "user",
                },
                {
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"text": "Well.", "thoughtSignature": "dGV4dA=="},
                        {
                            "functionCall": {"id": "c1", "args": {"q": "x"}, "name": "look"},
                            "thoughtSignature": "c2VhbGVk",
                        },
                        {"functionCall": {"id": "c2", "args": {}, "name": "note"}},
                    ],
                    "role": "model",
                },
                {
                    "parts": [
                        {"functionResponse": {"id": "c1", "name": "look", "response": {"error": "no such thing"}}},
                        {"functionResponse": {"id": "c2", "name": "note", "response": {"return_value": "ok"}}},
                    ],
                    "role": "user",
                },
                {"parts": [{"text": "Look again."}], "role": "user"},
            ],
            "systemInstruction": {"parts": [{"text": "You are kind."}], "role": "user"},
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "description": "Looks something up.",
                            "name": "look",
                            "parameters_json_schema": {
                                "type": "object",
                                "properties": {"q": {"type": "string"}},
                                "required": ["q"],
                            },
                        }
                    ]
                }
            ],
            "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
            "generationConfig": {
                "temperature": 0.3,
                "maxOutputTokens": 5000,
                "responseModalities": ["TEXT"],
                "thinkingConfig": {"include_thoughts": True, "thinking_level": "HIGH"},
            },
        }
    )


@pytest.mark.parametrize(
    ("name", "settings", "expected"),
    [
        ("gemini-3-pro", ModelSettings(), {"include_thoughts": True}),
        ("gemini-3-pro", ModelSettings(reasoning_effort="low"), {"include_thoughts": True, "thinking_level": "LOW"}),
        (
            "gemini-9-unheard-of",
            ModelSettings(reasoning_effort="high"),
            {"include_thoughts": True, "thinking_level": "HIGH"},
        ),
        (
            "gemini-2.5-flash",
            ModelSettings(reasoning_tokens_max=700),
            {"include_thoughts": True, "thinking_budget": 700},
        ),
        ("gemini-2.5-flash", ModelSettings(reasoning_tokens_max=0), {"include_thoughts": False, "thinking_budget": 0}),
        ("gemini-2.5-flash", ModelSettings(reasoning_effort="none"), {"thinking_budget": 0}),
        ("gemini-2.0-flash", ModelSettings(reasoning_effort="high"), None),
        ("gemma-3-27b-it", ModelSettings(), None),
    ],
)
async def test_how_much_to_think(name: str, settings: ModelSettings, expected):
    async with asking("google", YES, name=name) as asked:
        await asked.answer(request(settings=settings))
        sent = asked.sent

    must_suit_gemini(sent)
    assert sent["generationConfig"].get("thinkingConfig") == expected


async def test_a_call_of_another_model_gets_the_documented_stand_in_for_a_signature():
    history = [
        user("Rain?"),
        message(Role.ASSISTANT, ToolCall("toolu_1", "look", "{}"), ToolCall("toolu_2", "look", "{}")),
        message(Role.TOOL, ToolResult("toolu_1", "look", "no")),
        message(Role.TOOL, ToolResult("toolu_2", "look", "no")),
    ]
    async with asking("google", YES) as asked:
        await asked.answer(request(*history))
        calls = asked.sent["contents"][1]["parts"]

    must_suit_gemini(asked.sent)
    assert ["thoughtSignature" in call for call in calls] == [True, False]


async def test_a_spoilt_signature_is_left_out():
    async with asking("google", YES) as asked:
        await asked.answer(request(user("One?"), message(Role.ASSISTANT, Text("One.", "%%%", "google")), user("Two?")))

    assert asked.sent["contents"][1]["parts"] == [{"text": "One."}]


async def test_a_schema_and_tools_together_are_asked_for_in_words_where_the_model_cannot():
    response_format = {
        "type": "json_schema",
        "json_schema": {"name": "weather", "schema": {"type": "object", "properties": {"sky": {"type": "string"}}}},
    }
    async with asking("google", YES, name="gemini-2.5-flash") as asked:
        await asked.answer(request(tools=(LOOK,), response_format=response_format))
        sent = asked.sent

    assert '"sky"' in sent["systemInstruction"]["parts"][-1]["text"]
    assert "response_schema" not in sent["generationConfig"]


async def test_pictures_are_looked_up_by_us_once_and_sent_along():
    seen: list[str] = []

    async def answer(scope, receive, send):
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/png")]})
        await send({"type": "http.response.body", "body": base64.b64decode(PNG)})

    async with (
        served(answer) as url,
        asking("google", YES, YES, door=Door(allowed_hosts=frozenset({"127.0.0.1"}))) as asked,
    ):
        history = [message(Role.USER, Text("What is this?"), Image(url=f"{url}/a.png"))]
        await asked.answer(request(*history))
        await asked.answer(request(*history, message(Role.ASSISTANT, Text("A cat.")), user("Sure?")))
        first, second = (body["contents"][0] for body in asked.bodies)

    assert first == second
    assert first["parts"][1] == snapshot({"inlineData": {"data": PNG, "mime_type": "image/png"}})
    assert seen == ["/a.png"]
