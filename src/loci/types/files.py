"""Folders of files that agents read: not memory, but what memory can be made of."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from loci.types.json import EMPTY, JsonObject

FileStatus: TypeAlias = Literal["pending", "parsing", "embedding", "completed", "error"]
"""`pending` and `parsing`: it has no text yet. `embedding`: it can be opened and found by its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of files. The embedding model belongs to it; None means that its files are found by words only.

    `instructions` tell the agents that hold it how its files are meant to be used.
    """

    id: str
    name: str
    description: str | None = None
    instructions: str | None = None
    embedding: str | None = None
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a folder, without its text. `path` is what agents call it: `FOLDER/NAME`."""

    id: str
    folder_id: str
    folder_name: str
    name: str
    original_name: str
    media_type: str
    size_bytes: int
    status: FileStatus = "pending"
    error: str | None = None
    chunks_total: int | None = None
    chunks_embedded: int | None = None
    lines: int = 0
    chars: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None

    @property
    def path(self) -> str:
        """The name of the file with its folder's."""
        return f"{self.folder_name}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A stretch of a file's text that search finds. `seq` orders the chunks of the database and is 0 until stored."""

    id: str
    folder_id: str
    file_id: str
    text: str
    line: int
    """Its first line in the file, from 1."""
    path: str = ""
    created_at: datetime | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """A file as an agent has it before it. `shown` is the stretch in its prompt; None for a closed file."""

    file: File
    is_open: bool = False
    shown: str | None = None
    line_first: int | None = None
    line_last: int | None = None
    accessed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A folder as the prompt shows it: its open files, then closed ones by name, as far as there is room for names."""

    folder: Folder
    views: tuple[FileView, ...]
    left_out: int = 0
    """How many closed files are not named."""
