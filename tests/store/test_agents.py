"""Agents as rows: what went in comes out, lists hold what was asked for, and every change leaves its past."""

from dataclasses import replace

import pytest

from loci.agent import creating
from loci.agent.creating import FirstMessage, NewAgent, NewBlock
from loci.errors import Conflict, NotFound
from loci.ids import new_id
from loci.store import agents, blocks, conversations, messages, runs
from loci.store.agents import AgentFilter
from loci.store.identities import AttachedTo
from loci.store.messages import MessageFilter
from loci.testing.agents import bench, memory_tools
from loci.testing.stores import OTHER_ACTOR
from loci.types.agents import AgentType, CompactionSettings, ModelSettings
from loci.types.memory import Subject
from loci.types.messages import Role, Text
from loci.types.paging import Page
from loci.types.runs import Run, StopReason
from loci.types.tools import ExitLoop, MaxCountPerStep, RequiresApproval
from tests.store.rooms import AUTHOR, ME, START, Attempts, an_agent, later, pages, room

EVERYTHING = an_agent(
    "Ada %_! 🦉",
    agent_type=AgentType.MEMGPT_V2,
    system="",
    embedding="loci/wordllama",
    description="Line one\nline two",
    tags=("a", "b"),
    tool_rules=(
        ExitLoop(tool_name="send_message"),
        MaxCountPerStep(tool_name="x", max_count_limit=3),
        RequiresApproval(tool_name="y"),
    ),
    model_settings=ModelSettings(max_output_tokens=5, temperature=0.25, parallel_tool_calls=True, raw={"k": [None, 1]}),
    compaction_settings=CompactionSettings(mode="all", clip_chars=None, evict_fraction=0.25),
    response_format={"type": "json_object"},
    context_window_tokens=9_000,
    tool_exec_environment={"KEY": "sealed:1:abc"},
    metadata={"nested": {"deep": [True, 1.5, "ü"]}},
    timezone="Europe/Berlin",
    message_buffer_autoclear=True,
    enable_sleeptime=False,
    hidden=True,
    max_files_open=3,
    per_file_view_window_limit_chars=7,
    project_id="project-1",
    template_id="template-1",
    base_template_id="base-1",
    deployment_id="deployment-1",
    entity_id="entity-1",
    created_at=START,
    updated_at=START,
    created_by="user-7",
    updated_by=ME.user_id,
)


async def test_an_agent_comes_back_as_it_went_in(tmp_path):
    async with room(tmp_path) as here:
        assert await here.agent(EVERYTHING) == EVERYTHING
        plain = an_agent()
        assert await here.agent(plain) == replace(
            plain, created_at=START, updated_at=START, created_by=ME.user_id, updated_by=ME.user_id
        )


async def test_a_change_counts_the_version_up_and_leaves_what_it_changed_in_the_journal(tmp_path):
    async with room(tmp_path) as here:
        made = await here.agent(an_agent(tool_exec_environment={"OLD": "sealed:1:old"}))
        changed = await here.change(
            made.id, later(5), name="Bea", tags=("z", "y"), tool_exec_environment={"NEW": "sealed:1:new"}
        )
        assert changed.memory_version == made.memory_version + 1
        stored = await here.read_agent(made.id)
        assert (stored.name, stored.tags, stored.updated_at) == ("Bea", ("y", "z"), later(5))
        assert stored.memory_version == changed.memory_version
        assert (stored.created_at, stored.system) == (made.created_at, made.system)
        [entry] = await here.journal(Subject.AGENT, made.id)
        assert (entry.action, entry.author.id, entry.at) == ("update", ME.user_id, later(5))
        assert entry.before == {"name": "Ada", "tags": [], "tool_exec_environment": ["OLD"]}
        assert entry.after == {"name": "Bea", "tags": ["z", "y"], "tool_exec_environment": ["NEW"]}


async def test_a_change_of_nothing_is_not_journaled(tmp_path):
    async with room(tmp_path) as here:
        made = await here.agent(an_agent())
        await here.change(made.id)
        assert await here.journal(Subject.AGENT, made.id) == []


async def test_two_agents_cannot_have_one_id(tmp_path):
    async with room(tmp_path) as here:
        made = await here.agent(an_agent())
        with pytest.raises(Conflict):
            await here.agent(made)


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (AgentFilter(), ["one", "two", "three"]),
        (AgentFilter(show_hidden=True), ["one", "two", "three", "hidden"]),
        (AgentFilter(name="two"), ["two"]),
        (AgentFilter(name="TWO"), []),
        (AgentFilter(query_text="WO"), ["two"]),
        (AgentFilter(query_text="%"), []),
        (AgentFilter(query_text="_"), []),
        (AgentFilter(tags=("red", "blue")), ["one", "two", "three"]),
        (AgentFilter(tags=("red", "blue"), match_all_tags=True), ["two"]),
        (AgentFilter(tags=("red", "red"), match_all_tags=True), ["one", "two"]),
        (AgentFilter(tags=()), ["one", "two", "three"]),
        (AgentFilter(tags=("re",)), []),
        (AgentFilter(project_id="p"), ["one"]),
        (AgentFilter(template_id="t"), ["two"]),
        (AgentFilter(base_template_id="b"), ["three"]),
        (AgentFilter(attached_to=AttachedTo(identity_id="identity-none")), []),
        (AgentFilter(attached_to=AttachedTo(identifier_keys=("%", "'"))), []),
        (AgentFilter(created_by="user-9"), ["three"]),
        (AgentFilter(ids=()), []),
        (AgentFilter(name="'; drop table agents; --"), []),
    ],
)
async def test_a_list_holds_what_the_filter_lets_through(tmp_path, chosen, names):
    async with room(tmp_path) as here:
        await here.agent(an_agent("one", tags=("red",), project_id="p"), later(1))
        await here.agent(an_agent("two", tags=("red", "blue"), template_id="t"), later(2))
        await here.agent(an_agent("three", tags=("blue",), base_template_id="b", created_by="user-9"), later(3))
        await here.agent(an_agent("hidden", hidden=True), later(4))
        found = await here.store.read(agents.listing, ME, chosen, Page(ascending=True))
        assert [agent.name for agent in found] == names
        assert await here.store.read(agents.count, ME, chosen) == len(names)


@pytest.mark.parametrize("order_by", ["created_at", "updated_at", "last_run_completion"])
@pytest.mark.parametrize("ascending", [True, False])
async def test_pages_hold_each_agent_once_in_order_though_times_are_equal(tmp_path, order_by, ascending):
    async with room(tmp_path) as here:
        for n in range(7):
            agent = await here.agent(an_agent(f"{n}"), later(n // 3))
            if n in (1, 2, 5):
                await here.store.write(_ran, agent.id, later(100 - n), StopReason.END_TURN)

        async def read(last: str | None):
            page = Page(limit_rows=2, after=last, ascending=ascending)
            return await here.store.read(agents.listing, ME, AgentFilter(), page, order_by=order_by)

        found = await pages(read)
        whole = await here.store.read(
            agents.listing, ME, AgentFilter(), Page(limit_rows=100, ascending=ascending), order_by=order_by
        )
        assert found == [agent.id for agent in whole]
        assert len(set(found)) == 7
        if order_by == "last_run_completion":
            ran = [agent.name for agent in whole if agent.name in "125"]
            assert ran == (["5", "2", "1"] if ascending else ["1", "2", "5"])


async def test_a_cursor_that_is_no_agent_of_ours_is_refused(tmp_path):
    async with room(tmp_path) as here:
        theirs = an_agent()
        await here.store.write(agents.insert, OTHER_ACTOR, theirs, START)
        for cursor in ("agent-none", theirs.id):
            with pytest.raises(NotFound):
                await here.store.read(agents.listing, ME, AgentFilter(), Page(after=cursor))


def _ran(tx, agent_id, at, reason):
    conversation_id = conversations.default_id(agent_id)
    thread = creating.Conversation(id=conversation_id, agent_id=agent_id, created_at=at)
    conversations.insert(tx, ME, thread)
    run = Run(
        id=new_id("run"),
        agent_id=agent_id,
        conversation_id=conversation_id,
        status="completed",
        stop_reason=reason,
        created_at=at,
        completed_at=at,
    )
    runs.insert(tx, ME, run)


async def test_the_last_stop_reason_chooses_agents(tmp_path):
    async with room(tmp_path) as here:
        good, bad = await here.agent(an_agent("good")), await here.agent(an_agent("bad"))
        await here.store.write(_ran, good.id, later(1), StopReason.END_TURN)
        await here.store.write(_ran, bad.id, later(1), StopReason.ERROR)
        chosen = AgentFilter(last_stop_reason="error")
        assert [item.name for item in await here.store.read(agents.listing, ME, chosen, Page())] == ["bad"]


async def test_agents_of_another_organisation_do_not_exist(tmp_path):
    async with room(tmp_path) as here:
        mine = await here.agent(an_agent(tags=("mine",), hidden=True))
        attempts: Attempts = [
            (agents.get, (mine.id,)),
            (agents.memory_version, (mine.id,)),
            (agents.update, (AUTHOR, replace(mine, name="Taken"), START)),
            (agents.delete, (AUTHOR, mine.id, START)),
        ]
        await here.refuses(OTHER_ACTOR, attempts)
        everything = AgentFilter(show_hidden=True)
        assert await here.store.read(agents.listing, OTHER_ACTOR, everything, Page()) == []
        assert await here.store.read(agents.listing, OTHER_ACTOR, AgentFilter(ids=(mine.id,)), Page()) == []
        assert await here.store.read(agents.count, OTHER_ACTOR, everything) == 0
        assert await here.store.read(agents.all_tags, OTHER_ACTOR) == []
        assert await here.read_agent(mine.id) == mine


async def test_deleting_takes_what_was_said_and_leaves_blocks_tools_and_a_note(tmp_path):
    async with bench(tmp_path, memory_tools) as here:
        said = FirstMessage(role=Role.USER, parts=(Text("a rare word: zyzzyva"),))
        wanted = NewAgent(
            model="scripted/default",
            embedding_given=True,
            blocks=(NewBlock(label="human", value="x"),),
            tool_names=("archival_memory_insert",),
            tags=("t",),
            first_messages=(said,),
        )
        made = await creating.create(here.kit, ME, wanted)
        here.agent_id = made.agent.id
        await here.send("hello", "hi")
        store, agent_id = here.kit.store, made.agent.id
        await store.write(agents.delete, ME, AUTHOR, agent_id, later(9))

        assert (await store.read(blocks.get, ME, made.blocks[0].id)).value == "x"
        assert await store.read(blocks.agents_of_block, ME, made.blocks[0].id) == []
        with pytest.raises(NotFound):
            await store.read(conversations.get, ME, conversations.default_id(agent_id))
        chosen = MessageFilter(agent_id=agent_id)
        assert await store.read(messages.listing, ME, chosen, Page()) == []
        assert await store.read(agents.all_tags, ME) == []
        left = await store.read(_rows_about, agent_id)
        assert left == {"journal"}


def _rows_about(tx, agent_id):
    """The tables that still have a row about the agent."""
    tables = [row["name"] for row in tx.all("select name from sqlite_master where type = 'table'")]
    found = set()
    for table in tables:
        columns = {row["name"] for row in tx.all(f"pragma table_info({table})")}
        for column in {"agent_id"} & columns:
            if tx.one(f"select 1 as one from {table} where {column} = :id", {"id": agent_id}):
                found.add(table)
    return found
