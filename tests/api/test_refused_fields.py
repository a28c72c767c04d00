"""What a client asks for is done, or refused with a reason: no field that means something is ignored."""

from tests.api.talk import talking


async def test_types_of_messages_that_there_are_none_of(tmp_path):
    async with talking(tmp_path) as talk:
        path, bogus = f"/v1/agents/{talk.agent_id}/messages", ["bogus"]
        said = await talk.http.post(path, json={"input": "Hi", "include_return_message_types": bogus})
        listed = await talk.http.get(path, params={"include_return_message_types": bogus})
        for refused in (said, listed):
            assert refused.status_code == 422
            assert "'assistant_message'" in refused.text
