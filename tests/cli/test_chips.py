"""What a reader is told when an agent writes to its memory."""

import json

import pytest

from loci.cli.chips import chip


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        (
            "memory_insert",
            {"label": "human", "new_string": "Likes tea", "insert_line": -1},
            ("saved to human", "Likes tea"),
        ),
        ("core_memory_append", {"label": "persona", "content": "Calm"}, ("saved to persona", "Calm")),
        ("archival_memory_insert", {"content": "Met in Porto"}, ("saved to archive", "Met in Porto")),
        (
            "memory_replace",
            {"label": "human", "old_string": "tea", "new_string": "coffee"},
            ("changed in human", "tea → coffee"),
        ),
        ("memory_replace", {"label": "human", "old_string": "tea", "new_string": ""}, ("forgot from human", "tea")),
        (
            "core_memory_replace",
            {"label": "human", "old_content": "a", "new_content": "b"},
            ("changed in human", "a → b"),
        ),
        ("memory_rethink", {"label": "human", "new_memory": "All new"}, ("rewrote human", "All new")),
        ("memory_apply_patch", {"label": "human", "patch": "-a\n+b"}, ("edited human", "-a\n+b")),
        (
            "memory",
            {"command": "insert", "path": "/memories/human", "insert_text": "Ada"},
            ("saved to human", "Ada"),
        ),
        (
            "memory",
            {"command": "str_replace", "path": "/memories/human", "old_string": "a", "new_string": "b"},
            ("changed in human", "a → b"),
        ),
        ("memory", {"command": "create", "path": "/memories/pets", "file_text": "Rex"}, ("made pets", "Rex")),
        ("memory", {"command": "delete", "path": "/memories/pets"}, ("forgot pets", "")),
        (
            "memory",
            {"command": "rename", "old_path": "/memories/pets", "new_path": "/memories/dogs"},
            ("renamed pets", "dogs"),
        ),
    ],
)
def test_each_way_to_write_has_its_words(tool: str, arguments: dict[str, object], told: tuple[str, str]):
    assert chip(tool, json.dumps(arguments)) == told


@pytest.mark.parametrize("tool", ["conversation_search", "send_message", "memory_finish_edits"])
def test_a_tool_that_keeps_nothing_has_none(tool: str):
    assert chip(tool, "{}") is None


@pytest.mark.parametrize("arguments", ["", "{", "[1]", "null", '{"label": 7}'])
def test_broken_arguments_still_have_words(arguments: str):
    assert chip("memory_insert", arguments) == ("saved to memory", "")
