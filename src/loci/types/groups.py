"""Groups of agents, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MEMBERS_MAX = 50
TURNS_MAX = 100


class GroupType(StrEnum):
    """Who decides which agent of a group speaks next, with the names of the Letta V1 API."""

    ROUND_ROBIN = "round_robin"
    SUPERVISOR = "supervisor"
    DYNAMIC = "dynamic"
    SLEEPTIME = "sleeptime"
    VOICE_SLEEPTIME = "voice_sleeptime"

    @property
    def sleeps(self) -> bool:
        """Whether the members work in the background while the manager rests."""
        return self in (GroupType.SLEEPTIME, GroupType.VOICE_SLEEPTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Agents that work together. Which fields mean something depends on the manager."""

    id: str
    manager_type: GroupType = GroupType.ROUND_ROBIN
    manager_agent_id: str | None = None
    agent_ids: tuple[str, ...] = ()
    """The members, in the order of speaking; the manager is none of them unless named."""
    description: str = ""
    shared_block_ids: tuple[str, ...] = ()
    max_turns: int | None = None
    termination_token: str | None = None
    sleeptime_agent_frequency: int | None = None
    """The members of a sleep-time group work after so many turns of the manager; None is after each."""
    turns_counter: int | None = None
    """Turns of the manager since its sleep-time agents were called last."""
    last_processed_message_id: str | None = None
    """What they have read up to."""
    max_message_buffer_length: int | None = None
    min_message_buffer_length: int | None = None
    hidden: bool | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    deployment_id: str | None = None
    created_at: datetime | None = None
