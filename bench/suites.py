"""What is measured, one function each: a target in, rows of numbers out.

Every number is a median or a percentile of many, and what is short is done several times over, target after target in
one process, so that the ratios between targets mean something even on a noisy machine.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import httpx2

from bench.target import Target, cpu_s

WARM_UP = 5
IDLE_SHARE = 0.06
"""A server that uses less of a processor than that has nothing left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One number. `better` says in which direction."""

    name: str
    value: float
    unit: str
    better: str = "less"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done: a quick look, or the whole of it."""

    rounds: int = 3
    """How often what is short is done; the median counts."""
    turns: int = 200
    seconds: float = 5.0
    agents: tuple[int, ...] = (1, 8, 32, 64)
    history: tuple[int, ...] = (10, 100, 1_000, 5_000)
    passages: tuple[int, ...] = (1_000, 10_000, 100_000)
    searches: int = 100


QUICK = Size(rounds=1, turns=60, seconds=2.0, agents=(1, 8, 32), history=(10, 200), passages=(1_000,), searches=40)


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds that a call took."""
    began_s = time.perf_counter()
    await call()
    return (time.perf_counter() - began_s) * 1_000


async def _turn(http: httpx2.AsyncClient, agent_id: str, words: str = "Hello") -> None:
    answer = await http.post(f"/v1/agents/{agent_id}/messages", json={"messages": [{"role": "user", "content": words}]})
    answer.raise_for_status()


async def _settled(target: Target) -> None:
    """Wait until the server has done what it does in the background after much was said, or for half a minute."""
    for _ in range(60):
        before = target.cpu_s()
        await asyncio.sleep(0.5)
        after = target.cpu_s()
        if before is None or after is None or after - before < IDLE_SHARE * 0.5:
            return


async def turn(target: Target, size: Size) -> list[Row]:
    """A plain blocking turn: what the server adds to a model that answers at once."""
    async with target.client() as http:
        agent_id = await target.new_agent(http)
        for _ in range(WARM_UP):
            await _turn(http, agent_id)
        before = target.cpu_s()
        taken = [await timed(lambda: _turn(http, agent_id)) for _ in range(size.turns)]
        after = target.cpu_s()
    rows = [
        Row(name="turn p50", value=percentile(taken, 0.5), unit="ms"),
        Row(name="turn p95", value=percentile(taken, 0.95), unit="ms"),
    ]
    if before is not None and after is not None:
        rows.append(Row(name="turn, server CPU", value=(after - before) * 1_000 / size.turns, unit="ms"))
    return rows


async def stream(target: Target, size: Size) -> list[Row]:
    """A streamed turn: time to the first word, and to the end."""
    first: list[float] = []
    whole: list[float] = []
    body = {"messages": [{"role": "user", "content": "Hello"}], "streaming": True, "stream_tokens": True}
    async with target.client() as http:
        agent_id = await target.new_agent(http)
        for number in range(size.turns // 4 + WARM_UP):
            began_s = time.perf_counter()
            seen_s = 0.0
            async with http.stream("POST", f"/v1/agents/{agent_id}/messages", json=body) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    if not seen_s and '"assistant_message"' in line:
                        seen_s = time.perf_counter()
            if number >= WARM_UP:
                whole.append((time.perf_counter() - began_s) * 1_000)
                first.append((seen_s - began_s) * 1_000)
    return [
        Row(name="stream, first word p50", value=percentile(first, 0.5), unit="ms"),
        Row(name="stream, whole p50", value=percentile(whole, 0.5), unit="ms"),
    ]


async def throughput(target: Target, size: Size) -> list[Row]:
    """Turns a second with many agents at once, each waiting for its own answer."""
    rows: list[Row] = []
    for count in size.agents:
        async with target.client() as http:
            agents = [await target.new_agent(http) for _ in range(count)]
            for agent_id in agents:
                await _turn(http, agent_id)
            await _settled(target)
            done = 0
            before = target.cpu_s()
            until_s = time.perf_counter() + size.seconds

            async def talk(agent_id: str, http: httpx2.AsyncClient = http, until_s: float = until_s) -> None:
                nonlocal done
                while time.perf_counter() < until_s:
                    await _turn(http, agent_id)
                    done += 1

            took_ms = await timed(lambda agents=agents, talk=talk: asyncio.gather(*map(talk, agents)))
            await _settled(target)  # what a turn leaves to be done later is a part of it
            after = target.cpu_s()
        rows.append(Row(name=f"turns/s, {count} agents", value=done / took_ms * 1_000, unit="/s", better="more"))
        if before is not None and after is not None:
            own = (after - before) * 1_000 / done
            rows.append(Row(name=f"turn of one of {count} agents, server CPU", value=own, unit="ms"))
    return rows


async def history(target: Target, size: Size) -> list[Row]:
    """How a turn grows with the messages behind it."""
    rows: list[Row] = []
    async with target.client() as http:
        agent_id = await target.new_agent(http)
        said = 0
        for length in size.history:
            while said < length:
                await _turn(http, agent_id, f"message {said}")
                said += 2
            await _settled(target)
            before, model = target.cpu_s(), target.model_pid
            read_s = None if model is None else cpu_s(model)
            taken = [await timed(lambda: _turn(http, agent_id)) for _ in range(min(size.turns, 50))]
            after = target.cpu_s()
            said += 2 * len(taken)
            p50 = percentile(taken, 0.5)
            rows.append(Row(name=f"turn after {length} messages p50", value=p50, unit="ms"))
            if model is not None and read_s is not None:
                read_ms = (cpu_s(model) - read_s) * 1_000 / len(taken)
                name = f"turn after {length} messages p50, without what the model took to read"
                rows.append(Row(name=name, value=p50 - read_ms, unit="ms"))
            if before is not None and after is not None:
                own = (after - before) * 1_000 / len(taken)
                rows.append(Row(name=f"turn after {length} messages, server CPU", value=own, unit="ms"))
    return rows


async def agents(target: Target, size: Size) -> list[Row]:
    """Agents made a second, and reading them."""
    count = size.turns
    async with target.client() as http:
        await target.new_agent(http)
        took_ms = await timed(lambda: _made(target, http, count))
        agent_id = target.agents[-1]
        read = [await timed(lambda: http.get(f"/v1/agents/{agent_id}")) for _ in range(50)]
        listed = [await timed(lambda: http.get("/v1/agents/", params={"limit": 50})) for _ in range(20)]
    return [
        Row(name="agents made", value=count / took_ms * 1_000, unit="/s", better="more"),
        Row(name="agent read p50", value=percentile(read, 0.5), unit="ms"),
        Row(name="50 agents listed p50", value=percentile(listed, 0.5), unit="ms"),
    ]


async def _made(target: Target, http: httpx2.AsyncClient, count: int) -> None:
    left = iter(range(count))

    async def make() -> None:
        for _ in left:
            await target.new_agent(http)

    await asyncio.gather(*(make() for _ in range(8)))


_THEMES = [
    "garden",
    "river",
    "letter",
    "winter",
    "engine",
    "doctor",
    "market",
    "island",
    "window",
    "pepper",
    "violin",
    "ladder",
    "forest",
    "silver",
    "bridge",
]


def _passage(number: int, chance: random.Random) -> str:
    words = " ".join(chance.choice(_THEMES) + str(chance.randrange(500)) for _ in range(12))
    return f"Note {number}: {words}."


async def archival(target: Target, size: Size) -> list[Row]:
    """Archival memory: inserting, and searching among 1,000 to 100,000 passages."""
    rows: list[Row] = []
    chance = random.Random(7)
    async with target.client() as http:
        agent_id = await target.new_agent(http)
        stored = 0

        async def insert(number: int) -> None:
            text = _passage(number, chance)
            answer = await http.post(f"/v1/agents/{agent_id}/archival-memory", json={"text": text})
            answer.raise_for_status()

        async def search() -> None:
            query = f"{chance.choice(_THEMES)}{chance.randrange(500)} {chance.choice(_THEMES)}{chance.randrange(500)}"
            path = f"/v1/agents/{agent_id}/archival-memory/search"
            (await http.get(path, params={"query": query, "top_k": 10})).raise_for_status()

        for count in size.passages:
            began_s = time.perf_counter()
            begun = stored
            while stored < count:
                step = min(64, count - stored)
                await asyncio.gather(*(insert(stored + n) for n in range(step)))
                stored += step
            rate = (stored - begun) / (time.perf_counter() - began_s)
            rows.append(Row(name=f"passages inserted, up to {count}", value=rate, unit="/s", better="more"))
            await search()
            await _settled(target)
            taken = [await timed(search) for _ in range(size.searches)]
            rows.append(Row(name=f"search in {count} p50", value=percentile(taken, 0.5), unit="ms"))
            rows.append(Row(name=f"search in {count} p95", value=percentile(taken, 0.95), unit="ms"))
    return rows


async def resources(target: Target, size: Size) -> list[Row]:  # noqa: ARG001  the same for every size
    """Start-up and memory, where the benchmark can see the process."""
    rows: list[Row] = []
    if target.started_s is not None:
        rows.append(Row(name="ready after", value=target.started_s, unit="s"))
    rss = target.rss_mb()
    if rss is not None:
        rows.append(Row(name="resident memory", value=rss, unit="MB"))
    return rows


Suite = Callable[[Target, Size], Awaitable[list[Row]]]
SUITES: dict[str, Suite] = {
    "resources": resources,
    "turn": turn,
    "stream": stream,
    "throughput": throughput,
    "history": history,
    "agents": agents,
    "archival": archival,
}
SHORT = frozenset({"turn", "stream", "throughput", "agents"})
"""Suites that are short enough to be done in several rounds."""


def medians(rounds: list[list[Row]]) -> list[Row]:
    """One row for all that have the same name."""
    return [
        replace(row, value=percentile([each.value for rows in rounds for each in rows if each.name == row.name], 0.5))
        for row in rounds[0]
    ]
