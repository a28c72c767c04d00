"""Groups of agents: who speaks next, what each of them hears, and what is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx2
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from letta_client import Letta

from loci.agent.rounds import DYNAMIC_TURNS, Circle, Said, next_speakers
from loci.app import open_store
from loci.errors import ModelFault
from loci.model.script import Wait
from loci.model.scripted import failure
from loci.store import jobs
from loci.store.base import Transaction
from loci.testing.counting import PassingStore
from loci.testing.live import live_settings
from loci.types.actor import DEFAULT_PROJECT
from loci.types.agents import Agent, AgentType
from loci.types.groups import Group, GroupType
from loci.types.messages import Text
from tests.api.clients import MISSING
from tests.api.talk import Talk, call, talking
from tests.sdk.processes import running

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path) as opened:
        yield opened


async def a_group(talk: Talk, *names: str, **config: Any) -> tuple[str, list[str]]:
    """A group of new agents with these names, and their ids."""
    ids = [(await talk.sdk.agents.create(name=name, include_base_tools=False)).id for name in names]
    body = {"agent_ids": ids, "description": "Friends.", "manager_config": config or {"manager_type": "round_robin"}}
    answer = await talk.http.post("/v1/groups/", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"], ids


async def say(talk: Talk, group_id: str, words: str, *steps: Any) -> Any:
    talk.plays(*steps)
    body = {"messages": [{"role": "user", "content": words}]}
    return await talk.http.post(f"/v1/groups/{group_id}/messages", json=body)


def spoken(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [
        (item["name"], item["content"])
        for item in answer.json()["messages"]
        if item["message_type"] == "assistant_message"
    ]


def heard(talk: Talk, number: int) -> list[str]:
    """The messages of users that the model was shown in that call."""
    return [message.text for message in talk.live.model.requests[number].messages if message.role == "user"]


async def test_each_speaks_in_turn_and_hears_the_others(talk: Talk) -> None:
    group_id, ids = await a_group(talk, "Ada", "Bo")
    answer = await say(talk, group_id, "Hello.", "I am Ada.", "I am Bo.")
    assert spoken(answer) == [("Ada", "I am Ada."), ("Bo", "I am Bo.")]
    assert (answer.json()["stop_reason"]["stop_reason"], answer.json()["usage"]["step_count"]) == ("end_turn", 2)
    assert heard(talk, 0) == ["Hello."]
    first, second = heard(talk, 1)
    assert first == "Hello."
    assert second == f"[Message from another agent of your group, 'Ada' ({ids[0]}), not from a person.]\n\nI am Ada."
    await say(talk, group_id, "Again.", "Ada again.", "Bo again.")
    assert [words.splitlines()[-1] for words in heard(talk, 2)] == ["Hello.", "I am Bo.", "Again."]

    listed = (await talk.http.get(f"/v1/groups/{group_id}/messages", params={"limit": 100, "order": "asc"})).json()
    said = [item["content"] for item in listed if item["message_type"] == "assistant_message"]
    assert said == ["I am Ada.", "I am Bo.", "Ada again.", "Bo again."]
    assert (await talk.http.get(f"/v1/agents/{ids[0]}/messages")).json()[1:] == []  # its own thread is untouched
    assert len((await talk.sdk.runs.list(agent_id=ids[0])).items) == 2

    assert (await talk.http.patch(f"/v1/groups/{group_id}/reset-messages")).status_code == 200
    await say(talk, group_id, "New.", "Ada.", "Bo.")
    assert heard(talk, 4) == ["New."]


class SlowEnds(PassingStore):
    """Takes its time to store that a job has ended."""

    async def write(self, verb: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        if verb is jobs.end:
            await asyncio.sleep(0.2)
        return await self._store.write(verb, *args, **kwargs)


async def test_who_has_the_whole_answer_can_speak_again_at_once(tmp_path: Path) -> None:
    async with talking(tmp_path, store=SlowEnds(open_store(live_settings(tmp_path)))) as talk:
        group_id, _ = await a_group(talk, "Ada")
        for number in range(2):
            assert spoken(await say(talk, group_id, "Go on.", str(number))) == [("Ada", str(number))]


async def test_a_stream_tells_one_run_after_the_other(talk: Talk) -> None:
    group_id, _ = await a_group(talk, "Ada", "Bo")
    talk.plays("I am Ada.", "I am Bo.")
    answer = await talk.http.post(f"/v1/groups/{group_id}/messages/stream", json={"input": "Hello."})
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    events = [orjson.loads(line) for line in lines[:-1]]
    assert [(item["name"], item["content"]) for item in events if "content" in item] == [
        ("Ada", "I am Ada."),
        ("Bo", "I am Bo."),
    ]
    assert lines[-1] == "[DONE]"


async def test_a_supervisor_instructs_all_and_concludes(talk: Talk) -> None:
    lead = (await talk.sdk.agents.create(name="Lead", include_base_tools=False)).id
    group_id, _ = await a_group(talk, "Ada", "Bo", manager_type="supervisor", manager_agent_id=lead)

    def whoever(request: Any) -> str:
        return "Red." if "Name a colour." in request.messages[-1].text else "?"

    answer = await say(talk, group_id, "Which colour?", "Name a colour.", whoever, whoever, "Red it is.")
    assert spoken(answer) == [("Lead", "Name a colour."), ("Ada", "Red."), ("Bo", "Red."), ("Lead", "Red it is.")]
    assert "'Ada'" in heard(talk, 0)[-1]


async def test_a_lead_chooses_until_somebody_ends_it(talk: Talk) -> None:
    lead = (await talk.sdk.agents.create(name="Lead", include_base_tools=False)).id
    config = {"manager_type": "dynamic", "manager_agent_id": lead, "termination_token": "OVER"}
    group_id, _ = await a_group(talk, "Ada", "Bo", **config)
    answer = await say(talk, group_id, "Discuss.", "Bo", "Go on.", "Ada!", "OVER and out.")
    assert spoken(answer) == [("Lead", "Bo"), ("Bo", "Go on."), ("Lead", "Ada!"), ("Ada", "OVER and out.")]


async def test_a_model_that_fails_ends_it_with_the_cause(talk: Talk) -> None:
    group_id, _ = await a_group(talk, "Ada", "Bo")
    answer = await say(talk, group_id, "Hello.", [failure(ModelFault.AUTHENTICATION)])
    assert (answer.status_code >= 400, answer.json()["error"]["type"]) == (True, "llm_authentication")
    assert spoken(await say(talk, group_id, "Hello?", "Yes.", "Yes."))[0] == ("Ada", "Yes.")


async def all_said(talk: Talk, group_id: str, count: int) -> list[str]:
    """What the agents of a group have said, once there is so much of it."""
    async with asyncio.timeout(20):
        while True:
            listed = await talk.http.get(f"/v1/groups/{group_id}/messages", params={"limit": 100, "order": "asc"})
            said = [item["content"] for item in listed.json() if item["message_type"] == "assistant_message"]
            if len(said) >= count:
                return said
            await asyncio.sleep(0.01)


async def test_they_go_on_when_nobody_stays(talk: Talk) -> None:
    group_id, _ = await a_group(talk, "Ada", "Bo", "Cy")
    talk.plays("I am Ada.", [Wait(0.2), Text("I am Bo.")], "I am Cy.")
    path = f"/v1/groups/{group_id}/messages/stream"
    async with talk.http.stream("POST", path, json={"input": "Hello."}) as answer:
        async for line in answer.aiter_lines():
            if "I am Ada." in line:
                break
    assert await all_said(talk, group_id, 3) == ["I am Ada.", "I am Bo.", "I am Cy."]


async def test_they_hear_one_person_at_a_time(talk: Talk) -> None:
    group_id, _ = await a_group(talk, "Ada", "Bo")
    first = asyncio.ensure_future(say(talk, group_id, "Hello.", [Wait(0.3), Text("I am Ada.")], "I am Bo."))
    while not talk.live.model.requests:
        await asyncio.sleep(0.005)
    assert (await say(talk, group_id, "Me too!")).status_code == 409
    assert spoken(await first) == [("Ada", "I am Ada."), ("Bo", "I am Bo.")]
    assert len(spoken(await say(talk, group_id, "Now me.", "Yes.", "Yes."))) == 2


async def test_a_talk_that_is_called_off_before_it_began_says_so(talk: Talk) -> None:
    group_id, _ = await a_group(talk, "Ada", "Bo")
    await talk.live.core.jobs.close()  # as when other groups have all the room
    asked = asyncio.ensure_future(say(talk, group_id, "Hello."))
    while not (waiting := (await talk.http.get("/v1/jobs/active")).json()):
        await asyncio.sleep(0.005)
    assert (await talk.http.patch(f"/v1/jobs/{waiting[0]['id']}/cancel")).status_code == 200
    answer = await asyncio.wait_for(asked, 10)
    assert (answer.status_code, "called off" in answer.text) == (409, True)


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_talk_that_is_called_off_ends_as_a_cancelled_run_does(talk: Talk, streaming: bool) -> None:
    lead = (await talk.sdk.agents.create(name="Lead", include_base_tools=False)).id
    group_id, ids = await a_group(talk, "Ada", "Bo", manager_type="supervisor", manager_agent_id=lead)
    talk.plays("Do it.", [Wait(60), Text("Never.")], [Wait(60), Text("Never.")])
    body = {"input": "Play.", "streaming": streaming}
    asked = asyncio.ensure_future(talk.http.post(f"/v1/groups/{group_id}/messages", json=body))
    while len(talk.live.model.requests) < 3:
        await asyncio.sleep(0.005)
    (job,) = (await talk.http.get("/v1/jobs/active")).json()
    assert (await talk.http.patch(f"/v1/jobs/{job['id']}/cancel")).json()["status"] == "cancelled"
    answer = await asyncio.wait_for(asked, 10)
    if streaming:
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        events = [orjson.loads(line) for line in lines[:-1]]
        assert [item["stop_reason"] for item in events if item["message_type"] == "stop_reason"] == [
            "end_turn",
            "cancelled",
            "cancelled",
        ]
        assert "error_message" not in answer.text
    else:
        assert spoken(answer) == [("Lead", "Do it.")]
        assert answer.json()["stop_reason"]["stop_reason"] == "cancelled"
    for agent_id in ids:
        assert [run.status for run in (await talk.sdk.runs.list(agent_id=agent_id)).items] == ["cancelled"]
    assert len(talk.live.model.requests) == 3
    assert spoken(await say(talk, group_id, "Again.", "Yes.", "Yes.", "Yes.", "Well."))[-1] == ("Lead", "Well.")


@pytest.mark.parametrize("streaming", [False, True])
async def test_who_cannot_speak_is_told_of_once_and_holds_nobody_up(talk: Talk, streaming: bool) -> None:
    lead = (await talk.sdk.agents.create(name="Lead", include_base_tools=False)).id
    group_id, (_, bo) = await a_group(talk, "Ada", "Bo", manager_type="supervisor", manager_agent_id=lead)
    rule = {"type": "requires_approval", "tool_name": "roll_dice"}
    tool = await talk.sdk.tools.create(source_code='def roll_dice() -> str:\n    """Roll."""\n    return \'4\'\n')
    await talk.sdk.agents.update(bo, tool_ids=[tool.id], tool_rules=[rule])

    def whoever(request: Any) -> Any:
        return [call("roll_dice", "{}")] if request.messages[-1].agent_id == bo else "Red."

    assert (await say(talk, group_id, "Play.", "Do it.", whoever, whoever, "Well.")).status_code == 200
    talk.plays("Once more.", "Blue.", "Blue it is.")
    body = {"messages": [{"role": "user", "content": "Again."}], "streaming": streaming}
    answer = await talk.http.post(f"/v1/groups/{group_id}/messages", json=body)
    if streaming:
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
        events = [orjson.loads(line) for line in lines[:-1]]
        assert [item["error_type"] for item in events if item["message_type"] == "error_message"] == [
            "AwaitingApproval"
        ]
        said = [(item["name"], item["content"]) for item in events if "content" in item]
    else:
        said = spoken(answer)
    assert said == [("Lead", "Once more."), ("Ada", "Blue."), ("Lead", "Blue it is.")]


def test_after_a_crash_the_others_speak_and_nobody_twice(tmp_path: Path) -> None:
    with running(tmp_path / "home") as server:
        with Letta(base_url=server.url, api_key="x", max_retries=0) as client:
            ids = [client.agents.create(name=name).id for name in ("Ada", "Bo")]
            asked = {"agent_ids": ids, "description": "x", "manager_config": {"manager_type": "round_robin"}}
            group_id: str = client.post("/v1/groups/", body=asked, cast_to=dict[str, Any])["id"]
            path = f"{server.url}/v1/groups/{group_id}/messages/stream"
            with httpx2.stream("POST", path, json={"input": "@wait 1\n@say Mine."}):
                while not client.runs.list(agent_id=ids[0]).items:
                    pass
                server.kill()

        server.start()
        with Letta(base_url=server.url, api_key="x") as client:
            runs: list[str | None] = []
            while runs != ["completed"]:
                runs = [run.status for run in client.runs.list(agent_id=ids[1])]
                assert runs in ([], ["running"], ["completed"])
            assert [run.status for run in client.runs.list(agent_id=ids[0])] == ["completed"]
            again: Any = client.post(f"/v1/groups/{group_id}/messages", body={"input": "@say Yours."}, cast_to=object)
            assert [item["name"] for item in again["messages"] if item["message_type"] == "assistant_message"] == [
                "Ada",
                "Bo",
            ]
            listed: Any = client.get(f"/v1/groups/{group_id}/messages?limit=100&order=asc", cast_to=object)
            heard = [item["content"] for item in listed if item["message_type"] == "user_message"]
            assert len(heard) == 8  # each time: to Ada what is asked, to Bo that and what Ada said, to Ada what Bo said


async def test_groups_are_changed_shared_with_and_forgotten(talk: Talk) -> None:
    group_id, ids = await a_group(talk, "Ada", "Bo")
    path = f"/v1/groups/{group_id}"
    changed = (await talk.http.patch(path, json={"description": "Foes.", "agent_ids": ids[:1]})).json()
    assert (changed["description"], changed["agent_ids"]) == ("Foes.", ids[:1])
    assert changed["project_id"] == DEFAULT_PROJECT
    block = await talk.sdk.blocks.create(label="board", value="x")
    for verb, held in (("attach", ["board"]), ("detach", [])):
        assert (await talk.http.patch(f"{path}/blocks/{verb}/{block.id}")).status_code == 200
        assert [item.label for item in (await talk.sdk.agents.blocks.list(ids[0])).items] == held
        assert len((await talk.http.get(path)).json()["shared_block_ids"]) == len(held)
    assert (await talk.http.get("/v1/groups/", params={"manager_type": "dynamic"})).json() == []
    assert (await talk.http.get("/v1/groups/count")).json() == 1
    await say(talk, group_id, "Hello.", "Hi.")
    (listed,) = [
        item for item in (await talk.http.get(f"{path}/messages")).json() if item["message_type"] == "assistant_message"
    ]
    edit = {"message_type": "assistant_message", "content": "Ho."}
    assert (await talk.http.patch(f"{path}/messages/{listed['id']}", json=edit)).status_code == 200
    elsewhere = (await talk.say("Hello.", "Hi.")).messages[0].id
    assert (await talk.http.patch(f"{path}/messages/{elsewhere}", json=edit)).status_code == 404
    assert (await talk.http.delete(path)).status_code == 200
    for verb in ("GET", "DELETE", "PATCH"):
        assert (await talk.http.request(verb, path, json={})).status_code == 404
    assert (await talk.sdk.agents.retrieve(ids[0])).id == ids[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"agent_ids": [f"agent-{MISSING}"]}, 404),
        ({"agent_ids": ["x"] * 100}, 422),
        ({"agent_ids": [], "manager_config": {"manager_type": "dynamic"}}, 422),
        ({"agent_ids": [], "manager_config": {"manager_type": "sleeptime", "sleeptime_agent_frequency": 0}}, 422),
        ({"agent_ids": [], "manager_config": {"manager_type": "king"}}, 422),
        ({"agent_ids": [], "shared_block_ids": ["block-1"]}, 404),
        ({"agent_ids": []}, 200),
    ],
)
async def test_wrong_groups_are_refused(talk: Talk, body: Any, status: int) -> None:
    answer = await talk.http.post("/v1/groups/", json={"description": "x", **body})
    assert answer.status_code == status, answer.text
    if status == 200:
        assert (await say(talk, answer.json()["id"], "Hello.")).status_code == 400


NAMES = {"agent-a": "Ada", "agent-b": "Bo", "agent-c": "Cy", "agent-lead": "Lead"}
WORDS = st.lists(st.sampled_from(["Bo", "agent-c", "nobody", "", "Ada and Bo"]), min_size=60, max_size=60)


@given(
    kind=st.sampled_from([GroupType.ROUND_ROBIN, GroupType.SUPERVISOR, GroupType.DYNAMIC]),
    members=st.lists(st.sampled_from(["agent-a", "agent-b", "agent-c"]), min_size=1, max_size=3, unique=True),
    turns=st.none() | st.integers(1, 12),
    words=WORDS,
)
def test_every_conversation_ends_and_only_its_agents_speak(
    kind: GroupType, members: list[str], turns: int | None, words: list[str]
) -> None:
    plain = Agent(id="", name="", agent_type=AgentType.LETTA_V1, system="", model="x/y")
    agents = {agent_id: replace(plain, id=agent_id, name=name) for agent_id, name in NAMES.items()}
    group = Group(id="g", manager_type=kind, agent_ids=tuple(members), manager_agent_id="agent-lead", max_turns=turns)
    circle = Circle(group=group, agents=agents, threads={})
    said: list[Said] = []
    while speakers := next_speakers(circle, said):
        assert set(speakers) <= {*members, "agent-lead"}
        said += [Said(agent_id, words[len(said)]) for agent_id in speakers]
    expected = {
        GroupType.ROUND_ROBIN: turns or len(members),
        GroupType.SUPERVISOR: 2 + len(members),
        GroupType.DYNAMIC: 2 * (turns or DYNAMIC_TURNS),
    }
    assert len(said) == expected[kind]


async def test_messages_are_of_a_group(talk: Talk) -> None:
    group_id, (ada, _) = await a_group(talk, "Ada", "Bo")
    await say(talk, group_id, "Hello.", "I am Ada.", "I am Bo.")
    talk.plays("Alone.")
    await talk.sdk.agents.messages.create(ada, input="Psst.")

    async def told(path: str, **query: Any) -> list[str]:
        wanted = {"include_return_message_types": "assistant_message", **query}
        return [item["content"] for item in (await talk.http.get(path, params=wanted)).json()]

    path = f"/v1/agents/{ada}/messages"
    assert await told(path) == ["Alone."]
    assert await told(path, group_id=group_id) == ["I am Ada."]
    assert await told(path, group_id=group_id, conversation_id="default") == []
    assert await told("/v1/messages", group_id=group_id) == ["I am Ada.", "I am Bo."]
    assert await told(f"/v1/conversations/{ada}/messages", group_id=group_id) == []
    assert (await talk.http.get(path, params={"group_id": f"group-{MISSING}"})).status_code == 404
