"""What answers about organisations, users and keys look like (see `shapes`)."""

from typing import Literal

from typing_extensions import TypedDict

from loci.api.shapes import Time, exact
from loci.types.keys import Access


@exact
class OrganizationShape(TypedDict):
    """An organisation."""

    id: str
    name: str
    created_at: Time
    privileged_tools: bool


@exact
class UserShape(TypedDict):
    """A user of an organisation."""

    id: str
    organization_id: str
    name: str
    created_at: Time
    updated_at: Time
    is_deleted: bool


@exact
class KeyShape(TypedDict):
    """A key as it is kept. `key` is the key itself: only the answer that makes it has it."""

    id: str
    organization_id: str
    user_id: str
    name: str
    begins: str
    key: str | None
    created_at: Time
    last_used_at: Time
    expires_at: Time
    revoked_at: Time


@exact
class WhoShape(TypedDict):
    """Whose credential it is."""

    uuid: str
    is_admin: bool


@exact
class GrantShape(TypedDict):
    """What a token may do with one agent."""

    type: Literal["agent"]
    id: str
    access: list[Access]


@exact
class PolicyShape(TypedDict):
    """What a token may do."""

    version: Literal["1"]
    data: list[GrantShape]


@exact
class TokenShape(TypedDict):
    """A token for the client's side. `token` is the token itself where it is made, and later its id."""

    token: str
    hostname: str
    policy: PolicyShape
    expiresAt: str


@exact
class TokensShape(TypedDict):
    """One page of them."""

    tokens: list[TokenShape]
    hasNextPage: bool
