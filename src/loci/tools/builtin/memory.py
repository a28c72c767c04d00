"""The memory tools: how an agent edits its own core memory and keeps and finds notes. Names and effects as agents of
the Letta V1 API know them.

Edits are pure functions from the agent's blocks to a text and a ChangeSet. Searches run outside and change nothing.
"""

from collections.abc import Mapping, Sequence

from loci.errors import MemoryRefused, ToolRefused
from loci.memory import edits
from loci.memory.archive import ArchiveSearch
from loci.memory.recall import Recall
from loci.tools.base import BuiltinTool, MemoryOutcome, MemoryTool
from loci.tools.builtin import schemas
from loci.tools.builtin.patches import memory_apply_patch
from loci.tools.builtin.searches import Searches
from loci.types.json import JsonObject
from loci.types.memory import Block, BlockCreate, BlockDetach, BlockEdit, ChangeSet, PassageInsert
from loci.types.tools import Effect, ToolSchema, ToolType

Blocks = Sequence[Block]
_ROOT = "/memories/"
_RECOMPILED = "Your system prompt has been recompiled with the change."


def memory_builtins(recall: Recall, archive: ArchiveSearch) -> dict[str, BuiltinTool]:
    """All memory tools, by name."""
    searches = Searches(recall, archive)
    found = [
        _edit(schemas.CORE_APPEND, core_memory_append, ToolType.CORE),
        _edit(schemas.CORE_REPLACE, core_memory_replace, ToolType.CORE),
        _edit(schemas.MEMORY_INSERT, memory_insert, ToolType.SLEEPTIME),
        _edit(schemas.MEMORY_REPLACE, memory_replace, ToolType.SLEEPTIME),
        _edit(schemas.MEMORY_RETHINK, memory_rethink, ToolType.SLEEPTIME),
        _edit(schemas.MEMORY_FINISH, finish_edits, ToolType.SLEEPTIME),
        _edit(schemas.MEMORY, memory, ToolType.SLEEPTIME),
        _edit(schemas.MEMORY_PATCH, memory_apply_patch, ToolType.SLEEPTIME),
        _edit(schemas.ARCHIVAL_INSERT, archival_memory_insert, ToolType.CORE),
        _edit(schemas.STORE_MEMORIES, store_memories, ToolType.VOICE_SLEEPTIME),
        _edit(schemas.RETHINK_USER, rethink_user_memory, ToolType.VOICE_SLEEPTIME),
        _edit(schemas.FINISH_RETHINKING, finish_edits, ToolType.VOICE_SLEEPTIME),
    ]
    pure: Effect = "pure"
    for schema, search in (
        (schemas.ARCHIVAL_SEARCH, searches.archival_memory_search),
        (schemas.CONVERSATION_SEARCH, searches.conversation_search),
    ):
        found.append(BuiltinTool(schema=schema, tool_type=ToolType.CORE, effect=pure, outside=search))
    return {tool.schema.name: tool for tool in found}


def _edit(schema: ToolSchema, run: MemoryTool, tool_type: ToolType) -> BuiltinTool:
    return BuiltinTool(schema=schema, tool_type=tool_type, effect="memory", memory=run)


def _text(args: JsonObject, name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str):
        raise ToolRefused(f"'{name}' must be a text.")
    return value


def _outcome(block: Block, text: str | None = None, *, recompile: bool = False) -> MemoryOutcome:
    """The edit of one block; the model is shown its new value."""
    edit = BlockEdit(block_id=block.id, version=block.version, value=block.value)
    changes = ChangeSet(changes=(edit,), recompile=recompile)
    return MemoryOutcome(text=block.value if text is None else text, changes=changes)


def core_memory_append(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """A new line at the end of a block."""
    return _outcome(edits.append(edits.named(blocks, _text(args, "label")), _text(args, "content")))


def core_memory_replace(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """Every occurrence of a text in a block."""
    block = edits.named(blocks, _text(args, "label"))
    return _outcome(edits.replace_all(block, _text(args, "old_content"), _text(args, "new_content")))


def memory_insert(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """New lines in a block."""
    block = edits.named(blocks, _text(args, "label"))
    return _outcome(edits.insert_line(block, _text(args, "new_string"), _line(args)))


def _line(args: JsonObject) -> int:
    line = args.get("insert_line")
    if line is None:
        return -1
    if isinstance(line, bool) or not isinstance(line, int | float):
        raise ToolRefused("'insert_line' must be a whole number.")
    return int(line)


def memory_replace(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """The one occurrence of a text in a block."""
    block = edits.named(blocks, _text(args, "label"))
    return _outcome(edits.replace_one(block, _text(args, "old_string"), _text(args, "new_string")))


def memory_rethink(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """A block anew as a whole."""
    return _outcome(edits.rewrite(edits.named(blocks, _text(args, "label")), _text(args, "new_memory")))


def rethink_user_memory(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """The block about the person anew as a whole."""
    return _outcome(edits.rewrite(edits.named(blocks, "human"), _text(args, "new_memory")))


def finish_edits(blocks: Blocks, args: JsonObject) -> MemoryOutcome:  # noqa: ARG001  it says one thing only
    """Nothing is left to do."""
    return MemoryOutcome(text="Memory is in order.")


def memory(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    """Blocks as files."""
    match _text(args, "command"):
        case "create":
            return _create(blocks, args)
        case "str_replace":
            block = edits.named(blocks, _label(args, "path"))
            return _outcome(edits.replace_one(block, _text(args, "old_string"), _text(args, "new_string")))
        case "insert":
            block = edits.named(blocks, _label(args, "path"))
            return _outcome(edits.insert_line(block, _text(args, "insert_text"), _line(args)))
        case "delete":
            return _delete(blocks, _label(args, "path"))
        case "rename":
            return _rename(blocks, args)
        case other:
            raise ToolRefused(
                f"There is no command '{other}'.", hint="Use create, str_replace, insert, delete or rename."
            )


def _label(args: JsonObject, name: str) -> str:
    path = _text(args, name).strip()
    label = path.removeprefix(_ROOT).strip("/")
    if not label:
        raise ToolRefused(f"'{name}' must be /memories/LABEL.")
    return label


def _create(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    label = _label(args, "path")
    if any(block.label == label for block in blocks):
        raise MemoryRefused(f"There is a block '{label}' already.", hint="Edit it with str_replace or insert.")
    description = args.get("description")
    value = args.get("file_text")
    new = BlockCreate(
        label=label,
        value=value if isinstance(value, str) else "",
        description=description if isinstance(description, str) else None,
    )
    edits.changed(Block(id="new", label=label, value="", limit_chars=new.limit_chars), new.value)
    changes = ChangeSet(changes=(new,), recompile=True)
    return MemoryOutcome(text=f"Successfully created memory block '{label}'. {_RECOMPILED}", changes=changes)


def _delete(blocks: Blocks, label: str) -> MemoryOutcome:
    block = edits.named(blocks, label)
    edits.changed(block, "")
    changes = ChangeSet(changes=(BlockDetach(block_id=block.id, version=block.version),), recompile=True)
    return MemoryOutcome(text=f"Successfully deleted memory block '{label}'. {_RECOMPILED}", changes=changes)


def _rename(blocks: Blocks, args: JsonObject) -> MemoryOutcome:
    description = args.get("description")
    told = description if isinstance(description, str) else None
    if told is not None and args.get("new_path") is None:
        block = edits.changed(
            edits.named(blocks, _label(args, "path" if args.get("path") else "old_path")), _same(blocks, args)
        )
        edit = BlockEdit(block_id=block.id, version=block.version, value=block.value, description=told)
        text = f"Successfully updated the description of memory block '{block.label}'. {_RECOMPILED}"
        return MemoryOutcome(text=text, changes=ChangeSet(changes=(edit,), recompile=True))
    block, label = edits.named(blocks, _label(args, "old_path")), _label(args, "new_path")
    if any(other.label == label for other in blocks):
        raise MemoryRefused(f"There is a block '{label}' already.", hint="Choose another label.")
    edits.changed(block, block.value)
    edit = BlockEdit(block_id=block.id, version=block.version, value=block.value, label=label, description=told)
    text = f"Successfully renamed memory block '{block.label}' to '{label}'. {_RECOMPILED}"
    return MemoryOutcome(text=text, changes=ChangeSet(changes=(edit,), recompile=True))


def _same(blocks: Blocks, args: JsonObject) -> str:
    return edits.named(blocks, _label(args, "path" if args.get("path") else "old_path")).value


def archival_memory_insert(blocks: Blocks, args: JsonObject) -> MemoryOutcome:  # noqa: ARG001  notes are no blocks
    """A note in the archive."""
    content = _text(args, "content").strip()
    if not content:
        raise ToolRefused("'content' is empty.")
    note = PassageInsert(text=content, tags=_tags(args))
    return MemoryOutcome(text="Stored in archival memory.", changes=ChangeSet(changes=(note,), recompile=True))


def _tags(args: JsonObject) -> tuple[str, ...]:
    tags = args.get("tags")
    return tuple(str(tag) for tag in tags) if isinstance(tags, list) else ()


def store_memories(blocks: Blocks, args: JsonObject) -> MemoryOutcome:  # noqa: ARG001  notes are no blocks
    """Notes on stretches of a conversation."""
    chunks = args.get("chunks")
    found = [chunk for chunk in chunks if isinstance(chunk, Mapping)] if isinstance(chunks, list) else []
    notes = tuple(
        PassageInsert(text=str(chunk.get("context") or "").strip()) for chunk in found if chunk.get("context")
    )
    if not notes:
        raise ToolRefused("'chunks' holds no stretch with a context.")
    return MemoryOutcome(text=f"Stored {len(notes)} memories.", changes=ChangeSet(changes=notes, recompile=True))
