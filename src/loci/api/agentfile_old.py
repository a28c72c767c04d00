"""The agent file's first shape, of one agent with its parts inside, turned into the one of today."""

from collections.abc import Mapping

from loci.types.json import JsonObject, JsonValue

RULE_NAMES = {
    "InitToolRule": "run_first",
    "TerminalToolRule": "exit_loop",
    "ContinueToolRule": "continue_loop",
    "ToolRule": "constrain_child_tools",
    "ChildToolRule": "constrain_child_tools",
    "ParentToolRule": "parent_last_tool",
    "ConditionalToolRule": "conditional",
    "MaxCountPerStepToolRule": "max_count_per_step",
    "RequiredBeforeExitToolRule": "required_before_exit",
    "RequiresApprovalToolRule": "requires_approval",
}
"""Kinds of tool rules as old files call them, by the name of a class."""


def modern(document: JsonObject) -> JsonObject:
    """The document in today's shape; one that is in it already stays as it is."""
    if "agents" in document or not {"core_memory", "messages", "agent_type", "system"} & document.keys():
        return document
    blocks = _numbered(document.get("core_memory"), "block")
    tools = _numbered(document.get("tools"), "tool")
    messages = _numbered(document.get("messages"), "message")
    agent: dict[str, JsonValue] = {key: value for key, value in document.items() if key not in _MOVED}
    agent |= {
        "id": "agent-0",
        "metadata": document.get("metadata_"),
        "tags": [tag.get("tag") if isinstance(tag, Mapping) else tag for tag in _items(document.get("tags"))],
        "tool_exec_environment_variables": {
            str(item.get("key")): item.get("value")
            for item in _items(document.get("tool_exec_environment_variables"))
            if isinstance(item, Mapping)
        },
        "block_ids": [block["id"] for block in blocks],
        "tool_ids": [tool["id"] for tool in tools],
        "messages": messages,
    }
    places = document.get("in_context_message_indices")
    if isinstance(places, list):
        agent["in_context_message_ids"] = [
            messages[place]["id"] for place in places if isinstance(place, int) and 0 <= place < len(messages)
        ]
    return {"agents": [agent], "blocks": blocks, "tools": tools}


_MOVED = frozenset({"core_memory", "tools", "messages", "metadata_", "identities", "groups", "multi_agent_group"})


def _numbered(value: JsonValue, prefix: str) -> list[dict[str, JsonValue]]:
    found: list[dict[str, JsonValue]] = []
    for number, item in enumerate(item for item in _items(value) if isinstance(item, Mapping)):
        # Blocks of that time kept their metadata under another name.
        metadata = {"metadata": item["metadata_"]} if prefix == "block" and "metadata_" in item else {}
        found.append({**item, **metadata, "id": f"{prefix}-{number}"})
    return found


def _items(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list) else []
