"""What clients send, in all forms that the API knows, becomes one request; what would spoil a history is refused."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from inline_snapshot import snapshot
from pydantic import ValidationError

from loci.agent.request import ApprovalReply, NewMessage, RunRequest, request_json
from loci.api.wire_messages import PLAIN_VIEW, View
from loci.api.wire_requests import OldAnswer, SendIn, run_request, telling_of, view_of
from loci.errors import Unprocessable
from loci.types.messages import Image, Reasoning, Role, Text, Trust
from loci.types.tools import ToolSchema
from tests.api.stored import a_run

TOOL = ToolSchema(name="Now", description="", parameters={})
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()


def read(**body: Any) -> RunRequest:
    return run_request(SendIn.model_validate(body), tokens=False)[0]


def said(*content: Any, **message: Any) -> tuple[NewMessage, ...]:
    return read(messages=[{"role": "user", "content": list(content) or "x", **message}]).messages


@pytest.mark.parametrize(
    "body",
    [
        {"input": "Hi"},
        {"input": [{"type": "text", "text": "Hi"}]},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"type": "message", "role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
        {"messages": [{"type": None, "role": "user", "content": "Hi", "group_id": "new", "unheard_of": 1}]},
    ],
)
def test_ways_to_say_one_thing(body):
    assert read(**body).messages == (NewMessage(parts=(Text("Hi"),)),)


def test_all_that_a_message_may_carry():
    (message,) = said(otid="mine", name="Ada", sender_id="identity-1")
    assert message == NewMessage(parts=(Text("x"),), otid="mine", name="Ada", sender_id="identity-1")


def test_system_and_assistant_messages():
    system, assistant = read(
        messages=[
            {"role": "system", "content": "Be kind."},
            {
                "role": "assistant",
                "content": [
                    {"type": "reasoning", "reasoning": "Hm.", "signature": "s"},
                    {"type": "text", "text": "Hi"},
                ],
            },
        ]
    ).messages
    assert (system.role, system.trust) == (Role.SYSTEM, Trust.OPERATOR)
    assert assistant.role is Role.ASSISTANT
    assert assistant.parts == (Reasoning("Hm.", signature="s"), Text("Hi"))


@pytest.mark.parametrize(
    ("source", "image"),
    [
        ({"type": "url", "url": "https://example.com/a.png"}, Image(url="https://example.com/a.png")),
        (
            {"type": "base64", "data": PNG, "media_type": "image/jpeg", "detail": "low"},
            Image(media_type="image/png", data=PNG, detail="low"),
        ),
        ({"type": "url", "url": f"data:image/png;base64,{PNG}"}, Image(media_type="image/png", data=PNG)),
        (
            {"type": "letta", "file_id": "file-1", "data": PNG, "media_type": "image/png"},
            Image(media_type="image/png", data=PNG),
        ),
    ],
)
def test_pictures(source, image):
    assert said({"type": "image", "source": source})[0].parts == (image,)


@pytest.mark.parametrize(
    "source",
    [
        None,
        {"type": "letta", "file_id": "file-1"},
        {"type": "base64", "data": "no base64!", "media_type": "image/png"},
        {"type": "base64", "data": base64.b64encode(b"<svg/>").decode(), "media_type": "image/png"},
        {"type": "url", "url": "file:" + "///etc/passwd"},
    ],
)
def test_pictures_that_no_provider_reads_are_refused(source):
    with pytest.raises(Unprocessable):
        said({"type": "image", "source": source})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": "Hi", "messages": [{"role": "user", "content": "Hi"}]},
        {"messages": []},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user"}]},
        {"input": ""},
        {"input": [{"type": "tool_call", "id": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "reasoning", "reasoning": "x"}]}]},
        {"messages": [{"type": "approval", "approvals": [{"type": "approval", "tool_call_id": "x"}]}]},
    ],
)
def test_requests_that_mean_nothing(body):
    with pytest.raises(Unprocessable):
        read(**body)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "robot", "content": "Hi"}]},
        {"messages": "Hi"},
        {"input": "Hi", "max_steps": 0},
        {"messages": [{"type": "approval", "approvals": [{"approve": True}]}]},
    ],
)
def test_requests_that_are_malformed(body):
    with pytest.raises(ValidationError):
        read(**body)


def test_answers_to_questions_and_results_of_client_tools():
    request = read(
        messages=[
            {
                "type": "approval",
                "otid": "mine",
                "approvals": [
                    {"type": "approval", "tool_call_id": "a", "approve": False, "reason": "no"},
                    {"type": "tool", "tool_call_id": "b", "tool_return": "done", "status": "success", "stdout": ["x"]},
                    {
                        "type": "tool",
                        "tool_call_id": "c",
                        "tool_return": [{"type": "text", "text": "one"}, {"type": "image", "source": {}}],
                        "status": "error",
                    },
                ],
            },
            {"role": "user", "content": "And go on."},
        ]
    )
    assert request.approvals == (
        ApprovalReply(call_id="a", approve=False, reason="no"),
        ApprovalReply(call_id="b", result="done", stdout=("x",)),
        ApprovalReply(call_id="c", result="one\n[image]", status="error"),
    )
    assert request.approval_otid == "mine"
    assert request.messages == (NewMessage(parts=(Text("And go on."),)),)


def test_results_of_client_tools_as_a_message_of_their_own():
    returns = [{"type": "tool", "tool_call_id": "a", "tool_return": "done", "status": "success"}]
    request = read(messages=[{"type": "tool_return", "tool_returns": returns, "otid": "mine"}])
    assert request.approvals == (ApprovalReply(call_id="a", result="done"),)
    assert request.approval_otid == "mine"


def test_a_message_without_a_type_that_decides_is_an_answer():
    body = SendIn.model_validate({"messages": [{"approve": True, "approval_request_id": "message-1", "reason": "ok"}]})
    request, old = run_request(body, tokens=False)
    assert old == OldAnswer(approve=True, message_id="message-1", reason="ok")
    assert request.messages == request.approvals == ()
    assert run_request(SendIn(input="Hi"), tokens=False)[1] is None


def test_a_client_may_ask_for_fewer_steps():
    assert read(input="Hi").steps_max is None
    assert read(input="Hi", max_steps=5).steps_max == 5


def test_tools_skills_and_overrides():
    request = read(
        input="Hi",
        client_tools=[{"name": "Bash", "description": "Runs", "parameters": {"type": "object"}}, {"name": "Now"}],
        client_skills=[{"name": "s", "description": "d", "location": "l"}],
        override_model="a/b",
        system="Be brief.",
        background=True,
    )
    assert request.client_tools == (
        ToolSchema(name="Bash", description="Runs", parameters={"type": "object"}),
        ToolSchema(name="Now", description="", parameters={"type": "object", "properties": {}}),
    )
    assert request.client_skills == ({"name": "s", "description": "d", "location": "l"},)
    assert (request.override_model, request.override_system, request.background) == ("a/b", "Be brief.", True)


def test_how_it_is_told_can_be_read_from_the_stored_run():
    body = SendIn.model_validate(
        {
            "input": "Hi",
            "use_assistant_message": False,
            "assistant_message_tool_name": "say",
            "include_return_message_types": ["assistant_message"],
            "include_compaction_messages": True,
        }
    )
    request, _ = run_request(body, tokens=False)
    assert request.metadata == snapshot(
        {
            "run_type": "send_message",
            "request_config": {
                "use_assistant_message": False,
                "assistant_message_tool_name": "say",
                "assistant_message_tool_kwarg": "message",
                "include_return_message_types": ["assistant_message"],
                "include_compaction_messages": True,
            },
        }
    )
    assert view_of(a_run(metadata=request.metadata)) == View(
        use_assistant_message=False,
        speaking_tool="say",
        types=frozenset({"assistant_message"}),
        compaction=True,
    )
    assert view_of(a_run(metadata=read(input="Hi").metadata)) == view_of(a_run()) == PLAIN_VIEW
    stored = a_run(request=request_json(replace(request, stream_tokens=True, client_tools=(TOOL,))))
    telling = telling_of(stored, thinks_in_calls=True)
    assert (telling.tokens, telling.client_tools, telling.thinks_in_calls) == (True, {"Now"}, True)
