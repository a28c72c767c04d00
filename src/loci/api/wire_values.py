"""Blocks, tools, passages and models in the JSON of the Letta V1 API."""

from loci.api.wire_messages import WireObject
from loci.api.wire_runs import wire_moment
from loci.model.base import EmbeddingInfo, ModelInfo
from loci.types.actor import DEFAULT_PROJECT
from loci.types.identities import Identity
from loci.types.json import JsonObject, JsonValue
from loci.types.memory import Archive, Block, Passage
from loci.types.tools import Tool

_ENDPOINT_TYPES = frozenset(
    {
        "openai",
        "anthropic",
        "google_ai",
        "google_vertex",
        "azure",
        "groq",
        "ollama",
        "webui",
        "lmstudio",
        "llamacpp",
        "koboldcpp",
        "vllm",
        "hugging-face",
        "minimax",
        "mistral",
        "together",
        "bedrock",
        "deepseek",
        "xai",
        "zai",
        "baseten",
        "fireworks",
        "openrouter",
        "chatgpt_oauth",
    }
)

_MORE_TYPES = frozenset({"cerebras", "sglang", "zai_coding", "moonshot", "moonshot_coding"})

CHUNK_TOKENS = 300
"""About what a piece of a file has (`loci.files.chunking`)."""
TEMPERATURE = 1.0
"""What clients are told where nothing was chosen, as the field must be a number; the provider chooses then."""


def wire_identity(identity: Identity) -> WireObject:
    """An identity."""
    return {
        "id": identity.id,
        "identifier_key": identity.identifier_key,
        "name": identity.name,
        "identity_type": identity.identity_type,
        "project_id": identity.project_id or DEFAULT_PROJECT,
        "agent_ids": list(identity.agent_ids),
        "block_ids": list(identity.block_ids),
        "properties": list(identity.properties),
    }


def wire_block(block: Block) -> WireObject:
    """A block."""
    return {
        "id": block.id,
        "value": block.value,
        "limit": block.limit_chars,
        "project_id": block.project_id or DEFAULT_PROJECT,
        "template_name": block.template_name,
        "is_template": block.is_template,
        "template_id": None,
        "base_template_id": None,
        "deployment_id": None,
        "entity_id": None,
        **(block.origin or {}),
        "preserve_on_migration": False,
        "label": block.label,
        "read_only": block.read_only,
        "description": block.description,
        "metadata": block.metadata,
        "hidden": block.hidden,
        "tags": list(block.tags),
        "created_by_id": block.created_by,
        "last_updated_by_id": block.updated_by,
    }


def wire_tool(tool: Tool) -> WireObject:
    """A tool."""
    return {
        "id": tool.id,
        "tool_type": tool.tool_type.value,
        "description": tool.description,
        "source_type": tool.source_type if tool.source_code is not None else None,
        "name": tool.name,
        "tags": list(tool.tags),
        "source_code": tool.source_code,
        "json_schema": tool.json_schema,
        "args_json_schema": tool.args_json_schema,
        "return_char_limit": tool.return_limit_chars,
        "pip_requirements": list(tool.pip_requirements) or None,
        "npm_requirements": list(tool.npm_requirements) or None,
        "default_requires_approval": tool.default_requires_approval,
        "enable_parallel_execution": tool.enable_parallel_execution,
        "created_by_id": tool.created_by,
        "last_updated_by_id": tool.created_by,
        "metadata_": tool.metadata,
        "project_id": None,
    }


def wire_passage(passage: Passage) -> WireObject:
    """A passage. Vectors are ours to keep, so `embedding` is null."""
    return {
        "id": passage.id,
        "text": passage.text,
        "tags": list(passage.tags),
        "metadata": passage.metadata,
        "archive_id": passage.archive_id,
        "source_id": None,
        "file_id": None,
        "file_name": None,
        "embedding": None,
        "embedding_config": None,
        "is_deleted": False,
        "created_at": wire_moment(passage.created_at),
        "updated_at": wire_moment(passage.updated_at),
        "created_by_id": passage.created_by,
        "last_updated_by_id": passage.created_by,
    }


def wire_archive(archive: Archive, organization_id: str, embedding: EmbeddingInfo | None) -> WireObject:
    """An archive, with what is known of its embedding model."""
    return {
        "id": archive.id,
        "organization_id": organization_id,
        "name": archive.name,
        "description": archive.description,
        "metadata": archive.metadata,
        "embedding_config": embedding and embedding_config(embedding),
        "vector_db_provider": "native",
        "created_at": wire_moment(archive.created_at),
        "updated_at": wire_moment(archive.updated_at),
        "created_by_id": archive.created_by,
        "last_updated_by_id": archive.created_by,
    }


def _or_default(value: JsonValue, default: JsonValue) -> JsonValue:
    return default if value is None else value


def endpoint_type(provider_type: str) -> str:
    """A provider's kind in the words that clients know; whatever they do not know speaks OpenAI's wire."""
    return provider_type if provider_type in _ENDPOINT_TYPES else "openai"


def provider_kind(provider_type: str) -> str:
    """The same in the words for providers, of which there are a few more."""
    if provider_type in _MORE_TYPES:
        return provider_type
    return "lmstudio_openai" if provider_type == "lmstudio" else endpoint_type(provider_type)


def llm_config(info: ModelInfo, window_tokens: int, settings: JsonObject) -> WireObject:
    """The deprecated description of a model that older clients read."""
    return {
        "model": info.name,
        "display_name": info.display_name or info.name,
        "model_endpoint_type": endpoint_type(info.provider_type),
        "model_endpoint": info.endpoint,
        "provider_name": info.provider,
        "provider_category": "byok" if info.brought else "base",
        "model_wrapper": None,
        "context_window": window_tokens,
        "put_inner_thoughts_in_kwargs": False,
        "handle": info.handle,
        "temperature": _or_default(settings.get("temperature"), TEMPERATURE),
        "max_tokens": settings.get("max_output_tokens"),
        "enable_reasoner": settings.get("reasoning_effort") not in (None, "none"),
        "reasoning_effort": settings.get("reasoning_effort"),
        "max_reasoning_tokens": settings.get("reasoning_tokens_max") or 0,
        "effort": None,
        "frequency_penalty": None,
        "compatibility_type": None,
        "verbosity": settings.get("verbosity"),
        "tier": None,
        "parallel_tool_calls": settings.get("parallel_tool_calls"),
        "response_format": None,
        "strict": settings.get("strict") or False,
        "return_logprobs": False,
        "top_logprobs": None,
        "return_token_ids": False,
        "tool_call_parser": None,
    }


def wire_model(info: ModelInfo) -> WireObject:
    """A model in the list of models."""
    return {
        **llm_config(info, info.window_tokens, {}),
        "name": info.name,
        "provider_type": provider_kind(info.provider_type),
        "max_context_window": info.window_tokens,
        "max_tokens": info.output_tokens_max,
        "model_type": "llm",
    }


def embedding_config(info: EmbeddingInfo) -> WireObject:
    """The deprecated description of an embedding model that older clients read."""
    return {
        "embedding_endpoint_type": endpoint_type(info.provider_type),
        "embedding_endpoint": info.endpoint,
        "embedding_model": info.name,
        "embedding_dim": info.dimensions,
        "embedding_chunk_size": CHUNK_TOKENS,
        "handle": info.handle,
        "batch_size": 32,
        "azure_endpoint": None,
        "azure_version": None,
        "azure_deployment": None,
    }


def wire_embedding(info: EmbeddingInfo) -> WireObject:
    """An embedding model in the list of embedding models."""
    return {
        **embedding_config(info),
        "name": info.name,
        "display_name": info.handle,
        "provider_name": info.provider,
        "provider_type": provider_kind(info.provider_type),
        "model_type": "embedding",
    }
