"""What a client asks for is done, or refused with a reason: no field that means something is ignored."""

import pytest

from loci.model.embed import BuiltInEmbedder
from tests.api.clients import client_of
from tests.api.talk import talking


async def test_types_of_messages_that_there_are_none_of(tmp_path):
    async with talking(tmp_path) as talk:
        path, bogus = f"/v1/agents/{talk.agent_id}/messages", ["bogus"]
        said = await talk.http.post(path, json={"input": "Hi", "include_return_message_types": bogus})
        listed = await talk.http.get(path, params={"include_return_message_types": bogus})
        for refused in (said, listed):
            assert refused.status_code == 422
            assert "'assistant_message'" in refused.text


@pytest.mark.parametrize(
    ("asked", "passing"),
    [("return_logprobs", False), ("top_logprobs", None), ("return_token_ids", False), ("enable_thinking", "true")],
)
async def test_what_an_answer_cannot_hold_is_not_promised(tmp_path, asked, passing):
    async with talking(tmp_path) as talk:
        path = f"/v1/agents/{talk.agent_id}/messages"
        refused = await talk.http.post(path, json={"input": "Hi", asked: asked != "enable_thinking"})
        assert refused.status_code == 422
        assert asked in refused.text or "model_settings" in refused.text
        talk.plays("Hello.")
        assert (await talk.http.post(path, json={"input": "Hi", asked: passing})).status_code == 200


async def test_an_agent_is_not_made_from_a_template_by_the_way(tmp_path):
    async with client_of(tmp_path) as client:
        for field in ({"from_template": "helper:1"}, {"template": True}, {"memory_variables": {"name": "Sam"}}):
            refused = await client.http.post("/v1/agents", json=field)
            assert refused.status_code == 422
            assert "POST /v1/templates/{template_version}/agents" in refused.text
        plain = {"from_template": None, "template": False, "memory_variables": {}}
        assert (await client.http.post("/v1/agents", json=plain)).status_code == 200


async def test_the_older_words_for_thinking(tmp_path):
    async with client_of(tmp_path) as client:
        body = {"enable_reasoner": False, "max_reasoning_tokens": 2048}
        made = (await client.http.post("/v1/agents", json=body)).json()
        assert made["llm_config"]["max_reasoning_tokens"] == 2048
        assert made["llm_config"]["enable_reasoner"] is False
        assert made["model_settings"]["reasoning"] == {"reasoning_effort": "none"}
        effort = {"model_settings": {"reasoning": {"reasoning_effort": "low"}}, "enable_reasoner": True}
        changed = (await client.http.patch(f"/v1/agents/{made['id']}", json=effort)).json()
        assert changed["model_settings"]["reasoning"] == {"reasoning_effort": "low"}


async def test_pieces_of_files_have_one_size_and_a_folder_one_model(tmp_path):
    async with client_of(tmp_path, embedder=BuiltInEmbedder()) as client:
        for size in ({"embedding_chunk_size": 77}, {"embedding_config": {"embedding_chunk_size": 77}}):
            refused = await client.http.post("/v1/folders", json={"name": "Books", **size})
            assert (refused.status_code, "about 300" in refused.text) == (422, True)
        made = (await client.http.post("/v1/folders", json={"name": "Books", "embedding_chunk_size": 300})).json()
        path, config = f"/v1/folders/{made['id']}", made["embedding_config"]
        assert (await client.http.patch(path, json={"name": "Tales", "embedding_config": config})).is_success
        other = {"embedding_config": {**config, "handle": "openai/other"}}
        assert (await client.http.patch(path, json=other)).status_code == 422
        plain = (await client.http.post("/v1/folders", json={"name": "Words", "embedding": None})).json()
        echo = {"embedding_config": plain["embedding_config"]}
        assert (await client.http.patch(f"/v1/folders/{plain['id']}", json=echo)).is_success
