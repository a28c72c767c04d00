"""Nothing wedges a conversation: whatever was done before, a next message is taken, or refused with what is awaited.

A state machine drives a real server: messages, answers of every kind, wrong and repeated ones, cancelling, two clients
at once, forks, compaction, tools that come and go, and death at any write. LOCI_WEDGE_STEPS sets how many steps it
takes altogether.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from loci.agent.opening import load_window
from loci.agent.turn import Caches
from loci.app import build
from loci.config import Settings
from loci.store import approvals, conversations, messages
from loci.store.messages import MessageFilter
from loci.types.actor import Actor
from loci.types.paging import Page
from tests.flow.wedge import ARGUMENTS, ASKED, CLIENT, CLIENT_TOOL, House

T = TypeVar("T")
ACTOR = Actor()
STEPS = int(os.environ.get("LOCI_WEDGE_STEPS", "300"))
STEPS_EACH = 30
APP = build(Settings(home=Path(), database_url=""))
CONVERSATIONS_MAX = 5
WITHIN_S = 20.0
"""Nothing may take longer than this."""

PLANS = st.lists(
    st.one_of(
        st.just(("fail",)),
        st.lists(st.sampled_from(sorted(ARGUMENTS)), min_size=1, max_size=3).map(tuple),
    ),
    max_size=2,
)
PLACES = st.integers(0, CONVERSATIONS_MAX - 1)
KINDS = st.sampled_from(["approve", "deny", "mixed", "wrong", "half"])


class Wedge(RuleBasedStateMachine):
    """One agent, some conversations, and everything that clients do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _loop, _context: None)  # tasks of a dead server die unheard
        self.folder = tempfile.TemporaryDirectory()
        self.house = House(Path(self.folder.name), APP)
        self.threads: list[str] = ["default"]
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answered: list[tuple[str, dict[str, Any]]] = []
        self.number = 0
        self.under_way: list[asyncio.Task[httpx2.Response | None]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, WITHIN_S))

    @initialize()
    def begin(self) -> None:
        self.run(self.house.open())

    # ------------------------------------------------------------------------------------------------- what clients do

    @rule(place=PLACES, plans=PLANS)
    def say(self, place: int, plans: list[tuple[str, ...]]) -> None:
        """The promise itself: taken, or told what is awaited; and what is told is enough to go on."""
        thread = self.thread(place)
        self.plan(plans)
        answer = self.send(thread, self.words())
        if answer is not None and answer.status_code == 409:
            self.clear(thread, answer, approve=place % 2 == 0)
            again = self.send(thread, self.words())
            if again is not None and again.status_code == 409:  # a tool that came back asks in its turn
                self.clear(thread, again, approve=False)
                again = self.send(thread, self.words())
            assert again is not None
            assert again.status_code == 200, again.text

    @rule(place=PLACES, kind=KINDS, with_words=st.booleans(), plans=PLANS)
    def answer(self, place: int, kind: str, with_words: bool, plans: list[tuple[str, ...]]) -> None:
        thread = self.thread(place)
        waiting = self.run(self.pending(thread))
        self.plan(plans)
        replies = [self.reply(item, kind, number) for number, item in enumerate(waiting)]
        if kind == "half":
            replies = replies[: len(replies) // 2]
        if kind == "wrong" or not replies:
            replies = [*replies[1:], {"type": "approval", "tool_call_id": "call-none", "approve": True}]
        said: list[dict[str, Any]] = [{"type": "approval", "approvals": replies, "otid": f"a-{self.count()}"}]
        if with_words:
            said.append(self.words())
        got = self.send(thread, *said)
        right = {item.call_id for item in waiting} == {reply["tool_call_id"] for reply in replies}
        if got is not None and not self.busy(thread):
            assert (got.status_code == 200 or is_model_failure(got)) == right, got.text
        if got is not None and right:
            self.answered.append((thread, {"messages": said}))

    @rule(which=st.integers(0, 100), answers=st.booleans())
    def replay(self, which: int, answers: bool) -> None:
        """A request that comes twice is carried out once."""
        known = self.answered if answers and self.answered else self.sent or self.answered
        if not known:
            return
        thread, body = known[which % len(known)]
        self.let_go_on()
        before = self.run(self.everything())
        got = self.send_body(thread, body)
        assert got is not None
        if got.status_code == 200:
            after = self.run(self.everything())
            fresh = [item for item in after if item.id not in {old.id for old in before}]
            stored = [item.otid for item in before]
            if all(item.get("otid") in stored for item in body["messages"]):
                assert fresh == []

    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        thread = self.thread(place)
        got = self.run(self.house.post(f"/v1/conversations/{thread}/cancel", self.named(thread)))
        assert got is not None
        assert got.status_code in {200, 409}, got.text
        if got.status_code == 200:
            assert self.run(self.pending(thread)) == []

    @rule(place=PLACES, plans=PLANS)
    def two_clients_at_once(self, place: int, plans: list[tuple[str, ...]]) -> None:
        thread = self.thread(place)
        free = not self.busy(thread) and not self.run(self.pending(thread))
        self.plan(plans)

        async def both() -> list[httpx2.Response | None]:
            self.house.model.gate.set()
            bodies = [self.body(thread, self.words()) for _ in range(2)]
            return list(await asyncio.gather(*(self.posted(thread, body) for body in bodies)))

        got = [answer for answer in self.run(both()) if answer is not None]
        assert all(answer.status_code in {200, 409} or is_model_failure(answer) for answer in got), got
        if free:
            assert any(answer.status_code == 200 or is_model_failure(answer) for answer in got)

    @rule(place=PLACES, plans=PLANS)
    def begin_and_leave(self, place: int, plans: list[tuple[str, ...]]) -> None:
        """A client whose run hangs in the model."""
        thread = self.thread(place)
        self.plan(plans)
        self.house.model.gate.clear()
        body = self.body(thread, self.words())
        self.under_way.append(self.loop.create_task(self.posted(thread, body)))
        self.run(asyncio.sleep(0.005))

    @rule()
    def let_go_on(self) -> None:
        self.house.model.gate.set()
        self.run(self.finished())

    # ------------------------------------------------------------------------------------------- what happens to them

    @rule()
    def crash(self) -> None:
        self.run(self.house.kill())
        for task in self.under_way:
            task.cancel()
        self.run(self.finished())

    @rule(place=PLACES, plans=PLANS, writes=st.integers(0, 6), stores_last=st.booleans(), answers=st.booleans())
    def crash_in_a_turn(
        self, place: int, plans: list[tuple[str, ...]], writes: int, stores_last: bool, answers: bool
    ) -> None:
        thread = self.thread(place)
        self.plan(plans)
        waiting = self.run(self.pending(thread))
        self.house.store.writes_left, self.house.store.stores_last = writes, stores_last
        replies = [self.reply(item, "approve", 0) for item in waiting]
        said = (
            {"type": "approval", "approvals": replies, "otid": f"a-{self.count()}"}
            if answers and replies
            else self.words()
        )
        self.house.model.gate.set()
        task = self.loop.create_task(self.posted(thread, self.body(thread, said)))
        self.run(asyncio.wait([task], timeout=0.5))  # type: ignore[arg-type]
        self.crash()
        task.cancel()

    @rule(place=PLACES, hidden=st.booleans(), back=st.integers(0, 8))
    def fork(self, place: int, hidden: bool, back: int) -> None:
        if len(self.threads) >= CONVERSATIONS_MAX:
            return
        thread = self.thread(place)
        query = f"?hidden={str(hidden).lower()}&agent_id={self.house.agent_id}"
        shown = self.run(self.house.get(f"/v1/conversations/{thread}", agent_id=self.house.agent_id))
        window = shown["in_context_message_ids"][1:]
        if back and window:
            query += f"&message_id={window[-min(back, len(window))]}"
        got = self.run(self.house.post(f"/v1/conversations/{thread}/fork{query}"))
        assert got is not None
        assert got.status_code == 200, got.text
        self.threads.append(got.json()["id"])

    @rule(place=PLACES)
    def compact(self, place: int) -> None:
        thread = self.thread(place)
        if self.busy(thread):
            return
        self.house.model.gate.set()
        self.plan([])
        got = self.run(self.house.post(f"/v1/conversations/{thread}/compact", self.named(thread)))
        assert got is not None
        assert got.status_code in {200, 409}, got.text

    @rule(attached=st.booleans())
    def a_tool_comes_or_goes(self, attached: bool) -> None:
        tools = self.run(self.house.get("/v1/tools/", name=ASKED))
        verb = "attach" if attached else "detach"
        path = f"/v1/agents/{self.house.agent_id}/tools/{verb}/{tools[0]['id']}"
        got = self.run(self.house.post(path, method="PATCH"))
        assert got is not None
        assert got.status_code in {200, 404}, got.text

    @rule(asks=st.booleans())
    def a_rule_comes_or_goes(self, asks: bool) -> None:
        path = f"/v1/agents/{self.house.agent_id}/tools/approval/{ASKED}"
        got = self.run(self.house.post(path, {"requires_approval": asks}, method="PATCH"))
        assert got is not None
        assert got.status_code in {200, 404}, got.text

    @rule(place=PLACES)
    def forget_and_bring_back(self, place: int) -> None:
        thread = self.thread(place)
        if thread == "default":
            return
        gone = self.run(self.house.post(f"/v1/conversations/{thread}", method="DELETE"))
        assert gone is not None
        assert gone.status_code in {200, 409}, gone.text
        if gone.status_code == 200:
            back = self.run(self.house.post(f"/v1/conversations/{thread}/restore"))
            assert back is not None
            assert back.status_code == 200, back.text

    # ---------------------------------------------------------------------------------------------- what must hold then

    def teardown(self) -> None:
        try:
            if self.house.lives:
                self.settle()
        finally:
            self.run(self.house.die())
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()
            self.folder.cleanup()

    def settle(self) -> None:
        """Every conversation goes on; every call has exactly one result; every run has its end."""
        self.house.model.gate.set()
        self.run(self.finished())
        self.look_at_windows()
        for thread in self.threads:
            self.plan([])
            got = self.send(thread, self.words())
            for _ in range(2):  # a tool that came back may ask in its turn
                if got is not None and got.status_code == 409:
                    self.clear(thread, got, approve=True)
                    got = self.send(thread, self.words())
            assert got is not None
            assert got.status_code == 200, got.text
        self.look_at_windows()
        assert self.run(self.house.get("/v1/runs/active")) == []
        stored = self.run(self.everything())
        calls = [(item.conversation_id, call.id) for item in stored for call in item.tool_calls]
        results = [(item.conversation_id, result.call_id) for item in stored for result in item.tool_results]
        assert sorted(calls) == sorted(results)
        assert self.house.model.broken == []

    def look_at_windows(self) -> None:
        """What is kept in memory of a conversation is what the database has, in that order."""
        for thread in self.threads:
            kept, stored = self.run(
                self.house.core.store.write(_windows, self.house.core.kit.caches, self.place(thread))
            )
            assert kept is None or kept == stored

    # ------------------------------------------------------------------------------------------------------- small help

    def thread(self, place: int) -> str:
        return self.threads[place % len(self.threads)]

    def count(self) -> int:
        self.number += 1
        return self.number

    def words(self) -> dict[str, Any]:
        number = self.count()
        return {"role": "user", "content": f"Words {number}", "otid": f"o-{number}"}

    def plan(self, plans: list[tuple[str, ...]]) -> None:
        self.house.model.plans[:] = plans

    def named(self, thread: str) -> dict[str, Any]:
        return {"agent_id": self.house.agent_id} if thread == "default" else {}

    def body(self, thread: str, *said: dict[str, Any]) -> dict[str, Any]:
        return {"messages": list(said), "streaming": False, "client_tools": [CLIENT_TOOL], **self.named(thread)}

    async def posted(self, thread: str, body: dict[str, Any]) -> httpx2.Response | None:
        return await self.house.post(f"/v1/conversations/{thread}/messages", body)

    def send(self, thread: str, *said: dict[str, Any]) -> httpx2.Response | None:
        return self.send_body(thread, self.body(thread, *said))

    def send_body(self, thread: str, body: dict[str, Any]) -> httpx2.Response | None:
        """Send it; a run that hangs in the model is not waited for, for the gate is opened first."""
        if not self.busy(thread):
            self.house.model.gate.set()
        got = self.run(self.posted(thread, self.body(thread, *body["messages"])))
        assert got is None or got.status_code < 500 or is_model_failure(got), got.text
        if got is not None and got.status_code == 200:
            self.sent.append((thread, body))
        return got

    def busy(self, thread: str) -> bool:
        place = self.place(thread)
        row = self.run(self.house.core.store.read(_busy_run, place))
        return row is not None

    def place(self, thread: str) -> str:
        return f"conv-{self.house.agent_id[-36:]}" if thread == "default" else thread

    async def pending(self, thread: str) -> list[Any]:
        place = self.place(thread)
        return await self.house.core.store.read(approvals.of_conversation, ACTOR, place, pending_only=True)

    async def everything(self) -> list[Any]:
        found: list[Any] = []
        for thread in self.threads:
            chosen = MessageFilter(conversation_id=self.place(thread))
            page = Page(limit_rows=10_000, ascending=True)
            found += await self.house.core.store.read(messages.listing, ACTOR, chosen, page)
        return found

    def reply(self, item: Any, kind: str, number: int) -> dict[str, Any]:
        if item.tool_name == CLIENT:
            return {"type": "tool", "tool_call_id": item.call_id, "tool_return": "a b", "status": "success"}
        approve = kind != "deny" and not (kind == "mixed" and number % 2)
        return {"type": "approval", "tool_call_id": item.call_id, "approve": approve, "reason": "so"}

    def clear(self, thread: str, refused: httpx2.Response, *, approve: bool) -> None:
        """Do what the refusal says, and nothing else."""
        self.plan([])
        told = refused.json()["detail"]
        named = re.findall(r"\w+ \((call-\d+)\)", told)
        if "waiting for approval" in told and approve:
            assert named, told
            replies = [{"type": "approval", "tool_call_id": call_id, "approve": False} for call_id in named]
            got = self.send(thread, {"type": "approval", "approvals": replies, "otid": f"a-{self.count()}"})
        else:
            assert "waiting for approval" in told or refused.json().get("run_id"), told
            got = self.run(self.house.post(f"/v1/conversations/{thread}/cancel", self.named(thread)))
            if got is not None and got.status_code == 409 and "waiting for approval" not in told:
                return  # the run has ended by itself meanwhile
        assert got is not None
        assert got.status_code == 200, got.text

    async def finished(self) -> None:
        """Wait until nothing works any more."""
        while self.house.core.runs._tasks:
            await asyncio.wait(list(self.house.core.runs._tasks))
        await asyncio.gather(*self.under_way, return_exceptions=True)
        self.under_way.clear()


def _windows(tx: Any, caches: Caches, place: str) -> tuple[list[str] | None, list[str]]:
    conversation = conversations.get(tx, ACTOR, place)
    stored = load_window(tx, Caches(), ACTOR, conversation)
    kept = caches.windows.get(place)
    known = kept is not None and kept.version == conversation.context_version
    return [item.id for item in kept.messages] if known and kept else None, [item.id for item in stored.messages]


def _busy_run(tx: Any, place: str) -> Any:
    row = tx.one("select busy_run_id from conversations where id = :id", {"id": place})
    return None if row is None else row["busy_run_id"]


def is_model_failure(answer: httpx2.Response) -> bool:
    """The model's own trouble, which is told as such."""
    return "llm_bad_request" in answer.text


Wedge.TestCase.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate) if os.environ.get("LOCI_WEDGE_RAW") else tuple(Phase),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestNothingWedges = Wedge.TestCase
