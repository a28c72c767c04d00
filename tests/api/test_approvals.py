"""Calls that wait for a person or for the client: asked, answered, denied, refused, over the public client."""

from typing import Any

import letta_client
import pytest

from loci.types.messages import Text
from loci.types.tools import ConstrainChildTools, MaxCountPerStep, RequiresApproval
from tests.api.talk import Talk, call, kinds, talking

BASH: Any = {"name": "Bash", "description": "Runs a command.", "parameters": {"type": "object", "properties": {}}}
INSERT = call("memory_insert", '{"label": "human", "new_string": "Likes tea."}', "call-2")


async def ask_client(talk: Talk, **wanted: Any) -> list[Any]:
    return await talk.stream(
        "List", [Text("Wait."), call("Bash", "{}")], client_tools=[BASH], include_pings=False, **wanted
    )


@pytest.mark.parametrize("tokens", [False, True])
async def test_a_call_of_a_client_tool_is_a_question(tmp_path, tokens):
    async with talking(tmp_path) as talk:
        events = await ask_client(talk, stream_tokens=tokens)
        assert "tool_call_message" not in kinds(events)
        asked = [event for event in events if event.message_type == "approval_request_message"]
        assert "".join(event.tool_call.arguments for event in asked) == "{}"
        assert asked[0].tool_call.name == "Bash"
        assert [event.stop_reason for event in events if event.message_type == "stop_reason"] == ["requires_approval"]

        (_, found) = await talk.sdk.messages.retrieve(asked[0].id)
        assert found.message_type == "approval_request_message"
        assert found.tool_calls[0].tool_call_id == "call-1"


async def test_what_the_client_brings_back_is_used(tmp_path):
    async with talking(tmp_path) as talk:
        await ask_client(talk)
        talk.plays("Two files.")
        returned: Any = {
            "type": "approval",
            "approvals": [
                {"type": "tool", "tool_call_id": "call-1", "tool_return": "a b", "status": "success"}
                | {"stdout": ["a", "b"], "stderr": ["slow"]}
            ],
        }
        answer = await talk.sdk.agents.messages.create(
            talk.agent_id, messages=[returned, {"role": "user", "content": "How many?"}], client_tools=[BASH]
        )
        assert answer.messages[-1].content == "Two files."
        results = [item for item in answer.messages if item.message_type == "tool_return_message"]
        assert [(item.tool_return, item.stdout, item.stderr) for item in results] == [("a b", ["a", "b"], ["slow"])]
        listed = await talk.sdk.agents.messages.list(talk.agent_id)
        (response,) = [item for item in listed.items if item.message_type == "approval_response_message"]
        assert response.approvals[0].type == "tool"
        assert response.approvals[0].tool_return == "a b"


async def test_rules_on_tools_that_the_client_offers_are_told_with_the_request(tmp_path):
    rules = (
        MaxCountPerStep(tool_name="Bash", max_count_limit=2),
        ConstrainChildTools(tool_name="memory_insert", children=("Bash",)),
    )

    async with talking(tmp_path) as talk:

        def told() -> tuple[str, str]:
            before, _, behind = talk.live.model.requests[-1].system.partition("<tool_usage_rules>\n")
            words, _, rest = behind.partition("\n</tool_usage_rules>")
            return words, before + rest

        await talk.agent(tool_rules=rules[:1])
        await talk.say("Hi", "Hello.", client_tools=[BASH])
        assert told()[0] == "- Call Bash at most 2 times in one turn."
        await talk.agent(tool_rules=rules)
        await talk.say("Hi", "Hello.")
        words, plain = told()
        assert words == "- After memory_insert, only these may follow: none."
        await talk.say("Hi", "Hello.", client_tools=[BASH])
        assert told() == (
            "- Call Bash at most 2 times in one turn.\n- After memory_insert, only these may follow: Bash.",
            plain,
        )


async def test_other_messages_wait_until_the_question_is_answered(tmp_path):
    async with talking(tmp_path) as talk:
        await ask_client(talk)
        with pytest.raises(letta_client.ConflictError, match="waiting for approval"):
            await talk.say("Hello?")
        wrong: Any = {"type": "approval", "approvals": [{"type": "approval", "tool_call_id": "x", "approve": True}]}
        with pytest.raises(letta_client.BadRequestError, match="Invalid tool call ids"):
            await talk.sdk.agents.messages.create(talk.agent_id, messages=[wrong])
        await talk.sdk.agents.messages.cancel(talk.agent_id)
        assert (await talk.say("Hello?", "Hello.")).messages[-1].content == "Hello."


def decided(form: str, request_id: str, *, approve: bool) -> Any:
    if form == "old":
        return {"type": "approval", "approval_request_id": request_id, "approve": approve, "reason": "so"}
    if form == "untyped":
        return {"approve": approve, "approval_request_id": request_id, "reason": "so"}
    return {
        "type": "approval",
        "approvals": [{"type": "approval", "tool_call_id": "call-2", "approve": approve, "reason": "so"}],
    }


@pytest.mark.parametrize("form", ["new", "old", "untyped"])
@pytest.mark.parametrize("approve", [True, False])
async def test_a_person_decides(tmp_path, form, approve):
    async with talking(tmp_path) as talk:
        await talk.agent(tool_rules=(RequiresApproval(tool_name="memory_insert"),))
        asked = await talk.say("I like tea", [INSERT])
        assert kinds(asked.messages) == ["approval_request_message"]
        assert asked.stop_reason.stop_reason == "requires_approval"
        talk.plays("So be it.")
        answer = await talk.sdk.agents.messages.create(
            talk.agent_id, messages=[decided(form, asked.messages[0].id, approve=approve)]
        )
        result = next(item for item in answer.messages if item.message_type == "tool_return_message")
        assert result.status == ("success" if approve else "error")
        assert ("Likes tea." if approve else "denied. User reason: so") in result.tool_return


async def test_a_decision_in_the_older_form_needs_a_question(tmp_path):
    async with talking(tmp_path) as talk:
        with pytest.raises(letta_client.BadRequestError, match="waiting for approval"):
            await talk.sdk.agents.messages.create(talk.agent_id, messages=[decided("old", "message-1", approve=True)])


async def test_only_the_calls_that_wait_are_questions(tmp_path):
    async with talking(tmp_path) as talk:
        await talk.agent(tool_rules=(RequiresApproval(tool_name="memory_insert"),))
        both = [call("conversation_search", '{"query": "tea"}'), INSERT]
        answer = await talk.say("I like tea", both)
        asked = {item.message_type: [one.tool_call_id for one in item.tool_calls] for item in answer.messages}
        assert asked == {"tool_call_message": ["call-1"], "approval_request_message": ["call-2"]}
        listed = await talk.sdk.agents.messages.list(talk.agent_id)
        assert listed.items[-2:] == answer.messages
