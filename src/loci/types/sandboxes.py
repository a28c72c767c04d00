"""What an organisation sets for the sandbox of its tools: one configuration for each kind, and variables with it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from loci.types.json import EMPTY, JsonObject

SandboxKind: TypeAlias = Literal["local", "e2b", "modal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """Settings of one kind of sandbox, as the client gave them."""

    id: str
    kind: SandboxKind
    config: JsonObject = field(default_factory=lambda: EMPTY)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxVariable:
    """An environment variable for every tool that runs under a configuration. Its value is kept sealed."""

    id: str
    config_id: str
    name: str
    sealed: str
    description: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None
