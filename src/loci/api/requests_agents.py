"""Bodies of requests about agents, and what they mean in our own values. Unknown fields are ignored, as clients of any
version send them.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from loci.agent.creating import FirstMessage, NewAgent, NewBlock
from loci.agent.settings import merged
from loci.api.wire_requests import Content, parts_of
from loci.errors import Unprocessable
from loci.store.rules import rule_from_json
from loci.tools.builtin.agents import MULTI_AGENT_TOOLS
from loci.types.agents import AgentType, CompactionMode, CompactionSettings, ModelSettings
from loci.types.json import JsonObject
from loci.types.memory import BLOCK_LIMIT_CHARS, LABEL_PATTERN
from loci.types.messages import Role
from loci.types.tools import ToolRule

NAME_MAX_CHARS = 1_000
TEXT_MAX_CHARS = 2_000_000
LIST_MAX = 1_000
INTEGER_MAX = 2**31 - 1

Name = Annotated[str, Field(max_length=NAME_MAX_CHARS)]
LongText = Annotated[str, Field(max_length=TEXT_MAX_CHARS)]
Names = Annotated[list[Name], Field(max_length=LIST_MAX)]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Label = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS, pattern=LABEL_PATTERN)]
"""The name of a block, which becomes a tag in the prompt: no text may end that tag or begin another."""
Secret = Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)]
Object = dict[str, Any]


def _format(asked: Object) -> Object:
    if asked.get("type") not in {"text", "json_object", "json_schema"}:
        raise ValueError("its type must be 'text', 'json_object' or 'json_schema'")
    if asked["type"] == "json_schema" and not isinstance(asked.get("json_schema"), dict):
        raise ValueError("with the type 'json_schema' it needs the schema under 'json_schema'")
    return asked


Format = Annotated[Object, AfterValidator(_format)]
"""In which form a model has to answer."""


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class BlockFields(Body):
    """What a block may be given."""

    description: LongText | None = None
    limit: Annotated[int, Field(ge=1, le=INTEGER_MAX)] | None = None
    read_only: bool | None = None
    hidden: bool | None = None
    tags: Names | None = None
    metadata: Object | None = None
    template_name: Name | None = None
    is_template: bool | None = None
    project_id: Name | None = None


class BlockIn(BlockFields):
    """A block to be made."""

    label: Label
    value: LongText = ""

    def new_block(self) -> NewBlock:
        """Our value."""
        return NewBlock(
            label=self.label,
            value=self.value,
            description=self.description,
            limit_chars=self.limit or BLOCK_LIMIT_CHARS,
            read_only=self.read_only or False,
            hidden=self.hidden,
            tags=tuple(self.tags or ()),
            metadata=cast("JsonObject", self.metadata or {}),
            template_name=self.template_name,
            is_template=self.is_template or False,
            project_id=self.project_id,
        )


class CompactionIn(Body):
    """When and how the window is emptied."""

    mode: CompactionMode = "sliding_window"
    model: Name | None = None
    model_settings: Object | None = None
    prompt: LongText | None = None
    prompt_acknowledgement: bool | None = False
    clip_chars: Count | None = 50_000
    sliding_window_percentage: Annotated[float, Field(ge=0, le=1)] | None = 0.3
    warn_fraction: Annotated[float, Field(gt=0, le=1)] = 0.70
    flush_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.90
    evict_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.50

    def settings(self) -> CompactionSettings:
        """Our value."""
        return CompactionSettings(
            mode=self.mode,
            model=self.model,
            model_settings=cast("JsonObject | None", self.model_settings),
            prompt=self.prompt,
            prompt_acknowledgement=self.prompt_acknowledgement or False,
            clip_chars=self.clip_chars,
            sliding_window_percentage=0.3 if self.sliding_window_percentage is None else self.sliding_window_percentage,
            warn_fraction=self.warn_fraction,
            flush_fraction=self.flush_fraction,
            evict_fraction=self.evict_fraction,
        )


class FirstMessageIn(Body):
    """A message that an agent begins with."""

    role: Literal["user", "assistant", "system"]
    content: Content
    name: Name | None = None
    otid: Name | None = None


class AgentFields(Body):
    """What an agent may be given, when it is made and later."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_MAX_CHARS)] | None = None
    system: LongText | None = None
    description: LongText | None = None
    metadata: Object | None = None
    tags: Names | None = None
    model: Name | None = None
    embedding: Name | None = None
    llm_config: Object | None = None
    embedding_config: Object | None = None
    model_settings: Object | None = None
    compaction_settings: CompactionIn | None = None
    context_window_limit: Annotated[int, Field(ge=1, le=INTEGER_MAX)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=INTEGER_MAX)] | None = None
    reasoning: bool | None = None
    enable_reasoner: bool | None = None
    max_reasoning_tokens: Annotated[int, Field(ge=0, le=INTEGER_MAX)] | None = None
    parallel_tool_calls: bool | None = None
    response_format: Format | None = None
    tool_ids: Names | None = None
    block_ids: Names | None = None
    tool_rules: Annotated[list[Object], Field(max_length=LIST_MAX)] | None = None
    secrets: dict[Secret, LongText] | None = None
    tool_exec_environment_variables: dict[Secret, LongText] | None = None
    identity_ids: Names | None = None
    folder_ids: Names | None = None
    source_ids: Names | None = None
    timezone: Name | None = None
    message_buffer_autoclear: bool | None = None
    enable_sleeptime: bool | None = None
    hidden: bool | None = None
    max_files_open: Count | None = None
    per_file_view_window_char_limit: Count | None = None
    project_id: Name | None = None
    template_id: Name | None = None
    base_template_id: Name | None = None

    def rules(self) -> tuple[ToolRule, ...] | None:
        """Our rules. Raises Unprocessable."""
        if self.tool_rules is None:
            return None
        return tuple(rule_from_json(cast("JsonObject", rule)) for rule in self.tool_rules)

    def handle(self) -> str | None:
        """The model's handle, also from the deprecated description of it."""
        return self.model or handle_in(self.llm_config)

    def window_tokens(self) -> int | None:
        """The context window that is asked for."""
        given = self.llm_config.get("context_window") if self.llm_config else None
        return self.context_window_limit or (given if isinstance(given, int) and given > 0 else None)

    def folders(self) -> tuple[str, ...] | None:
        """The folders that are to be attached, under either of their names."""
        given = [ids for ids in (self.folder_ids, self.source_ids) if ids is not None]
        return tuple(dict.fromkeys(folder_id for ids in given for folder_id in ids)) if given else None

    def environment(self) -> dict[str, str] | None:
        """Secrets, in plain text still."""
        return self.secrets if self.secrets is not None else self.tool_exec_environment_variables


class AgentIn(AgentFields):
    """An agent to be made."""

    agent_type: AgentType = AgentType.LETTA_V1
    memory_blocks: Annotated[list[BlockIn], Field(max_length=LIST_MAX)] | None = None
    tools: Names | None = None
    include_base_tools: bool | None = True
    include_multi_agent_tools: bool | None = None
    include_base_tool_rules: bool | None = None
    initial_message_sequence: Annotated[list[FirstMessageIn], Field(max_length=LIST_MAX)] | None = None
    from_template: Name | None = None
    template: bool | None = None
    memory_variables: dict[str, str] | None = None

    def new_agent(self, sealed: JsonObject) -> NewAgent:
        """Our value; `sealed` are the secrets as they are kept. Raises Unprocessable."""
        for name in ("from_template", "template", "memory_variables"):
            if getattr(self, name):
                raise Unprocessable(
                    f"'{name}' is about templates, which an agent is not made from here.",
                    hint="POST /v1/templates makes one, and POST /v1/templates/{template_version}/agents its agents.",
                )
        embedding_given = bool({"embedding", "embedding_config"} & self.model_fields_set)
        return NewAgent(
            name=self.name,
            agent_type=self.agent_type,
            system=self.system,
            model=self.handle(),
            embedding=self.embedding or handle_in(self.embedding_config),
            embedding_given=embedding_given,
            description=self.description,
            blocks=tuple(block.new_block() for block in self.memory_blocks or ()),
            block_ids=tuple(self.block_ids or ()),
            tool_names=(*(self.tools or ()), *(MULTI_AGENT_TOOLS if self.include_multi_agent_tools else ())),
            tool_ids=tuple(self.tool_ids or ()),
            include_base_tools=self.include_base_tools is not False,
            include_base_tool_rules=self.include_base_tool_rules,
            tool_rules=self.rules(),
            tags=tuple(self.tags or ()),
            model_settings=merged_settings(ModelSettings(), self),
            compaction_settings=self.compaction_settings.settings()
            if self.compaction_settings
            else CompactionSettings(),
            response_format=cast("JsonObject | None", self.response_format),
            context_window_tokens=self.window_tokens(),
            environment=sealed,
            metadata=cast("JsonObject", self.metadata or {}),
            timezone=self.timezone or "UTC",
            message_buffer_autoclear=self.message_buffer_autoclear or False,
            enable_sleeptime=self.enable_sleeptime,
            hidden=self.hidden,
            max_files_open=self.max_files_open,
            per_file_view_window_limit_chars=self.per_file_view_window_char_limit,
            project_id=self.project_id,
            template_id=self.template_id,
            base_template_id=self.base_template_id,
            identity_ids=tuple(self.identity_ids or ()),
            folder_ids=self.folders() or (),
            first_messages=first_messages(self.initial_message_sequence),
        )


class AgentChangeIn(AgentFields):
    """What an agent shall become; what is not named stays."""

    message_ids: Annotated[list[Name], Field(max_length=200_000)] | None = None


def handle_in(config: Object | None) -> str | None:
    """The handle of a model that the older kind of description names."""
    if not config:
        return None
    handle = config.get("handle")
    if isinstance(handle, str) and handle:
        return handle
    name = config.get("model") or config.get("embedding_model")
    provider = config.get("provider_name") or config.get("model_endpoint_type") or config.get("embedding_endpoint_type")
    return f"{provider}/{name}" if name and provider else None


def first_messages(given: list[FirstMessageIn] | None) -> tuple[FirstMessage, ...] | None:
    """Our values. Raises Unprocessable for a message without content."""
    if given is None:
        return None
    return tuple(
        FirstMessage(
            role=Role(item.role), parts=parts_of(item.content, Role(item.role)), name=item.name, otid=item.otid
        )
        for item in given
    )


def merged_settings(base: ModelSettings, body: AgentFields) -> ModelSettings:
    """Model settings with what the body says on top. Raises Unprocessable for a number that is none."""
    config, given = dict(body.llm_config or {}), body.model_settings or {}
    if body.max_reasoning_tokens is not None:
        config["max_reasoning_tokens"] = body.max_reasoning_tokens
    if False in (body.reasoning, body.enable_reasoner):
        given = {"reasoning": {"reasoning_effort": "none"}} | given
    return merged(
        base,
        given,
        config=config,
        tokens_max=body.max_tokens,
        parallel=body.parallel_tool_calls,
    )
