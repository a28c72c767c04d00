"""Tools through the public client: described from their source, stored, given to agents, run by hand."""

import letta_client
import pytest

from tests.api.clients import MISSING, client_of

ROLL = '''
def roll(sides: int, times: int = 1) -> str:
    """Roll a die.

    Args:
        sides: How many sides it has.
        times: How often it is rolled.
    """
    raise SystemExit("never run here")
'''
SPEAK = '''
def speak(words: str) -> str:
    """Say it.

    Args:
        words: What to say.
    """
'''


async def test_a_tool_is_described_from_its_source(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.tools.create(source_code=ROLL, tags=["games"], return_char_limit=100)
        assert (made.name, made.description, made.tool_type) == ("roll", "Roll a die.", "custom")
        assert (made.tags, made.return_char_limit, made.source_code) == (["games"], 100, ROLL)
        parameters = (made.json_schema or {})["parameters"]
        assert parameters["required"] == ["sides"]
        assert await client.sdk.tools.retrieve(made.id) == made


async def test_one_name_is_one_tool(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.tools.create(source_code=ROLL)
        again = await client.sdk.tools.create(source_code=ROLL.replace("Roll a die", "Roll dice"))
        upserted = await client.sdk.tools.upsert(source_code=ROLL.replace("Roll a die", "Throw a die"))
        assert made.id == again.id == upserted.id
        assert (await client.sdk.tools.retrieve(made.id)).description == "Throw a die."
        assert await client.get("/v1/tools/count", name="roll") == 1


async def test_a_schema_follows_its_source(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.tools.create(source_code=ROLL)
        changed = await client.sdk.tools.update(made.id, source_code=ROLL.replace("sides", "faces"), tags=["x"])
        assert "faces" in str(changed.json_schema)
        assert changed.tags == ["x"]
        await client.sdk.tools.delete(made.id)
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.tools.retrieve(made.id)


async def test_a_built_in_tool_cannot_be_replaced_by_source(tmp_path):
    async with client_of(tmp_path) as client:
        found = await client.sdk.tools.list(name="send_message")
        built_in = found.items[0]
        with pytest.raises(letta_client.BadRequestError):
            await client.sdk.tools.create(source_code=SPEAK.replace("speak", "send_message"))
        with pytest.raises(letta_client.BadRequestError):
            await client.sdk.tools.update(built_in.id, source_code=SPEAK)
        made = await client.sdk.tools.create(source_code=ROLL)
        with pytest.raises(letta_client.APIStatusError) as caught:
            await client.sdk.tools.update(made.id, source_code=SPEAK.replace("speak", "send_message"))
        assert caught.value.status_code in {400, 409}
        assert (await client.sdk.tools.retrieve(built_in.id)) == built_in


async def test_tools_are_listed_chosen_and_counted(tmp_path):
    async with client_of(tmp_path) as client:
        await client.sdk.tools.create(source_code=ROLL, tags=["games"])
        await client.sdk.tools.create(source_code=SPEAK)
        custom = [tool.name async for tool in client.sdk.tools.list(tool_types=["custom"], limit=1)]
        assert custom == ["speak", "roll"]
        names = [tool.name async for tool in client.sdk.tools.list(names=["roll", "memory_insert"], order="asc")]
        assert sorted(names) == ["memory_insert", "roll"]
        everything = [tool async for tool in client.sdk.tools.list(limit=3)]
        assert len(everything) == await client.get("/v1/tools/count")
        assert len({tool.id for tool in everything}) == len(everything)
        assert await client.get("/v1/tools/count", return_only_letta_tools=True) == len(everything) - 2
        assert await client.get("/v1/tools/count", exclude_letta_tools=True) == 2
        hits = await client.sdk.tools.search(query="die")
        assert [hit.tool.name for hit in hits] == ["roll"]
        assert [hit.tool.name for hit in await client.sdk.tools.search(tags=["games"])] == ["roll"]
        asked = await client.sdk.tools.search(query="Where can I fetch a page of the web?", limit=3)
        assert asked[0].tool.name == "fetch_webpage"
        assert [hit.tool.name for hit in await client.sdk.tools.search(tags=["games"], limit=1)] == ["roll"]


async def test_the_base_tools_come_back_when_asked(tmp_path):
    async with client_of(tmp_path) as client:
        gone = (await client.sdk.tools.list(name="memory_insert")).items[0]
        await client.sdk.tools.delete(gone.id)
        answer = await client.http.post("/v1/tools/add-base-tools")
        assert answer.status_code == 200
        assert "memory_insert" in {tool["name"] for tool in answer.json()}
        assert len((await client.sdk.tools.list(name="memory_insert")).items) == 1


async def test_a_tool_that_asks_by_default_asks_on_every_agent_that_gets_it(tmp_path):
    async with client_of(tmp_path) as client:
        tool = await client.sdk.tools.create(source_code=ROLL, default_requires_approval=True)
        asks = [("requires_approval", "roll")]

        def rules(agent):
            return [(rule.type, rule.tool_name) for rule in agent.tool_rules or ()]

        assert rules(await client.sdk.agents.create(tool_ids=[tool.id])) == asks
        agent = await client.sdk.agents.create()
        attached = await client.sdk.agents.tools.attach(tool.id, agent_id=agent.id)
        assert rules(attached) == asks
        assert "roll" in {held.name for held in attached.tools}
        detached = await client.sdk.agents.tools.detach(tool.id, agent_id=agent.id)
        assert "roll" not in {held.name for held in detached.tools}
        fresh = await client.sdk.agents.create()
        assert rules(await client.sdk.agents.update(fresh.id, tool_ids=[tool.id])) == asks


async def test_rules_of_every_kind_are_taken_when_an_agent_is_made_and_when_its_tools_change(tmp_path):
    insert = {"name": "memory_insert", "args": {"label": "human"}}
    given = [
        {"type": "run_first", "tool_name": "conversation_search", "args": {"query": "name"}},
        {"type": "exit_loop", "tool_name": "memory_insert"},
        {"type": "continue_loop", "tool_name": "memory_replace"},
        {
            "type": "conditional",
            "tool_name": "conversation_search",
            "child_output_mapping": {"found": "memory_insert"},
            "default_child": "memory_replace",
            "require_output_mapping": False,
        },
        {
            "type": "constrain_child_tools",
            "tool_name": "memory_replace",
            "children": ["memory_insert"],
            "child_arg_nodes": [insert],
        },
        {"type": "max_count_per_step", "tool_name": "memory_replace", "max_count_limit": 2},
        {"type": "parent_last_tool", "tool_name": "conversation_search", "children": ["memory_replace"]},
        {"type": "required_before_exit", "tool_name": "memory_insert"},
        {"type": "requires_approval", "tool_name": "memory_insert"},
    ]

    def rules(agent):
        return [{name: rule[name] for name in given[at]} for at, rule in enumerate(agent["tool_rules"][: len(given)])]

    async with client_of(tmp_path) as client:
        tool = await client.sdk.tools.create(source_code=ROLL, default_requires_approval=True)
        made = await client.http.post("/v1/agents/", json={"tool_rules": given})
        assert (made.status_code, rules(made.json())) == (200, given)
        path = f"/v1/agents/{made.json()['id']}"
        for change in ({"tool_rules": given[:4]}, {"tool_rules": given}, {"tool_ids": [tool.id]}):
            changed = await client.http.patch(path, json=change)
            assert changed.status_code == 200
        assert rules(changed.json()) == given
        assert changed.json()["tool_rules"][-1]["tool_name"] == "roll"


async def test_a_person_decides_whether_to_be_asked(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        path = f"/v1/agents/{agent.id}/tools/approval/memory_insert"
        for asks, expected in ((True, 1), (True, 1), (False, 0)):
            shown = (await client.http.patch(path, json={"requires_approval": asks})).json()
            assert [rule["type"] for rule in shown["tool_rules"]] == ["requires_approval"] * expected
        for asks, expected in (("true", 1), ("false", 0)):
            shown = (await client.http.patch(path, params={"requires_approval": asks})).json()
            assert [rule["type"] for rule in shown["tool_rules"]] == ["requires_approval"] * expected
        both = await client.http.patch(path, params={"requires_approval": True}, json={"requires_approval": False})
        assert both.json()["tool_rules"] == []
        assert (await client.http.patch(path)).status_code == 422
        nothing = path.replace("memory_insert", "no_such_tool")
        assert (await client.http.patch(nothing, json={"requires_approval": True})).status_code == 404


async def test_the_tools_of_an_agent_are_listed_page_by_page(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create()
        paged = [tool.id async for tool in client.sdk.agents.tools.list(agent.id, limit=2)]
        assert len(paged) == len(agent.tools)
        assert set(paged) == {tool.id for tool in agent.tools}


async def test_a_memory_tool_can_be_run_by_hand(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam"}])
        done = await client.sdk.agents.tools.run(
            "memory_insert", agent_id=agent.id, args={"label": "human", "new_string": "Likes tea."}
        )
        assert done.status == "success"
        assert "Likes tea." in (await client.sdk.agents.blocks.retrieve("human", agent_id=agent.id)).value
        refused = await client.http.post(
            f"/v1/agents/{agent.id}/tools/memory_insert/run", json={"args": {"label": "nothing", "new_string": "x"}}
        )
        assert 400 <= refused.status_code < 500 or refused.json()["status"] == "error"
        found = await client.sdk.agents.tools.run("conversation_search", agent_id=agent.id, args={"query": "tea"})
        assert found.status == "success"
        unknown = await client.http.post(f"/v1/agents/{agent.id}/tools/roll/run", json={"args": {}})
        assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 422, "source_code"),
        ({"source_code": "x = 1"}, 400, "no function"),
        ({"source_code": "def f(:"}, 400, "Python"),
        ({"source_code": "def f(x: int):\n    '''A.'''"}, 400, "'x'"),
        ({"source_code": "x", "json_schema": {"description": "y"}}, 400, "name"),
        ({"source_code": ROLL, "return_char_limit": 0}, 422, "return_char_limit"),
        ({"source_code": "const x = 1", "source_type": "typescript"}, 400, "json_schema"),
    ],
)
async def test_a_tool_that_cannot_be_described_is_refused_in_words(tmp_path, body, status, named):
    async with client_of(tmp_path) as client:
        answer = await client.http.post("/v1/tools", json=body)
        assert answer.status_code == status, answer.text
        assert named in answer.json()["detail"]
        assert await client.get("/v1/tools/count", tool_types=["custom"]) == 0


async def test_ids_of_nothing(tmp_path):
    async with client_of(tmp_path) as client:
        bad = await client.http.get("/v1/tools/nonsense")
        assert bad.status_code == 422
        assert bad.json()["examples"][0].startswith("tool-")
        for method in ("GET", "PATCH", "DELETE"):
            answer = await client.http.request(
                method, f"/v1/tools/tool-{MISSING}", json={} if method == "PATCH" else None
            )
            assert answer.status_code == 404
