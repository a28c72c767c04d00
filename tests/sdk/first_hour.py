"""What a newcomer does in the first hour, with the unmodified public client; run as a script against any address.

python tests/sdk/first_hour.py URL before      makes an agent, uses all of it, prints its id
python tests/sdk/first_hour.py URL after ID    the same agent after a restart: nothing is missing
"""

import sys
from typing import Any

from letta_client import Letta

REMEMBER = """Please remember this.
@think She wants to be remembered.
@call memory_insert {"label": "human", "new_string": "Name: Ada. Lives in Porto."}
@then
@say I will."""


def make(client: Letta) -> str:
    agent = client.agents.create(
        model="scripted/default",
        memory_blocks=[
            {"label": "human", "value": "Nothing is known yet."},
            {"label": "persona", "value": "I am attentive."},
        ],
        tools=["archival_memory_insert", "archival_memory_search"],
    )
    assert {block.label for block in agent.blocks} == {"human", "persona"}
    return agent.id


def talk(client: Letta, agent_id: str) -> None:
    answer = client.agents.messages.create(agent_id, messages=[{"role": "user", "content": REMEMBER}])
    kinds = [message.message_type for message in answer.messages]
    assert kinds == ["reasoning_message", "tool_call_message", "tool_return_message", "assistant_message"], kinds
    assert answer.stop_reason.stop_reason == "end_turn"
    assert answer.usage.step_count == 2
    block = client.agents.blocks.retrieve("human", agent_id=agent_id)
    assert block.value == "Nothing is known yet.\nName: Ada. Lives in Porto.", block.value


def stream(client: Letta, agent_id: str) -> None:
    pieces: list[Any] = list(
        client.agents.messages.create(
            agent_id,
            messages=[{"role": "user", "content": "@think Hm, a list.\n@say one two three four"}],
            streaming=True,
            stream_tokens=True,
        )
    )
    said = [piece for piece in pieces if piece.message_type == "assistant_message"]
    assert len(said) > 1, "words came one by one"
    assert "".join(piece.content for piece in said) == "one two three four"
    assert len({piece.id for piece in said}) == 1
    thought = "".join(piece.reasoning for piece in pieces if piece.message_type == "reasoning_message")
    assert thought == "Hm, a list."
    assert [piece.message_type for piece in pieces][-2:] == ["stop_reason", "usage_statistics"]


def archive(client: Letta, agent_id: str) -> None:
    client.agents.passages.create(agent_id, text="Ada's cello was made in Cremona in 1751.", tags=["music"])
    client.agents.passages.create(agent_id, text="The roof was mended in May.", tags=["house"])
    call = '@call archival_memory_insert {"content": "Ada plays on Tuesdays.", "tags": ["music"]}\n@then\n@say Kept.'
    client.agents.messages.create(agent_id, input=call)
    found = client.agents.passages.search(agent_id, query="an old instrument, the cello")
    assert found.results[0].content == "Ada's cello was made in Cremona in 1751.", found
    tagged = client.agents.passages.search(agent_id, query="when", tags=["music"])
    assert {item.content for item in tagged.results} == {
        "Ada's cello was made in Cremona in 1751.",
        "Ada plays on Tuesdays.",
    }
    assert len(client.agents.passages.list(agent_id)) == 3


def pages(client: Letta, agent_id: str) -> list[str]:
    """Every message once, page by page, in both orders."""
    forward = [message.id for message in client.agents.messages.list(agent_id, limit=3, order="asc")]
    backward = [message.id for message in client.agents.messages.list(agent_id, limit=3, order="desc")]
    distinct = list(dict.fromkeys(forward))
    assert set(forward) == set(backward)
    assert len(distinct) >= 8, distinct
    return distinct


def before(client: Letta) -> str:
    agent_id = make(client)
    talk(client, agent_id)
    stream(client, agent_id)
    archive(client, agent_id)
    pages(client, agent_id)
    assert agent_id in [agent.id for agent in client.agents.list()]
    client.agents.messages.compact(agent_id)
    return agent_id


def after(client: Letta, agent_id: str) -> None:
    block = client.agents.blocks.retrieve("human", agent_id=agent_id)
    assert "Name: Ada. Lives in Porto." in block.value
    assert len(client.agents.passages.list(agent_id)) == 3
    pages(client, agent_id)
    answer = client.agents.messages.create(agent_id, input="@say Still here.")
    last: Any = answer.messages[-1]
    assert last.content == "Still here."


def main() -> None:
    client = Letta(base_url=sys.argv[1], api_key="none")
    if sys.argv[2] == "before":
        print(before(client))
    else:
        after(client, sys.argv[3])
        print("ok")


if __name__ == "__main__":
    main()
