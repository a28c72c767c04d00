"""What answers about folders and files look like, for the API document (see `shapes`)."""

from typing import Literal

from typing_extensions import TypedDict

from loci.api.shapes import Object, Stamped, Time, exact

Status = Literal["pending", "parsing", "embedding", "completed", "error"]


@exact
class FolderShape(Stamped):
    """A folder of files, also called a source."""

    id: str
    name: str
    description: str | None
    instructions: str | None
    metadata: Object
    embedding_config: Object


@exact
class FileShape(TypedDict):
    """A file. `content` is its text, if that was asked for; `error_message` says why it has none."""

    id: str
    source_id: str
    file_name: str
    original_file_name: str
    file_path: str | None
    file_type: str
    file_size: int
    file_creation_date: str | None
    file_last_modified_date: str | None
    processing_status: Status
    error_message: str | None
    total_chunks: int | None
    chunks_embedded: int | None
    content: str | None
    created_at: Time
    updated_at: Time


@exact
class ChunkShape(Stamped):
    """A stretch of a file. `metadata` names its first line."""

    id: str
    text: str
    tags: list[str] | None
    metadata: Object
    archive_id: str | None
    source_id: str
    file_id: str
    file_name: str
    embedding: list[float] | None
    embedding_config: Object | None
    is_deleted: bool


@exact
class FileSizeShape(TypedDict):
    """How large a file is, in bytes."""

    file_id: str
    file_name: str
    file_size: int


@exact
class FolderSizeShape(TypedDict):
    """How much is in a folder, in bytes."""

    source_id: str
    source_name: str
    file_count: int
    total_size: int
    files: list[FileSizeShape]


@exact
class SizesShape(TypedDict):
    """How much is in all folders, in bytes."""

    total_sources: int
    total_files: int
    total_size: int
    sources: list[FolderSizeShape]


@exact
class AgentFileShape(TypedDict):
    """A file of an agent's folders; what the agent sees of it, if it is open."""

    id: str
    file_id: str
    file_name: str
    folder_id: str
    folder_name: str
    is_open: bool
    last_accessed_at: Time
    visible_content: str | None
    start_line: int | None
    end_line: int | None


@exact
class AgentFilesShape(TypedDict):
    """A page of an agent's files. `next_cursor` asks for the next one."""

    files: list[AgentFileShape]
    next_cursor: str | None
    has_more: bool
