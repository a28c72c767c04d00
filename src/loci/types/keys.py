"""Organisations, their users, and the keys by which requests are known."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

Access: TypeAlias = Literal["read_messages", "write_messages", "read_agent", "write_agent"]

TRUST_HINT = (
    "The server's operator can trust this organisation with it: PATCH /v1/admin/orgs/?org_id=… with "
    '{"privileged_tools": true}.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """Those who share what they have. Nothing of another organisation exists for them."""

    id: str
    name: str
    privileged_tools: bool = False
    """Whether the operator trusts them with the machine, as it does its own organisation."""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A member of an organisation, in whose name requests are made."""

    id: str
    organization_id: str
    name: str
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a limited key may do with one agent."""

    agent_id: str
    access: tuple[Access, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is kept: the key itself is not, only its hash (which stays in the store) and how it begins.

    With `grants` it is a limited key, for what runs at the client's side: it may do that and nothing else. Requests
    that a browser sends with it must come from `hostname`.
    """

    id: str
    organization_id: str
    user_id: str
    name: str
    begins: str
    hostname: str | None = None
    grants: tuple[Grant, ...] | None = None
    created_at: datetime | None = None
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
