"""Whoever turns pages by the rules of their client sees each message once and comes to an end."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.api.message_pages import MessagePage, wire_page
from loci.api.wire_messages import PLAIN_VIEW, View
from loci.errors import NotFound
from loci.store import approvals, messages
from loci.store.messages import MessageFilter
from loci.types.messages import Role, Text, ToolCall, ToolResult
from loci.types.runs import Approval
from tests.api.said import AGENT, AT, RUN, message, message_id
from tests.api.stored import ACTOR, CONVERSATION, a_run, a_store, store_run

HERE = MessageFilter(conversation_id=CONVERSATION)


def some_message(number: int) -> Any:
    match number % 4:
        case 0:
            return message(number, Role.USER, Text(f"{number}"))
        case 1:
            return message(number, Role.ASSISTANT, Text(f"{number}"), ToolCall(f"call-{number}", "search", "{}"))
        case 2:
            return message(number, Role.TOOL, ToolResult(f"call-{number - 1}", "search", "x"))
        case _:
            return message(number, Role.ASSISTANT, Text(f"{number}"))


async def turn(store: Any, *, follow: Any, view: View = PLAIN_VIEW, **wanted: Any) -> list[str]:
    """The ids of all pages, as a client sees them that makes its next cursor from the last page."""
    seen: list[str] = []
    for _ in range(100):
        page = await store.read(wire_page, ACTOR, HERE, MessagePage(**wanted), view)
        if not page:
            return seen
        ids = list(dict.fromkeys(item["id"] for item in page))
        assert len(ids) <= wanted.get("limit_rows", 100)
        seen += ids
        wanted |= follow(ids)
    raise AssertionError("no end")


def onwards(ids: list[str]) -> dict[str, str]:
    return {"after": ids[-1]}


COUNTS = st.integers(0, 23)
LIMITS = st.integers(1, 9)


@given(COUNTS, LIMITS)
async def test_every_way_of_turning_pages_sees_all_once(count, limit):
    async with a_store() as store:
        await store.write(messages.insert, ACTOR, [some_message(number) for number in range(count)])
        everything = [message_id(number) for number in range(count)]

        assert await turn(store, follow=onwards, order="asc", limit_rows=limit) == everything
        assert await turn(store, follow=onwards, order="desc", limit_rows=limit) == everything[::-1]
        letta_code = await turn(store, follow=lambda ids: {"before": ids[-1]}, order="desc", limit_rows=limit)
        assert letta_code == everything[::-1]
        if count:
            below = await turn(store, follow=onwards, after=everything[0], limit_rows=limit)
            assert below == everything[1:]
            for order in (None, "asc"):
                above = await turn(
                    store,
                    follow=lambda ids: {"before": ids[0]},
                    order=order,
                    before=everything[-1],
                    limit_rows=limit,
                )
                assert sorted(above) == everything[:-1]
        speech = View(types=frozenset({"assistant_message"}))
        said = [message_id(number) for number in range(count) if number % 4 in {1, 3}]
        assert await turn(store, follow=onwards, order="desc", limit_rows=limit, view=speech) == said[::-1]


async def test_without_an_order_a_page_is_the_newest_and_reads_downwards():
    async with a_store() as store:
        await store.write(messages.insert, ACTOR, [some_message(number) for number in range(8)])

        async def page(**wanted: Any) -> list[str]:
            items = await store.read(wire_page, ACTOR, HERE, MessagePage(limit_rows=2, **wanted), View())
            return list(dict.fromkeys(str(item["id"]) for item in items))

        ids = [message_id(number) for number in range(8)]
        assert await page() == ids[6:]
        assert await page(before=ids[6]) == ids[4:6]
        assert await page(after=ids[0]) == ids[1:3]
        assert await page(after=ids[0], before=ids[2]) == ids[1:2]
        assert await page(order="asc") == ids[:2]
        assert await page(order="desc") == [ids[7], ids[6]]


async def test_parts_of_a_message_stand_in_the_order_of_the_page():
    async with a_store() as store:
        await store.write(messages.insert, ACTOR, [some_message(1)])

        async def types(**wanted: Any) -> list[Any]:
            items = await store.read(wire_page, ACTOR, HERE, MessagePage(**wanted), View())
            return [item["message_type"] for item in items]

        assert await types() == ["assistant_message", "tool_call_message"]
        assert await types(order="desc") == ["tool_call_message", "assistant_message"]


async def test_calls_that_were_asked_for_are_listed_as_questions():
    async with a_store() as store:
        await store_run(store, a_run())
        question = Approval(
            call_id="call-1",
            conversation_id=CONVERSATION,
            agent_id=AGENT,
            run_id=RUN,
            message_id=message_id(1),
            tool_name="search",
            arguments="{}",
            kind="approval",
        )
        await store.write(messages.insert, ACTOR, [some_message(1), some_message(5)])
        await store.write(approvals.insert, ACTOR, [question], AT)
        items = await store.read(wire_page, ACTOR, HERE, MessagePage(), View())
        assert [item["message_type"] for item in items] == [
            "assistant_message",
            "approval_request_message",
            "assistant_message",
            "tool_call_message",
        ]


async def test_a_cursor_that_is_no_message_is_not_found():
    async with a_store() as store:
        with pytest.raises(NotFound):
            await store.read(wire_page, ACTOR, HERE, MessagePage(after=message_id(1)), View())
