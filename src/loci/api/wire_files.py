"""Folders and files in the JSON of the Letta V1 API, where a folder is also called a source."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.api.wire_values import embedding_config
from loci.model.base import EmbeddingInfo
from loci.store.base import Row
from loci.store.rows import integer, text
from loci.types.files import Chunk, File, FileView, Folder
from loci.types.json import JsonObject, JsonValue

WORDS_ONLY = EmbeddingInfo(handle="none", name="none", provider="none", provider_type="none", dimensions=0)
"""What clients are told of a folder without an embedding model, as their types demand one."""


def wire_folder(folder: Folder, embedding: EmbeddingInfo | None) -> WireObject:
    """A folder."""
    return {
        "id": folder.id,
        "name": folder.name,
        "description": folder.description,
        "instructions": folder.instructions,
        "metadata": folder.metadata,
        "embedding_config": embedding_config(embedding or WORDS_ONLY),
        "created_by_id": folder.created_by,
        "last_updated_by_id": folder.updated_by,
        "created_at": wire_moment(folder.created_at),
        "updated_at": wire_moment(folder.updated_at),
    }


def wire_file(file: File, content: str | None = None) -> WireObject:
    """A file, with its text if that was asked for."""
    return {
        "id": file.id,
        "source_id": file.folder_id,
        "file_name": file.path,
        "original_file_name": file.original_name,
        "file_path": None,
        "file_type": file.media_type,
        "file_size": file.size_bytes,
        "file_creation_date": None,
        "file_last_modified_date": None,
        "processing_status": file.status,
        "error_message": file.error,
        "total_chunks": file.chunks_total,
        "chunks_embedded": file.chunks_embedded,
        "content": content,
        "created_at": wire_moment(file.created_at),
        "updated_at": wire_moment(file.updated_at),
    }


def wire_chunk(chunk: Chunk) -> WireObject:
    """A chunk of a file, as a passage."""
    return {
        "id": chunk.id,
        "text": chunk.text,
        "tags": None,
        "metadata": {"line": chunk.line},
        "archive_id": None,
        "source_id": chunk.folder_id,
        "file_id": chunk.file_id,
        "file_name": chunk.path,
        "embedding": None,
        "embedding_config": None,
        "is_deleted": False,
        "created_at": wire_moment(chunk.created_at),
        "updated_at": wire_moment(chunk.created_at),
        "created_by_id": None,
        "last_updated_by_id": None,
    }


def wire_view(agent_id: str, view: FileView) -> WireObject:
    """A file as an agent has it."""
    number = int.from_bytes(sha256(f"{agent_id}\n{view.file.id}".encode()).digest()[:16])
    return {
        # The same id for the same pair, which needs no row of its own before the file is opened.
        "id": f"file_agent-{UUID(int=number, version=4)}",
        "file_id": view.file.id,
        "file_name": view.file.path,
        "folder_id": view.file.folder_id,
        "folder_name": view.file.folder_name,
        "is_open": view.is_open,
        "last_accessed_at": wire_moment(view.accessed_at),
        "visible_content": view.shown,
        "start_line": view.line_first,
        "end_line": view.line_last,
    }


def wire_sizes(total: Row, folders: Sequence[Row], files: Sequence[Row]) -> WireObject:
    """How much is in all folders, and in each of these with these files."""
    held: dict[str, list[JsonValue]] = {}
    for row in files:
        size: JsonObject = {
            "file_id": text(row, "id"),
            "file_name": text(row, "path"),
            "file_size": integer(row, "size_bytes"),
        }
        held.setdefault(text(row, "folder_id"), []).append(size)
    sources: list[JsonValue] = [
        {
            "source_id": text(row, "id"),
            "source_name": text(row, "name"),
            "file_count": integer(row, "files"),
            "total_size": integer(row, "size_bytes"),
            "files": held.get(text(row, "id"), []),
        }
        for row in folders
    ]
    return {
        "total_sources": integer(total, "folders"),
        "total_files": integer(total, "files"),
        "total_size": integer(total, "size_bytes"),
        "sources": sources,
    }
