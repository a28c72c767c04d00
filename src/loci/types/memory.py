"""Core and archival memory: blocks, passages, archives, and the journal entry that every change of them leaves."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from loci.types.json import EMPTY, JsonObject, JsonValue
from loci.types.messages import Trust

BLOCK_LIMIT_CHARS = 100_000
LABEL_PATTERN = r"^[^<>\x00-\x1f]+$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A named piece of core memory, always in the prompt of the agents it is attached to.

    `description` tells the model what it is for; `version` grows by one with every change of the block.
    """

    id: str
    label: str
    value: str
    description: str | None = None
    limit_chars: int = BLOCK_LIMIT_CHARS
    read_only: bool = False
    hidden: bool | None = None
    tags: tuple[str, ...] = ()
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    template_name: str | None = None
    is_template: bool = False
    project_id: str | None = None
    version: int = 1
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None
    origin: JsonObject | None = None
    """Ids of the version of a template and the template that it is from, the deployment, and its place there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A shelf of passages, owned by an agent or shared. The embedding model belongs to it; None means words only."""

    id: str
    name: str
    description: str | None = None
    embedding: str | None = None
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One text in an archive. `seq` orders the passages of the database and is 0 until stored."""

    id: str
    archive_id: str
    text: str
    tags: tuple[str, ...] = ()
    metadata: JsonObject = field(default_factory=lambda: EMPTY)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    trust: Trust = Trust.AGENT
    seq: int = 0


class ActorKind(StrEnum):
    """Who changed a memory."""

    USER = "user"
    AGENT = "agent"
    DREAM = "dream"
    IMPORT = "import"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who makes a change and from where: kept with the change for ever."""

    kind: ActorKind
    id: str
    trust: Trust = Trust.USER
    agent_id: str | None = None
    run_id: str | None = None
    step_id: str | None = None
    tool_call_id: str | None = None
    source_message_id: str | None = None
    reason: str | None = None


SYSTEM = Author(kind=ActorKind.SYSTEM, id="loci")
"""The server itself."""


class Subject(StrEnum):
    """What a journal entry is about."""

    BLOCK = "block"
    PASSAGE = "passage"
    MESSAGE = "message"
    AGENT = "agent"
    ARCHIVE = "archive"
    TOOL = "tool"
    ATTACHMENT = "attachment"
    CONVERSATION = "conversation"
    TEMPLATE = "template"
    FILES = "files"
    """Of the repository that is a memory; told by commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One change: what, before, after, when, who. Append-only."""

    subject: Subject
    subject_id: str
    action: str
    before: JsonValue
    after: JsonValue
    author: Author
    agent_id: str | None = None
    change_set_id: str | None = None
    at: datetime | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEdit:
    """Set the value (and perhaps label, description or limit) of a block that stood at `version`."""

    block_id: str
    version: int
    value: str
    label: str | None = None
    description: str | None = None
    limit_chars: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockCreate:
    """Make a block and attach it to the editing agent."""

    label: str
    value: str
    description: str | None = None
    limit_chars: int = BLOCK_LIMIT_CHARS


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDetach:
    """Take a block off the editing agent; the block itself stays."""

    block_id: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageInsert:
    """Put a text into the agent's archive."""

    text: str
    tags: tuple[str, ...] = ()


Change: TypeAlias = BlockEdit | BlockCreate | BlockDetach | PassageInsert


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """A proposed edit of memory: applied, refused or reverted as one."""

    changes: tuple[Change, ...]
    recompile: bool = False
    """The prompt is compiled anew afterwards even if no block value changed."""
