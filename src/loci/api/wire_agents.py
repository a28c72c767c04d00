"""An agent in the JSON of the Letta V1 API, with what hangs on it as far as the client asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from loci.agent.kinds import kind_of
from loci.api.wire_groups import wire_group
from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.api.wire_values import embedding_config, endpoint_type, llm_config, wire_block, wire_identity, wire_tool
from loci.model.base import EmbeddingInfo, ModelInfo
from loci.store import agents as rows
from loci.store.rules import rule_to_json
from loci.types.actor import DEFAULT_PROJECT
from loci.types.agents import Agent
from loci.types.files import Folder
from loci.types.groups import Group
from loci.types.identities import Identity
from loci.types.json import JsonValue
from loci.types.memory import Block
from loci.types.runs import Run
from loci.types.tools import Tool

GIT_TAG = "git-memory-enabled"
"""Coding clients that keep memory in its repository mark the agent with it."""
RELATIONS = frozenset(
    {
        "agent.blocks",
        "agent.tools",
        "agent.tags",
        "agent.sources",
        "agent.identities",
        "agent.secrets",
        "agent.managed_group",
        "agent.pending_approval",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """An agent with all that may be shown of it. What was not read is empty."""

    agent: Agent
    blocks: Sequence[Block] = ()
    tools: Sequence[Tool] = ()
    folders: Sequence[Folder] = ()
    sources: Sequence[WireObject] = ()
    """The folders as they are shown."""
    message_ids: Sequence[str] = ()
    identity_ids: Sequence[str] = ()
    identities: Sequence[Identity] = ()
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    model: ModelInfo | None = None
    embedding: EmbeddingInfo | None = None
    last_run: Run | None = None
    pending: WireObject | None = None
    group: Group | None = None
    """The one that it manages."""
    shown: frozenset[str] = RELATIONS


def wire_agent(view: AgentView) -> WireObject:
    """AgentState."""
    agent = view.agent
    settings = rows.settings_json(agent.model_settings)
    model = view.model or unknown_model(agent)
    held = [wire_block(block) for block in view.blocks] if "agent.blocks" in view.shown else []
    secrets = _secrets(view) if "agent.secrets" in view.shown else []
    group = wire_group(view.group) if view.group and "agent.managed_group" in view.shown else None
    return {
        "id": agent.id,
        "name": agent.name,
        "agent_type": agent.agent_type.value,
        "system": agent.system,
        "description": agent.description,
        "metadata": agent.metadata,
        "tags": list(agent.tags) if "agent.tags" in view.shown else [],
        "timezone": agent.timezone,
        "tool_rules": [rule_to_json(rule) for rule in agent.tool_rules],
        "message_ids": list(view.message_ids),
        "model": agent.model,
        "embedding": agent.embedding,
        "model_settings": model_settings_of(agent, model),
        "llm_config": {
            **llm_config(model, agent.context_window_tokens, settings),
            "put_inner_thoughts_in_kwargs": kind_of(agent.agent_type).inner_thoughts,
        },
        "embedding_config": embedding_config(view.embedding) if view.embedding else None,
        "compaction_settings": _compaction(agent),
        "response_format": agent.response_format,
        "memory": _memory(agent, held),
        "blocks": held,
        "tools": [wire_tool(tool) for tool in view.tools] if "agent.tools" in view.shown else [],
        "identities": [wire_identity(item) for item in view.identities] if "agent.identities" in view.shown else [],
        "identity_ids": list(view.identity_ids),
        "sources": list(view.sources) if "agent.sources" in view.shown else [],
        "secrets": secrets,
        "tool_exec_environment_variables": secrets,
        "pending_approval": view.pending if "agent.pending_approval" in view.shown else None,
        "multi_agent_group": group,
        "managed_group": group,
        "enable_sleeptime": agent.enable_sleeptime,
        "message_buffer_autoclear": agent.message_buffer_autoclear,
        "max_files_open": agent.max_files_open,
        "per_file_view_window_char_limit": agent.per_file_view_window_limit_chars,
        "hidden": agent.hidden,
        "project_id": agent.project_id or DEFAULT_PROJECT,
        "template_id": agent.template_id,
        "base_template_id": agent.base_template_id,
        "deployment_id": agent.deployment_id,
        "entity_id": agent.entity_id,
        **_last_run(view.last_run),
        "created_at": wire_moment(agent.created_at),
        "updated_at": wire_moment(agent.updated_at),
        "created_by_id": agent.created_by,
        "last_updated_by_id": agent.updated_by or agent.created_by,
    }


def unknown_model(agent: Agent) -> ModelInfo:
    """What is known of a model that cannot be had at the moment: its handle."""
    provider, _, name = agent.model.partition("/")
    return ModelInfo(
        handle=agent.model,
        name=name or agent.model,
        provider=provider,
        provider_type=provider,
        window_tokens=agent.context_window_tokens,
    )


def model_settings_of(agent: Agent, model: ModelInfo) -> WireObject:
    """What an agent asks of its model."""
    settings = agent.model_settings
    own: dict[str, JsonValue] = {
        "provider_type": endpoint_type(model.provider_type),
        "max_output_tokens": settings.max_output_tokens,
        "temperature": settings.temperature,
        "parallel_tool_calls": settings.parallel_tool_calls,
        "reasoning": {"reasoning_effort": settings.reasoning_effort} if settings.reasoning_effort else None,
    }
    # The API declares no nulls here: what was not chosen is not there.
    return {key: value for key, value in {**settings.raw, **own}.items() if value is not None}


def _compaction(agent: Agent) -> WireObject:
    settings = dict(rows.settings_json(agent.compaction_settings))
    settings["model"] = settings["model"] or agent.model
    return settings


def _memory(agent: Agent, held: list[WireObject]) -> WireObject:
    return {
        "blocks": held,
        "file_blocks": [],
        "agent_type": agent.agent_type.value,
        "git_enabled": GIT_TAG in agent.tags,
        "prompt_template": "",
    }


def _secrets(view: AgentView) -> list[WireObject]:
    return [
        {
            "agent_id": view.agent.id,
            "key": key,
            "value": value,
            "id": _secret_id(view.agent.id, key),
            "description": None,
            "value_enc": None,
            "created_at": wire_moment(view.agent.created_at),
            "updated_at": wire_moment(view.agent.updated_at),
            "created_by_id": view.agent.created_by,
            "last_updated_by_id": view.agent.updated_by,
        }
        for key, value in view.secrets.items()
    ]


def _secret_id(agent_id: str, key: str) -> str:
    """The same id for the same secret, which has no row of its own."""
    number = int.from_bytes(sha256(f"{agent_id}\n{key}".encode()).digest()[:16])
    return f"agent-env-{UUID(int=number, version=4)}"


def _last_run(run: Run | None) -> WireObject:
    if run is None:
        return {"last_run_completion": None, "last_run_duration_ms": None, "last_stop_reason": None}
    return {
        "last_run_completion": wire_moment(run.completed_at),
        "last_run_duration_ms": None if run.total_duration_ns is None else run.total_duration_ns // 1_000_000,
        "last_stop_reason": None if run.stop_reason is None else run.stop_reason.value,
    }
