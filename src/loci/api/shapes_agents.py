"""What answers about agents look like, for the API document (see `shapes`)."""

from typing import Literal

from typing_extensions import TypedDict

from loci.api.shapes import BlockShape, EmbeddingConfigShape, IdentityShape, Object, Stamped, Time, ToolShape, exact


@exact
class ModelConfigShape(TypedDict):
    """The older description of a model. `context_window` is in tokens."""

    model: str
    handle: str
    display_name: str
    model_endpoint_type: str
    model_endpoint: str | None
    provider_name: str
    provider_category: str
    context_window: int
    model_wrapper: str | None
    put_inner_thoughts_in_kwargs: bool
    temperature: float | None
    max_tokens: int | None
    enable_reasoner: bool
    reasoning_effort: str | None
    max_reasoning_tokens: int
    effort: str | None
    frequency_penalty: float | None
    compatibility_type: str | None
    verbosity: str | None
    tier: str | None
    parallel_tool_calls: bool | None
    response_format: Object | None
    strict: bool
    return_logprobs: bool
    top_logprobs: int | None
    return_token_ids: bool
    tool_call_parser: str | None


@exact
class ModelShape(ModelConfigShape):
    """A model that can be had now. Its `handle` is what agents name; the windows are in tokens."""

    name: str
    provider_type: str
    max_context_window: int
    model_type: Literal["llm"]


@exact
class CompactionShape(TypedDict):
    """When and how the window is emptied. Fractions are of the context window."""

    mode: str
    model: str | None
    model_settings: Object | None
    prompt: str | None
    prompt_acknowledgement: bool
    clip_chars: int | None
    sliding_window_percentage: float
    warn_fraction: float
    flush_fraction: float
    evict_fraction: float


@exact
class MemoryShape(TypedDict):
    """Core memory as older clients read it."""

    blocks: list[BlockShape]
    file_blocks: list[Object]
    agent_type: str
    git_enabled: bool
    prompt_template: str


@exact
class RepositoriesShape(TypedDict):
    """The repositories of an agent."""

    repositories: list[Object]


@exact
class SecretShape(Stamped):
    """A secret that tools are given."""

    key: str
    value: str
    agent_id: str
    id: str | None
    description: str | None
    value_enc: str | None


@exact
class GroupShape(TypedDict):
    """A group of agents. Which fields mean something depends on `manager_type`."""

    id: str
    manager_type: str
    manager_agent_id: str | None
    agent_ids: list[str]
    description: str
    shared_block_ids: list[str]
    max_turns: int | None
    termination_token: str | None
    sleeptime_agent_frequency: int | None
    turns_counter: int | None
    last_processed_message_id: str | None
    max_message_buffer_length: int | None
    min_message_buffer_length: int | None
    hidden: bool | None
    project_id: str | None
    template_id: str | None
    base_template_id: str | None
    deployment_id: str | None


@exact
class AgentShape(Stamped):
    """An agent. Relations (blocks, tools, tags, secrets …) are empty in lists and reads unless `include` names them."""

    id: str
    name: str
    agent_type: str
    system: str
    description: str | None
    metadata: Object
    tags: list[str]
    timezone: str
    tool_rules: list[Object]
    message_ids: list[str]
    model: str
    embedding: str | None
    model_settings: Object
    llm_config: ModelConfigShape
    embedding_config: EmbeddingConfigShape | None
    compaction_settings: CompactionShape
    response_format: Object | None
    memory: MemoryShape
    blocks: list[BlockShape]
    tools: list[ToolShape]
    sources: list[Object]
    identities: list[IdentityShape]
    identity_ids: list[str]
    secrets: list[SecretShape]
    tool_exec_environment_variables: list[SecretShape]
    pending_approval: Object | None
    multi_agent_group: GroupShape | None
    managed_group: GroupShape | None
    enable_sleeptime: bool | None
    message_buffer_autoclear: bool
    max_files_open: int
    per_file_view_window_char_limit: int
    hidden: bool | None
    project_id: str | None
    template_id: str | None
    base_template_id: str | None
    deployment_id: str | None
    entity_id: str | None
    last_run_completion: Time
    last_run_duration_ms: int | None
    last_stop_reason: str | None


@exact
class ContextShape(TypedDict):
    """What the model is shown, part by part. The counts of tokens are estimates."""

    context_window_size_max: int
    context_window_size_current: int
    num_messages: int
    num_recall_memory: int
    num_archival_memory: int
    num_tokens_system: int
    num_tokens_core_memory: int
    num_tokens_external_memory_summary: int
    num_tokens_tool_usage_rules: int
    num_tokens_memory_filesystem: int
    num_tokens_directories: int
    num_tokens_summary_memory: int
    num_tokens_functions_definitions: int
    num_tokens_messages: int
    system_prompt: str
    core_memory: str
    external_memory_summary: str
    tool_usage_rules: str | None
    memory_filesystem: str | None
    directories: str | None
    summary_memory: str | None
    functions_definitions: list[Object]
    messages: list[Object]
