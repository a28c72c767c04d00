"""Tools as rows, and agents that have them: in order, once each, and never another organisation's."""

from dataclasses import replace

import pytest

from loci.errors import Conflict
from loci.store import agents, tools
from loci.store.tools import ToolFilter
from loci.testing.stores import OTHER_ACTOR
from loci.tools.base import BuiltinTool, MemoryOutcome
from loci.tools.registry import ensure_builtins
from loci.types.memory import Subject
from loci.types.paging import Page
from loci.types.tools import ToolSchema, ToolType
from tests.store.rooms import AUTHOR, ME, START, Attempts, a_tool, an_agent, later, pages, room

EVERYTHING = a_tool(
    "everything",
    tool_type=ToolType.EXTERNAL_MCP,
    description="Zeile 1\nZeile 2 ü",
    tags=("mcp:home", "b"),
    source_code="def everything(): ...",
    source_type="typescript",
    args_json_schema={"type": "object"},
    return_limit_chars=77,
    pip_requirements=({"name": "numpy", "version": None},),
    npm_requirements=({"name": "left-pad"},),
    default_requires_approval=True,
    enable_parallel_execution=True,
    metadata={"mcp": {"server_name": "home"}},
    created_at=START,
    updated_at=START,
    created_by="user-7",
)


async def test_a_tool_comes_back_as_it_went_in(tmp_path):
    async with room(tmp_path) as here:
        await here.tool(EVERYTHING)
        assert await here.store.read(tools.get, ME, EVERYTHING.id) == EVERYTHING
        assert await here.store.read(tools.by_name, ME, "everything") == EVERYTHING
        assert await here.store.read(tools.by_name, ME, "nothing") is None
        assert await here.store.read(tools.by_names, ME, ["nothing", "everything"]) == {"everything": EVERYTHING}
        assert await here.store.read(tools.by_names, ME, []) == {}


async def test_a_name_is_taken_within_one_organisation_only(tmp_path):
    async with room(tmp_path) as here:
        await here.tool(a_tool("search"))
        with pytest.raises(Conflict):
            await here.tool(a_tool("search"))
        await here.store.write(tools.insert, OTHER_ACTOR, AUTHOR, a_tool("search"), START)


async def test_an_agent_has_its_tools_once_each_and_in_the_order_of_attachment(tmp_path):
    async with room(tmp_path) as here:
        agent = await here.agent(an_agent())
        first, second, third = [await here.tool(a_tool(name)) for name in ("z", "m", "a")]
        await here.attach(agent, first, second, third, first)
        assert await here.names_of(agent) == ["z", "m", "a"]
        await here.store.write(tools.detach, ME, AUTHOR, agent.id, second, now=START)
        await here.attach(agent, second)
        assert await here.names_of(agent) == ["z", "a", "m"]
        other = await here.agent(an_agent("Other"))
        await here.attach(other, third)
        found = await here.store.read(tools.tools_of_agents, ME, [agent.id, other.id])
        assert {key: [tool.name for tool in value] for key, value in found.items()} == {
            agent.id: ["z", "a", "m"],
            other.id: ["a"],
        }


async def test_attaching_and_detaching_is_journaled_when_it_changes_something(tmp_path):
    async with room(tmp_path) as here:
        agent, tool = await here.agent(an_agent()), await here.tool(a_tool())
        await here.attach(agent, tool, tool)
        for _ in range(2):
            await here.store.write(tools.detach, ME, AUTHOR, agent.id, tool, now=later(1))
        fact = {"tool_id": tool.id, "name": "look_up"}
        entries = await here.journal(Subject.ATTACHMENT, tool.id)
        assert [(entry.action, entry.before, entry.after, entry.agent_id) for entry in entries] == [
            ("attach_tool", None, fact, agent.id),
            ("detach_tool", fact, None, agent.id),
        ]


async def test_agents_notice_when_a_tool_of_theirs_changes_or_goes(tmp_path):
    async with room(tmp_path) as here:
        holder, other = await here.agent(an_agent("Holder")), await here.agent(an_agent("Other"))
        tool = await here.tool(a_tool())
        await here.attach(holder, tool)
        before = await here.version(holder)
        await here.store.write(tools.update, ME, AUTHOR, replace(tool, description="New."), later(1))
        changed = await here.version(holder)
        await here.store.write(tools.delete, ME, AUTHOR, tool.id, later(2))
        assert before < changed < await here.version(holder)
        assert await here.version(other) == 1
        assert await here.names_of(holder) == []
        assert [entry.action for entry in await here.journal(Subject.TOOL, tool.id)] == ["create", "update", "delete"]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (ToolFilter(), ["grep", "memory_insert", "Weather_NOW"]),
        (ToolFilter(name="grep"), ["grep"]),
        (ToolFilter(names=("grep", "nothing")), ["grep"]),
        (ToolFilter(names=()), []),
        (ToolFilter(search="weather"), ["Weather_NOW"]),
        (ToolFilter(search="LINES"), ["grep"]),
        (ToolFilter(search="_"), ["memory_insert", "Weather_NOW"]),
        (ToolFilter(search="%"), []),
        (ToolFilter(tool_types=("custom",)), ["grep", "Weather_NOW"]),
        (ToolFilter(exclude_tool_types=("custom",)), ["memory_insert"]),
        (ToolFilter(letta=True), ["memory_insert"]),
    ],
)
async def test_a_list_holds_what_the_filter_lets_through(tmp_path, chosen, names):
    async with room(tmp_path) as here:
        await here.tool(a_tool("grep", description="Finds lines."), later(1))
        await here.tool(a_tool("memory_insert", tool_type=ToolType.SLEEPTIME), later(2))
        await here.tool(a_tool("Weather_NOW"), later(3))
        found = await here.store.read(tools.listing, ME, chosen, Page(ascending=True))
        assert [tool.name for tool in found] == names
        assert await here.store.read(tools.count, ME, chosen) == len(names)


@pytest.mark.parametrize("ascending", [True, False])
async def test_pages_hold_each_tool_once_though_all_were_made_at_once(tmp_path, ascending):
    async with room(tmp_path) as here:
        made = [await here.tool(a_tool(f"tool_{n}")) for n in range(7)]

        async def read(last: str | None):
            page = Page(limit_rows=3, after=last, ascending=ascending)
            return await here.store.read(tools.listing, ME, ToolFilter(), page)

        ids = [tool.id for tool in made]
        assert await pages(read) == (ids if ascending else ids[::-1])


async def test_tools_of_another_organisation_do_not_exist(tmp_path):
    async with room(tmp_path) as here:
        agent, tool = await here.agent(an_agent()), await here.tool(a_tool())
        await here.attach(agent, tool)
        theirs = an_agent("Theirs")
        await here.store.write(agents.insert, OTHER_ACTOR, theirs, START)
        attempts: Attempts = [
            (tools.get, (tool.id,)),
            (tools.delete, (AUTHOR, tool.id, START)),
            (tools.update, (AUTHOR, replace(tool, name="stolen"), START)),
        ]
        await here.refuses(OTHER_ACTOR, attempts)
        await here.store.write(tools.attach, OTHER_ACTOR, AUTHOR, agent.id, [tool], now=START)
        await here.store.write(tools.detach, OTHER_ACTOR, AUTHOR, agent.id, tool, now=START)
        assert await here.store.read(tools.listing, OTHER_ACTOR, ToolFilter(), Page()) == []
        assert await here.store.read(tools.tools_of_agent, OTHER_ACTOR, agent.id) == []
        assert await here.store.read(tools.tools_of_agents, OTHER_ACTOR, [agent.id]) == {agent.id: []}
        assert await here.names_of(agent) == ["look_up"]
        assert await here.version(agent) == 1


def _builtin(name: str, description: str) -> BuiltinTool:
    schema = ToolSchema(name=name, description=description, parameters={"type": "object", "properties": {}})

    def memory(blocks, args):
        return MemoryOutcome(text="")

    return BuiltinTool(schema=schema, tool_type=ToolType.CORE, effect="memory", memory=memory)


async def test_built_in_tools_follow_the_version_of_the_server_and_spare_those_of_people(tmp_path):
    async with room(tmp_path) as here:
        own = await here.tool(a_tool("mine", source_code="def mine(): ..."))
        agent = await here.agent(an_agent())
        old = {name: _builtin(name, "Old.") for name in ("mine", "say", "think")}
        await here.store.write(ensure_builtins, ME, AUTHOR, old, START)
        say = await here.store.read(tools.by_name, ME, "say")
        assert say is not None
        await here.attach(agent, say)
        new = old | {"say": _builtin("say", "New.")}
        await here.store.write(ensure_builtins, ME, AUTHOR, new, later(1))

        changed = await here.store.read(tools.by_name, ME, "say")
        assert changed is not None
        assert (changed.id, changed.description, changed.created_at) == (say.id, "New.", say.created_at)
        assert await here.names_of(agent) == ["say"]
        assert await here.version(agent) == 2
        assert (await here.store.read(tools.get, ME, own.id)).description == "Looks up."
        untouched = await here.store.read(tools.by_name, ME, "think")
        assert untouched is not None
        assert [entry.action for entry in await here.journal(Subject.TOOL, untouched.id)] == ["create"]
