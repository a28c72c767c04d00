"""A model provider that an organisation brought with its own key."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """As it is stored. `name` is the first half of the handles of its models; the key is sealed."""

    id: str
    name: str
    provider_type: str
    sealed_api_key: str | None = None
    base_url: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_synced_at: datetime | None = None
    """When it last told which models it has, because somebody asked for that."""
