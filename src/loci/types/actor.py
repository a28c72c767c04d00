"""Who asks: taken from the credential only, and carried through every read and write."""

from dataclasses import dataclass

DEFAULT_ORGANIZATION = "org-00000000-0000-4000-8000-000000000000"
DEFAULT_USER = "user-00000000-0000-4000-8000-000000000000"
DEFAULT_PROJECT = "00000000-0000-4000-8000-000000000000"
"""The project of everything that names none; it stands in no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A user within an organisation. Rows of other organisations do not exist for it."""

    user_id: str = DEFAULT_USER
    organization_id: str = DEFAULT_ORGANIZATION
    project_id: str | None = None
    limited: bool = False
    """Whether it asks with a limited key, which may be in everybody's hands: such an actor is shown no secrets."""
