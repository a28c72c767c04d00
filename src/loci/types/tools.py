"""Tools and the rules on their use, as data."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeAlias

from loci.types.json import EMPTY, JsonObject, JsonValue


class ToolType(StrEnum):
    """Where a tool comes from, with the names of the Letta V1 API."""

    CUSTOM = "custom"
    CORE = "letta_core"
    MEMORY = "letta_memory_core"
    SLEEPTIME = "letta_sleeptime_core"
    MULTI_AGENT = "letta_multi_agent_core"
    BUILTIN = "letta_builtin"
    FILES = "letta_files_core"
    VOICE_SLEEPTIME = "letta_voice_sleeptime_core"
    EXTERNAL_MCP = "external_mcp"


Effect: TypeAlias = Literal["pure", "memory", "idempotent", "once"]
"""What a second run would do: nothing (`pure`), nothing because it shares the step's transaction (`memory`), the same
again (`idempotent`), or harm (`once`: never retried in silence)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A function as the model sees it. `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A stored tool. `json_schema` is {name, description, parameters}."""

    id: str
    name: str
    tool_type: ToolType
    description: str
    json_schema: JsonObject
    tags: tuple[str, ...] = ()
    source_code: str | None = None
    source_type: str = "python"
    args_json_schema: JsonObject | None = None
    return_limit_chars: int = 50_000
    pip_requirements: tuple[JsonObject, ...] = ()
    npm_requirements: tuple[JsonObject, ...] = ()
    default_requires_approval: bool = False
    enable_parallel_execution: bool = False
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None

    @property
    def is_builtin(self) -> bool:
        """Whether it came with the server: neither written by somebody nor offered by an MCP server."""
        return self.tool_type not in (ToolType.CUSTOM, ToolType.EXTERNAL_MCP)

    def schema(self) -> ToolSchema:
        """The part of the tool that a model is shown."""
        parameters = self.json_schema.get("parameters")
        return ToolSchema(
            name=self.name,
            description=str(self.json_schema.get("description") or self.description or ""),
            parameters=parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFirst:
    """The loop begins with this tool."""

    tool_name: str
    args: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitLoop:
    """The loop ends after this tool."""

    tool_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueLoop:
    """The loop goes on after this tool."""

    tool_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional:
    """What may follow depends on what this tool returned."""

    tool_name: str
    child_output_mapping: JsonObject
    default_child: str | None = None
    require_output_mapping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstrainChildTools:
    """After this tool only `children` may be called; `child_arg_nodes` fixes arguments of theirs."""

    tool_name: str
    children: tuple[str, ...]
    child_arg_nodes: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxCountPerStep:
    """The tool may be called at most this often in one run."""

    tool_name: str
    max_count_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentLastTool:
    """`children` may be called only directly after this tool."""

    tool_name: str
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiredBeforeExit:
    """The loop may not end before this tool has run."""

    tool_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiresApproval:
    """A person is asked before this tool runs."""

    tool_name: str


ToolRule: TypeAlias = (
    RunFirst
    | ExitLoop
    | ContinueLoop
    | Conditional
    | ConstrainChildTools
    | MaxCountPerStep
    | ParentLastTool
    | RequiredBeforeExit
    | RequiresApproval
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCall:
    """A tool call of the current run with what it returned: what the rules look at."""

    name: str
    output: JsonValue
    ok: bool = True
