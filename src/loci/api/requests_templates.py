"""Bodies of requests about templates."""

from typing import Annotated, Any, Literal

from pydantic import Field

from loci.api.requests_agents import LIST_MAX, Body, FirstMessageIn, LongText, Name, Names

FreeName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]+$", max_length=200)]
Words = dict[Annotated[str, Field(max_length=200)], LongText]
File = dict[str, Any]


class TemplateIn(Body):
    """A template to be made, from an agent or a file."""

    type: Literal["agent", "agent_file"]
    agent_id: Name | None = None
    agent_file: File | None = None
    name: FreeName | None = None
    update_existing_tools: bool = False


class FileIn(Body):
    """What the working copy becomes."""

    agent_file_json: File
    update_existing_tools: bool = False
    save_existing_changes: bool = False


class SaveIn(Body):
    """What is said about a version, and whether agents follow it, and what they keep then."""

    message: LongText | None = None
    migrate_agents: bool = False
    preserve_core_memories_on_migration: bool = True
    preserve_environment_variables_on_migration: bool = True
    block_reconciliation_strategy: Literal["reconcile-all", "preserve-deleted"] = "preserve-deleted"


class MoveIn(Body):
    """Where a deployment goes, and what its agents keep."""

    version: Name
    preserve_core_memories: bool = True
    preserve_tool_variables: bool = True
    memory_variables: Words = Field(default_factory=dict[str, str])


class VersionIn(Body):
    """A version to go back to."""

    version: Name


class NameIn(Body):
    """Another name."""

    new_name: FreeName


class ForkIn(Body):
    """The name of the copy."""

    name: FreeName | None = None


class DescriptionIn(Body):
    """Another description."""

    description: LongText | None = None


class DeployIn(Body):
    """What agents get besides what the template says."""

    agent_name: Name | None = None
    tags: Names = Field(default_factory=list[str])
    identity_ids: Names = Field(default_factory=list[str])
    memory_variables: Words = Field(default_factory=dict[str, str])
    tool_variables: Words = Field(default_factory=dict[str, str])
    initial_message_sequence: Annotated[list[FirstMessageIn], Field(max_length=LIST_MAX)] | None = None
