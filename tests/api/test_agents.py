"""Agents through the public client: made, shown as asked, changed as a whole or in parts, forgotten."""

import asyncio
import json
import threading

import letta_client
import pytest

from loci.model.script import Wait
from tests.api.clients import MISSING, client_of

OLD = {"x-stainless-package-version": "0.9.0"}
NEW = {"x-stainless-package-version": "1.12.1"}


async def test_a_new_agent_is_shown_whole(tmp_path):
    async with client_of(tmp_path) as client:
        agent = await client.sdk.agents.create(
            name="Ada",
            model="scripted/default",
            memory_blocks=[{"label": "human", "value": "Name: Sam"}, {"label": "persona", "value": "Kind."}],
            tags=["b", "a"],
            metadata={"k": [1, None]},
            description="A test.",
            context_window_limit=9_000,
            timezone="Europe/Berlin",
            secrets={"TOKEN": "hush"},
        )
        assert (agent.name, agent.model, agent.embedding) == ("Ada", "scripted/default", None)
        assert agent.agent_type == "letta_v1_agent"
        assert [(block.label, block.value, block.limit) for block in agent.blocks] == [
            ("human", "Name: Sam", 100_000),
            ("persona", "Kind.", 100_000),
        ]
        assert all(block.description for block in agent.blocks)
        assert agent.memory.blocks == agent.blocks
        assert {tool.name for tool in agent.tools} == {"conversation_search", "memory_insert", "memory_replace"}
        assert sorted(agent.tags) == ["a", "b"]
        assert agent.metadata == {"k": [1, None]}
        assert agent.llm_config.handle == "scripted/default"
        assert agent.llm_config.context_window == 9_000
        assert agent.timezone == "Europe/Berlin"
        assert [(item.key, item.value) for item in agent.secrets or ()] == [("TOKEN", "hush")]
        assert len(agent.message_ids) == 1


async def test_a_client_that_names_what_it_wants_gets_that_and_no_more(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "x"}], tags=["t"])
        plain = await client.sdk.agents.retrieve(made.id)
        assert (plain.blocks, plain.tools, plain.tags, plain.secrets) == ([], [], [], [])
        chosen = await client.sdk.agents.retrieve(made.id, include=["agent.blocks", "agent.tags"])
        assert [block.label for block in chosen.blocks] == ["human"]
        assert (chosen.tags, chosen.tools) == (["t"], [])
        assert chosen.message_ids == made.message_ids
        listed = [agent async for agent in client.sdk.agents.list(include=["agent.tools"])]
        assert [len(agent.tools) for agent in listed] == [3]
        old = (await client.http.get(f"/v1/agents/{made.id}", headers=OLD)).json()
        assert [len(old[key]) for key in ("blocks", "tools", "tags")] == [1, 3, 1]
        assert (await client.http.get(f"/v1/agents/{made.id}", headers=NEW)).json()["tools"] == []


async def test_each_agent_of_a_list_is_shown_with_its_own(tmp_path):
    async with client_of(tmp_path) as client:
        made = [
            await client.sdk.agents.create(name=name, memory_blocks=[{"label": name, "value": name}], tags=[name])
            for name in ("one", "two", "three")
        ]
        listed = [agent async for agent in client.sdk.agents.list(include=["agent.blocks", "agent.tags"])]
        assert [agent.id for agent in listed] == [agent.id for agent in reversed(made)]
        assert [(agent.tags, [block.label for block in agent.blocks]) for agent in listed] == [
            (["three"], ["three"]),
            (["two"], ["two"]),
            (["one"], ["one"]),
        ]
        assert [agent.message_ids for agent in listed] == [agent.message_ids for agent in reversed(made)]


async def test_lists_filter_and_go_on_from_page_to_page(tmp_path):
    async with client_of(tmp_path) as client:
        made = [await client.sdk.agents.create(name=f"Agent {n}", tags=["odd"] if n % 2 else []) for n in range(5)]
        await client.sdk.agents.create(name="Secret", hidden=True)
        ids = [agent.id for agent in made]
        for order_by in ("created_at", "updated_at", "last_run_completion"):
            paged = [agent.id async for agent in client.sdk.agents.list(limit=2, order="asc", order_by=order_by)]
            assert paged == ids
        assert [agent.id async for agent in client.sdk.agents.list(tags=["odd"])] == [ids[3], ids[1]]
        assert [agent.name async for agent in client.sdk.agents.list(name="Agent 2")] == ["Agent 2"]
        assert [agent.name async for agent in client.sdk.agents.list(query_text="gent 3")] == ["Agent 3"]
        assert await client.get("/v1/agents/count") == 5
        assert await client.get("/v1/agents/count/", tags="odd") == 2
        assert await client.sdk.tags.list() == ["odd"]


async def test_a_change_touches_only_what_it_names(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(name="Ada", description="Old.", tags=["a"], metadata={"k": 1})
        for change in ({"name": "Bea"}, {"description": None}, {"tags": []}, {"timezone": "Asia/Tokyo"}):
            await client.sdk.agents.update(made.id, **change)
        agent = await client.sdk.agents.update(made.id, context_window_limit=5_000, hidden=True)
        assert (agent.name, agent.description, agent.tags, agent.timezone) == ("Bea", None, [], "Asia/Tokyo")
        assert agent.llm_config.context_window == 5_000
        assert agent.hidden is True
        assert (await client.sdk.agents.update(made.id, project_id="garden")).project_id == "garden"
        assert agent.metadata == {"k": 1}
        assert agent.system == made.system
        assert {tool.id for tool in agent.tools} == {tool.id for tool in made.tools}
        assert agent.message_ids == made.message_ids


async def test_model_settings_keep_the_newest_word(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(
            model_settings={
                "provider_type": "openai",
                "max_output_tokens": 100,
                "temperature": 0.5,
                "parallel_tool_calls": True,
                "reasoning": {"reasoning_effort": "low"},
            }
        )
        assert made.api_model_settings.max_output_tokens == 100
        assert made.llm_config.temperature == 0.5
        await client.sdk.agents.update(made.id, max_tokens=200, parallel_tool_calls=False)
        agent = await client.sdk.agents.update(made.id, name="Later")
        settings = agent.api_model_settings
        assert (settings.max_output_tokens, settings.parallel_tool_calls, settings.temperature) == (200, False, 0.5)
        assert settings.reasoning.reasoning_effort == "low"
        assert agent.llm_config.max_tokens == 200


async def test_what_the_terminal_client_sends_after_making_an_agent_is_taken(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        body = {
            "model": "scripted/default",
            "model_settings": {"provider_type": "openai", "parallel_tool_calls": True, "max_output_tokens": 16_384},
            "context_window_limit": 64_000,
            "max_tokens": 16_384,
            "something_newer": {"than": "this server"},
        }
        answer = await client.http.patch(f"/v1/agents/{made.id}", json=body)
        assert answer.status_code == 200
        shown = answer.json()
        assert shown["llm_config"]["context_window"] == 64_000
        assert shown["model_settings"]["parallel_tool_calls"] is True


async def test_sets_of_tools_and_blocks_are_replaced(tmp_path):
    async with client_of(tmp_path) as client:
        block = await client.sdk.blocks.create(label="project", value="Loci")
        made = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "x"}])
        kept = made.tools[0]
        agent = await client.sdk.agents.update(made.id, tool_ids=[kept.id], block_ids=[block.id])
        assert [tool.id for tool in agent.tools] == [kept.id]
        assert [held.id for held in agent.blocks] == [block.id]
        assert (await client.sdk.blocks.retrieve(made.blocks[0].id)).value == "x"
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.update(made.id, name="Never", tool_ids=[f"tool-{MISSING}"])
        assert (await client.sdk.agents.retrieve(made.id)).name == made.name


async def test_secrets_are_replaced_as_a_whole_and_lie_sealed_on_the_disk(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(secrets={"A": "hush-hush-1"})
        agent = await client.sdk.agents.update(made.id, secrets={"B": "hush-hush-2", "C": ""})
        assert {item.key: item.value for item in agent.secrets or ()} == {"B": "hush-hush-2", "C": ""}
        listed = await client.get(f"/v1/agents/{made.id}/secrets")
        assert [(item["key"], item["value"]) for item in listed] == [("B", "hush-hush-2"), ("C", "")]
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert b"hush-hush" not in file.read_bytes(), file
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


async def test_secrets_are_there_after_a_restart(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(secrets={"A": "hush"})
    async with client_of(tmp_path) as client:
        assert (await client.get(f"/v1/agents/{made.id}/secrets"))[0]["value"] == "hush"


async def test_a_window_can_be_chosen_and_emptied(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(
            initial_message_sequence=[{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]
        )
        system, one, two = made.message_ids
        agent = await client.sdk.agents.update(made.id, message_ids=[system, two])
        assert agent.message_ids == [system, two]
        await client.sdk.agents.messages.reset(made.id, add_default_initial_messages=False)
        assert (await client.sdk.agents.retrieve(made.id)).message_ids == [system]
        listed = await client.sdk.agents.messages.list(made.id)
        assert [message.id for message in listed.items] == [system, one, two]


async def test_the_messages_of_another_agent_cannot_be_put_into_a_window(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        other = await client.sdk.agents.create(initial_message_sequence=[{"role": "user", "content": "Mine"}])
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.update(made.id, message_ids=other.message_ids)
        assert (await client.sdk.agents.retrieve(made.id)).message_ids == made.message_ids


async def test_a_window_in_use_is_not_taken_away(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        client.live.model.add([Wait(30), "Late."])
        run = await client.sdk.agents.messages.create_async(made.id, input="Hi")
        for change in ({"message_ids": made.message_ids}, {"name": "Never", "message_ids": made.message_ids}):
            with pytest.raises(letta_client.ConflictError):
                await client.sdk.agents.update(made.id, **change)
        with pytest.raises(letta_client.ConflictError):
            await client.sdk.agents.messages.reset(made.id)
        renamed = await client.sdk.agents.update(made.id, description="While it works.")
        assert (renamed.name, renamed.description) == (made.name, "While it works.")
        await client.sdk.agents.messages.cancel(made.id, run_ids=[run.id])


async def test_an_agent_can_be_deleted_while_it_works(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        client.live.model.add([Wait(30), "Late."])
        await client.sdk.agents.messages.create_async(made.id, input="Hi")
        await client.sdk.agents.delete(made.id)
        assert await client.get("/v1/agents/count") == 0


async def test_a_run_that_begins_just_before_its_agent_is_deleted_ends_as_cancelled(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        client.live.model.add([Wait(30), "Late."])
        free = threading.Event()
        held_up = asyncio.ensure_future(client.live.core.store.write(lambda tx: free.wait(20)))
        said = asyncio.ensure_future(client.sdk.agents.messages.create(made.id, input="Hi"))
        deleted = asyncio.ensure_future(client.sdk.agents.delete(made.id))
        for _ in range(10):  # both are on their way to the one writer, in this order
            await client.get("/v1/agents/count")
        free.set()
        answer, *_ = await asyncio.gather(said, deleted, held_up)
        assert answer.stop_reason.stop_reason == "cancelled"
        assert await client.get("/v1/agents/count") == 0
        assert await client.get("/v1/runs/") == []


async def test_changes_at_the_same_time_lose_none(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        await asyncio.gather(
            client.sdk.agents.update(made.id, name="Bea"),
            client.sdk.agents.update(made.id, description="New."),
            client.sdk.agents.update(made.id, tags=["t"]),
            client.sdk.agents.update(made.id, metadata={"k": 1}),
        )
        agent = await client.sdk.agents.retrieve(made.id, include=["agent.tags"])
        assert (agent.name, agent.description, agent.tags, agent.metadata) == ("Bea", "New.", ["t"], {"k": 1})


async def test_tags_in_use_are_listed_by_name(tmp_path):
    async with client_of(tmp_path) as client:
        await client.sdk.agents.create(tags=["b", "a"])
        await client.sdk.agents.create(tags=["c", "a"])
        assert await client.sdk.tags.list() == ["a", "b", "c"]
        assert await client.sdk.tags.list(limit=1, after="a") == ["b"]
        assert await client.sdk.tags.list(order="desc", before="a") == ["c", "b"]
        assert await client.sdk.tags.list(query_text="C") == ["c"]


async def test_the_prompt_is_compiled_when_asked(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(system="Be brief.", memory_blocks=[{"label": "human", "value": "old"}])
        await client.sdk.agents.blocks.update("human", agent_id=made.id, value="new words")
        before = (await client.sdk.agents.messages.list(made.id)).items[0].content
        dry = await client.sdk.agents.recompile(made.id, dry_run=True)
        assert (await client.sdk.agents.messages.list(made.id)).items[0].content == before
        text = json.loads(await client.sdk.agents.recompile(made.id))
        assert "new words" in dry
        assert "new words" in text
        assert (await client.sdk.agents.messages.list(made.id)).items[0].content == text
        again = await client.http.post(f"/v1/agents/{made.id}/system-prompt/recompile")
        assert "new words" in again.json()


async def test_the_context_adds_up(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(
            system="Be brief.", memory_blocks=[{"label": "human", "value": "Sam"}], context_window_limit=8_000
        )
        client.live.model.add("Hello.")
        await client.sdk.agents.messages.create(made.id, input="Hi")
        await client.sdk.agents.passages.create(made.id, text="A note")
        context = await client.get(f"/v1/agents/{made.id}/context")
        assert context["context_window_size_max"] == 8_000
        parts = sum(value for key, value in context.items() if key.startswith("num_tokens_"))
        assert context["context_window_size_current"] == parts > 0
        assert context["system_prompt"].startswith("Be brief.")
        assert "Sam" in context["core_memory"]
        assert {tool["function"]["name"] for tool in context["functions_definitions"]} == {
            tool.name for tool in made.tools
        }
        assert context["num_recall_memory"] == 2
        assert context["num_archival_memory"] == 1
        assert len(context["messages"]) == context["num_messages"]
        assert [(item["role"], item["content"][0]["text"]) for item in context["messages"]] == [
            ("user", "Hi"),
            ("assistant", "Hello."),
        ]


async def test_the_last_run_is_part_of_an_agent(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create()
        assert (made.last_run_completion, made.last_stop_reason) == (None, None)
        client.live.model.add("Hello.")
        await client.sdk.agents.messages.create(made.id, input="Hi")
        agent = await client.sdk.agents.retrieve(made.id)
        assert agent.last_stop_reason == "end_turn"
        assert agent.last_run_completion is not None
        assert agent.last_run_duration_ms is not None
        assert [found.id async for found in client.sdk.agents.list(last_stop_reason="end_turn")] == [made.id]
        assert [found.id async for found in client.sdk.agents.list(last_stop_reason="error")] == []


async def test_deleting_an_agent_keeps_its_blocks(tmp_path):
    async with client_of(tmp_path) as client:
        made = await client.sdk.agents.create(memory_blocks=[{"label": "human", "value": "Sam"}])
        await client.sdk.agents.delete(made.id)
        with pytest.raises(letta_client.NotFoundError):
            await client.sdk.agents.retrieve(made.id)
        assert (await client.sdk.blocks.retrieve(made.blocks[0].id)).value == "Sam"
        assert await client.get("/v1/agents/count") == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"tools": ["no_such_tool"]}, 400),
        ({"tool_ids": [f"tool-{MISSING}"]}, 404),
        ({"block_ids": [f"block-{MISSING}"]}, 404),
        ({"agent_type": "split_thread_agent"}, 400),
        ({"agent_type": "nonsense"}, 422),
        ({"name": ""}, 422),
        ({"name": "x" * 2_000}, 422),
        ({"context_window_limit": 0}, 422),
        ({"context_window_limit": 2**63}, 422),
        ({"max_tokens": -1}, 422),
        ({"model_settings": {"max_output_tokens": "many"}}, 422),
        ({"model_settings": {"temperature": []}}, 422),
        ({"tool_rules": [{"type": "no_such_rule", "tool_name": "x"}]}, 422),
        ({"memory_blocks": [{"label": ""}]}, 422),
        ({"memory_blocks": [{"label": "a", "limit": 0}]}, 422),
        ({"initial_message_sequence": [{"role": "nobody", "content": "x"}]}, 422),
        ({"metadata": "text"}, 422),
    ],
)
async def test_an_agent_that_cannot_be_made_is_refused_in_words_and_leaves_nothing(tmp_path, body, status):
    async with client_of(tmp_path) as client:
        answer = await client.http.post("/v1/agents/", json=body)
        assert answer.status_code == status, answer.text
        assert isinstance(answer.json()["detail"], str)
        assert await client.get("/v1/agents/count") == 0
        assert await client.get("/v1/blocks/count") == 0


@pytest.mark.parametrize("path", ["/v1/agents/nonsense", "/v1/agents/agent-1/context", "/v1/agents/block-" + MISSING])
async def test_a_malformed_id_gets_an_example_of_a_good_one(tmp_path, path):
    async with client_of(tmp_path) as client:
        answer = await client.http.get(path)
        assert answer.status_code == 422
        assert answer.json()["examples"][0].startswith("agent-")


async def test_every_route_of_an_agent_knows_when_there_is_none(tmp_path):
    async with client_of(tmp_path) as client:
        agent = f"/v1/agents/agent-{MISSING}"
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("GET", "/tools"),
            ("GET", "/core-memory"),
            ("GET", "/core-memory/blocks"),
            ("GET", "/core-memory/blocks/human"),
            ("GET", "/archival-memory"),
            ("GET", "/archival-memory/search?query=x"),
            ("GET", "/context"),
            ("GET", "/secrets"),
            ("POST", "/recompile"),
            ("PATCH", "/reset-messages"),
            ("PATCH", f"/core-memory/blocks/attach/block-{MISSING}"),
            ("PATCH", f"/tools/attach/tool-{MISSING}"),
        ):
            answer = await client.http.request(method, agent + path, json={} if method == "PATCH" else None)
            assert answer.status_code == 404, (method, path, answer.text)


async def test_models_and_health(tmp_path):
    async with client_of(tmp_path) as client:
        models = await client.sdk.models.list()
        assert [model.handle for model in models] == ["scripted/default"]
        assert models[0].max_context_window > 0
        assert await client.sdk.models.embeddings.list() == []
        health = await client.sdk.health()
        assert health.status == "ok"
        assert (await client.http.get("/v1/ready/")).status_code == 200
