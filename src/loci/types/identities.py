"""Whom agents work for: people, organisations and other things that the systems around them know by a key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from loci.types.json import JsonObject

IdentityType: TypeAlias = Literal["org", "user", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody or something outside. `identifier_key` is the name it has there, unique within an organisation."""

    id: str
    identifier_key: str
    name: str
    identity_type: IdentityType
    project_id: str | None = None
    properties: tuple[JsonObject, ...] = ()
    """Each {key, value, type}, with a key of its own."""
    agent_ids: tuple[str, ...] = ()
    """The agents it is attached to, oldest attachment first. Not stored with the identity, only read with it."""
    block_ids: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    created_by: str | None = None
    updated_by: str | None = None
