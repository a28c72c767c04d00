"""A background stream can be taken up again at any number: no gap, nothing twice, whatever became of run or server."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loci.api.streams import Streams
from loci.clock import FakeClock
from loci.errors import BadRequest, Gone, NotFound
from loci.store import messages
from loci.types.events import Event, MessageStored
from loci.types.messages import Role, Text
from loci.types.runs import StopReason
from tests.api.said import AT, RUN, called, delta, ended, message, returned, said
from tests.api.stored import ACTOR, HandMadeRun, a_run, a_store, end_run, store_run

BY_TOKENS = {"stream_tokens": True}
EVENTS: list[Event] = [
    called(2, "search", "{}"),
    returned(3, "call-2", "search", "found"),
    delta(4, "Hel"),
    delta(4, "lo."),
    said(4, "Hello.", streamed=True),
    ended(),
]


def streams_on(store: Any, clock: Any = None) -> Streams:
    return Streams(store, clock or FakeClock(AT), retention_s=100)


async def read(
    streams: Streams, starting_after: int = 0, limit: int | None = None, **options: Any
) -> list[dict[str, Any]]:
    run = await streams.check(ACTOR, RUN)
    items: list[dict[str, Any]] = []
    async for write in streams.follow(ACTOR, run, starting_after, **options):
        for event in write.split(b"\n\n")[:-1]:
            items.append(orjson.loads(event.removeprefix(b"event: error\n").removeprefix(b"data: ")))
            if len(items) == limit:
                return items
    return items


def told(item: dict[str, Any]) -> Any:
    return item.get("content") or item["message_type"]


WHOLE = [
    (1, "tool_call_message"),
    (2, "tool_return_message"),
    (3, "Hel"),
    (4, "lo."),
    (None, "stop_reason"),
    (None, "usage_statistics"),
]


def brief(items: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(item.get("seq_id"), told(item)) for item in items]


@asynccontextmanager
async def a_running_stream():
    async with a_store() as store:
        run = await store_run(store, a_run(request=BY_TOKENS))
        streams, live = streams_on(store), HandMadeRun(run)
        streams.observe(ACTOR, live)
        yield store, streams, live
        await streams.close()


async def test_a_stream_is_numbered_from_one_and_ends():
    async with a_running_stream() as (_, streams, live):
        live.say(*EVENTS)
        assert brief(await read(streams)) == WHOLE


async def test_it_can_be_taken_up_at_every_number_live_and_afterwards():
    async with a_running_stream() as (store, streams, live):
        followers = [asyncio.ensure_future(read(streams, cut)) for cut in range(5)]
        for event in EVENTS:
            live.say(event)
            await asyncio.sleep(0.002)
        await end_run(store, live.run, ended())
        for cut, follower in enumerate(followers):
            assert brief(await follower) == WHOLE[cut:]
        again = streams_on(store)
        for cut in range(len(EVENTS)):
            assert brief(await read(again, cut)) == WHOLE[cut:]
            assert brief(await read(again, cut, batch_rows=1)) == WHOLE[cut:]


@given(st.lists(st.integers(1, 6), max_size=4), st.permutations([0, 0, 0, 1, 1, 2]))
async def test_a_client_that_is_cut_off_again_and_again_misses_nothing(cuts, pauses):
    async with a_running_stream() as (_, streams, live):
        saying = asyncio.ensure_future(say_slowly(live, pauses))
        seen: list[dict[str, Any]] = []
        for cut in cuts:
            seen += await read(streams, last_number(seen), limit=cut)
            seen = [item for item in seen if item.get("seq_id")]  # a client that saw the ending would not ask again
        seen += await read(streams, last_number(seen))
        await saying
        assert brief(seen) == WHOLE


async def say_slowly(live: HandMadeRun, pauses: list[int]) -> None:
    for event, pause in zip(EVENTS, pauses, strict=True):
        for _ in range(pause * 3):
            await asyncio.sleep(0)
        live.say(event)


def last_number(seen: list[dict[str, Any]]) -> int:
    return max((item["seq_id"] for item in seen if item.get("seq_id")), default=0)


async def test_nothing_is_passed_on_that_is_not_stored():
    async with a_running_stream() as (store, streams, live):
        live.say(*EVENTS[:3])
        (first, *_) = await read(streams, limit=1)
        stored = await streams_on(store)._store.read(lambda tx: tx.all("select seq_id from run_events order by 1"))
        assert first["seq_id"] in [row["seq_id"] for row in stored]


async def test_after_a_crash_the_stream_goes_on_with_what_was_stored_but_not_told():
    async with a_store() as store:
        run = await store_run(store, a_run(request=BY_TOKENS))
        before, live = streams_on(store), HandMadeRun(run)
        before.observe(ACTOR, live)
        live.say(*EVENTS[:3])
        head = await read(before, limit=3)
        await before.close()  # the server dies; the step that was being told is committed all the same
        tail = [event.message for event in EVENTS if isinstance(event, MessageStored)]
        await store.write(messages.insert, ACTOR, tail)

        after, resumed = streams_on(store), HandMadeRun(run)
        after.observe(ACTOR, resumed)
        resumed.say(said(5, "And more."), ended())
        assert brief(head + await read(after, 3)) == [
            *WHOLE[:4],
            (5, "And more."),
            *WHOLE[4:],
        ]
        await after.close()


async def test_a_message_stored_while_its_recorder_starts_is_told_once():
    async with a_store() as store:
        run = await store_run(store, a_run(request=BY_TOKENS))
        event = said(4, "Hello.", streamed=True)
        await store.write(messages.insert, ACTOR, [event.message])
        streams, live = streams_on(store), HandMadeRun(run)
        streams.observe(ACTOR, live)
        live.say(delta(4, "Hel"), delta(4, "lo."), event, ended())
        assert brief(await read(streams)) == [(1, "Hello."), *WHOLE[4:]]
        await streams.close()


@pytest.mark.parametrize("cut", range(5))
async def test_a_run_that_ended_unrecorded_is_completed_when_asked_for(cut):
    async with a_store() as store:
        run = await store_run(store, a_run(request=BY_TOKENS))
        before, live = streams_on(store), HandMadeRun(run)
        before.observe(ACTOR, live)
        live.say(*EVENTS[:cut])
        head = await read(before, limit=cut) if cut else []
        await before.close()
        tail = [event.message for event in EVENTS if isinstance(event, MessageStored)]
        await store.write(messages.insert, ACTOR, tail)
        await end_run(store, run, ended())

        streams = streams_on(store)
        rest = await asyncio.gather(*[read(streams, len(head)) for _ in range(3)])
        assert rest[0] == rest[1] == rest[2]
        whole = brief(head + rest[0])
        assert "".join(word for number, word in whole[2:-2]) == "Hello."
        assert [number for number, _ in whole[:-2]] == list(range(1, len(whole) - 1))
        assert whole[:2] + whole[-2:] == WHOLE[:2] + WHOLE[-2:]


async def test_the_error_of_a_failed_run_is_told_again():
    async with a_store() as store:
        run = await store_run(store, a_run(request=BY_TOKENS))
        await end_run(store, run, ended(StopReason.LLM_API_ERROR, error_type="llm_timeout", message="No answer."))
        assert [(told(item), item.get("error_type")) for item in await read(streams_on(store))] == [
            ("stop_reason", None),
            ("error_message", "llm_timeout"),
        ]


async def test_a_run_in_the_foreground_has_no_stream():
    async with a_store() as store:
        await store_run(store, a_run(background=False))
        streams, live = streams_on(store), HandMadeRun(a_run(background=False))
        streams.observe(ACTOR, live)
        with pytest.raises(BadRequest, match="background"):
            await streams.check(ACTOR, RUN)
        with pytest.raises(NotFound):
            await streams.check(ACTOR, "run-00000000-0000-4000-8000-00000000bbbb")


async def test_streams_expire():
    clock = FakeClock(AT)
    async with a_running_stream() as (store, _, live):
        streams = streams_on(store, clock)
        live.say(said(1, "Hi."), ended())
        await read(streams)
        assert await streams.purge() == 0
        await end_run(store, live.run, ended(), AT + timedelta(seconds=1))
        clock.advance(100)
        assert await streams.purge() == 0
        await streams.check(ACTOR, RUN)
        clock.advance(2)
        assert await streams.purge() == 3
        with pytest.raises(Gone):
            await streams.check(ACTOR, RUN)


async def test_a_message_of_the_user_is_not_told():
    async with a_running_stream() as (_, streams, live):
        live.say(MessageStored(message=message(1, Role.USER, Text("Hi"))), ended())
        assert brief(await read(streams)) == WHOLE[4:]
