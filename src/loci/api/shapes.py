"""What answers look like, for the API document. Handlers write bytes from our own values and are not slowed down by
these; a test holds the answers to them, field by field.
"""

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

Object: TypeAlias = dict[str, Any]
Time: TypeAlias = str | None
"""UTC with microseconds, such as `2026-01-01T00:00:00.000000Z`."""

exact = with_config(ConfigDict(extra="forbid", defer_build=True))
"""All fields and no others. Built when the document is asked for, so that the server starts without waiting for it."""


@exact
class ErrorShape(TypedDict):
    """Why a request was refused, and what to do about it."""

    detail: str


class Stamped(TypedDict):
    """When a thing was made and changed, and by whom."""

    created_at: Time
    updated_at: Time
    created_by_id: str | None
    last_updated_by_id: str | None


@exact
class InvalidShape(TypedDict):
    """What is wrong with a request. `examples` shows a good id where a bad one stood in the path."""

    detail: str
    trace_id: str
    examples: list[str]


@exact
class BlockShape(TypedDict):
    """A block of core memory. `limit` is in characters."""

    id: str
    label: str
    value: str
    limit: int
    description: str | None
    read_only: bool
    hidden: bool | None
    tags: list[str]
    metadata: Object
    is_template: bool
    template_name: str | None
    template_id: str | None
    base_template_id: str | None
    deployment_id: str | None
    entity_id: str | None
    project_id: str | None
    preserve_on_migration: bool
    created_by_id: str | None
    last_updated_by_id: str | None


@exact
class DeletedBlockShape(TypedDict):
    """What deleting a block did: the agents that held it."""

    message: str
    detached_from: list[str]


@exact
class PropertyShape(TypedDict):
    """Something that is known of an identity."""

    key: str
    value: str | int | float | bool | Object
    type: Literal["string", "number", "boolean", "json"]


@exact
class IdentityShape(TypedDict):
    """Somebody or something outside; `identifier_key` is the name it has there."""

    id: str
    identifier_key: str
    name: str
    identity_type: Literal["org", "user", "other"]
    project_id: str | None
    agent_ids: list[str]
    block_ids: list[str]
    properties: list[PropertyShape]


@exact
class MessageShape(TypedDict):
    """What was done."""

    message: str


@exact
class ToolShape(TypedDict):
    """A tool. `json_schema` is what a model is shown: {name, description, parameters}."""

    id: str
    name: str
    tool_type: str
    description: str
    json_schema: Object
    args_json_schema: Object | None
    tags: list[str]
    source_type: str | None
    source_code: str | None
    return_char_limit: int
    pip_requirements: list[Object] | None
    npm_requirements: list[Object] | None
    default_requires_approval: bool
    enable_parallel_execution: bool
    metadata_: Object
    project_id: str | None
    created_by_id: str | None
    last_updated_by_id: str | None


@exact
class FoundToolShape(TypedDict):
    """A tool that was found, with its place."""

    tool: ToolShape
    embedded_text: str | None
    fts_rank: int | None
    vector_rank: int | None
    combined_score: float


@exact
class ToolRunShape(TypedDict):
    """What a tool gave back."""

    func_return: str
    status: Literal["success", "error"]
    stdout: list[str]
    stderr: list[str]
    agent_state: Object | None
    sandbox_config_fingerprint: str | None


@exact
class ToolReturnShape(TypedDict):
    """What a tool that was tried gave back, as a message."""

    id: str
    date: str
    name: str | None
    message_type: Literal["tool_return_message"]
    otid: str | None
    sender_id: str | None
    step_id: str | None
    is_err: bool | None
    seq_id: int | None
    run_id: str | None
    tool_return: str
    status: Literal["success", "error"]
    tool_call_id: str
    stdout: list[str] | None
    stderr: list[str] | None
    tool_returns: list[Object]


@exact
class WrittenToolShape(TypedDict):
    """A tool as a model wrote it, and what it said. It is not stored."""

    tool: ToolShape
    sample_args: Object
    response: str


@exact
class SandboxShape(Stamped):
    """Settings of a kind of sandbox."""

    id: str
    type: Literal["local", "e2b", "modal"]
    config: Object


@exact
class SandboxVariableShape(Stamped):
    """An environment variable that tools are given."""

    id: str
    key: str
    value: str
    description: str | None
    value_enc: str | None
    sandbox_config_id: str


@exact
class SchemaShape(TypedDict):
    """A function as a model sees it. `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: Object


@exact
class EmbeddingConfigShape(TypedDict):
    """The older description of an embedding model."""

    handle: str
    embedding_model: str
    embedding_endpoint_type: str
    embedding_endpoint: str | None
    embedding_dim: int
    embedding_chunk_size: int
    batch_size: int
    azure_endpoint: str | None
    azure_version: str | None
    azure_deployment: str | None


@exact
class EmbeddingModelShape(EmbeddingConfigShape):
    """An embedding model that can be had now. Its `handle` is what agents name."""

    name: str
    display_name: str
    provider_name: str
    provider_type: str
    model_type: Literal["embedding"]


@exact
class ProviderShape(TypedDict):
    """A provider that was brought. Its keys are kept sealed and are not shown, so their fields are null."""

    id: str
    name: str
    provider_type: str
    provider_category: Literal["byok"]
    api_key: None
    base_url: str | None
    access_key: None
    region: str | None
    api_version: str | None
    updated_at: Time
    last_synced: Time
    api_key_enc: None
    access_key_enc: None


@exact
class DoneShape(TypedDict):
    """That it was done, or that all is well."""

    message: str


@exact
class PassageShape(Stamped):
    """A note in archival memory."""

    id: str
    text: str
    tags: list[str]
    metadata: Object
    archive_id: str
    source_id: str | None
    file_id: str | None
    file_name: str | None
    embedding: list[float] | None
    embedding_config: EmbeddingConfigShape | None
    is_deleted: bool


@exact
class FoundPassageShape(TypedDict):
    """A note that was found."""

    id: str
    timestamp: Time
    content: str
    tags: list[str]


@exact
class PassageSearchShape(TypedDict):
    """Notes that were found, the best first."""

    results: list[FoundPassageShape]
    count: int


@exact
class ScoredPassageShape(TypedDict):
    """A note that was found, with how well it fits, 0 to 1."""

    passage: PassageShape
    score: float
    metadata: Object


@exact
class ArchiveShape(Stamped):
    """A shelf of notes that agents share."""

    id: str
    organization_id: str
    name: str
    description: str | None
    metadata: Object
    embedding_config: EmbeddingConfigShape | None
    vector_db_provider: Literal["native"]


@exact
class JobShape(Stamped):
    """Background work. `metadata` says of which kind it is, what it is about and how it went."""

    id: str
    status: Literal["pending", "running", "completed", "failed", "cancelled"]
    job_type: Literal["job"]
    metadata: Object
    stop_reason: Literal["error", "cancelled"] | None
    background: bool
    agent_id: str | None
    callback_url: str | None
    callback_sent_at: Time
    callback_status_code: int | None
    callback_error: str | None
    ttft_ns: int | None
    total_duration_ns: int | None
    completed_at: Time


@exact
class HealthShape(TypedDict):
    """Which version answers."""

    version: str
    status: str
