"""Folders and files in the JSON of an agent file, in both directions, and which of them an agent has open."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from loci.agent.agentfile import Exported
from loci.agent.agentfolders import FILES_MAX, FOLDERS_MAX, NAME_MAX_CHARS, FileFolder, Opened, TextFile
from loci.api.requests_agents import INTEGER_MAX, handle_in
from loci.api.wire_files import WORDS_ONLY, wire_file, wire_folder, wire_view
from loci.api.wire_messages import WireObject
from loci.errors import BadRequest
from loci.files.kinds import clean_name, with_number
from loci.files.reading import Bounds, decoded
from loci.files.viewing import Stretch, view
from loci.model.base import EmbeddingInfo
from loci.types.files import File, FileView, Folder
from loci.types.json import JsonObject, JsonValue, object_of, text_of

NO_TEXT = "The agent file held no text of it."
NAMED_MAX = 10

Items: TypeAlias = Sequence[tuple[str, JsonObject, str]]  # the id of each, itself, its place


def count_of(value: JsonValue) -> int | None:
    """A number from 1; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= INTEGER_MAX else None


def read_folders(folders: Items, files: Items, embedding: str | None, warnings: list[str]) -> dict[str, FileFolder]:
    """The folders of a file with their texts, by their ids. `embedding` is the model wished for them."""
    if len(folders) > FOLDERS_MAX or len(files) > FILES_MAX:
        raise BadRequest(f"An agent file has at most {FOLDERS_MAX} folders and {FILES_MAX} files in them.")
    held: dict[str, dict[str, TextFile]] = {key: {} for key, _, _ in folders}
    for key, item, at in files:
        home = str(item.get("source_id") or item.get("folder_id"))
        if home in held:
            each = _read_file(key, item, held[home])
            held[home][each[0].name] = each
        else:
            warnings.append(f"{at} was left out: its folder {home} is not in the file.")
    lost = [name for texts in held.values() for name, (_, words) in texts.items() if words is None]
    if lost:
        named = ", ".join(lost[:NAMED_MAX]) + (" …" if len(lost) > NAMED_MAX else "")
        warnings.append(f"Files without a text stand in their folders in the state 'error': {named}. Send them again.")
    made = {key: _read_folder(item, embedding) for key, item, _ in folders}
    return {key: FileFolder(folder=folder, files=tuple(held[key].values())) for key, folder in made.items()}


def _read_folder(item: JsonObject, embedding: str | None) -> Folder:
    letters = (letter if letter.isprintable() and letter not in '<>"/' else "_" for letter in str(item.get("name")))
    handle = embedding or text_of(item, "embedding") or handle_in(dict(object_of(item.get("embedding_config"))))
    return Folder(
        id="",
        name="".join(letters).strip()[:NAME_MAX_CHARS] or "folder",
        description=text_of(item, "description"),
        instructions=text_of(item, "instructions"),
        embedding=None if handle == WORDS_ONLY.handle else handle,
        metadata=object_of(item.get("metadata")),
    )


def _read_file(key: str, item: JsonObject, taken: Mapping[str, TextFile]) -> TextFile:
    """A file, whose name is that of no other in its folder. Raises Unprocessable for a name that is none."""
    sent, given = text_of(item, "original_file_name"), text_of(item, "content")
    name = base = clean_name(text_of(item, "file_name") or sent or key)
    number = len(taken)  # counting from 1 would be many tries for many files of one name
    while name in taken:
        name, number = with_number(base, number), number + 1
    words, error = None if given is None else decoded(given.encode()), text_of(item, "error_message") or NO_TEXT
    size_bytes = len((words or "").encode())
    if size_bytes > Bounds().text_max_bytes:
        words, error = None, "Its text is longer than one of a file may be."
    file = File(
        id=key,
        folder_id="",
        folder_name="",
        name=name,
        original_name=(sent or name)[:1_000],
        media_type=(text_of(item, "file_type") or "text/plain")[:1_000],
        size_bytes=count_of(item.get("file_size")) or size_bytes,
        error=error[:1_000] if words is None else None,
    )
    return file, words


def read_opened(
    entries: Sequence[JsonObject], folder_ids: Sequence[str], folders: Mapping[str, FileFolder]
) -> Opened | None:
    """What an agent of a file has open of its folders; None if the file does not say it."""
    known = {file.id for key in folder_ids for file, words in folders[key].files if words is not None}
    found: list[tuple[str, Stretch]] = []
    for entry in sorted(entries, key=lambda entry: str(entry.get("last_accessed_at") or "")):
        file_id, first = str(entry.get("file_id")), count_of(entry.get("start_line")) or 1
        if entry.get("is_open") is not False and file_id in known:
            end = count_of(entry.get("end_line"))
            found.append((file_id, Stretch(first=first, count=end and max(1, end - first))))
    return found if entries else None


def wire_folders(found: Exported, agent_id: str, embedding: EmbeddingInfo | None) -> dict[str, list[JsonValue]]:
    """What an agent has of folders: `sources`, `files`, and `files_agents`, where the open ones come first."""
    sources: list[JsonValue] = []
    files: list[JsonValue] = []
    views = {held.file.id: held for held in found.opened}
    seen: dict[str, JsonValue] = dict.fromkeys(views)
    for number, item in enumerate(found.folders):
        home: WireObject = {"source_id": f"source-{number}"}
        same = embedding is not None and embedding.handle == item.folder.embedding
        folder = wire_folder(item.folder, embedding if same else None)
        sources.append(_lasting(folder) | {"id": f"source-{number}", "embedding": item.folder.embedding})
        for file, words in item.files:
            known = home | {"id": f"file_agent-{len(files)}", "agent_id": agent_id, "file_id": f"file-{len(files)}"}
            limit_chars = found.agent.per_file_view_window_limit_chars
            seen[file.id] = _wire_view(file, words or "", views.get(file.id), limit_chars) | known
            files.append(_wire_file(file, words) | home | {"id": f"file-{len(files)}"})
    return {"sources": sources, "files": files, "files_agents": [*seen.values()]}


def _lasting(item: WireObject) -> WireObject:
    """A thing without when it was made and by whom, which is another matter where it goes."""
    return {key: value for key, value in item.items() if not key.endswith(("ted_at", "_by_id"))}


def _wire_file(file: File, words: str | None) -> WireObject:
    """FileSchema. What is made of a text is made anew where it goes."""
    lost = words is None
    status = {"processing_status": "error" if lost else "completed", "total_chunks": None, "chunks_embedded": None}
    error = {"error_message": (file.error or NO_TEXT) if lost else None}
    return _lasting(wire_file(file, words)) | status | error


def _wire_view(file: File, words: str, held: FileView | None, limit_chars: int) -> WireObject:
    """FileAgentSchema. No lines are named of a file that is open as a whole, as far as it fits."""
    item = wire_view("", held or FileView(file=file))
    whole = held is None or view(words, limit_chars).shown == held.shown
    end = None if held is None or held.line_last is None else held.line_last + 1
    lines = {"start_line": None, "end_line": None} if whole else {"end_line": end}
    return {key: value for key, value in item.items() if not key.startswith("folder")} | lines
