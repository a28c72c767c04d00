"""Folders of agent files. Only the texts of their files come and go: chunks and vectors are made here, by the work that
is done on uploads, and so is what an agent sees of an open file, for what a file says of it could be anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeAlias, TypeVar

from loci.errors import TooLarge
from loci.files import holding
from loci.files.intake import FILE_JOB
from loci.files.viewing import Stretch
from loci.ids import new_id
from loci.store import file_views, files, folders, jobs
from loci.store.base import Transaction
from loci.types.actor import Actor
from loci.types.agents import Agent
from loci.types.files import File, FileView, Folder
from loci.types.jobs import NewJob
from loci.types.memory import Passage
from loci.types.messages import Message
from loci.types.paging import PAGE_MAX_ROWS, Page

FOLDERS_MAX = 1_000
FILES_MAX = 10_000
TEXTS_MAX_CHARS = 50_000_000
NAME_MAX_CHARS = 200
T = TypeVar("T", Message, Passage, File)

Opened: TypeAlias = Sequence[tuple[str, Stretch]]
"""Which lines of which files are open, the one used longest ago first."""
TextFile: TypeAlias = tuple[File, str | None]
"""A file with its text. Where there is none, the file says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFolder:
    """A folder in a file. The ids of its files are the file's own."""

    folder: Folder
    files: tuple[TextFile, ...] = ()


def every(listing: Callable[[Page], list[T]], most: int, what: str) -> list[T]:
    """All of a list, oldest first. Raises TooLarge for more than so many."""
    found: list[T] = []
    page = Page(limit_rows=PAGE_MAX_ROWS, ascending=True)
    while len(found) <= most:
        rows = listing(page)
        found += rows
        if len(rows) < PAGE_MAX_ROWS:
            return found
        page = replace(page, after=rows[-1].id)
    raise TooLarge(f"There are more than {most} {what}, the most that a file takes.")


def all_folders(tx: Transaction, actor: Actor, agent_id: str) -> tuple[Sequence[FileFolder], Sequence[FileView]]:
    """The folders of an agent with all texts, and its open files. Raises TooLarge."""
    held = folders.of_agent(tx, actor, agent_id)
    listed = {folder.id: every(partial(files.listing, tx, actor, [folder.id]), FILES_MAX, "files") for folder in held}
    if sum(file.chars for found in listed.values() for file in found) > TEXTS_MAX_CHARS:
        raise TooLarge(
            f"The files of its folders have more than {TEXTS_MAX_CHARS} characters, the most that a file takes.",
            hint="Ask by POST with scrub_folders, and send the files anew where it goes.",
        )
    texts = {key: tuple((file, files.text_of(tx, actor, file.id)) for file in found) for key, found in listed.items()}
    return [FileFolder(folder=folder, files=texts[folder.id]) for folder in held], file_views.opened(
        tx, actor, agent_id
    )


def put_folders(
    tx: Transaction, actor: Actor, held: Mapping[str, FileFolder], warnings: list[str], now: datetime
) -> tuple[dict[str, str], dict[str, File]]:
    """Store the folders of a file with their texts; their ids and files here, by the ids of the file.

    Each is a new one: what is here under its name is not for whomever the file comes from.
    """
    ids: dict[str, str] = {}
    stored: dict[str, File] = {}
    for key, item in held.items():
        folder = replace(item.folder, id=new_id("source"))
        if folders.listing(tx, actor, Page(limit_rows=1), name=folder.name):
            folder = replace(folder, name=f"{folder.name[: NAME_MAX_CHARS - 9]}_{folder.id[-8:]}")
            warnings.append(f"A folder '{item.folder.name}' is here already; that of the file is now '{folder.name}'.")
        ids[key] = folders.insert(tx, actor, folder, now).id
        for file, words in item.files:
            status = "error" if words is None else "embedding"
            new = replace(file, id=new_id("file"), folder_id=folder.id, status=status)
            stored[file.id] = files.insert(tx, actor, new, now)
            if words is not None:
                files.set_text(tx, actor, new, words, None, now)
                jobs.enqueue(tx, actor, NewJob(kind=FILE_JOB, subject_id=new.id), now)
    return ids, stored


def reopen(
    tx: Transaction, actor: Actor, agent: Agent, opened: Opened, stored: Mapping[str, File], now: datetime
) -> None:
    """Have an agent see these files and no others, those used last if they are more than it may."""
    holding.close_all(tx, actor, agent.id)
    for key, stretch in opened[-min(agent.max_files_open, holding.OPENED_AT_ONCE_MAX) :]:
        file_views.put(tx, actor, agent.id, holding.seen(tx, actor, agent, stored[key], stretch), now)
