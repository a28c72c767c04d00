"""What an agent has of folders: attached with the tools that read them, files open before it, the prompt's view of it.

All of it are verbs over a transaction, so that attaching a folder is one with its tools and its open files.
"""

from collections.abc import Sequence
from datetime import datetime

from loci.errors import Conflict, NotFound
from loci.files.viewing import WHOLE, Stretch, view
from loci.store import agents, file_views, files, folders, tools
from loci.store.base import Transaction
from loci.store.folders import BUMP_HOLDERS
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.files import Directory, File, FileView, Folder
from loci.types.memory import Author
from loci.types.tools import ToolType

FILE_TOOLS = ("open_files", "grep_files", "semantic_search_files")
CLOSED_NAMED_MAX = 200
"""How many files that are not open the prompt names."""
OPENED_AT_ONCE_MAX = 100
READ_AT_ONCE_MAX_CHARS = 5_000_000
"""So much text is read to open files while nobody else can write; what would be more stays closed."""


def attach(tx: Transaction, actor: Actor, author: Author, agent: Agent, folder_id: str, now: datetime) -> None:
    """Give a folder to an agent, with the tools for files; its files are opened as far as there is room.

    Attaching it twice changes nothing. Raises NotFound.
    """
    folder = folders.get(tx, actor, folder_id)
    if not folders.attach(tx, actor, author, agent.id, folder, now=now):
        return
    own = [tool for tool in tools.by_names(tx, actor, FILE_TOOLS).values() if tool.tool_type is ToolType.FILES]
    tools.attach(tx, actor, author, agent.id, own, now=now)
    chars_left = READ_AT_ONCE_MAX_CHARS
    for closed in file_views.closed(tx, actor, agent.id, folder_id, _room(tx, actor, agent)):
        if closed.file.chars <= chars_left:
            chars_left -= closed.file.chars
            file_views.put(tx, actor, agent.id, seen(tx, actor, agent, closed.file), now)


def detach(tx: Transaction, actor: Actor, author: Author, agent_id: str, folder_id: str, now: datetime) -> None:
    """Take a folder off an agent; with its last one go the tools for files. Raises NotFound."""
    folders.detach(tx, actor, author, agent_id, folders.get(tx, actor, folder_id), now=now)
    if folders.of_agent(tx, actor, agent_id):
        return
    for tool in tools.tools_of_agent(tx, actor, agent_id):
        if tool.tool_type is ToolType.FILES:
            tools.detach(tx, actor, author, agent_id, tool, now=now)


def set_folders(
    tx: Transaction, actor: Actor, author: Author, agent: Agent, folder_ids: Sequence[str], now: datetime
) -> None:
    """Give an agent these folders and no others. Raises NotFound."""
    held = [folder.id for folder in folders.of_agent(tx, actor, agent.id)]
    for folder_id in dict.fromkeys(folder_ids):
        if folder_id not in held:
            attach(tx, actor, author, agent, folder_id, now)
    for folder_id in held:
        if folder_id not in folder_ids:
            detach(tx, actor, author, agent.id, folder_id, now)


def delete_folder(tx: Transaction, actor: Actor, author: Author, folder_id: str, now: datetime) -> None:
    """Take a folder off every agent, and delete it with all that is in it. Raises NotFound."""
    for agent_id in folders.holders(tx, actor, folder_id):
        detach(tx, actor, author, agent_id, folder_id, now)
    folders.delete(tx, actor, folder_id)


def arrived(tx: Transaction, actor: Actor, file: File, words: str, now: datetime) -> None:
    """Show agents a file of their folders that has got this text: open where there is room, else by name."""
    views: dict[int, FileView] = {}
    for agent_id in folders.holders(tx, actor, file.folder_id):
        agent = agents.get(tx, actor, agent_id)
        if _room(tx, actor, agent):
            limit_chars = agent.per_file_view_window_limit_chars
            if limit_chars not in views:
                views[limit_chars] = _seen(file, words, limit_chars)
            file_views.put(tx, actor, agent_id, views[limit_chars], now)
    tx.run(BUMP_HOLDERS, {"id": file.folder_id, "organization_id": actor.organization_id})


def _room(tx: Transaction, actor: Actor, agent: Agent) -> int:
    return min(OPENED_AT_ONCE_MAX, max(0, agent.max_files_open - len(file_views.opened(tx, actor, agent.id))))


def found(tx: Transaction, actor: Actor, agent_id: str, file_id: str) -> FileView:
    """A file of an agent's folders. Raises NotFound."""
    agents.get(tx, actor, agent_id)
    held = file_views.find(tx, actor, agent_id, file_id)
    if held is None:
        raise NotFound(f"Agent {agent_id} has no file {file_id}.", hint="Attach the folder that it is in.")
    return held


def seen(tx: Transaction, actor: Actor, agent: Agent, file: File, wished: Stretch = WHOLE) -> FileView:
    """What an agent would see of a file, for which its whole text is read. Raises Conflict if there is none."""
    words = files.text_of(tx, actor, file.id) if file.status in ("embedding", "completed") else None
    if words is None:
        raise Conflict(f"'{file.path}' has no text yet: it is {file.status}.", hint=file.error or "Try again soon.")
    return _seen(file, words, agent.per_file_view_window_limit_chars, wished)


def _seen(file: File, words: str, limit_chars: int, wished: Stretch = WHOLE) -> FileView:
    part = view(words, limit_chars, wished)
    return FileView(file=file, is_open=True, shown=part.shown, line_first=part.first, line_last=part.last)


def open_file(tx: Transaction, actor: Actor, agent: Agent, wanted: FileView, now: datetime) -> list[File]:
    """Have an agent see a stretch of a file; the files that were closed to make room, used longest ago first.

    Raises NotFound for a file that it has no more, and Conflict for an agent that may have none open.
    """
    found(tx, actor, agent.id, wanted.file.id)
    if agent.max_files_open < 1:
        raise Conflict("This agent may have no file open.", hint="Raise its max_files_open.")
    leaving = make_room(tx, actor, agent, wanted.file.id)
    file_views.put(tx, actor, agent.id, wanted, now)
    return leaving


def make_room(tx: Transaction, actor: Actor, agent: Agent, file_id: str | None = None) -> list[File]:
    """Close what an agent may not have open, beside the one file that is to be opened; which files those were."""
    others = [held.file for held in file_views.opened(tx, actor, agent.id) if held.file.id != file_id]
    leaving = others[: max(0, len(others) - agent.max_files_open + (file_id is not None))]
    file_views.close(tx, actor, agent.id, [other.id for other in leaving])
    return leaving


def close_all(tx: Transaction, actor: Actor, agent_id: str, *, but: Sequence[str] = ()) -> list[File]:
    """Close the files of an agent, except those with these ids; which ones were open."""
    leaving = [held.file for held in file_views.opened(tx, actor, agent_id) if held.file.id not in but]
    file_views.close(tx, actor, agent_id, [file.id for file in leaving])
    return leaving


def directories(tx: Transaction, actor: Actor, agent_id: str) -> tuple[Directory, ...]:
    """The folders of an agent as its prompt shows them, files by name."""
    held = folders.of_agent(tx, actor, agent_id)
    if not held:
        return ()
    opened = file_views.opened(tx, actor, agent_id)
    shown: list[Directory] = []
    room = CLOSED_NAMED_MAX
    for folder in held:
        directory = _directory(tx, actor, agent_id, folder, opened, room)
        room -= sum(not held.is_open for held in directory.views)
        shown.append(directory)
    return tuple(shown)


def _directory(
    tx: Transaction, actor: Actor, agent_id: str, folder: Folder, opened: Sequence[FileView], room: int
) -> Directory:
    mine = [held for held in opened if held.file.folder_id == folder.id]
    closed = file_views.closed(tx, actor, agent_id, folder.id, room)
    total = file_views.count_readable(tx, folder.id)
    views = sorted([*mine, *closed], key=lambda held: held.file.name)
    return Directory(folder=folder, views=tuple(views), left_out=total - len(views))
