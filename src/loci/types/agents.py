"""An agent is a stored configuration with an id that lasts; a conversation is one thread of its talk."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from loci.types.json import EMPTY, JsonObject
from loci.types.tools import ToolRule


class AgentType(StrEnum):
    """The agent types of the Letta V1 API. Each is a row of data (see `loci.agent.kinds`), not a class."""

    LETTA_V1 = "letta_v1_agent"
    MEMGPT = "memgpt_agent"
    MEMGPT_V2 = "memgpt_v2_agent"
    REACT = "react_agent"
    WORKFLOW = "workflow_agent"
    SLEEPTIME = "sleeptime_agent"
    VOICE_CONVO = "voice_convo_agent"
    VOICE_SLEEPTIME = "voice_sleeptime_agent"
    SPLIT_THREAD = "split_thread_agent"

    @property
    def sleeps(self) -> bool:
        """Whether it works on the memory of another agent while that one rests."""
        return self in (AgentType.SLEEPTIME, AgentType.VOICE_SLEEPTIME)


CompactionMode: TypeAlias = Literal["sliding_window", "all", "self_compact_all", "self_compact_sliding_window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionSettings:
    """When and how the window is emptied. Fractions are of the context window; see MemGPT, arXiv 2310.08560."""

    mode: CompactionMode = "sliding_window"
    model: str | None = None
    model_settings: JsonObject | None = None
    prompt: str | None = None
    prompt_acknowledgement: bool = False
    clip_chars: int | None = 50_000
    sliding_window_percentage: float = 0.3
    warn_fraction: float = 0.70
    flush_fraction: float = 0.90
    evict_fraction: float = 0.50


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What the agent asks of its model. None leaves the choice to the provider. `raw` keeps what the client sent."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    parallel_tool_calls: bool = False
    reasoning_effort: str | None = None
    reasoning_tokens_max: int | None = None
    verbosity: str | None = None
    strict: bool = False
    raw: JsonObject = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A durable agent. `memory_version` grows when anything in its prompt may have changed.

    `model` and `embedding` are handles ("provider/name"); no `embedding` means its archive is searched by words only.
    """

    id: str
    name: str
    agent_type: AgentType
    system: str
    model: str
    embedding: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    tool_rules: tuple[ToolRule, ...] = ()
    model_settings: ModelSettings = field(default_factory=ModelSettings)
    compaction_settings: CompactionSettings = field(default_factory=CompactionSettings)
    response_format: JsonObject | None = None
    context_window_tokens: int = 128_000
    tool_exec_environment: JsonObject = field(default_factory=lambda: EMPTY)
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    timezone: str = "UTC"
    message_buffer_autoclear: bool = False
    enable_sleeptime: bool | None = None
    hidden: bool | None = None
    max_files_open: int = 10
    per_file_view_window_limit_chars: int = 25_000
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    deployment_id: str | None = None
    entity_id: str | None = None
    memory_version: int = 1
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One thread. Its window holds `prefix` (message ids: system prompt, summary, inherited messages) and then every
    message of its own with a seq above `after_seq`; so a turn never rewrites a list.

    `compiled_version` is the agent's `memory_version` that the stored system prompt was compiled from.
    `context_version` grows with each change of the window. `busy_run_id` is the run that owns the thread now.
    """

    id: str
    agent_id: str
    is_default: bool = True
    prefix: tuple[str, ...] = ()
    after_seq: int = 0
    compiled_version: int = 0
    context_version: int = 0
    busy_run_id: str | None = None
    warned: bool = False
    prompt_tokens_last: int = 0
    """Tokens of the prompt as last reported by the provider; the measure for memory pressure. 0 when unknown."""
    summary: str | None = None
    model: str | None = None
    model_settings: JsonObject | None = None
    hidden: bool | None = None
    isolated_block_ids: tuple[str, ...] = ()
    """Its own copies of blocks; each stands for the agent's block with the same label."""
    description: str | None = None
    window_tokens: int | None = None
    is_apart: bool = False
    """Whether it has anything for itself that the agent has otherwise; known of stored ones."""
    archived_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
