"""Agents as a file and back, in our own values; the JSON of the file is written and read at the edge.

An import is one transaction: all agents of the file with their memory, or nothing. What comes in is marked as imported
in the journal and on each message and passage, so that it is believed no more than it deserves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from loci.agent import creating
from loci.agent.agentfolders import FileFolder, Opened, all_folders, every, put_folders, reopen
from loci.agent.creating import NewAgent
from loci.agent.recompile import recompile
from loci.agent.turn import Kit
from loci.errors import LociError
from loci.ids import new_id
from loci.store import agents, archives, blocks, conversations, groups, journal, messages, passages, tools
from loci.store.base import Transaction
from loci.store.messages import MessageFilter
from loci.store.passages import PassageFilter
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.files import File, FileView
from loci.types.groups import Group
from loci.types.json import JsonObject
from loci.types.memory import ActorKind, Archive, Author, Block, JournalEntry, Passage, Subject
from loci.types.messages import Kind, Message, Trust
from loci.types.paging import PAGE_MAX_ROWS, Page
from loci.types.tools import Tool, ToolType

MESSAGES_MAX = 200_000
PASSAGES_MAX = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAgent:
    """An agent in a file. Its id and those of blocks, tools, archives, folders and messages are the file's own.

    `in_context` None means that all messages are in the window; `starts_fresh`, that it begins as a new agent does.
    """

    new: NewAgent
    messages: tuple[Message, ...] = ()
    in_context: tuple[str, ...] | None = None
    archive_ids: tuple[str, ...] = ()
    opened: Opened | None = None
    """None where the file does not say it: then as many files as there is room for."""
    starts_fresh: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileArchive:
    """An archive in a file."""

    archive: Archive
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFile:
    """What a file holds. Tools without a place here (other servers, other vendors) are named in `warnings`."""

    agents: tuple[FileAgent, ...]
    blocks: Mapping[str, Block] = field(default_factory=dict[str, Block])
    tools: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    archives: Mapping[str, FileArchive] = field(default_factory=dict[str, FileArchive])
    folders: Mapping[str, FileFolder] = field(default_factory=dict[str, FileFolder])
    groups: tuple[Group, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import made, and what it could not take over as it was."""

    agent_ids: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An agent with all that goes into a file. `messages` are in the file's order: the compiled prompt, what left the
    window, and the rest of the window.
    """

    agent: Agent
    blocks: Sequence[Block]
    tools: Sequence[Tool]
    archives: Sequence[FileArchive]
    messages: Sequence[Message]
    window_ids: Sequence[str]
    folders: Sequence[FileFolder] = ()
    opened: Sequence[FileView] = ()


def exported(
    tx: Transaction, actor: Actor, agent_id: str, thread: str | None, *, with_messages: bool, with_folders: bool = True
) -> Exported:
    """Read an agent as it is now, with its main thread or another. Raises NotFound, and TooLarge for too much."""
    agent = agents.get(tx, actor, agent_id)
    thread = thread or conversations.default_id(agent_id)
    conversation = conversations.from_row(conversations.head(tx, actor, thread, agent_id))
    window = messages.window(tx, actor, conversation) if with_messages else []
    inside = {message.id for message in window}
    inherited = () if conversation.is_default else conversation.prefix
    chosen = MessageFilter(conversation_id=conversation.id, only_ids=inherited)
    said = partial(messages.listing, tx, actor, chosen)
    earlier = every(said, MESSAGES_MAX, "messages") if with_messages else []
    left = [message for message in earlier if message.id not in inside and message.kind is not Kind.SYSTEM_PROMPT]

    def noted(archive: Archive) -> Callable[[Page], list[Passage]]:
        return partial(passages.listing, tx, actor, PassageFilter(archive_id=archive.id))

    held, opened = all_folders(tx, actor, agent_id) if with_folders else ((), ())
    return Exported(
        agent=agent,
        blocks=blocks.blocks_of_agent(tx, actor, agent_id),
        tools=tools.tools_of_agent(tx, actor, agent_id),
        archives=[
            FileArchive(archive=archive, passages=tuple(every(noted(archive), PASSAGES_MAX, "passages")))
            for archive in archives.archives_of_agent(tx, actor, agent_id)
        ],
        messages=[*window[:1], *left, *window[1:]],
        window_ids=[message.id for message in window],
        folders=held,
        opened=opened,
    )


async def import_file(
    kit: Kit,
    actor: Actor,
    file: AgentFile,
    *,
    override_tools: bool = True,
    also: Callable[[Transaction], None] | None = None,
) -> Imported:
    """Make the agents of a file. Raises BadRequest and Conflict; models that are not here are replaced, with a warning.

    With `override_tools` a tool from source that is here already becomes what the file says; else it stays. `also` is
    what else is to be written afterwards, in the same transaction.
    """
    warnings = list(file.warnings)
    plans = await planned(kit, actor, file, warnings)
    shelves = {key: await _shelf(kit, actor, item, warnings) for key, item in file.archives.items()}
    kept = dict[str, FileFolder]()
    for key, item in file.folders.items():
        embedding = await _embedding(kit, actor, item.folder.embedding, warnings)
        kept[key] = replace(item, folder=replace(item.folder, embedding=embedding))
    ready = replace(file, archives=shelves, folders=kept)

    def put(tx: Transaction) -> list[str]:
        stored = put_folders(tx, actor, ready.folders, warnings, kit.clock.now())
        made = _put_file(tx, kit, actor, ready, plans, stored, warnings, override_tools=override_tools)
        if also is not None:
            also(tx)
        return made

    ids = await kit.store.write(put)
    return Imported(agent_ids=tuple(ids), warnings=tuple(dict.fromkeys(warnings)))


async def planned(kit: Kit, actor: Actor, file: AgentFile, warnings: list[str]) -> list[tuple[FileAgent, Agent]]:
    """The agents of a file as they would be here."""
    plans: list[tuple[FileAgent, Agent]] = []
    for item in file.agents:
        new = await _at_home(kit, actor, item.new, warnings)
        plans.append((replace(item, new=new), await creating.planned(kit, actor, new)))
    return plans


async def _at_home(kit: Kit, actor: Actor, new: NewAgent, warnings: list[str]) -> NewAgent:
    """The agent with models that this server has."""
    if new.model is not None:
        try:
            await kit.models.model(actor, new.model)
        except LociError:
            await kit.models.list_models(actor)  # the default is the best of what is found
            default = kit.models.default_model
            if default is None:
                raise
            window = (await kit.models.model(actor, default)).info.window_tokens
            warnings.append(f"'{new.name}' used the model {new.model}, which is not here; it uses {default} now.")
            new = replace(new, model=default, context_window_tokens=min(new.context_window_tokens or window, window))
    embedding = await _embedding(kit, actor, new.embedding, warnings)
    return replace(new, embedding=embedding, embedding_given=True)


async def _embedding(kit: Kit, actor: Actor, handle: str | None, warnings: list[str]) -> str | None:
    if handle is None:
        return None
    try:
        await kit.models.embedder(actor, handle)
    except LociError:
        default = kit.models.default_embedder
        warnings.append(f"The embedding model {handle} is not here; {default or 'search by words'} takes its place.")
        return default
    return handle


async def _shelf(kit: Kit, actor: Actor, item: FileArchive, warnings: list[str]) -> FileArchive:
    embedding = await _embedding(kit, actor, item.archive.embedding, warnings)
    return replace(item, archive=replace(item.archive, embedding=embedding))


def _put_file(  # noqa: PLR0913, PLR0917  one file
    tx: Transaction,
    kit: Kit,
    actor: Actor,
    file: AgentFile,
    plans: Sequence[tuple[FileAgent, Agent]],
    stored: tuple[Mapping[str, str], Mapping[str, File]],
    warnings: list[str],
    *,
    override_tools: bool,
) -> list[str]:
    now = kit.clock.now()
    author = author_of_import(actor)
    tool_ids = put_tools(tx, actor, file, warnings, now=now, override=override_tools)
    block_ids = {
        key: blocks.insert(tx, actor, author, replace(block, id=new_id("block")), now).id
        for key, block in file.blocks.items()
    }
    archive_ids = {key: _put_archive(tx, actor, author, item, now) for key, item in file.archives.items()}
    made: list[str] = []
    for item, agent in plans:
        wanted = replace(
            item.new,
            tool_names=(),
            tool_ids=tools_here(tx, actor, item.new, tool_ids, warnings),
            block_ids=tuple(block_ids[key] for key in item.new.block_ids),
            folder_ids=tuple(stored[0][key] for key in item.new.folder_ids),
            first_messages=item.new.first_messages if item.starts_fresh else (),
        )
        created = creating.put(tx, actor, author, wanted, agent)
        for key in item.archive_ids:
            archives.attach(tx, actor, author, agent.id, archive_ids[key], now)
        if item.opened is not None:
            reopen(tx, actor, agent, item.opened, stored[1], now)
        if not item.starts_fresh:
            _put_messages(tx, actor, item, created, now)
        fact = {"name": agent.name, "blocks": len(created.blocks), "messages": len(item.messages)}
        entry = JournalEntry(
            subject=Subject.AGENT,
            subject_id=agent.id,
            agent_id=agent.id,
            action="import",
            before=None,
            after=fact,
            author=author,
        )
        journal.record(tx, actor, [entry], now)
        made.append(agent.id)
    ids = {item.id: agent.id for item, agent in plans}
    for group in file.groups:
        members = tuple(ids[key] for key in group.agent_ids)
        shared = tuple(block_ids[key] for key in group.shared_block_ids)
        lead, place = ids.get(group.manager_agent_id or ""), plans[0][1].project_id
        known = replace(group, manager_agent_id=lead, agent_ids=members, shared_block_ids=shared, project_id=place)
        groups.insert(tx, actor, known, now)
    for _, agent in plans:
        if agent.enable_sleeptime:  # without members in the file a new one; nothing that came is for it to read
            creating.give_sleep(tx, actor, author, agent, now)
    return made


def author_of_import(actor: Actor) -> Author:
    """A file that somebody brought, as the author of what it says."""
    return Author(kind=ActorKind.IMPORT, id=actor.user_id, trust=Trust.IMPORT)


def put_tools(
    tx: Transaction, actor: Actor, file: AgentFile, warnings: list[str], *, now: datetime, override: bool
) -> dict[str, str]:
    """Have the tools of a file here; their ids by those of the file."""
    author = author_of_import(actor)
    return {
        key: tool_id
        for key, tool in file.tools.items()
        if (tool_id := _put_tool(tx, actor, author, tool, warnings, now=now, override=override))
    }


def tools_here(
    tx: Transaction, actor: Actor, new: NewAgent, tool_ids: Mapping[str, str], warnings: list[str]
) -> tuple[str, ...]:
    """The ids of the tools that an agent of a file gets here: by its names, and by the file's ids."""
    here = tools.by_names(tx, actor, new.tool_names)
    missing = (name for name in new.tool_names if name not in here)
    warnings.extend(f"'{new.name}' names the tool '{name}', which is neither in the file nor here." for name in missing)
    named = [here[name].id for name in new.tool_names if name in here]
    return tuple(dict.fromkeys((*named, *(tool_ids[key] for key in new.tool_ids if key in tool_ids))))


def _put_tool(  # noqa: PLR0913  one tool
    tx: Transaction, actor: Actor, author: Author, tool: Tool, warnings: list[str], *, now: datetime, override: bool
) -> str | None:
    """The tool of this name as it is here from now on; None when it cannot be had."""
    here = tools.by_name(tx, actor, tool.name)
    if here is None:
        if tool.source_code is None and tool.tool_type is not ToolType.CUSTOM:
            origin = "its MCP server" if tool.tool_type is ToolType.EXTERNAL_MCP else "this server"
            warnings.append(f"The tool '{tool.name}' ({tool.tool_type}) was left out: {origin} does not offer it here.")
            return None
        return tools.insert(tx, actor, author, replace(tool, id=new_id("tool")), now).id
    ours = here.is_builtin
    if tool.source_code is not None and ours:
        warnings.append(f"The tool '{tool.name}' of the file was left out: this server has its own of that name.")
    if override and not ours and tool.source_code is not None:
        kept = replace(tool, id=here.id, created_at=here.created_at, created_by=here.created_by)
        if kept != replace(here, updated_at=kept.updated_at):
            tools.update(tx, actor, author, kept, now)
    return here.id


def _put_archive(tx: Transaction, actor: Actor, author: Author, item: FileArchive, now: datetime) -> str:
    archive = archives.insert(tx, actor, author, replace(item.archive, id=new_id("archive")), now)
    new = [replace(passage, id=new_id("passage"), trust=Trust.IMPORT) for passage in item.passages]
    for start in range(0, len(new), PAGE_MAX_ROWS):
        passages.insert(tx, actor, author, archive.id, new[start : start + PAGE_MAX_ROWS], now)
    return archive.id


def _put_messages(tx: Transaction, actor: Actor, item: FileAgent, made: creating.Created, now: datetime) -> None:
    """Store what was said, and bring the window to where it was."""
    agent = made.agent
    conversation = conversations.get(tx, actor, conversations.default_id(agent.id))
    prompt_id = made.message_ids[0]
    ids = {message.id: new_id("message") for message in item.messages}
    stored = [
        replace(
            message,
            id=ids[message.id],
            agent_id=agent.id,
            conversation_id=conversation.id,
            trust=Trust.IMPORT,
            extra=with_covered(message.extra, ids),
        )
        for message in item.messages
    ]
    messages.insert(tx, actor, stored)
    window = [ids[key] for key in (ids if item.in_context is None else item.in_context)]
    order = list(ids.values())
    # The window is a list of ids and all that follows a message: as long a tail as fits needs no ids.
    tail = 0
    while tail < min(len(order), len(window)) and order[-1 - tail] == window[-1 - tail]:
        tail += 1
    before = order[len(order) - tail - 1] if tail < len(order) else prompt_id
    prefix = (prompt_id, *window[: len(window) - tail])
    conversations.set_window(tx, actor, conversation.id, prefix=prefix, after_message_id=before, now=now)
    names = [tool.name for tool in made.tools]
    recompile(tx, actor, agent, made.blocks, names, replace(conversation, prefix=prefix), now=now)


def with_covered(extra: JsonObject | None, ids: Mapping[str, str]) -> JsonObject | None:
    """What is known of a summary, the messages that it stands for under their other ids; those without one go."""
    covered = None if extra is None else extra.get("covers")
    if extra is None or not isinstance(covered, Sequence) or isinstance(covered, str):
        return extra
    return {**extra, "covers": [ids[item] for item in covered if isinstance(item, str) and item in ids]}
