"""Agents that speak with each other, over the public client and a scripted model."""

import json
from dataclasses import replace
from typing import Any, cast

from loci.agent import creating
from loci.agent.colleagues import DEPTH_MAX, Colleagues
from loci.agent.request import DEPTH
from loci.errors import ModelFault
from loci.model.script import Wait
from loci.model.scripted import failure
from loci.testing.agents import standard_agent
from loci.testing.stores import OTHER_ACTOR
from loci.tools.base import BuiltinTool
from loci.tools.builtin.agents import AGENTS_MAX, ASK, ASK_TAGGED, MULTI_AGENT_TOOLS, TELL, agent_builtins
from loci.types.messages import ToolCall, Trust
from loci.types.tools import RequiresApproval
from tests.api.talk import Talk, talking


def to(name: str, agent_id: str, message: str = "What colour?", call_id: str = "call-1") -> list[ToolCall]:
    return [ToolCall(call_id, name, json.dumps({"message": message, "other_agent_id": agent_id}))]


def to_tagged(every: list[str], some: list[str]) -> list[ToolCall]:
    args = {"message": "Report.", "match_all": every, "match_some": some}
    return [ToolCall("call-1", ASK_TAGGED.name, json.dumps(args))]


async def made(talk: Talk, name: str, **wanted: Any) -> str:
    fields: dict[str, Any] = {"name": name, "tools": list(MULTI_AGENT_TOOLS), "model": "scripted/default"}
    agent = await talk.sdk.agents.create(**(fields | wanted))
    return agent.id


def prompt_of(request: Any) -> str:
    return request.system


def returned(answer: Any) -> list[Any]:
    return [item for item in answer.messages if item.message_type == "tool_return_message"]


async def test_all_of_these_tools_come_with_one_word(tmp_path):
    async with talking(tmp_path) as talk:
        wanted = {"include_base_tools": False, "include_multi_agent_tools": True}
        agent = (await talk.http.post("/v1/agents/", json=wanted)).json()
        assert {tool["name"] for tool in agent["tools"]} == set(MULTI_AGENT_TOOLS)


async def test_an_agent_asks_another_and_reads_its_answer(tmp_path):
    async with talking(tmp_path) as talk:
        painter = await made(talk, "Painter")
        talk.agent_id = asker = await made(talk, "Asker")
        answer = await talk.say("Ask the painter.", to(ASK.name, painter), "Blue.", "It is blue.")
        (result,) = returned(answer)
        row = json.loads(result.tool_return)
        assert (result.status, row["agent_id"], row["agent_name"], row["answer"]) == (
            "success",
            painter,
            "Painter",
            "Blue.",
        )
        assert answer.messages[-1].content == "It is blue."

        heard = talk.live.model.requests[1].messages[-1]
        assert (heard.trust, heard.sender_id) == (Trust.OTHER_AGENT, asker)
        assert heard.text.startswith(f"[Message from another agent, 'Asker' ({asker}), not from a person.")
        assert heard.text.endswith("\n\nWhat colour?")
        listed = await talk.sdk.agents.messages.list(painter)
        assert [item.sender_id for item in listed.items if item.message_type == "user_message"] == [asker]
        run = await talk.sdk.runs.retrieve(row["run_id"])
        assert run.metadata[DEPTH] == 1


async def test_the_tools_are_stored_as_those_of_many_agents(tmp_path):
    async with talking(tmp_path) as talk:
        listed = await talk.sdk.tools.list(limit=200)
        types = {tool.name: tool.tool_type for tool in listed.items}
        assert {types[name] for name in MULTI_AGENT_TOOLS} == {"letta_multi_agent_core"}


async def test_telling_does_not_wait(tmp_path):
    async with talking(tmp_path) as talk:
        other = await made(talk, "Other")
        talk.agent_id = await made(talk, "Teller")

        def whoever(request: Any) -> str:
            return "Noted." if "Tea is out." in request.messages[-1].text else "Told."

        answer = await talk.say("Tell it.", to(TELL.name, other, "Tea is out."), whoever, whoever)
        row = json.loads(returned(answer)[0].tool_return)
        assert (row["agent_id"], row["status"]) == (other, "sent")
        live = talk.live.core.runs.live(row["run_id"])
        if live is not None:
            await live.ended()
        run = await talk.sdk.runs.retrieve(row["run_id"])
        assert (run.status, run.background, run.agent_id) == ("completed", True, other)


async def test_all_agents_with_tags_are_asked_and_one_failure_spoils_nothing(tmp_path):
    async with talking(tmp_path) as talk:
        good = await made(talk, "Good", tags=["team", "red"])
        bad = await made(talk, "Bad", tags=["team", "blue"])
        await made(talk, "Elsewhere", tags=["team", "green"])
        await made(talk, "Outsider", tags=["red"])
        talk.agent_id = await made(talk, "Head", tags=["team", "red"])

        members = {good: "Fine.", bad: [failure(ModelFault.AUTHENTICATION)]}

        def by_agent(request: Any) -> Any:
            return members[request.messages[-1].agent_id]

        answer = await talk.say("Ask.", to_tagged(["team"], ["red", "blue"]), by_agent, by_agent, "Done.")
        rows = {row["agent_id"]: row for row in json.loads(returned(answer)[0].tool_return)}
        assert set(rows) == {good, bad}
        assert rows[good]["answer"] == "Fine."
        assert rows[bad]["error"]
        assert "answer" not in rows[bad]


async def test_too_many_agents_and_no_tags_are_refused(tmp_path):
    async with talking(tmp_path) as talk:
        for number in range(AGENTS_MAX + 1):
            await made(talk, f"Member {number}", tags=["crowd"])
        talk.agent_id = await made(talk, "Head", tags=["crowd"])
        answer = await talk.say("Ask.", to_tagged(["crowd"], []), "Oh.")
        assert "nobody was asked" in returned(answer)[0].tool_return
        answer = await talk.say("Ask.", to_tagged([], []), "Oh.")
        assert (returned(answer)[0].status, "No tags" in returned(answer)[0].tool_return) == ("error", True)


async def test_two_agents_that_ask_each_other_do_not_wait_for_ever(tmp_path):
    async with talking(tmp_path) as talk:
        other = await made(talk, "Other")
        talk.agent_id = first = await made(talk, "First")
        answer = await talk.say(
            "Go.", to(ASK.name, other), to(ASK.name, first, "And you?", "call-2"), "No idea.", "None."
        )
        assert json.loads(returned(answer)[0].tool_return)["answer"] == "No idea."
        listed = await talk.sdk.agents.messages.list(other)
        (refused,) = [item for item in listed.items if item.message_type == "tool_return_message"]
        assert refused.status == "error"
        assert "is at work" in refused.tool_return
        answer = await talk.say("Ask yourself.", to(ASK.name, first), "Oh.")
        assert "to yourself" in returned(answer)[0].tool_return


async def test_a_chain_of_agents_has_an_end(tmp_path):
    async with talking(tmp_path) as talk:
        chain = [await made(talk, f"Link {number}") for number in range(DEPTH_MAX + 2)]
        talk.agent_id = chain[0]
        asked = [to(ASK.name, agent_id) for agent_id in chain[1:]]
        await talk.say("Go.", *asked, *["I cannot."] * len(chain))
        assert list((await talk.sdk.agents.messages.list(chain[-1])).items)[1:] == []
        listed = await talk.sdk.agents.messages.list(chain[-2])
        (refused,) = [item for item in listed.items if item.message_type == "tool_return_message"]
        assert f"{DEPTH_MAX} agents have asked each other" in refused.tool_return


async def test_agents_of_others_and_agents_that_are_not_there_are_not_found(tmp_path):
    async with talking(tmp_path) as talk:
        foreign = await creating.create(
            talk.live.core.kit, OTHER_ACTOR, replace(standard_agent(), tags=("team",), include_base_tools=False)
        )
        talk.agent_id = await made(talk, "Asker")
        for name in (ASK.name, TELL.name):
            answer = await talk.say("Ask.", to(name, foreign.agent.id), "Oh.")
            (result,) = returned(answer)
            assert (result.status, "not found" in result.tool_return) == ("error", True)
        answer = await talk.say("Ask.", to_tagged(["team"], []), "Oh.")
        assert json.loads(returned(answer)[0].tool_return) == []


async def test_an_agent_that_fails_or_waits_for_a_person_gives_an_error_to_read(tmp_path):
    async with talking(tmp_path) as talk:
        other = await talk.agent(name="Other", tool_rules=(RequiresApproval(tool_name="memory_insert"),))
        talk.agent_id = await made(talk, "Asker")
        answer = await talk.say("Ask.", to(ASK.name, other), [failure(ModelFault.AUTHENTICATION)], "Oh.")
        assert (returned(answer)[0].status, "gave no answer" in returned(answer)[0].tool_return) == ("error", True)

        insert = [ToolCall("call-9", "memory_insert", '{"label": "human", "new_string": "Likes tea."}')]
        answer = await talk.say("Ask.", to(ASK.name, other), insert, "Oh.")
        assert "person's approval" in returned(answer)[0].tool_return
        answer = await talk.say("Ask again.", to(ASK.name, other), "Oh.")
        assert "cannot be asked now" in returned(answer)[0].tool_return


async def test_an_answer_is_not_waited_for_without_end(tmp_path):
    async with talking(tmp_path) as talk:
        core = talk.live.core
        cast("dict[str, BuiltinTool]", core.builtins).update(
            agent_builtins(Colleagues(core.store, core.runs, wait_s=0.05))
        )
        other = await made(talk, "Other")
        talk.agent_id = await made(talk, "Asker")
        answer = await talk.say("Ask.", to(ASK.name, other), [Wait(60.0), "Late."], "Oh.")
        assert "longer than 0.05 seconds" in returned(answer)[0].tool_return
        (run,) = (await talk.sdk.runs.list(agent_id=other)).items
        assert run.status == "running"


async def test_a_shared_block_is_seen_by_the_other_agent_from_its_next_step_on(tmp_path):
    async with talking(tmp_path) as talk:
        block = await talk.sdk.blocks.create(label="board", value="Nothing yet.")
        reader = await made(talk, "Reader", block_ids=[block.id])
        talk.agent_id = reader
        await talk.say("Hello.", "Hello.")
        assert "Nothing yet." in prompt_of(talk.live.model.requests[0])
        talk.agent_id = await made(talk, "Writer", block_ids=[block.id])
        words = {"label": "board", "old_string": "Nothing yet.", "new_string": "Ship on Friday."}
        write = [ToolCall("call-1", "memory_replace", json.dumps(words))]
        await talk.say("Write, then ask.", write, to(ASK.name, reader, "When?", "call-2"), "On Friday.", "Done.")
        prompt = prompt_of(talk.live.model.requests[3])
        assert "Ship on Friday." in prompt
        assert "Nothing yet." not in prompt
