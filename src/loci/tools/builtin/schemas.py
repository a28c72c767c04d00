"""What a model is told about the memory tools. These words decide whether agents remember, so they say when to use a
tool, what makes a good memory, and what each argument means.
"""

from loci.types.json import JsonObject, JsonValue
from loci.types.tools import ToolSchema

_LABEL = "Label of the block, as shown in <memory_blocks>."
_PATCH = "The lines of the patch. Unchanged lines around an edit make its place certain."
_DATES = "ISO 8601, such as 2026-03-01 or 2026-03-01T18:00; inclusive, in your timezone."


def text(description: str, **more: JsonValue) -> JsonObject:
    """A text argument."""
    return {"type": "string", "description": description, **more}


def number(description: str, **more: JsonValue) -> JsonObject:
    """A whole number."""
    return {"type": "integer", "description": description, **more}


def texts(description: str, **more: JsonValue) -> JsonObject:
    """A list of texts."""
    return {"type": "array", "items": {"type": "string"}, "description": description, **more}


def schema(name: str, description: str, properties: dict[str, JsonObject], *required: str) -> ToolSchema:
    """The schema of a tool."""
    parameters: JsonObject = {"type": "object", "properties": properties, "required": list(required)}
    return ToolSchema(name=name, description=description, parameters=parameters)


CORE_APPEND = schema(
    "core_memory_append",
    "Add a line to a block of your core memory. Use it the moment you learn something that will still matter later: "
    "one whole statement that stands on its own, with absolute dates. If it changes something that is already there, "
    "use core_memory_replace instead.",
    {"label": text(_LABEL), "content": text("The statement to add, on a line of its own.")},
    "label",
    "content",
)
CORE_REPLACE = schema(
    "core_memory_replace",
    "Correct or remove text in a block of your core memory: when something has changed, was wrong, or the person wants "
    "it forgotten. The old text must be given exactly as it stands; every occurrence is replaced.",
    {
        "label": text(_LABEL),
        "old_content": text("The text as it stands now, character for character."),
        "new_content": text("The text to put in its place; empty to remove it."),
    },
    "label",
    "old_content",
    "new_content",
)
MEMORY_INSERT = schema(
    "memory_insert",
    "Add lines to a block of your core memory. Use it the moment you learn something that will still matter later: "
    "whole statements that stand on their own, with absolute dates. If it changes something that is already there, use "
    "memory_replace instead of adding a second line that contradicts it.",
    {
        "label": text(_LABEL),
        "new_string": text("The text to add. Without line numbers."),
        "insert_line": number("The line after which it goes: 0 for the top, -1 (the default) for the end.", default=-1),
    },
    "label",
    "new_string",
)
MEMORY_REPLACE = schema(
    "memory_replace",
    "Correct or remove one passage in a block of your core memory: when something has changed, was wrong, or the "
    "person wants it forgotten. The old text must stand in the block exactly once; give enough of its surroundings.",
    {
        "label": text(_LABEL),
        "old_string": text(
            "The text as it stands now, character for character, line breaks included. No line numbers."
        ),
        "new_string": text("The text to put in its place; empty to remove it."),
    },
    "label",
    "old_string",
    "new_string",
)
MEMORY_RETHINK = schema(
    "memory_rethink",
    "Write a block of your core memory anew as a whole, to bring order into it: put together what is said twice, drop "
    "what no longer holds. Everything you leave out is gone from the block, so carry over every fact that still holds. "
    "For small changes use memory_insert or memory_replace.",
    {"label": text(_LABEL), "new_memory": text("The whole new text of the block.")},
    "label",
    "new_memory",
)
MEMORY_FINISH = schema(
    "memory_finish_edits",
    "Say that memory is in order and nothing is left to edit. Call it last; at once if there was nothing to do.",
    {},
)
MEMORY = schema(
    "memory",
    "Edit your core memory as a set of files, one for each block, at /memories/LABEL: make, delete or rename a block, "
    "replace a text in it, or insert lines.",
    {
        "command": text(
            "create (path, file_text, description), str_replace (path, old_string, new_string), insert (path, "
            "insert_text, insert_line), delete (path), rename (old_path and new_path, or path and description).",
            enum=["create", "str_replace", "insert", "delete", "rename"],
        ),
        "path": text("/memories/LABEL of the block."),
        "file_text": text("create: what the new block holds."),
        "description": text("create, rename: what the block is for. Say what belongs in it; it steers you later."),
        "old_string": text("str_replace: the text as it stands now, exactly and only once in the block."),
        "new_string": text("str_replace: the text to put in its place; empty to remove it."),
        "insert_line": number("insert: the line after which the text goes; 0 for the top, -1 for the end."),
        "insert_text": text("insert: the text to add."),
        "old_path": text("rename: /memories/LABEL as it is now."),
        "new_path": text("rename: /memories/LABEL as it shall be."),
    },
    "command",
)
MEMORY_PATCH = schema(
    "memory_apply_patch",
    "Make several edits at once. Either give a label and a patch of lines that begin with ' ' (unchanged), '-' (taken "
    "away) and '+' (added), without line numbers; or, for several blocks, a patch with sections "
    "'*** Add Block: LABEL', '*** Update Block: LABEL' (with '*** Move to: NEW_LABEL' to rename it) and "
    "'*** Delete Block: LABEL'.",
    {"label": text("Label of the block to patch; ignored if the patch names blocks."), "patch": text(_PATCH)},
    "label",
    "patch",
)
ARCHIVAL_INSERT = schema(
    "archival_memory_insert",
    "Keep a note in archival memory, which has no limit and is searched, not shown. For what matters now and then: "
    "longer facts, what happened, sources, plans in detail. Write it so that it makes sense alone and can be found: "
    "names, absolute dates, what it is about. What matters in every conversation belongs into a block instead.",
    {
        "content": text("The note: one matter, self-contained."),
        "tags": texts("Words to find it by later, such as a person, a project, a kind of note. Reuse those you have."),
    },
    "content",
)
ARCHIVAL_SEARCH = schema(
    "archival_memory_search",
    "Search your archival memory by meaning and by words, best first. Use it before you say that you do not know. Try "
    "other words if nothing fits, and offset to see more.",
    {
        "query": text("What you look for, as a question or in the words that the note may have."),
        "tags": texts("Only notes with these tags."),
        "tag_match_mode": text("Whether a note needs any of the tags or all of them.", enum=["any", "all"]),
        "top_k": number("How many notes at most, 10 if not given."),
        "start_datetime": text(f"Only notes from then on. {_DATES}"),
        "end_datetime": text(f"Only notes until then. {_DATES}"),
        "offset": number("How many of the best to skip, to see the next ones."),
    },
    "query",
)
CONVERSATION_SEARCH = schema(
    "conversation_search",
    "Search everything that was ever said between you and the person, also what no longer stands in your window, by "
    "meaning and by words. Use it when something may have been said before. Without a query it lists the newest "
    "messages of a time.",
    {
        "query": text("What you look for."),
        "roles": {
            "type": "array",
            "items": {"type": "string", "enum": ["user", "assistant", "tool"]},
            "description": "Only what these said. Both sides if not given.",
        },
        "limit": number("How many messages at most, 5 if not given."),
        "start_date": text(f"Only messages from then on. {_DATES}"),
        "end_date": text(f"Only messages until then. {_DATES}"),
        "offset": number("How many of the best to skip, to see the next ones."),
    },
)
STORE_MEMORIES = schema(
    "store_memories",
    "Keep stretches of the conversation in archival memory before they leave the window.",
    {
        "chunks": {
            "type": "array",
            "description": "The stretches, in order.",
            "items": {
                "type": "object",
                "properties": {
                    "start_index": number("Number of the first message of the stretch."),
                    "end_index": number("Number of its last message."),
                    "context": text("What it is about, so that it can be found: who, what, when, with absolute dates."),
                },
                "required": ["context"],
            },
        }
    },
    "chunks",
)
RETHINK_USER = schema(
    "rethink_user_memory",
    "Write the block 'human' anew as a whole: carry over what still holds, correct what has changed, add what is new.",
    {"new_memory": text("The whole new text.")},
    "new_memory",
)
FINISH_RETHINKING = schema(
    "finish_rethinking_memory", "Say that memory is in order and nothing is left to do. Call it last.", {}
)
