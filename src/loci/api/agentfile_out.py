"""An agent as an agent file (.af): the published shape, so that other servers can read it.

What has no place there (archives, model settings as they are kept) stands under the key `loci`, which others ignore.
Values of secrets never leave; their names do.
"""

from dataclasses import replace
from importlib.metadata import version

from loci.agent.agentfile import Exported, FileArchive, with_covered
from loci.api.agentfile_folders import wire_folders
from loci.api.wire_agents import model_settings_of
from loci.api.wire_filemessages import OWN_KEY, wire_file_messages
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.api.wire_values import embedding_config, llm_config, wire_block, wire_tool
from loci.model.base import EmbeddingInfo, ModelInfo
from loci.store import agents as rows
from loci.store.rules import rule_to_json
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Block, Passage
from loci.types.tools import Tool

AGENT_ID = "agent-0"
_NULLS = (
    "initial_message_sequence",
    "embedding_chunk_size",
    "max_tokens",
    "max_reasoning_tokens",
    "enable_reasoner",
    "reasoning",
    "from_template",
    "project",
    "secrets",
    "memory_variables",
    "project_id",
    "template_id",
    "base_template_id",
    "identity_ids",
    "folder_ids",
    "parallel_tool_calls",
)
_FALSE = ("include_base_tools", "include_multi_agent_tools", "include_base_tool_rules", "include_default_source")


def wire_file(
    found: Exported,
    model: ModelInfo,
    embedding: EmbeddingInfo | None,
    *,
    skills: list[JsonObject],
    exported_at: JsonValue,
) -> WireObject:
    """AgentFileSchema."""
    held = wire_folders(found, AGENT_ID, embedding)
    has: WireObject = {"source_ids": [f"source-{n}" for n in range(len(found.folders))]}
    return {
        "agents": [_agent(found, model, embedding) | has | {"files_agents": held["files_agents"]}],
        "groups": [],
        "blocks": [_block(block, f"block-{number}") for number, block in enumerate(found.blocks)],
        "files": held["files"],
        "sources": held["sources"],
        "tools": [_tool(tool, f"tool-{number}") for number, tool in enumerate(found.tools)],
        "mcp_servers": [],
        "skills": skills,
        "metadata": {"revision_id": f"loci-{version('loci-agents')}"},
        "created_at": exported_at,
        OWN_KEY: {"archives": [_archive(item, f"archive-{n}") for n, item in enumerate(found.archives)]},
    }


def _agent(found: Exported, model: ModelInfo, embedding: EmbeddingInfo | None) -> WireObject:
    agent = found.agent
    settings = rows.settings_json(agent.model_settings)
    ids = {message.id: f"message-{number}" for number, message in enumerate(found.messages)}
    said = [replace(message, id=ids[message.id], extra=with_covered(message.extra, ids)) for message in found.messages]
    item: WireObject = {
        "id": AGENT_ID,
        "name": agent.name,
        "agent_type": agent.agent_type.value,
        "system": agent.system,
        "description": agent.description,
        "metadata": agent.metadata,
        "tags": list(agent.tags),
        "memory_blocks": [],
        "tools": [],
        "tool_ids": [f"tool-{number}" for number in range(len(found.tools))],
        "block_ids": [f"block-{number}" for number in range(len(found.blocks))],
        "tool_rules": [rule_to_json(rule) for rule in agent.tool_rules],
        "llm_config": llm_config(model, agent.context_window_tokens, settings),
        "embedding_config": embedding_config(embedding) if embedding else None,
        "model": agent.model,
        "embedding": agent.embedding,
        "model_settings": model_settings_of(agent, model),
        "compaction_settings": rows.settings_json(agent.compaction_settings),
        "context_window_limit": agent.context_window_tokens,
        "response_format": agent.response_format,
        "tool_exec_environment_variables": dict.fromkeys(agent.tool_exec_environment, ""),
        "timezone": agent.timezone,
        "message_buffer_autoclear": agent.message_buffer_autoclear,
        "enable_sleeptime": agent.enable_sleeptime,
        "hidden": agent.hidden,
        "max_files_open": agent.max_files_open,
        "per_file_view_window_char_limit": agent.per_file_view_window_limit_chars,
        "template": False,
    }
    item |= dict.fromkeys(_NULLS, None) | dict.fromkeys(_FALSE, False)
    item |= {
        "in_context_message_ids": [ids[message_id] for message_id in found.window_ids],
        "messages": wire_file_messages(said, AGENT_ID),
        "group_ids": [],
        OWN_KEY: {
            "model_settings": settings,
            "archive_ids": [f"archive-{number}" for number in range(len(found.archives))],
        },
    }
    return item


def _block(block: Block, file_id: str) -> WireObject:
    item = wire_block(block) | {"id": file_id, "project_id": block.project_id}
    return {key: value for key, value in item.items() if key not in {"created_by_id", "last_updated_by_id"}}


def _tool(tool: Tool, file_id: str) -> WireObject:
    return wire_tool(tool) | {
        "id": file_id,
        "source_type": tool.source_type,
        "created_by_id": None,
        "last_updated_by_id": None,
    }


def _archive(item: FileArchive, file_id: str) -> WireObject:
    archive = item.archive
    return {
        "id": file_id,
        "name": archive.name,
        "description": archive.description,
        "embedding": archive.embedding,
        "metadata": archive.metadata,
        "passages": [_passage(passage) for passage in item.passages],
    }


def _passage(passage: Passage) -> WireObject:
    return {
        "text": passage.text,
        "tags": list(passage.tags),
        "metadata": passage.metadata,
        "created_at": wire_moment(passage.created_at),
    }
